import type { TraceParent } from './traceparent.ts';

/** Hex digits at the end of a request's id that decide: 32 random bits. */
const DIGITS = 8;

/**
 * Whether a request's trace is exported. A caller that said so decides; else the request's own id does, so that every part of
 * the system that knows the id comes to the same answer.
 * @param id - a request's id, whose end is random lower-case hex
 * @param ratio - share of requests to take, 0 to 1
 */
export function isSampled(
  id: string,
  { parent, ratio }: { readonly parent: TraceParent | null; readonly ratio: number },
): boolean {
  if (parent !== null) return parent.isSampled;
  return Number.parseInt(id.slice(-DIGITS), 16) < ratio * 0x1_0000_0000;
}
