/** What a message on the wire told about itself before its body. */
export interface MessageHead {
  /** The first line: `POST /v1/messages HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** The whole head in lower case, for the few callers that look for a header. */
  readonly lowerCased: string;
  readonly keepAlive: boolean;
}

/** Where the pieces of a message go. Ranges of `buffer` are valid only during the call: the caller reads into it again. */
export interface MessageSink {
  head(head: MessageHead): void;
  body(buffer: Buffer, start: number, end: number): void;
  end(): void;
}

export interface MessageParser {
  /** Takes the next bytes, split anywhere. Throws {@link FramingError} when they are no HTTP/1.1. */
  feed(buffer: Buffer, start: number, end: number): void;
  /** Says that the other side closed. True when no message was cut short by it. */
  close(): boolean;
}

/** The bytes are not an HTTP/1.1 message that this parser understands. */
class FramingError extends Error {
  override readonly name = 'FramingError';
}

const HEAD_END = Buffer.from('\r\n\r\n');
const HEAD_BYTES_MAX = 64 * 1024;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

type Phase = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

/**
 * A minimal HTTP/1.1 framing parser, for the load generator (responses) and the mock upstream (requests): content-length, chunked
 * and, for responses, until-close. It makes one string per head and none per body, so that neither process is the bottleneck.
 */
export function createMessageParser(kind: 'request' | 'response', sink: MessageSink): MessageParser {
  let phase: Phase = 'head';
  /** Bytes of a head that is not complete yet. */
  let held: Buffer | null = null;
  let remaining = 0;
  let isInExtension = false;
  let trailerLineBytes = 0;

  const finish = (): void => {
    phase = 'head';
    sink.end();
  };

  const readHead = (buffer: Buffer, start: number, end: number): number => {
    const before = held?.length ?? 0;
    const joined = held === null ? buffer : Buffer.concat([held, buffer.subarray(start, end)]);
    const from = held === null ? start : 0;
    const headEnd = joined.subarray(from, held === null ? end : joined.length).indexOf(HEAD_END);
    if (headEnd < 0) {
      if (before + end - start > HEAD_BYTES_MAX) throw new FramingError('the head is larger than 64 KiB');
      held = held === null ? Buffer.from(buffer.subarray(start, end)) : joined;
      return end;
    }
    held = null;
    startBody(joined.toString('latin1', from, from + headEnd));
    return start + headEnd + HEAD_END.length - before;
  };

  const startBody = (text: string): void => {
    const lineEnd = text.indexOf('\r\n');
    const startLine = lineEnd < 0 ? text : text.slice(0, lineEnd);
    const lowerCased = text.toLowerCase();
    if (!/HTTP\/1\.[01]/.test(startLine)) throw new FramingError(`not HTTP/1.1: ${JSON.stringify(startLine.slice(0, 40))}`);
    const isInterim = kind === 'response' && startLine.startsWith('1', 9);
    if (isInterim) return;
    const length = /\r\ncontent-length:[ \t]*(\d+)/.exec(lowerCased)?.[1];
    const isChunked = /\r\ntransfer-encoding:[ \t]*chunked/.test(lowerCased);
    sink.head({ startLine, lowerCased, keepAlive: !lowerCased.includes('\r\nconnection: close') });
    if (isChunked) startChunk();
    else if (length !== undefined && Number(length) > 0) {
      phase = 'length';
      remaining = Number(length);
    } else if (kind === 'request' || length !== undefined || startLine.startsWith('204', 9) || startLine.startsWith('304', 9))
      finish();
    else phase = 'until-close';
  };

  const startChunk = (): void => {
    phase = 'chunk-size';
    remaining = 0;
    isInExtension = false;
  };

  const readChunkSize = (byte: number): void => {
    if (byte === LINE_FEED) {
      phase = remaining === 0 ? 'trailer' : 'chunk-data';
      trailerLineBytes = 0;
    } else if (byte !== CARRIAGE_RETURN && !isInExtension) {
      const digit = hexDigit(byte);
      if (digit >= 0) remaining = remaining * 16 + digit;
      else isInExtension = true;
    }
  };

  const readTrailer = (byte: number): void => {
    if (byte === LINE_FEED) {
      if (trailerLineBytes === 0) finish();
      trailerLineBytes = 0;
    } else if (byte !== CARRIAGE_RETURN) trailerLineBytes += 1;
  };

  const readBody = (buffer: Buffer, start: number, end: number): number => {
    const stop = Math.min(end, start + remaining);
    sink.body(buffer, start, stop);
    remaining -= stop - start;
    if (remaining === 0) {
      if (phase === 'length') finish();
      else phase = 'chunk-end';
    }
    return stop;
  };

  return {
    feed(buffer, start, end) {
      let at = start;
      while (at < end) {
        if (phase === 'head') at = readHead(buffer, at, end);
        else if (phase === 'length' || phase === 'chunk-data') at = readBody(buffer, at, end);
        else if (phase === 'until-close') {
          sink.body(buffer, at, end);
          at = end;
        } else {
          const byte = buffer[at] ?? 0;
          at += 1;
          if (phase === 'chunk-size') readChunkSize(byte);
          else if (phase === 'trailer') readTrailer(byte);
          else if (byte === LINE_FEED) startChunk();
        }
      }
    },
    close() {
      if (phase === 'until-close') {
        finish();
        return true;
      }
      return phase === 'head' && held === null;
    },
  };
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
