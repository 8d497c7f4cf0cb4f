import type { ClientDialect, DialectName, Heard, Question } from './clients/client-dialect.ts';
import type { Probe, Reply } from './probe.ts';
import type { Replica, SeenRequest, Turn } from './replica/replica.ts';
import type { Script } from './replica/script.ts';
import type { Verdict } from './verdict.ts';

/** One thing to find out about a gateway. Adding a check is adding an entry to a list in `checks/`. */
export interface Check {
  /** Never changes once published: scripts select by it. */
  readonly id: string;
  readonly theme: string;
  /** What is true of a gateway that passes. */
  readonly title: string;
  readonly dialects: readonly DialectName[];
  readonly needs?: readonly Need[];
  run(context: Context): Promise<Verdict>;
}

/** What a check cannot do without: `behind` is the scripted replica, `key` an API key that the gateway should ask for. */
export type Need = 'behind' | 'key';

/** What checks work with: one dialect, one model, one gateway. */
export interface Context {
  readonly client: ClientDialect;
  readonly model: string;
  readonly key: string | null;
  readonly probe: Probe;
  /** The scripted replica behind the gateway; null without `--behind`. */
  readonly behind: Behind | null;
  /** How long a gateway is watched before it is said not to have told the replica that its client left. */
  readonly watchMs: number;
  /** Sends a well-formed question as this dialect's clients do. */
  ask(question?: Partial<Question>, more?: AskOptions): Promise<Reply>;
  /** Asks, and reads the answer as this dialect's clients do. */
  hear(question?: Partial<Question>, more?: AskOptions): Promise<{ readonly reply: Reply; readonly heard: Heard }>;
}

export interface AskOptions {
  /** Added to the headers that the dialect's clients send; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Added to the body. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Closes the connection when it aborts, as a client that leaves does. */
  readonly leave?: AbortSignal;
  /** Is told of the answer's text as it comes. */
  readonly onText?: (textSoFar: string) => void;
  readonly timeoutMs?: number;
}

/** The other side of the gateway. */
export interface Behind {
  readonly replica: Replica;
  /** The key that the replica takes; the gateway must send it upstream. Null: it takes any. */
  readonly upstreamKey: string | null;
  /** Which dialect the gateway speaks to the replica for the client's. */
  readonly upstreamDialect: DialectName;
}

/** One question whose answer is scripted: what the client was told, and what the replica was asked. */
export interface Played {
  readonly reply: Reply;
  readonly heard: Heard;
  readonly turn: Turn;
  /** The first request that the replica saw of it; null when none came. */
  readonly seen: SeenRequest | null;
}

/** Asks a question for which the replica has a script, and waits for the answer's end. */
export async function play(
  context: Context & { readonly behind: Behind },
  script: Script,
  question: Partial<Question> = {},
  more: AskOptions = {},
): Promise<Played> {
  const turn = context.behind.replica.play(script);
  try {
    const { reply, heard } = await context.hear({ ...question, text: turn.marker }, more);
    return { reply, heard, turn, seen: turn.seen[0] ?? null };
  } finally {
    turn.end();
  }
}

/** A check that needs the replica behind the gateway: it is given one that is there. */
export function behindCheck(
  check: Omit<Check, 'run' | 'needs'> & { run(context: Context & { readonly behind: Behind }): Promise<Verdict> },
): Check {
  return {
    ...check,
    needs: ['behind'],
    run(context) {
      const { behind } = context;
      if (behind === null) throw new Error('a check that needs the replica was run without it');
      return check.run({ ...context, behind });
    },
  };
}
