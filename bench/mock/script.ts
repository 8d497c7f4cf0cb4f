/**
 * What the mock upstream does is told by the model's name, because a name in the body crosses every gateway while headers do not:
 * `bench-json-1024` answers with about 1,024 bytes; `bench-stream-64-20` streams 64 events 20 ms apart (0: back to back);
 * `bench-stall` answers never. Any prefix is allowed, so that a gateway can map the name.
 */
export type Script =
  | { readonly kind: 'json'; readonly bytes: number }
  | { readonly kind: 'stream'; readonly events: number; readonly paceMs: number }
  | { readonly kind: 'stall' };

export type WireDialect = 'anthropic' | 'openai';

const NAME = /[\w-]*bench-(?:json-(\d+)|stream-(\d+)-(\d+)|stall)/;

/** Reads a model's name, or null when it is none of ours. */
export function readScript(model: string): Script | null {
  const match = NAME.exec(model);
  if (match === null) return null;
  const [, bytes, events, paceMs] = match;
  if (bytes !== undefined) return { kind: 'json', bytes: Math.min(Number(bytes), 4_194_304) };
  if (events !== undefined) return { kind: 'stream', events: Math.min(Number(events), 100_000), paceMs: Number(paceMs) };
  return { kind: 'stall' };
}

/** The name by which a client asks for a script. */
export function modelName(script: Script): string {
  switch (script.kind) {
    case 'json':
      return `bench-json-${script.bytes}`;
    case 'stream':
      return `bench-stream-${script.events}-${script.paceMs}`;
    case 'stall':
      return 'bench-stall';
  }
}
