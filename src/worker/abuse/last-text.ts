/** Values of these keys are what somebody wrote; those of others are names, types and data. */
const TEXT_KEYS = ['content', 'text', 'input'] as const;

interface Literal {
  /** The key that it is the value of; null for one in an array, or whose beginning was cut off. */
  readonly key: string | null;
  readonly raw: string;
}

/**
 * The text of the last turn in the last bytes of a prompt's JSON (an array of messages or items, or one string), wherever the
 * bytes begin. What cannot be told apart from text counts as text; the answer may be empty.
 * @param tail - ends where the JSON value ends
 */
export function lastTextOf(tail: Uint8Array): string {
  const literals = literalsOf(Buffer.from(tail.buffer, tail.byteOffset, tail.length).toString('utf8'));
  const roles = literals.flatMap(({ key }, at) => (key === 'role' ? [at] : []));
  const last = roles.at(-1) ?? -1;
  const after = textOf(literals.slice(last + 1));
  // A role may stand behind the text that it is of.
  return after === '' && last !== -1 ? textOf(literals.slice((roles.at(-2) ?? -1) + 1, last)) : after;
}

/** The strings of a piece of JSON that ends outside of one: an odd number of quotes says that it begins inside. */
function literalsOf(json: string): readonly Literal[] {
  const quotes = json.match(/\\.|"/gsu)?.filter((token) => token === '"').length ?? 0;
  const isCut = quotes % 2 === 1;
  const literals: Literal[] = [];
  let key: string | null = null;
  for (const { 1: raw = '', 2: colon, index } of (isCut ? `"${json}` : json).matchAll(/"((?:[^"\\]|\\.)*)"(\s*:)?/gsu)) {
    if (colon === undefined) literals.push({ key, raw });
    // Of a key that was cut, its end has to do.
    key = colon === undefined ? null : isCut && index === 0 ? (TEXT_KEYS.find((name) => name.endsWith(raw)) ?? raw) : raw;
  }
  return literals;
}

function textOf(literals: readonly Literal[]): string {
  return literals
    .filter(({ key }) => key === null || TEXT_KEYS.some((name) => name === key))
    .map(({ raw }) => unescaped(raw))
    .join(' ');
}

function unescaped(raw: string): string {
  return raw.replaceAll(/\\(?:u([0-9a-fA-F]{4})|.)/gsu, (_, code: string | undefined) =>
    code === undefined ? ' ' : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
