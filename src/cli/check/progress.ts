export interface Progress {
  show(place: { readonly done: number; readonly total: number; readonly title: string }): void;
  clear(): void;
}

const LINE_MAX = 100;

/** One line on a terminal's standard error that says which check runs; nothing anywhere else. */
export function createProgress(): Progress {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  return {
    show: ({ done, total, title }) => void stderr.write(`\r${`${done}/${total} ${title}`.slice(0, LINE_MAX)}\u001b[K`),
    clear: () => void stderr.write('\r\u001b[K'),
  };
}
