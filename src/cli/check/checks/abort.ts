import { behindCheck, type Behind, type Check, type Context } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { say, type Script } from '../replica/script.ts';
import { fail, pass, unknown, type Verdict } from '../verdict.ts';

const theme = 'Clients that leave';
/** The replica must know within this time; the verdict says how long it took. */
const KNOWN_WITHIN_MS = 500;
const SEEN_WITHIN_MS = 10_000;

/** A client that leaves must end the work that is done for it. */
export const abortChecks: readonly Check[] = [
  behindCheck({
    id: 'abort.before-first-byte',
    theme,
    title: 'a client that leaves before the first byte of a stream stops the replica',
    dialects: DIALECT_NAMES,
    run: (context) =>
      leave(context, { stream: true, script: { answer: say('never'), fault: { kind: 'stall', at: 'before_head' } } }),
  }),
  behindCheck({
    id: 'abort.mid-stream',
    theme,
    title: 'a client that leaves in mid-stream stops the replica',
    dialects: DIALECT_NAMES,
    run: (context) =>
      leave(context, {
        stream: true,
        afterText: 'begun',
        script: { answer: say('begun', ', never ended'), fault: { kind: 'stall', at: { afterPieces: 1 } } },
      }),
  }),
  behindCheck({
    id: 'abort.whole',
    theme,
    title: 'a client that leaves while it waits for a whole answer stops the replica',
    dialects: DIALECT_NAMES,
    run: (context) =>
      leave(context, { stream: false, script: { answer: say('never'), fault: { kind: 'stall', at: 'before_head' } } }),
  }),
];

interface Leaving {
  readonly stream: boolean;
  readonly script: Script;
  /** The client leaves when it has heard this; without it, when the replica has the request. */
  readonly afterText?: string;
}

async function leave(context: Context & { readonly behind: Behind }, { stream, script, afterText }: Leaving): Promise<Verdict> {
  const turn = context.behind.replica.play(script);
  const leaving = new AbortController();
  let heardIt: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => (heardIt = resolve));
  try {
    const asking = context.ask(
      { text: turn.marker, stream },
      {
        leave: leaving.signal,
        timeoutMs: 30_000,
        onText: (text) => afterText !== undefined && text.includes(afterText) && heardIt(),
      },
    );
    const seen = await turn.whenSeen(0, SEEN_WITHIN_MS);
    if (seen === null) {
      leaving.abort();
      return fail(`the replica was not reached: ${describeReply(await asking)}`);
    }
    if (afterText !== undefined && (await within(heard, context.watchMs)) === null) {
      leaving.abort();
      await asking;
      return unknown('no text came before the stream ended, so there was no middle to leave in', 'a gateway that streams');
    }
    const leftAtMs = performance.now();
    leaving.abort();
    const [closed] = await Promise.all([within(seen.closed, context.watchMs), asking]);
    const after = await context.ask({});
    const isAlive = after.kind === 'answer' && after.status === 200;
    if (closed === null) return fail(`the replica was still at work ${context.watchMs / 1000} s later`);
    if (!isAlive) return fail(`the next request was not answered: ${describeReply(after)}`);
    const tookMs = Math.max(0, Math.round(closed.atMs - leftAtMs));
    return tookMs <= KNOWN_WITHIN_MS ? pass(`told after ${tookMs} ms`) : fail(`told after ${tookMs} ms`);
  } finally {
    turn.end();
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
