/**
 * Reads the bytes of a JSON document once, in whatever chunks they arrive, without building it: checks that it is well formed
 * (RFC 8259, but for control characters deep inside long strings), within bounds, and notes where the top-level fields that the gateway needs stand. So a body of 32 MB costs the
 * event loop a fraction of a millisecond a chunk and no memory, `[[[[…` is refused at the bound instead of after seconds of
 * parsing, and same-dialect bodies are forwarded without ever being parsed.
 *
 * Strict on purpose: a scanner that is more lenient, or that resolves duplicate keys otherwise than the server behind it, lets
 * a request mean one thing to the limits and another to the model.
 */
export interface JsonScanner {
  /** Feeds the next bytes. Returns what is wrong as soon as it is known; after that the scanner must not be fed again. */
  push(chunk: Uint8Array): ScanProblem | null;
  /** No more bytes. Returns the fields found, or what is wrong. */
  end(): ScanOutcome;
}

export interface ScanOptions {
  /** Deepest nesting of arrays and objects, 1 to 65,535. */
  readonly depthMax: number;
  /** Most values in the document, containers included. */
  readonly valuesMax: number;
  /** Top-level keys whose places are wanted. A wanted key that occurs twice is a problem. */
  readonly wanted: WantedFields;
}

/** Names to look for, made ready once, so that looking for them in a document allocates nothing. */
export interface WantedFields {
  readonly names: ReadonlySet<string>;
  /** The names' bytes, by their count: a key is compared with the few names of its length. */
  readonly byLength: readonly (readonly { readonly name: string; readonly bytes: Uint8Array }[] | undefined)[];
}

/** Makes names ready to be looked for; ASCII only. */
export function wantedFields(...names: readonly string[]): WantedFields {
  const byLength: { readonly name: string; readonly bytes: Uint8Array }[][] = [];
  for (const name of names)
    (byLength[name.length] ??= []).push({ name, bytes: Uint8Array.from(name, (letter) => letter.charCodeAt(0)) });
  return { names: new Set(names), byLength };
}

export type ScanOutcome = { readonly kind: 'fields'; readonly fields: ScannedFields } | ScanProblem;

export interface ScanProblem {
  readonly kind: 'malformed' | 'too_deep' | 'too_many_values' | 'duplicate_key' | 'not_an_object';
  /** Byte offset at which it was seen. */
  readonly at: number;
  /** The key, for `duplicate_key`. */
  readonly key?: string;
}

export type ScannedFields = ReadonlyMap<string, Span>;

/** Where a value stands: bytes `start` to `end` (exclusive), and what kind it is. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly type: 'string' | 'number' | 'object' | 'array' | 'true' | 'false' | 'null';
}

// States of the reader. Each says what may come next.
const VALUE = 0; // a value
const VALUE_OR_END = 1; // first element of an array, or ]
const KEY_OR_END = 2; // first key of an object, or }
const KEY = 3; // a key, after a comma
const COLON = 4;
const COMMA_OR_END = 5; // after a value in a container
const STRING = 6;
const ESCAPE = 7; // after a backslash
const HEX = 8; // inside \uXXXX
const LITERAL = 9; // inside true, false, null
const MINUS = 10; // numbers: after the sign
const ZERO = 11; // after a leading 0
const INTEGER = 12;
const POINT = 13; // after the decimal point
const FRACTION = 14;
const EXPONENT = 15; // after e or E
const EXPONENT_SIGN = 16;
const EXPONENT_DIGITS = 17;
const DONE = 18; // only white space may follow

/** No wanted key is longer, even with every character written as \uXXXX; a longer key is not collected. */
const KEY_BYTES_MAX = 384;

/** Strings this long are looked at byte by byte; what follows is searched. Text with an escape in every line stays below it. */
const NEAR_BYTES = 32;

/** 1 for bytes that stand for themselves inside a string: not a quote, a backslash or a control character. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c ? 1 : 0));
/** What a value is, by its first byte; anything else begins a number. */
const TYPES: Readonly<Record<number, Span['type']>> = {
  0x22: 'string',
  0x7b: 'object',
  0x5b: 'array',
  0x74: 'true',
  0x66: 'false',
  0x6e: 'null',
};
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean => isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);

/** Creates a scanner for one document. */
export function createJsonScanner(options: ScanOptions): JsonScanner {
  return new Scanner(options);
}

/** A class, because one is made for every request and every answer: fields cost a fraction of what as many closures do. */
class Scanner implements JsonScanner {
  readonly #options: ScanOptions;
  readonly #fields = new Map<string, Span>();
  /** A stack, one byte a level: 1 for an object. */
  #inObject = new Uint8Array(16);
  #depth = 0;
  #values = 0;
  #state = VALUE;
  /** Of the chunk's first byte in the document. */
  #offset = 0;
  /** The string being read is a key. */
  #isKey = false;
  /** Where in this chunk the key being read at the top level begins; -1 when it began in an earlier one, or has an escape. */
  #keyStart = -1;
  /** That key as written, when it does not stand in one piece; null when the key being read is not at the top level. */
  #keyBytes: number[] | null = null;
  #isKeyEscaped = false;
  /** The wanted top-level key whose value comes next or is being read. */
  #currentKey: string | null = null;
  #valueStart = 0;
  #valueType: Span['type'] = 'null';
  #literal = '';
  #literalAt = 0;
  #hexLeft = 0;
  #problem: ScanProblem | null = null;

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  push(chunk: Uint8Array): ScanProblem | null {
    const length = chunk.length;
    let i = 0;
    while (i < length) {
      const byte = chunk[i] as number;
      const state = this.#state;
      if (state === STRING) {
        const near = Math.min(length, i + NEAR_BYTES);
        while (i < near && PLAIN[chunk[i] as number] === 1) i++;
        if (i === near) {
          if (i < length) i = this.#skipFar(chunk, i);
          if (i === length) break;
        }
        const stop = chunk[i] as number;
        if (stop === 0x22) {
          if (this.#isKey) {
            if (this.#keyEnded(chunk, i)) return this.#problem;
          } else this.#valueEnded(this.#offset + i + 1);
        } else if (stop === 0x5c) {
          if (this.#isKey) this.#keepKey(chunk, i + 1);
          this.#isKeyEscaped = true;
          this.#state = ESCAPE;
        } else return this.#fail('malformed', this.#offset + i);
        i++;
        continue;
      }
      if (state === ESCAPE || state === HEX) {
        if (state === HEX) {
          if (!isHex(byte)) return this.#fail('malformed', this.#offset + i);
          if (--this.#hexLeft === 0) this.#state = STRING;
        } else if (byte === 0x75) {
          this.#hexLeft = 4;
          this.#state = HEX;
        } else if (ESCAPABLE.has(byte)) this.#state = STRING;
        else return this.#fail('malformed', this.#offset + i);
        i++;
        continue;
      }
      if (state === LITERAL) {
        if (byte !== this.#literal.charCodeAt(this.#literalAt)) return this.#fail('malformed', this.#offset + i);
        i++;
        if (++this.#literalAt === this.#literal.length) this.#valueEnded(this.#offset + i);
        continue;
      }
      if (state >= MINUS && state <= EXPONENT_DIGITS) {
        const next = stepNumber(state, byte);
        if (next === -2) return this.#fail('malformed', this.#offset + i);
        if (next === -1) this.#valueEnded(this.#offset + i); // and look at this byte again
        else {
          this.#state = next;
          i++;
        }
        continue;
      }
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
        i++;
        continue;
      }
      if (this.#structure(byte, i)) return this.#problem;
      i++;
    }
    if (this.#keyStart !== -1) this.#keepKey(chunk, length);
    this.#offset += length;
    return null;
  }

  end(): ScanOutcome {
    if (this.#problem) return this.#problem;
    return this.#state === DONE ? { kind: 'fields', fields: this.#fields } : this.#fail('malformed', this.#offset);
  }

  /**
   * The end of a long run of plain bytes from `from`: the next quote or backslash, or the end of the chunk. Found by the runtime's
   * own search, ten times as fast as looking at each byte. Control characters in such a run are not seen; they change nothing
   * about where the string ends, and the engine refuses them.
   */
  #skipFar(chunk: Uint8Array, from: number): number {
    const quote = chunk.indexOf(0x22, from);
    const end = quote === -1 ? chunk.length : quote;
    // Only as far as the quote: a search for a backslash to the end of the chunk, once a string, would be quadratic.
    const backslash = chunk.subarray(from, end).indexOf(0x5c);
    return backslash === -1 ? end : from + backslash;
  }

  /** A byte between values: it opens, closes or separates. */
  #structure(byte: number, i: number): ScanProblem | null {
    const at = this.#offset + i;
    switch (this.#state) {
      case VALUE_OR_END:
        return byte === 0x5d ? this.#closeContainer(byte, at) : this.#beginValue(byte, at);
      case VALUE:
        return this.#beginValue(byte, at);
      case KEY_OR_END:
        if (byte === 0x7d) return this.#closeContainer(byte, at);
        return this.#beginKey(byte, i);
      case KEY:
        return this.#beginKey(byte, i);
      case COLON:
        if (byte !== 0x3a) return this.#fail('malformed', at);
        this.#state = VALUE;
        return null;
      case COMMA_OR_END:
        if (byte === 0x2c) {
          this.#state = this.#inObject[this.#depth - 1] === 1 ? KEY : VALUE;
          return null;
        }
        return byte === 0x7d || byte === 0x5d ? this.#closeContainer(byte, at) : this.#fail('malformed', at);
      default:
        return this.#fail('malformed', at);
    }
  }

  #beginKey(byte: number, i: number): ScanProblem | null {
    if (byte !== 0x22) return this.#fail('malformed', this.#offset + i);
    this.#isKey = true;
    this.#isKeyEscaped = false;
    this.#keyBytes = null;
    this.#keyStart = this.#depth === 1 ? i + 1 : -1;
    this.#state = STRING;
    return null;
  }

  /** The key being read goes on beyond `to`, or has an escape: what stands of it in this chunk is kept. */
  #keepKey(chunk: Uint8Array, to: number): void {
    if (this.#depth !== 1) return;
    const kept = (this.#keyBytes ??= []);
    const end = Math.min(to, this.#keyStart + KEY_BYTES_MAX - kept.length);
    for (let i = this.#keyStart; i < end; i++) kept.push(chunk[i] as number);
    this.#keyStart = to === chunk.length ? 0 : to;
  }

  #keyEnded(chunk: Uint8Array, end: number): ScanProblem | null {
    this.#state = COLON;
    if (this.#depth !== 1) return null;
    const { wanted } = this.#options;
    let key: string | null;
    if (this.#keyBytes === null) key = findName(wanted, chunk, this.#keyStart, end);
    else {
      this.#keepKey(chunk, end);
      const decoded = decodeKey(this.#keyBytes, this.#isKeyEscaped);
      key = wanted.names.has(decoded) ? decoded : null;
    }
    this.#keyBytes = null;
    this.#keyStart = -1;
    if (key === null) return null;
    if (this.#fields.has(key)) return this.#fail('duplicate_key', this.#offset + end, key);
    this.#currentKey = key;
    return null;
  }

  #beginValue(byte: number, at: number): ScanProblem | null {
    if (++this.#values > this.#options.valuesMax) return this.#fail('too_many_values', at);
    if (this.#depth === 0 && byte !== 0x7b) return this.#fail('not_an_object', at);
    if (this.#depth === 1) {
      this.#valueStart = at;
      this.#valueType = TYPES[byte] ?? 'number';
    }
    switch (byte) {
      case 0x22: // "
        this.#isKey = false;
        this.#state = STRING;
        return null;
      case 0x7b: // {
      case 0x5b: // [
        return this.#openContainer(byte, at);
      case 0x74:
      case 0x66:
      case 0x6e: // t f n
        this.#literal = TYPES[byte] ?? '';
        this.#literalAt = 1;
        this.#state = LITERAL;
        return null;
      default:
        if (byte === 0x2d) this.#state = MINUS;
        else if (byte === 0x30) this.#state = ZERO;
        else if (byte > 0x30 && byte <= 0x39) this.#state = INTEGER;
        else return this.#fail('malformed', at);
        return null;
    }
  }

  /** A value of the top-level object is complete: note its place if it is wanted. */
  #valueEnded(end: number): void {
    if (this.#depth === 1 && this.#currentKey !== null) {
      this.#fields.set(this.#currentKey, { start: this.#valueStart, end, type: this.#valueType });
      this.#currentKey = null;
    }
    this.#state = this.#depth === 0 ? DONE : COMMA_OR_END;
  }

  #openContainer(byte: number, at: number): ScanProblem | null {
    if (this.#depth >= this.#options.depthMax) return this.#fail('too_deep', at);
    if (this.#depth === this.#inObject.length) {
      const larger = new Uint8Array(this.#depth * 2);
      larger.set(this.#inObject);
      this.#inObject = larger;
    }
    this.#inObject[this.#depth++] = byte === 0x7b ? 1 : 0;
    this.#state = byte === 0x7b ? KEY_OR_END : VALUE_OR_END;
    return null;
  }

  #closeContainer(byte: number, at: number): ScanProblem | null {
    if (this.#inObject[this.#depth - 1] !== (byte === 0x7d ? 1 : 0)) return this.#fail('malformed', at);
    this.#depth--;
    this.#valueEnded(at + 1);
    return null;
  }

  #fail(kind: ScanProblem['kind'], at: number, key?: string): ScanProblem {
    return (this.#problem = key === undefined ? { kind, at } : { kind, at, key });
  }
}

/** The state after `byte` inside a number, or -1 when the number has ended before it, or -2 when it is malformed. */
function stepNumber(state: number, byte: number): number {
  switch (state) {
    case MINUS:
      return byte === 0x30 ? ZERO : isDigit(byte) ? INTEGER : -2;
    case ZERO:
    case INTEGER:
      if (isDigit(byte)) return state === ZERO ? -2 : INTEGER;
      return byte === 0x2e ? POINT : byte === 0x65 || byte === 0x45 ? EXPONENT : -1;
    case POINT:
      return isDigit(byte) ? FRACTION : -2;
    case FRACTION:
      return isDigit(byte) ? FRACTION : byte === 0x65 || byte === 0x45 ? EXPONENT : -1;
    case EXPONENT:
      return byte === 0x2b || byte === 0x2d ? EXPONENT_SIGN : isDigit(byte) ? EXPONENT_DIGITS : -2;
    case EXPONENT_SIGN:
      return isDigit(byte) ? EXPONENT_DIGITS : -2;
    default:
      return isDigit(byte) ? EXPONENT_DIGITS : -1;
  }
}

/** Which of the names stands in `chunk` from `start` to `end`; null when none does. */
export function findName(wanted: WantedFields, chunk: Uint8Array, start: number, end: number): string | null {
  const candidates = wanted.byLength[end - start];
  if (candidates === undefined) return null;
  next: for (const { name, bytes } of candidates) {
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== chunk[start + i]) continue next;
    return name;
  }
  return null;
}

/** " \ / b f n r t: what may follow a backslash, besides u. */
const ESCAPABLE: ReadonlySet<number> = new Set([0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74]);

/** A key as written, between its quotes, to the key it means. Wanted keys are ASCII, so bytes may stand for characters. */
function decodeKey(bytes: readonly number[], isEscaped: boolean): string {
  const written = String.fromCharCode(...bytes);
  if (!isEscaped) return written;
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    return written; // cut at the bound: too long to be a wanted key
  }
}

/** Scans a document that is whole in memory. */
export function scanJson(bytes: Uint8Array, options: ScanOptions): ScanOutcome {
  const scanner = createJsonScanner(options);
  return scanner.push(bytes) ?? scanner.end();
}
