import { findName, wantedFields } from '../scan/json-scanner.ts';

/**
 * Cuts a byte stream into whole server-sent events, without copying those that arrive whole and without reading what they say.
 * A piece of an event that has not ended is kept until it has, so what is handed on can always be followed by an event of ours.
 *
 * Lines end in \n or \r\n (a lone \r, which the standard also allows, is used by no model server and is taken as text).
 * Source: WHATWG HTML, 9.2 Server-sent events.
 */
export interface FrameSplitter {
  /**
   * @returns the longest run of whole events now available (each ends with its blank line), or null while none is whole
   * @throws FrameTooLarge when one event exceeds `frameBytesMax`
   */
  push(chunk: Uint8Array): Frames | null;
  /** Bytes of an event that has begun and not ended. */
  pendingBytes(): number;
}

/** A run of whole events: `bytes` from 0 to the last of `ends`; event k stands between `ends[k - 1]` (or 0) and `ends[k]`. */
export interface Frames {
  readonly bytes: Uint8Array;
  readonly ends: readonly number[];
}

export class FrameTooLarge extends Error {
  override readonly name = 'FrameTooLarge';
}

/** Creates a splitter for one stream; `frameBytesMax` bounds what it keeps. */
export function createFrameSplitter({ frameBytesMax }: { readonly frameBytesMax: number }): FrameSplitter {
  let kept = new Uint8Array(0); // capacity; only the first `keptLength` bytes count
  let keptLength = 0;

  const keep = (bytes: Uint8Array): void => {
    const needed = keptLength + bytes.length;
    if (needed > frameBytesMax) throw new FrameTooLarge(`one server-sent event is larger than ${frameBytesMax} bytes`);
    if (needed > kept.length) {
      // Doubling keeps an event that arrives in many pieces linear.
      const larger = new Uint8Array(Math.max(needed, Math.min(kept.length * 2, frameBytesMax)));
      larger.set(kept.subarray(0, keptLength));
      kept = larger;
    }
    kept.set(bytes, keptLength);
    keptLength = needed;
  };

  return {
    push(chunk) {
      let bytes = chunk;
      let searchFrom = 0;
      if (keptLength > 0) {
        // The blank line may be split over the two pieces: look again at the last bytes of the first.
        searchFrom = Math.max(0, keptLength - 3);
        keep(chunk);
        bytes = kept.subarray(0, keptLength);
      }
      const ends = findEnds(bytes, searchFrom);
      const last = ends.at(-1) ?? 0;
      if (last === 0) {
        if (keptLength === 0) keep(chunk);
        return null;
      }
      const rest = bytes.subarray(last);
      if (keptLength > 0 || rest.length > 0) {
        // What is handed out may still be waiting to be written: it must not share memory with what is kept next.
        kept = new Uint8Array(0);
        keptLength = 0;
        if (rest.length > 0) keep(rest);
      }
      return { bytes: bytes.subarray(0, last), ends };
    },
    pendingBytes: () => keptLength,
  };
}

function findEnds(bytes: Uint8Array, from: number): number[] {
  const ends: number[] = [];
  let at = bytes.indexOf(0x0a, from);
  while (at !== -1) {
    const next = bytes[at + 1];
    if (next === 0x0a) {
      ends.push(at + 2);
      at += 1;
    } else if (next === 0x0d && bytes[at + 2] === 0x0a) {
      ends.push(at + 3);
      at += 2;
    }
    at = bytes.indexOf(0x0a, at + 1);
  }
  return ends;
}

/** One event's name and data: places in its bytes, so that nothing is decoded that nobody reads. */
export interface FrameParts {
  /** The `event:` field, empty when absent. */
  readonly name: string;
  /** Where the data stands when it is one line, which it is on every model server; null when there is none or it has several lines. */
  readonly dataStart: number;
  readonly dataEnd: number;
  /** True when the data is spread over several `data:` lines; then use {@link readData}. */
  readonly isMultiline: boolean;
}

/** Finds the name and the data of the event that stands in `bytes` from `start` to `end`. */
export function readFrame(bytes: Uint8Array, start: number, end: number): FrameParts {
  let name = '';
  let dataStart = -1;
  let dataEnd = -1;
  let isMultiline = false;
  let line = start;
  while (line < end) {
    let lineEnd = bytes.indexOf(0x0a, line);
    if (lineEnd === -1 || lineEnd >= end) lineEnd = end;
    const next = lineEnd + 1;
    if (bytes[lineEnd - 1] === 0x0d && lineEnd > line) lineEnd--;
    const colon = fieldColon(bytes, line, lineEnd);
    if (colon !== -1) {
      const valueStart = bytes[colon + 1] === 0x20 ? colon + 2 : colon + 1;
      // "data" and "event", told apart by length and first letter, are the only fields that matter here.
      if (colon - line === 4 && bytes[line] === 0x64) {
        if (dataStart !== -1) isMultiline = true;
        else {
          dataStart = valueStart;
          dataEnd = lineEnd;
        }
      } else if (colon - line === 5 && bytes[line] === 0x65) name = nameAt(bytes, valueStart, lineEnd);
    }
    line = next;
  }
  return { name, dataStart, dataEnd, isMultiline };
}

/** The data of an event whose data has several lines, joined by \n. */
export function readData(bytes: Uint8Array, start: number, end: number, decode: (bytes: Uint8Array) => string): string {
  const lines = decode(bytes.subarray(start, end)).split(/\r?\n/);
  return lines
    .filter((line) => line === 'data' || line.startsWith('data:'))
    .map((line) => line.slice(5).replace(/^ /, ''))
    .join('\n');
}

/** Field names have at most 5 characters that matter; a colon further on is not a field of ours. */
function fieldColon(bytes: Uint8Array, start: number, end: number): number {
  const stop = Math.min(end, start + 6);
  for (let i = start; i < stop; i++) if (bytes[i] === 0x3a) return i;
  return -1;
}

/** Names longer than this are no server's; what follows is left out. */
const NAME_BYTES_MAX = 64;

/** The event's name. Those that are known are compared, not built: most events of a stream are one and the same. */
function nameAt(bytes: Uint8Array, start: number, end: number): string {
  const known = findName(KNOWN_NAMES, bytes, start, end);
  if (known !== null) return known;
  let text = '';
  for (let i = start; i < end && i < start + NAME_BYTES_MAX; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

/** The names that a stream repeats. */
const KNOWN_NAMES = wantedFields(
  'content_block_delta',
  'content_block_start',
  'content_block_stop',
  'message_start',
  'message_delta',
  'message_stop',
  'ping',
  'response.output_text.delta',
  'response.function_call_arguments.delta',
);
