import { err, ok, type Result } from '#core/kernel';

/** One row of an exported table: columns by name, values as the export wrote them. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Reads an exported table: JSON lines (`select row_to_json(…)`), one JSON array, or CSV with a header as psql's `\copy` writes
 * it, where a NULL is an empty field without quotes.
 * @returns the rows, or which line cannot be read; never what stands in it
 */
export function readRows(text: string): Result<readonly Row[], string> {
  const trimmed = text.trimStart();
  if (trimmed === '') return ok([]);
  if (trimmed.startsWith('[')) return readJsonArray(text);
  return trimmed.startsWith('{') ? readJsonLines(text) : readCsv(text);
}

function readJsonArray(text: string): Result<readonly Row[], string> {
  const value = parseJson(text);
  if (!Array.isArray(value)) return err('it begins like a JSON array and is none');
  const wrong = value.findIndex((row) => !isRow(row));
  return wrong < 0 ? ok(value as Row[]) : err(`element ${wrong + 1} is not an object`);
}

function readJsonLines(text: string): Result<readonly Row[], string> {
  const rows: Row[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const row = parseJson(line);
    if (!isRow(row)) return err(`line ${at + 1} is not a JSON object`);
    rows.push(row);
  }
  return ok(rows);
}

function readCsv(text: string): Result<readonly Row[], string> {
  const records = readRecords(text);
  if (!records.ok) return records;
  const [header, ...body] = records.value;
  const names = header?.map((name) => name ?? '') ?? [];
  const rows: Row[] = [];
  for (const [at, fields] of body.entries()) {
    if (fields.length !== names.length) return err(`record ${at + 2} has ${fields.length} fields, the header ${names.length}`);
    rows.push(Object.fromEntries(names.map((name, column) => [name, fields[column] ?? null])));
  }
  return ok(rows);
}

/** RFC 4180, and PostgreSQL's way to tell NULL (nothing) from an empty text (`""`). */
function readRecords(text: string): Result<readonly (readonly (string | null)[])[], string> {
  const records: (string | null)[][] = [];
  const plain = /[^,\r\n]*/y;
  let fields: (string | null)[] = [];
  let at = 0;
  while (at < text.length || fields.length > 0) {
    if (text[at] === '"') {
      const quoted = readQuoted(text, at);
      if (quoted === null) return err(`a quote that record ${records.length + 1} opens is never closed`);
      fields.push(quoted[0]);
      at = quoted[1];
    } else {
      plain.lastIndex = at;
      const field = plain.exec(text)?.[0] ?? '';
      fields.push(field === '' ? null : field);
      at += field.length;
    }
    if (text[at] === ',') {
      at++;
      continue;
    }
    if (text[at] === '\r') at++;
    if (at < text.length && text[at] !== '\n') return err(`record ${records.length + 1} has text after a closing quote`);
    at++;
    records.push(fields);
    fields = [];
  }
  return ok(records);
}

/** @returns the text, and where it ends; null when it does not */
function readQuoted(text: string, start: number): readonly [string, number] | null {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 2))
    if (text[end + 1] !== '"') return [text.slice(start + 1, end).replaceAll('""', '"'), end + 1];
  return null;
}

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @returns undefined for what is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
