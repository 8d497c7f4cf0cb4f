export interface TableOptions {
  /** Columns from this one on are numbers, aligned at their right. */
  readonly rightFrom: number;
  /** The last column is words all the same. */
  readonly leftLast: boolean;
}

/** A table for a terminal: a header, a rule, and rows of equal width. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { rightFrom, leftLast }: TableOptions,
): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const isRight = (column: number): boolean => column >= rightFrom && !(leftLast && column === header.length - 1);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (isRight(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [
    line(header),
    widths
      .map((width) => '-'.repeat(width))
      .join('  ')
      .trimEnd(),
    ...rows.map(line),
  ].join('\n');
}
