import { setTimeout as sleep } from 'node:timers/promises';
import type { Case, Scale } from './cases.ts';
import { readCoreBusyMs, readFootprint, type KernelUnits } from './host/processes.ts';
import type { WorkerProcess } from './host/worker-process.ts';
import { failuresOf } from './load/failures.ts';
import type { Order, Outcome, OutcomeOf, Target } from './load/order.ts';
import { modelName, type Script, type WireDialect } from './mock/script.ts';
import type { MockReport } from './mock/upstream.ts';
import { CLIENT_HEADERS, PATHS, type RunningSystem } from './systems/system.ts';
import { sorted } from './stats/order-statistics.ts';

/** The processes around the system under test. */
export interface Stage {
  readonly load: WorkerProcess<{ readonly order: Order }, Outcome>;
  readonly mock: WorkerProcess<{ readonly kind: 'report' | 'forget' }, MockReport>;
  readonly units: KernelUnits;
  readonly systemCore: number;
}

/** One measurement of one case: metric names to values. NaN: could not be measured. */
export type Metrics = Readonly<Record<string, number>>;

export interface Usage {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly metrics: Metrics;
}

const SETTLE_MS_MAX = 6000;
/** A system is at rest when it takes less of its core than this over some looks in a row. */
const REST_RATIO = 0.05;
const REST_LOOKS = 2;
const REST_LOOK_MS = 250;
const REST_MS_MAX = 20_000;

export async function measure(stage: Stage, running: RunningSystem, testCase: Case, scale: Scale): Promise<Metrics> {
  await waitUntilIdle(stage);
  const target = targetOf(running, testCase.script, testCase.dialect, testCase.bodyBytes);
  switch (testCase.kind) {
    case 'requests':
      return measureRequests(stage, running, target, { connections: testCase.connections, ...scale });
    case 'streams':
      return measureStreams(stage, running, target, testCase, scale);
    case 'cancel':
      return measureCancel(stage, running, target, testCase);
  }
}

/** What the load generator sends to a running system to get a script played in a dialect. */
export function targetOf(running: RunningSystem, script: Script, dialect: WireDialect, bodyBytes: number): Target {
  return {
    port: running.port,
    path: PATHS[dialect],
    headers: { ...CLIENT_HEADERS[dialect], ...running.headersFor?.(dialect) },
    dialect,
    model: running.modelOf?.(script, dialect) ?? modelName(script),
    bodyBytes,
    isStream: script.kind !== 'json',
    ...(running.endUser === undefined ? {} : { endUser: running.endUser }),
  };
}

/** Carries out an order; an outcome of another kind than the order's cannot come. */
export async function ask<K extends Order['kind']>(
  stage: Stage,
  order: Order & { readonly kind: K },
  onPhase?: (phase: 'measuring' | 'measured') => void,
): Promise<OutcomeOf<K>> {
  const outcome = await stage.load.ask({ order }, onPhase);
  if (outcome.kind !== order.kind) throw new Error(`asked for ${order.kind}, got ${outcome.kind}`);
  return outcome as OutcomeOf<K>;
}

async function measureRequests(
  stage: Stage,
  running: RunningSystem,
  target: Target,
  size: { readonly connections: number; readonly warmUpMs: number; readonly durationMs: number },
): Promise<Metrics> {
  const watch = watchUsage(stage, running);
  const { connections, warmUpMs, durationMs } = size;
  const outcome = await ask(stage, { kind: 'closed-loop', target, connections, warmUpMs, durationMs }, watch.onPhase);
  const usage = watch.read();
  return {
    requestsPerSecond: (outcome.requests * 1000) / outcome.elapsedMs,
    p50Us: outcome.latency.p50Us,
    p99Us: outcome.latency.p99Us,
    cpuUsPerRequest: (usage.cpuMs * 1000) / outcome.requests,
    afterUsPerRequest: ((await cpuMsUntilRest(stage, running)) * 1000) / outcome.requests,
    failures: failuresOf(outcome.failures),
    reconnects: outcome.reconnects,
    ...usage.metrics,
  };
}

async function measureStreams(
  stage: Stage,
  running: RunningSystem,
  target: Target,
  testCase: Case & { readonly kind: 'streams' },
  scale: Scale,
): Promise<Metrics> {
  const watch = watchUsage(stage, running);
  const { isOneEach } = testCase;
  const outcome = await ask(
    stage,
    {
      kind: 'streams',
      target,
      eventsPerStream: testCase.script.kind === 'stream' ? testCase.script.events : 0,
      connections: testCase.connections,
      rampMs: testCase.rampMs,
      warmUpMs: isOneEach ? 0 : scale.warmUpMs,
      durationMs: isOneEach ? 0 : scale.durationMs,
    },
    watch.onPhase,
  );
  const usage = watch.read();
  return {
    streamsPerSecond: (outcome.streams * 1000) / outcome.elapsedMs,
    firstEventP50Us: outcome.firstEvent.p50Us,
    firstEventP99Us: outcome.firstEvent.p99Us,
    gapP50Us: outcome.gap.p50Us,
    gapP99Us: outcome.gap.p99Us,
    totalP50Us: outcome.total.p50Us,
    cpuUsPerEvent: (usage.cpuMs * 1000) / outcome.events,
    afterMs: await cpuMsUntilRest(stage, running),
    eventsLost: outcome.eventsLost,
    failures: failuresOf(outcome.failures),
    ...usage.metrics,
  };
}

async function measureCancel(
  stage: Stage,
  running: RunningSystem,
  target: Target,
  testCase: Case & { readonly kind: 'cancel' },
): Promise<Metrics> {
  await stage.mock.ask({ kind: 'forget' });
  const { clients, concurrency, afterEvents } = testCase;
  const outcome = await ask(stage, { kind: 'cancel', target, firstTag: 1, clients, concurrency, afterEvents, waitMs: 100 });
  const report = await waitUntilSettled(stage, outcome.dropped.length);
  const closedAt = new Map(report.tagged.map(({ tag, closedEarlyNs }) => [tag, closedEarlyNs]));
  const delaysUs: number[] = [];
  for (const { tag, atNs } of outcome.dropped) {
    const closedNs = closedAt.get(tag);
    if (typeof closedNs === 'number') delaysUs.push(Math.max(0, closedNs - atNs) / 1000);
  }
  const ordered = sorted(delaysUs);
  await stage.mock.ask({ kind: 'forget' });
  // The system must still answer.
  const reference = targetOf(running, { kind: 'json', bytes: 1024 }, target.dialect, 2048);
  const after = await measureRequests(stage, running, reference, { connections: 16, warmUpMs: 100, durationMs: 1000 });
  return {
    dropped: outcome.dropped.length,
    closeSeenP50Us: ordered[Math.floor(ordered.length / 2)] ?? Number.NaN,
    closeSeenMaxUs: ordered.at(-1) ?? Number.NaN,
    neverSeen: outcome.dropped.length - delaysUs.length,
    openAfter: report.openAnswers,
    requestsPerSecondAfter: after.requestsPerSecond ?? Number.NaN,
    failures: failuresOf(outcome.failures) + (after.failures ?? 0),
    othersRatio: after.othersRatio ?? Number.NaN,
  };
}

/** Polls the mock until every dropped request was seen to close or ended by itself, or the time is up. */
async function waitUntilSettled(stage: Stage, dropped: number): Promise<MockReport> {
  const deadlineMs = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    const report = await stage.mock.ask({ kind: 'report' });
    const settled = report.tagged.filter(({ closedEarlyNs, isFinished }) => closedEarlyNs !== null || isFinished).length;
    if (settled >= dropped || performance.now() > deadlineMs) return report;
    await sleep(20);
  }
}

/** Waits until nothing of the last measurement is still streaming; what a system never cancelled runs out by itself. */
async function waitUntilIdle(stage: Stage): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS_MAX;
  while (performance.now() < deadlineMs) {
    if ((await stage.mock.ask({ kind: 'report' })).openAnswers === 0) return;
    await sleep(50);
  }
}

/**
 * Waits until the system is at rest and says what CPU it still took. Work put off (records on their way to a store) would fall on
 * the next system's turn otherwise, and would be missing from this one's account.
 */
export async function cpuMsUntilRest(stage: Pick<Stage, 'units'>, running: RunningSystem): Promise<number> {
  if (running.pid === null) return Number.NaN;
  const deadlineMs = performance.now() + REST_MS_MAX;
  const startedMs = readFootprint(running.pid, stage.units).cpuMs;
  let lastMs = startedMs;
  let quietLooks = 0;
  while (quietLooks < REST_LOOKS && performance.now() < deadlineMs) {
    await sleep(REST_LOOK_MS);
    const { cpuMs } = readFootprint(running.pid, stage.units);
    quietLooks = cpuMs - lastMs < REST_LOOK_MS * REST_RATIO ? quietLooks + 1 : 0;
    lastMs = cpuMs;
  }
  return lastMs - startedMs;
}

interface UsageWatch {
  readonly onPhase: (phase: 'measuring' | 'measured') => void;
  read(): Usage;
}

interface Reading {
  readonly atMs: number;
  readonly systemMs: number;
  readonly aroundMs: number;
  readonly coreMs: number;
  readonly rssBytes: number;
}

/** Reads the processes' clocks at both ends of the measured span. */
function watchUsage(stage: Stage, running: RunningSystem): UsageWatch {
  const readings: Reading[] = [];
  const read = (): Reading => {
    const system = running.pid === null ? { cpuMs: 0, rssBytes: Number.NaN } : readFootprint(running.pid, stage.units);
    const around = readFootprint(stage.load.pid, stage.units).cpuMs + readFootprint(stage.mock.pid, stage.units).cpuMs;
    const coreMs = readCoreBusyMs(stage.systemCore, stage.units);
    return { atMs: performance.now(), systemMs: system.cpuMs, aroundMs: around, coreMs, rssBytes: system.rssBytes };
  };
  return {
    onPhase: () => readings.push(read()),
    read() {
      const [first, last] = readings;
      if (first === undefined || last === undefined) return { cpuMs: Number.NaN, wallMs: Number.NaN, metrics: {} };
      const wallMs = last.atMs - first.atMs;
      const cpuMs = running.pid === null ? Number.NaN : last.systemMs - first.systemMs;
      return {
        cpuMs,
        wallMs,
        metrics: {
          systemCpuRatio: cpuMs / wallMs,
          aroundCpuRatio: (last.aroundMs - first.aroundMs) / wallMs,
          othersRatio: Math.max(0, last.coreMs - first.coreMs - (last.systemMs - first.systemMs)) / wallMs,
          rssBytes: Math.max(first.rssBytes, last.rssBytes),
        },
      };
    },
  };
}
