import type { Script, WireDialect } from '../mock/script.ts';

/** A system that can stand between the load generator and the mock upstream. One adapter is one object of this kind. */
export interface System {
  readonly name: string;
  /** What it is and how it is set up, for the line under the table. */
  readonly about: string;
  readonly dialects: readonly WireDialect[];
  /** Installs what it needs where it needs anything; rejects with the reason when it cannot. */
  install?(): Promise<void>;
  /** Starts it; rejects with the reason when it cannot. */
  start(place: Place): Promise<RunningSystem>;
}

/** Where a system runs and what it stands in front of. */
export interface Place {
  readonly core: number;
  readonly upstreamPort: number;
  readonly scripts: readonly Script[];
  /** An empty folder of its own, removed afterwards. */
  readonly folder: string;
  /** More arguments for the Node process of systems that are one: `--cpu-prof`, `--import`. */
  readonly nodeArgs: readonly string[];
}

export interface RunningSystem {
  /** The process whose tree is measured; null: there is none (no gateway at all). */
  readonly pid: number | null;
  readonly port: number;
  /** Headers that the system needs on top of those of the dialect's client, or in their place. */
  readonly headersFor?: (dialect: WireDialect) => Readonly<Record<string, string>>;
  readonly version: string;
  /** The name under which clients ask for a script, where it is not the script's own. */
  readonly modelOf?: (script: Script, dialect: WireDialect) => string;
  /** Whom clients say they act for, where that is part of what is measured. */
  readonly endUser?: string;
  /** What it says of itself in Prometheus' text form, where it does. */
  metrics?(): Promise<string>;
  stop(): Promise<void>;
}

/** The path on which every system serves a dialect. */
export const PATHS = {
  anthropic: '/v1/messages',
  openai: '/v1/chat/completions',
} as const satisfies Record<WireDialect, string>;

/** Headers that a client of the dialect sends. */
export const CLIENT_HEADERS = {
  anthropic: { 'x-api-key': 'bench-key', 'anthropic-version': '2023-06-01' },
  openai: { authorization: 'Bearer bench-key' },
} as const satisfies Record<WireDialect, Readonly<Record<string, string>>>;
