/**
 * Reads the bytes of a JSON document once, in whatever chunks they arrive, without building it: checks that it is well formed
 * (RFC 8259), within bounds, and notes where the top-level fields that the gateway needs stand. So a body of 32 MB costs the
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
  readonly wanted: ReadonlySet<string>;
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

/** 1 for bytes that stand for themselves inside a string: not a quote, a backslash or a control character. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c ? 1 : 0));
const LITERALS: Readonly<Record<number, string>> = { 0x74: 'true', 0x66: 'false', 0x6e: 'null' };
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean => isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);

/** Creates a scanner for one document. */
export function createJsonScanner(options: ScanOptions): JsonScanner {
  const { depthMax, valuesMax, wanted } = options;
  const fields = new Map<string, Span>();
  let inObject = new Uint8Array(32); // a stack, one byte a level: 1 for an object
  let depth = 0;
  let values = 0;
  let state = VALUE;
  let offset = 0; // of the chunk's first byte in the document
  let isKey = false; // the string being read is a key
  let keyBytes: number[] | null = null; // the key being read at the top level, as written
  let keyEscaped = false;
  let currentKey: string | null = null; // the wanted top-level key whose value comes next or is being read
  let valueStart = 0;
  let valueType: Span['type'] = 'null';
  let literal = '';
  let literalAt = 0;
  let hexLeft = 0;
  let problem: ScanProblem | null = null;

  const fail = (kind: ScanProblem['kind'], at: number, key?: string): ScanProblem =>
    (problem = key === undefined ? { kind, at } : { kind, at, key });

  /** A value of the top-level object is complete: note its place if it is wanted. */
  const valueEnded = (end: number): void => {
    if (depth === 1 && currentKey !== null) {
      fields.set(currentKey, { start: valueStart, end, type: valueType });
      currentKey = null;
    }
    state = depth === 0 ? DONE : COMMA_OR_END;
  };

  const keyEnded = (at: number): ScanProblem | null => {
    state = COLON;
    if (keyBytes === null) return null;
    const key = decodeKey(keyBytes, keyEscaped);
    keyBytes = null;
    if (!wanted.has(key)) return null;
    if (fields.has(key)) return fail('duplicate_key', at, key);
    currentKey = key;
    return null;
  };

  const beginValue = (byte: number, at: number): ScanProblem | null => {
    if (++values > valuesMax) return fail('too_many_values', at);
    if (depth === 0 && byte !== 0x7b) return fail('not_an_object', at);
    if (depth === 1) valueStart = at;
    switch (byte) {
      case 0x22: // "
        if (depth === 1) valueType = 'string';
        isKey = false;
        state = STRING;
        return null;
      case 0x7b: // {
      case 0x5b: // [
        if (depth === 1) valueType = byte === 0x7b ? 'object' : 'array';
        if (depth >= depthMax) return fail('too_deep', at);
        if (depth === inObject.length) {
          const larger = new Uint8Array(depth * 2);
          larger.set(inObject);
          inObject = larger;
        }
        inObject[depth++] = byte === 0x7b ? 1 : 0;
        state = byte === 0x7b ? KEY_OR_END : VALUE_OR_END;
        return null;
      case 0x74:
      case 0x66:
      case 0x6e: // t f n
        literal = LITERALS[byte] ?? '';
        literalAt = 1;
        if (depth === 1) valueType = literal === 'true' ? 'true' : literal === 'false' ? 'false' : 'null';
        state = LITERAL;
        return null;
      default:
        if (depth === 1) valueType = 'number';
        if (byte === 0x2d) state = MINUS;
        else if (byte === 0x30) state = ZERO;
        else if (byte > 0x30 && byte <= 0x39) state = INTEGER;
        else return fail('malformed', at);
        return null;
    }
  };

  const beginKey = (at: number): void => {
    void at;
    isKey = true;
    keyEscaped = false;
    keyBytes = depth === 1 ? [] : null;
    state = STRING;
  };

  const closeContainer = (byte: number, at: number): ScanProblem | null => {
    if (inObject[depth - 1] !== (byte === 0x7d ? 1 : 0)) return fail('malformed', at);
    depth--;
    valueEnded(at + 1);
    return null;
  };

  /** The state after `byte` inside a number, or -1 when the number has ended before it, or -2 when it is malformed. */
  const stepNumber = (byte: number): number => {
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
  };

  const push = (chunk: Uint8Array): ScanProblem | null => {
    const length = chunk.length;
    let i = 0;
    while (i < length) {
      const byte = chunk[i] as number;
      if (state === STRING) {
        const from = i;
        while (i < length && PLAIN[chunk[i] as number] === 1) i++;
        if (keyBytes !== null) collectKey(keyBytes, chunk, from, i);
        if (i === length) break;
        const stop = chunk[i] as number;
        if (stop === 0x22) {
          if (isKey) {
            if (keyEnded(offset + i)) return problem;
          } else valueEnded(offset + i + 1);
        } else if (stop === 0x5c) {
          keyEscaped = true;
          if (keyBytes !== null) keyBytes.push(stop);
          state = ESCAPE;
        } else return fail('malformed', offset + i);
        i++;
        continue;
      }
      if (state === ESCAPE || state === HEX) {
        if (keyBytes !== null && keyBytes.length < KEY_BYTES_MAX) keyBytes.push(byte);
        if (state === HEX) {
          if (!isHex(byte)) return fail('malformed', offset + i);
          if (--hexLeft === 0) state = STRING;
        } else if (byte === 0x75) {
          hexLeft = 4;
          state = HEX;
        } else if (ESCAPABLE.has(byte)) state = STRING;
        else return fail('malformed', offset + i);
        i++;
        continue;
      }
      if (state === LITERAL) {
        if (byte !== literal.charCodeAt(literalAt)) return fail('malformed', offset + i);
        i++;
        if (++literalAt === literal.length) valueEnded(offset + i);
        continue;
      }
      if (state >= MINUS && state <= EXPONENT_DIGITS) {
        const next = stepNumber(byte);
        if (next === -2) return fail('malformed', offset + i);
        if (next === -1) valueEnded(offset + i); // and look at this byte again
        else {
          state = next;
          i++;
        }
        continue;
      }
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
        i++;
        continue;
      }
      const at = offset + i;
      switch (state) {
        case VALUE_OR_END:
          if (byte === 0x5d ? closeContainer(byte, at) : beginValue(byte, at)) return problem;
          break;
        case VALUE:
          if (beginValue(byte, at)) return problem;
          break;
        case KEY_OR_END:
          if (byte === 0x7d) {
            if (closeContainer(byte, at)) return problem;
          } else if (byte === 0x22) beginKey(at);
          else return fail('malformed', at);
          break;
        case KEY:
          if (byte !== 0x22) return fail('malformed', at);
          beginKey(at);
          break;
        case COLON:
          if (byte !== 0x3a) return fail('malformed', at);
          state = VALUE;
          break;
        case COMMA_OR_END:
          if (byte === 0x2c) state = inObject[depth - 1] === 1 ? KEY : VALUE;
          else if (byte === 0x7d || byte === 0x5d) {
            if (closeContainer(byte, at)) return problem;
          } else return fail('malformed', at);
          break;
        default:
          return fail('malformed', at);
      }
      i++;
    }
    offset += length;
    return null;
  };

  return {
    push,
    end() {
      if (problem) return problem;
      return state === DONE ? { kind: 'fields', fields } : fail('malformed', offset);
    },
  };
}

/** " \ / b f n r t: what may follow a backslash, besides u. */
const ESCAPABLE: ReadonlySet<number> = new Set([0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74]);

function collectKey(into: number[], chunk: Uint8Array, from: number, to: number): void {
  const end = Math.min(to, from + KEY_BYTES_MAX - into.length);
  for (let i = from; i < end; i++) into.push(chunk[i] as number);
}

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
