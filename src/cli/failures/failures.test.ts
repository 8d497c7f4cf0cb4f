import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAILURES } from './catalogue.ts';
import { judge, NotProvoked, response, signal, type FailureEntry } from './entry.ts';
import { startGatewayProcess, type StartGateway } from './kit/gateway-process.ts';
import { readMetrics } from './kit/metrics-text.ts';
import { startConfusedProxy, startNaiveProxy } from './kit/naive-proxy.fixture.ts';
import { unknownRoutes } from './kit/tenant-walk.ts';
import { renderMarkdown, reportsAsJson } from './report-failures.ts';
import { runFailures, type FailureReport } from './run-failures.ts';

// Real processes, one to four an entry: a second or two each. `npm run failures` provokes all of them.
const QUICK = ['A1', 'A8', 'A9', 'A14', 'A16', 'B7', 'G4', 'I1', 'J2'];

const entryOf = (id: string): FailureEntry => FAILURES.find((entry) => entry.id === id)!;
async function run(entry: FailureEntry, startGateway: StartGateway): Promise<FailureReport> {
  const [report] = await runFailures([entry], { startGateway, seed: 1 });
  return report!;
}

test.each(QUICK)('%s, provoked, is answered and can be seen', async (id) => {
  const { verdict, detectedMs, respondedMs } = await run(entryOf(id), startGatewayProcess);
  expect(verdict).toEqual({ kind: 'pass' });
  expect((detectedMs ?? 0) + (respondedMs ?? 0)).toBeGreaterThan(0);
});

test('a proxy that swallows breaks fails A8, for the response and for the signal', async () => {
  const { verdict, checks } = await run(entryOf('A8'), startNaiveProxy);
  expect(verdict.kind).toBe('fail');
  expect(checks.filter(({ kind }) => kind === 'broken').map(({ about }) => about)).toEqual([
    'response',
    'response',
    'signal',
    'signal',
  ]);
  expect(checks[0]?.saw).toMatch(/^0 of \d{3} byte positions/);
});

test('the right response that nobody could have seen fails all the same', async () => {
  const { verdict, checks } = await run(entryOf('A8'), async (start) => {
    const started = await startGatewayProcess(start);
    if (started.kind === 'refused') return started;
    return { kind: 'serving', gateway: { ...started.gateway, metrics: () => Promise.resolve(readMetrics('')) } };
  });
  expect(verdict.kind).toBe('fail');
  expect(checks.filter(({ kind }) => kind === 'broken').map(({ claim }) => claim)).toEqual([
    'the metric counts each broken answer',
  ]);
});

test('a proxy that gives some clients the answers of others fails A15', async () => {
  const { checks } = await run(entryOf('A15'), startConfusedProxy);
  expect(checks.find(({ claim }) => claim === "nobody gets another's answer")).toMatchObject({ kind: 'broken' });
});

// Those of the limits and keys start a Redis or a PostgreSQL: a second or two more each, six for B1.
test.for(['A7', 'A9', 'B1', 'B3', 'B6', 'B7', 'B11', 'B12'])(
  'a proxy that does nothing about anything fails %s',
  async (id, context) => {
    const entry = entryOf(id);
    const obstacle = entry.obstacle?.() ?? null;
    if (obstacle !== null) context.skip(obstacle);
    const { verdict, checks } = await run(entry, startNaiveProxy);
    expect(verdict.kind).toBe('fail');
    expect(new Set(checks.filter(({ kind }) => kind === 'broken').map(({ about }) => about))).toEqual(
      new Set(['response', 'signal']),
    );
  },
);

test('the walk over another tenant knows what to send to every route of the admin API', () => {
  expect(unknownRoutes()).toEqual([]);
});

const words = {
  component: 'gateway',
  failure: 'x',
  effect: 'x',
  signal: 'x',
  response: 'x',
  severity: 4,
  injection: 'x',
} as const;
const good = [
  response('it is answered', true, { saw: 'yes', afterMs: 3 }),
  signal('it is seen', true, { saw: 'yes', afterMs: 5 }),
];

test('what could not be provoked is told as such, with the reason, and never passes', async () => {
  const throws = { ...words, id: 'X1', provoke: () => Promise.reject(new NotProvoked('no replica would break')) };
  const blocked = { ...words, id: 'X2', obstacle: () => 'no such tool here', provoke: () => Promise.resolve(good) };
  const endless = { ...words, id: 'X3', boundMs: 20, provoke: () => new Promise<never>(() => {}) };
  const blind = { ...words, id: 'X4', provoke: () => Promise.resolve(good.slice(0, 1)) };
  const sound = { ...words, id: 'X5', provoke: () => Promise.resolve(good) };
  const reports = await runFailures([throws, blocked, endless, blind, sound], { startGateway: startNaiveProxy, seed: 1 });
  expect(reports.map(({ verdict }) => verdict)).toEqual([
    { kind: 'unmeasured', because: 'no replica would break' },
    { kind: 'unmeasured', because: 'no such tool here' },
    { kind: 'unmeasured', because: 'not done within 20 ms' },
    { kind: 'unmeasured', because: 'no signal was looked at' },
    { kind: 'pass' },
  ]);
  expect(reportsAsJson(reports, { seed: 1, tookMs: 9 })).toMatchObject({ seed: 1, pass: 1, fail: 0, unmeasured: 4 });
  expect(reports[4]).toMatchObject({ respondedMs: 3, detectedMs: 5 });
});

test('one broken check outweighs all that held, and one that could not be told outweighs a pass', () => {
  const broken = signal('it is counted', false, { saw: '0' });
  expect(judge([...good, broken])).toEqual({ kind: 'fail', because: 'it is counted: 0' });
  expect(judge([...good, { ...broken, kind: 'unmeasured' }])).toEqual({ kind: 'unmeasured', because: 'it is counted: 0' });
  expect(judge([])).toEqual({ kind: 'unmeasured', because: 'no response was looked at' });
});

test('every file in entries/ is in the catalogue, in order, under an id of its own', () => {
  const files = readdirSync(new URL('entries/', import.meta.url)).toSorted();
  const idOf = (file: string): string =>
    file.replace(/^([a-z])0*(\d+)-.*$/, (_, letter: string, number: string) => letter.toUpperCase() + number);
  expect(FAILURES.map(({ id }) => id)).toEqual(files.map(idOf));
});

test('the page of failure modes has the table of the entries', () => {
  const page = readFileSync(new URL('../../../docs/failure-modes.md', import.meta.url), 'utf8');
  expect(page).toContain(`\n${renderMarkdown(FAILURES)}\n`);
});
