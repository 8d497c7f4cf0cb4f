// One measurement of counters in memory, in a process of its own: what an earlier one left on the heap would be measured with it.
import v8 from 'node:v8';
import vm from 'node:vm';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { createMeterBook, newDecisionSlot, type Ask, type MeterBook, type MeterGroup } from '#core/limits';
import { createKeyedHash } from '#core/abuse';
import type { Metrics } from '../measure.ts';
import {
  aim,
  createFullTree,
  createRandom,
  newGroup,
  perHour,
  rateOf,
  ruleOf,
  WALL_MS,
  type Counts,
  type Draw,
} from './full-tree.ts';

export type MetersOrder =
  | { readonly kind: 'memory-latency' }
  | { readonly kind: 'full-tree'; readonly counts: Counts; readonly draw: Draw; readonly seed: number; readonly seconds: number }
  | {
      readonly kind: 'one-level';
      readonly by: OneLevelBy;
      readonly keys: number;
      readonly seed: number;
      readonly seconds: number;
    }
  | { readonly kind: 'peer'; readonly keys: number; readonly seed: number; readonly seconds: number };

/**
 * How a key is told: its hash at hand; its name, which the peer gets too, to be hashed for every request; or an object of each key
 * with the hash in it, made once, as the gateway keeps them.
 */
export type OneLevelBy = 'hash' | 'name' | 'object';

const LATENCIES = 500_000;
const WARM_UP = 300_000;
const BATCH = 1_000;

function carryOut(order: MetersOrder): Metrics | Promise<Metrics> {
  switch (order.kind) {
    case 'memory-latency':
      return measureMemory();
    case 'full-tree':
      return measureFullTree(order);
    case 'one-level':
      return measureOneLevel(order);
    case 'peer':
      return measurePeer(order);
  }
}

/** What one read of memory takes when the next depends on it, over 512 MB: what decisions over millions of subjects are made of. */
function measureMemory(): Metrics {
  const memory = new Int32Array(2 ** 27).fill(0);
  const reads = 1_000_000;
  let at = 1;
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  // The constants of a linear congruential generator: an address that looks random, and is known only once the last was read.
  for (let read = 0; read < reads; read++) at = (Math.imul(at, 1_664_525) + 1_013_904_223 + (memory[at >>> 5] as number)) >>> 0;
  const wallNs = ((performance.now() - startMs) * 1e6) / reads;
  return { readNs: at === -1 ? 0 : wallNs, readCpuNs: (process.cpuUsage(cpu).user * 1000) / reads };
}

function measureFullTree({ counts, draw, seed, seconds }: MetersOrder & { readonly kind: 'full-tree' }): Metrics {
  const tree = createFullTree({ counts, draw, seed });
  const book = createMeterBook({ subjectsMax: 2 ** 24 });
  const rssBefore = settledRss();
  const stalls = watchStalls();
  tree.fill(book, stalls.look);
  const { subjects } = book;
  const bytesPerSubject = (settledRss() - rssBefore) / subjects;
  const speed = measureSpeed(book, () => tree.next(), 16, seconds);
  // Nothing of them is forgettable at the end either: the book would drop what is.
  const forgotten = book.sweep(2 ** 24, speed.nowUs, WALL_MS);
  return { ...speed.metrics, bytesPerSubject, subjects, forgotten, ...stalls.read() };
}

function measureOneLevel({ by, keys, seed, seconds }: MetersOrder & { readonly kind: 'one-level' }): Metrics {
  const askFor = oneLevel(by, keys, seed);
  const random = createRandom(seed);
  const book = createMeterBook({ subjectsMax: 2 ** 24 });
  const slot = newDecisionSlot(1);
  for (let key = 0; key < keys; key++) book.take(askFor(key), 0, WALL_MS, slot);
  return measureSpeed(book, () => askFor(random(keys)), 1, seconds).metrics;
}

function oneLevel(by: OneLevelBy, keys: number, seed: number): (key: number) => Ask {
  const rates = [rateOf(perHour(10_000_000))];
  const scope = { index: 0, id: 'key', rules: [ruleOf({ id: 'requests', measure: 'requests' })] };
  const costs = Float64Array.of(1);
  const group = newGroup(scope, rates);
  const ask: Ask = { groups: [group], costs };
  const names = namesOf(keys);
  const hash = createKeyedHash([seed, seed + 1]);
  const kept = Array.from({ length: keys }, (_, key) => {
    const own = newGroup(scope, rates);
    aim(own, key);
    return [own];
  });
  switch (by) {
    case 'hash':
      return (key) => {
        aim(group, key);
        return ask;
      };
    case 'name':
      return (key) => {
        group.hashLow = hash.text(names[key] as string);
        group.hashHigh = hash.high();
        return ask;
      };
    case 'object':
      return (key) => ({ groups: kept[key] as readonly MeterGroup[], costs });
  }
}

async function measurePeer({ keys, seed, seconds }: MetersOrder & { readonly kind: 'peer' }): Promise<Metrics> {
  const limiter = new RateLimiterMemory({ points: 10_000_000, duration: 3600 });
  const names = namesOf(keys);
  const random = createRandom(seed);
  for (const name of names) await limiter.consume(name);
  const run = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await limiter.consume(names[random(keys)] as string);
  };
  await run(WARM_UP);
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  let done = 0;
  for (; performance.now() - startMs < seconds * 1000; done += BATCH) await run(BATCH);
  return rates(done, startMs, cpu);
}

const namesOf = (keys: number): readonly string[] =>
  Array.from({ length: keys }, (_, key) => `key_${String(key).padStart(20, '0')}`);

function measureSpeed(
  book: MeterBook,
  next: () => Ask,
  meters: number,
  seconds: number,
): { readonly metrics: Metrics; readonly nowUs: number } {
  const slot = newDecisionSlot(meters);
  let [nowUs, refused] = [0, 0];
  const run = (count: number): void => {
    for (let n = 0; n < count; n++) {
      book.take(next(), ++nowUs, WALL_MS, slot);
      if (slot.refusedBy !== -1) refused++;
    }
  };
  run(WARM_UP);
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  let done = 0;
  for (; performance.now() - startMs < seconds * 1000; done += BATCH) run(BATCH);
  const speed = rates(done, startMs, cpu);

  const timerMs = new Float64Array(LATENCIES);
  for (let n = 0; n < LATENCIES; n++) {
    const from = performance.now();
    timerMs[n] = performance.now() - from;
  }
  const tookMs = new Float64Array(LATENCIES);
  for (let n = 0; n < LATENCIES; n++) {
    const ask = next();
    const from = performance.now();
    book.take(ask, ++nowUs, WALL_MS, slot);
    tookMs[n] = performance.now() - from;
  }
  const timerUs = quantileUs(timerMs, 0.5);
  const of = (quantile: number): number => quantileUs(tookMs, quantile) - timerUs;
  return { metrics: { ...speed, refused, timerUs, p50Us: of(0.5), p99Us: of(0.99), p999Us: of(0.999) }, nowUs };
}

function rates(done: number, startMs: number, cpu: NodeJS.CpuUsage): Metrics {
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (done * 1000) / (performance.now() - startMs), perCpuSecond: (done * 1e6) / (user + system) };
}

/** Sorts the values. */
const quantileUs = (valuesMs: Float64Array, quantile: number): number =>
  (valuesMs.sort()[Math.floor((valuesMs.length - 1) * quantile)] as number) * 1000;

/** The longest time between two looks, by the clock and by what this process itself used of it: the rest was taken by others. */
function watchStalls(): { readonly look: () => void; read(): Metrics } {
  const LOOKS = 256;
  let [lastMs, looks, stallMs, stallCpuMs] = [performance.now(), 0, 0, 0];
  let cpu = process.cpuUsage();
  const read = (): number => {
    const { user, system } = process.cpuUsage(cpu);
    cpu = process.cpuUsage();
    return (user + system) / 1000;
  };
  return {
    look() {
      const nowMs = performance.now();
      const tookMs = nowMs - lastMs;
      if (tookMs > stallMs) stallMs = tookMs;
      // CPU time is costly to read: only now and then, and where it matters.
      if (tookMs > 1) stallCpuMs = Math.max(stallCpuMs, Math.min(tookMs, read()));
      else if (++looks % LOOKS === 0) read();
      lastMs = performance.now();
    },
    read: () => ({ stallMs, stallCpuMs }),
  };
}

function settledRss(): number {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  for (let times = 0; times < 3; times++) collect();
  return process.memoryUsage.rss();
}

process.on('message', ({ id, ...order }: { readonly id: number } & MetersOrder) => {
  void Promise.resolve(order)
    .then(carryOut)
    .then(
      (value) => process.send?.({ kind: 'done', id, value }),
      (error: unknown) => process.send?.({ kind: 'failed', id, message: String(error) }),
    );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'listening', port: null });
