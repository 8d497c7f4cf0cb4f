import type { ScannedFields } from '../scan/json-scanner.ts';

/** A replacement of the bytes from `start` to `end` by `text`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface RequestSplices {
  /** What the engine calls the model; null when it is what the client called it. */
  readonly upstreamModel: string | null;
  /** Ask the engine for the usage chunk of a stream (OpenAI Chat Completions only). */
  readonly askUsage: boolean;
}

/**
 * The few changes that a body undergoes on its way to an engine of the same dialect; all other bytes stay as they are.
 * @param bodyEnd - offset of the closing brace of the body
 * @param streamOptions - the client's own `stream_options`, parsed; undefined when absent
 * @returns splices in ascending order
 */
export function spliceRequest(
  fields: ScannedFields,
  { upstreamModel, askUsage }: RequestSplices,
  { bodyEnd, streamOptions }: { readonly bodyEnd: number; readonly streamOptions: unknown },
): readonly Splice[] {
  const splices: Splice[] = [];
  const model = fields.get('model');
  if (upstreamModel !== null && model) splices.push({ start: model.start, end: model.end, text: JSON.stringify(upstreamModel) });
  if (askUsage) {
    const place = fields.get('stream_options');
    const wanted = { ...(typeof streamOptions === 'object' ? streamOptions : {}), include_usage: true };
    if (place) splices.push({ start: place.start, end: place.end, text: JSON.stringify(wanted) });
    else splices.push({ start: bodyEnd, end: bodyEnd, text: `,"stream_options":${JSON.stringify(wanted)}` });
  }
  return splices.sort((a, b) => a.start - b.start);
}
