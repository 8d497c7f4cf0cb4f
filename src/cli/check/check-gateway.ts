import { DIALECT_NAMES, type DialectName } from './clients/client-dialect.ts';
import { CLIENTS } from './clients/clients.ts';
import { ALL_CHECKS } from './checks/all-checks.ts';
import type { Check } from './check.ts';
import { createContext, describeReply } from './context.ts';
import { createProbe, type Probe, type Reply } from './probe.ts';
import { createProgress } from './progress.ts';
import { createReplica, type Replica } from './replica/replica.ts';
import { say } from './replica/script.ts';
import { exitCodeOf, renderJson, renderResult, renderSummary, summarize } from './report.ts';
import { runChecks, type CheckResult } from './run-checks.ts';
import { loadSdkChecks } from './sdk/sdk-checks.ts';

export interface CheckGatewayOptions {
  readonly url: string;
  readonly key: string | null;
  /** `name`, or `dialect=name`. */
  readonly model: readonly string[];
  readonly dialects?: readonly DialectName[];
  /** `name: value`. */
  readonly header: readonly string[];
  readonly behind?: true;
  readonly behindPort: number;
  readonly behindHost: string;
  readonly upstreamKey?: string;
  /** Seconds. */
  readonly wait: number;
  readonly only?: readonly string[];
  readonly sdks: readonly string[];
  /** Seconds. */
  readonly timeout: number;
  readonly json?: true;
}

const WATCH_MS = 5_000;

/** Checks a gateway and prints what was found. @returns the exit code */
export async function checkGateway(options: CheckGatewayOptions): Promise<0 | 1 | 2 | 3> {
  const headers = readHeaders(options.header);
  if (typeof headers === 'string') return wrong(headers);
  const checks = (await loadSdkChecks(options.sdks, process.cwd())).concat(ALL_CHECKS).filter(isAsked(options.only));
  if (checks.length === 0) return wrong(`--only: no check is called ${options.only?.join(', ') ?? ''}`);

  const probe = createProbe({ url: options.url.replace(/\/v1\/?$/, ''), headers, timeoutMs: options.timeout * 1_000 });
  let replica: Replica | null = null;
  try {
    if (options.behind) {
      replica = await createReplica({
        host: options.behindHost,
        port: options.behindPort,
        upstreamKey: options.upstreamKey ?? null,
      }).catch((error: unknown) => {
        console.error(`plimsoll check: the replica cannot listen: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      });
      if (replica === null) return 2;
      console.error(describeReplica(replica, options));
      const notReached = await waitForGateway(replica, probe, options);
      if (notReached !== null) {
        console.error(`plimsoll check: in ${options.wait} s the gateway did not reach the replica (last: ${notReached})`);
        return 3;
      }
    }
    return await run(options, { probe, replica, checks });
  } finally {
    await replica?.close();
    await probe.close();
  }
}

interface Parts {
  readonly probe: Probe;
  readonly replica: Replica | null;
  readonly checks: readonly Check[];
}

async function run(options: CheckGatewayOptions, { probe, replica, checks }: Parts): Promise<0 | 1 | 3> {
  const progress = createProgress();
  let heading = '';
  const show = (result: CheckResult): void => {
    progress.clear();
    if (options.json) return;
    const next = `${result.dialect}: ${result.theme}`;
    if (next !== heading) console.log(`${heading === '' ? '' : '\n'}${next}`);
    heading = next;
    console.log(renderResult(result));
  };
  const startedAt = new Date().toISOString();
  const results = await runChecks({
    probe,
    checks,
    dialects: options.dialects ?? DIALECT_NAMES,
    isDemanded: options.dialects !== undefined,
    modelOf: (dialect) => modelOf(options.model, dialect),
    key: options.key,
    replica,
    upstreamKey: options.upstreamKey ?? null,
    watchMs: WATCH_MS,
    onResult: show,
    onCheck: progress.show,
  });
  progress.clear();
  const summary = summarize(results);
  if (options.json) console.log(renderJson({ url: probe.baseUrl, at: startedAt }, results));
  else console.log(`\n${renderSummary(summary)}`);
  return exitCodeOf(summary);
}

/** A check is asked for by its id or the beginning of it, up to a dot. */
function isAsked(only: readonly string[] | undefined): (check: Check) => boolean {
  return ({ id }) => only === undefined || only.some((name) => id === name || id.startsWith(`${name}.`));
}

function modelOf(models: readonly string[], dialect: DialectName): string | null {
  const own = models.find((model) => model.startsWith(`${dialect}=`));
  if (own !== undefined) return own.slice(dialect.length + 1);
  return models.find((model) => !DIALECT_NAMES.some((name) => model.startsWith(`${name}=`))) ?? null;
}

function readHeaders(lines: readonly string[]): Readonly<Record<string, string>> | string {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match === null) return `--header: ${JSON.stringify(line)} is not 'name: value'`;
    headers[String(match[1]).toLowerCase()] = String(match[2]);
  }
  return headers;
}

function describeReplica({ anthropicUrl, openaiUrl }: Replica, { upstreamKey, wait, model }: CheckGatewayOptions): string {
  const key = upstreamKey === undefined ? '' : ', key: "env:CHECK_UPSTREAM_KEY"';
  return `A scripted replica listens. Point the gateway at it within ${wait} s (or before: it need not wait):
  Anthropic base URL  ${anthropicUrl}
  OpenAI base URL     ${openaiUrl}
For Plimsoll, in plimsoll.yaml:
  pools:
    - { id: check-anthropic, dialect: anthropic, replicas: [{ id: check, url: "${anthropicUrl}"${key} }] }
    - { id: check-openai, dialect: openai, responses: true, replicas: [{ id: check, url: "${openaiUrl}"${key} }] }
  models:
    - { id: ${modelOf(model, 'anthropic') ?? 'check'}, serve: [{ pool: check-anthropic, upstream_model: org/check }] }
    - { id: check-openai, serve: [{ pool: check-openai, upstream_model: org/check }] }`;
}

const ASK_AGAIN_MS = 500;

/** @returns null when the replica was reached, or what came last instead */
async function waitForGateway(replica: Replica, probe: Probe, options: CheckGatewayOptions): Promise<string | null> {
  const endMs = performance.now() + options.wait * 1_000;
  let last: Reply | null = null;
  for (;;) {
    for (const dialect of options.dialects ?? DIALECT_NAMES) {
      const model = modelOf(options.model, dialect) ?? 'check';
      const context = createContext({
        client: CLIENTS[dialect],
        model,
        key: options.key,
        probe,
        behind: null,
        watchMs: WATCH_MS,
      });
      const turn = replica.play({ answer: say('Here.') });
      last = await context.ask({ text: turn.marker }, { timeoutMs: 5_000 });
      turn.end();
      if (turn.seen.length > 0) return null;
    }
    if (performance.now() > endMs) return last === null ? 'nothing' : describeReply(last);
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function wrong(message: string): 2 {
  console.error(`plimsoll check: ${message}`);
  return 2;
}
