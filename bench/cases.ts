import type { Script, WireDialect } from './mock/script.ts';

interface CaseBase {
  /** What `--only` selects by. */
  readonly name: string;
  readonly title: string;
  readonly dialect: WireDialect;
  readonly script: Script;
  readonly bodyBytes: number;
}

export type Case = CaseBase &
  (
    | { readonly kind: 'requests'; readonly connections: number }
    | {
        readonly kind: 'streams';
        readonly connections: number;
        /** Connections start evenly over so long: streams in step would measure their own collisions. */
        readonly rampMs: number;
        /** One stream a connection, or one after another for the duration. */
        readonly isOneEach: boolean;
      }
    | { readonly kind: 'cancel'; readonly afterEvents: number; readonly clients: number; readonly concurrency: number }
  );

const json = (bytes: number): Script => ({ kind: 'json', bytes });
const stream = (events: number, paceMs: number): Script => ({ kind: 'stream', events, paceMs });

/** How long and how often: `--quick` is for seeing that things work, never for a figure to publish. */
export interface Scale {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly manyStreams: number;
  readonly manyEvents: number;
  readonly droppedClients: number;
}
export const FULL: Scale = {
  rounds: 5,
  warmUpMs: 1000,
  durationMs: 4000,
  manyStreams: 1000,
  manyEvents: 100,
  droppedClients: 200,
};
export const QUICK: Scale = {
  rounds: 2,
  warmUpMs: 400,
  durationMs: 1000,
  manyStreams: 1000,
  manyEvents: 40,
  droppedClients: 200,
};

/** The cases of a run, the gentle ones first: what a case leaves behind in a system must not color the next. */
export function casesFor(scale: Scale): readonly Case[] {
  const requests = (
    name: string,
    title: string,
    connections: number,
    bodyBytes: number,
    dialect: WireDialect = 'anthropic',
  ): Case => ({
    kind: 'requests',
    name,
    title,
    dialect,
    script: json(1024),
    bodyBytes,
    connections,
  });
  const streams = (
    name: string,
    title: string,
    shape: { readonly connections: number; readonly script: Script; readonly rampMs?: number; readonly isOneEach?: boolean },
  ): Case => ({
    kind: 'streams',
    name,
    title,
    dialect: 'anthropic',
    bodyBytes: 2048,
    rampMs: 0,
    isOneEach: false,
    ...shape,
  });
  const base = { dialect: 'anthropic', bodyBytes: 2048 } as const;
  return [
    requests('sequential', 'one request after another, 2 KB in, 1 KB out', 1, 2048),
    streams('ttft', 'time to first token, one stream after another (4 events, 1 ms apart)', {
      connections: 1,
      script: stream(4, 1),
    }),
    requests('sweep-16', '16 connections, 2 KB in, 1 KB out', 16, 2048),
    requests('sweep-64', '64 connections, 2 KB in, 1 KB out', 64, 2048),
    requests('sweep-256', '256 connections, 2 KB in, 1 KB out', 256, 2048),
    requests('body-200', '64 connections, 200 B in, 1 KB out', 64, 200),
    requests('body-10k', '64 connections, 10 KB in, 1 KB out', 64, 10_240),
    requests('body-200k', '16 connections, 200 KB in, 1 KB out', 16, 204_800),
    requests('openai-64', 'OpenAI chat completions, 64 connections, 2 KB in, 1 KB out', 64, 2048, 'openai'),
    streams('stream-unpaced', '64 connections, streams of 64 events back to back', { connections: 64, script: stream(64, 0) }),
    streams('stream-paced', '64 connections, streams of 64 events 20 ms apart', {
      connections: 64,
      script: stream(64, 20),
      rampMs: scale.warmUpMs / 2,
    }),
    streams('stream-many', `${scale.manyStreams} concurrent streams of ${scale.manyEvents} events 50 ms apart`, {
      connections: scale.manyStreams,
      script: stream(scale.manyEvents, 50),
      rampMs: 1000,
      isOneEach: true,
    }),
    {
      ...base,
      kind: 'cancel',
      name: 'cancel-stream',
      title: 'client gone after 5 events: until the upstream saw the close',
      script: stream(200, 20),
      afterEvents: 5,
      clients: 20,
      concurrency: 2,
    },
    {
      ...base,
      kind: 'cancel',
      name: 'cancel-waiting',
      title: 'client gone before the first byte: until the upstream saw the close',
      script: { kind: 'stall' },
      afterEvents: 0,
      clients: 20,
      concurrency: 4,
    },
    {
      ...base,
      kind: 'cancel',
      name: 'leak',
      title: `${scale.droppedClients} clients gone mid-stream, then requests again`,
      script: stream(200, 20),
      afterEvents: 5,
      clients: scale.droppedClients,
      concurrency: 50,
    },
  ];
}

/** Every script of the cases once: what gateways that map names must know. */
export function scriptsOf(cases: readonly Case[]): readonly Script[] {
  const byText = new Map(cases.map(({ script }) => [JSON.stringify(script), script]));
  const reference = json(1024);
  return [...byText.set(JSON.stringify(reference), reference).values()];
}
