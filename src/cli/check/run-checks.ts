import type { Behind, Check, Context } from './check.ts';
import type { DialectName } from './clients/client-dialect.ts';
import { CLIENTS } from './clients/clients.ts';
import { createContext, describeReply } from './context.ts';
import { listOf, objectOf, parseJson, textOf } from './json-value.ts';
import type { Probe, Reply } from './probe.ts';
import type { Replica } from './replica/replica.ts';
import { say } from './replica/script.ts';
import { fail, unknown, type Verdict } from './verdict.ts';

/** One line of the report. */
export interface CheckResult {
  readonly id: string;
  readonly theme: string;
  readonly title: string;
  readonly dialect: DialectName;
  readonly verdict: Verdict;
  readonly durationMs: number;
}

export interface RunOptions {
  readonly probe: Probe;
  readonly checks: readonly Check[];
  readonly dialects: readonly DialectName[];
  /** Dialects that were asked for by name: one that is not served is then a failure. */
  readonly isDemanded: boolean;
  /** Of each dialect; null asks the gateway's list of models for its first. */
  readonly modelOf: (dialect: DialectName) => string | null;
  readonly key: string | null;
  readonly replica: Replica | null;
  readonly upstreamKey: string | null;
  readonly watchMs: number;
  readonly onResult: (result: CheckResult) => void;
  /** Before each check: for a progress line. */
  readonly onCheck: (place: { readonly done: number; readonly total: number; readonly title: string }) => void;
}

/** Runs checks one after the other, dialect by dialect, and tells of each as it ends. Faults of one check cannot reach the next. */
export async function runChecks(options: RunOptions): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  const planned = options.dialects.map((dialect) => ({
    dialect,
    checks: options.checks.filter((check) => check.dialects.includes(dialect)),
  }));
  const total = planned.reduce((sum, { checks }) => sum + checks.length + 1, 0);
  const tell = (result: CheckResult): void => {
    results.push(result);
    options.onResult(result);
  };
  for (const { dialect, checks } of planned) {
    options.onCheck({ done: results.length, total, title: `is ${dialect} served?` });
    const startMs = performance.now();
    const reached = await reach(dialect, options);
    const durationMs = Math.round(performance.now() - startMs);
    tell({ id: 'served', theme: 'Served', title: 'a plain question is answered', dialect, verdict: reached.verdict, durationMs });
    if (reached.context === null) continue;
    for (const check of checks) {
      options.onCheck({ done: results.length, total, title: check.title });
      const { id, theme, title } = check;
      const checkStartMs = performance.now();
      const verdict = await runOne(check, reached.context);
      tell({ id, theme, title, dialect, verdict, durationMs: Math.round(performance.now() - checkStartMs) });
    }
  }
  return results;
}

async function runOne(check: Check, context: Context): Promise<Verdict> {
  if (check.needs?.includes('behind')) {
    if (context.behind === null)
      return unknown('it takes a view of both sides', 'run with --behind and point the gateway at the replica it starts');
    const notReady = await waitUntilReached(context, context.behind.replica, READY_WITHIN_MS);
    if (notReady !== null)
      return unknown(
        `the gateway no longer reaches the replica: ${notReady}`,
        'a gateway that comes back to a replica within 20 s',
      );
  }
  if (check.needs?.includes('key') && context.key === null)
    return unknown('no key was given', 'run with --key, or PLIMSOLL_CHECK_KEY');
  try {
    return await check.run(context);
  } catch (error) {
    return unknown(
      `the check itself failed: ${error instanceof Error ? error.message : String(error)}`,
      'this is a defect of the check: please report it',
    );
  }
}

/** After a fault a gateway may keep away from a replica for a while; that is its right. */
const READY_WITHIN_MS = 20_000;
const AGAIN_MS = 100;

/** Asks until the replica is reached and the client answered. @returns null when it was, or what came instead */
async function waitUntilReached(context: Context, replica: Replica, withinMs: number): Promise<string | null> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const turn = replica.play({ answer: say('Here.') });
    const reply = await context.ask({ text: turn.marker });
    turn.end();
    if (turn.seen.length > 0 && reply.kind === 'answer' && reply.status === 200) return null;
    if (performance.now() > endMs) return describeReply(reply);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** A gateway may still keep away from a replica that a check of another dialect made trouble for. */
async function askUntilReady(context: Context, question: { readonly text?: string }): Promise<Reply> {
  const endMs = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const reply = await context.ask(question);
    const isBusy = reply.kind === 'answer' && [429, 503, 529].includes(reply.status);
    if (!isBusy || performance.now() > endMs) return reply;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function reach(
  dialect: DialectName,
  options: RunOptions,
): Promise<{ readonly verdict: Verdict; readonly context: Context | null }> {
  const { probe, key, replica, upstreamKey, isDemanded, watchMs } = options;
  const client = CLIENTS[dialect];
  const model = options.modelOf(dialect) ?? (await firstModel(options, dialect));
  if (model === null)
    return { context: null, verdict: unknown('no model is known', 'name one with --model; GET /v1/models named none') };
  const outside = createContext({ client, model, key, probe, behind: null, watchMs });
  const turn = replica?.play({ answer: say('Here.') });
  const reply = await askUntilReady(outside, turn ? { text: turn.marker } : {});
  turn?.end();
  if (reply.kind === 'answer' && reply.status === 200) {
    const seen = turn?.seen[0];
    if (replica === null) return { context: outside, verdict: { kind: 'pass', because: `by ${model}` } };
    if (seen === undefined)
      return {
        context: outside,
        verdict: unknown(`${model} answered, but not from the replica`, `point ${model} at the replica that --behind starts`),
      };
    const behind: Behind = { replica, upstreamKey, upstreamDialect: seen.dialect };
    return {
      context: createContext({ client, model, key, probe, behind, watchMs }),
      verdict: { kind: 'pass', because: `by ${model}, in ${seen.dialect} to the replica` },
    };
  }
  const because = `${client.path} with model ${model}: ${describeReply(reply)}`;
  const isAbsent = reply.kind === 'answer' && (reply.status === 404 || reply.status === 405);
  return {
    context: null,
    verdict:
      isAbsent && !isDemanded
        ? unknown(because, `a model that is served there, or --dialects without ${dialect}`)
        : fail(because),
  };
}

async function firstModel({ probe, key }: RunOptions, dialect: DialectName): Promise<string | null> {
  const reply = await probe.send({ method: 'GET', path: '/v1/models', headers: CLIENTS[dialect].headers(key) });
  if (reply.kind === 'nothing' || reply.status !== 200) return null;
  return textOf(objectOf(listOf(objectOf(parseJson(reply.body.toString('utf8')))['data'])[0])['id']) || null;
}
