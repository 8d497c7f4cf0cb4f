/** The caller's place in its own trace, as W3C Trace Context names it. */
export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  readonly isSampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/**
 * Reads a `traceparent` header.
 * @param header - as the client sent it; two of them arrive joined by a comma, which is no traceparent
 * @returns null when there is none or it is not valid: the request then begins a trace of its own
 * Source: W3C Trace Context, 3.2 (a later version may carry more after the flags; version 00 may not, ff is not one).
 */
export function parseTraceparent(header: string | null): TraceParent | null {
  if (header === null || header.length > 512) return null;
  const match = SHAPE.exec(header);
  if (match === null) return null;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  if (version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
