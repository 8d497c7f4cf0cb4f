import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EngineProfile, stepUs } from './profile.ts';
import { createScheduler, type Job, type JobProgress, type Scheduler } from './scheduler.ts';

const PROFILE: EngineProfile = {
  prefillBaseUs: 100,
  prefillTokenNs: 10_000,
  decodeBaseUs: 1000,
  decodeSequenceNs: 50_000,
  decodeContextTokenNs: 100,
  stepTokens: 32,
  maxSequences: 4,
  blockTokens: 4,
  capacityTokens: 256,
  contextTokens: 128,
};

/** A job whose blocks are shared with every job of the same `family` for as long as both have them. */
function job(id: number, promptTokens: number, outputTokens: number, family = `own${id}`): Job {
  return { id, promptTokens, outputTokens, blockKey: (index) => `${family}/${index}` };
}

function drain(scheduler: Scheduler, onStep: (progress: readonly JobProgress[], durationUs: number) => void = () => undefined) {
  for (let steps = 0; steps < 10_000; steps += 1) {
    const durationUs = scheduler.begin();
    if (durationUs === null) return;
    onStep(scheduler.finish(), durationUs);
  }
  throw new Error('the scheduler never came to rest');
}

test('a prompt is computed in chunks of the step budget, and its first token comes with the last chunk', () => {
  const scheduler = createScheduler(PROFILE);
  scheduler.add(job(1, 80, 2));
  const steps: [number, number | undefined][] = [];
  drain(scheduler, (progress, durationUs) => steps.push([durationUs, progress[0]?.outputTokens]));
  expect(steps).toEqual([
    [100 + 320, undefined],
    [100 + 320, undefined],
    [100 + 160, 1],
    [1000 + 50 + 8, 2],
  ]);
});

test('a long prompt shares its steps with sequences that decode, and slows them', () => {
  const scheduler = createScheduler(PROFILE);
  scheduler.add(job(1, 4, 8));
  scheduler.begin();
  scheduler.finish();
  scheduler.add(job(2, 62, 1));
  const durationUs = scheduler.begin();
  expect(scheduler.finish().map(({ id, outputTokens }) => [id, outputTokens])).toEqual([[1, 2]]);
  expect(durationUs).toBe(stepUs(PROFILE, { prefillTokens: 31, sequences: 1, contextTokens: 5 }));
});

test('a prefix that another job computed is read from its blocks, all but what must be computed to go on', () => {
  const scheduler = createScheduler(PROFILE);
  const reads: number[] = [];
  for (const id of [1, 2]) {
    scheduler.add(job(id, 16, 1, 'same'));
    drain(scheduler, (progress) => progress.forEach(({ cacheReadTokens }) => reads.push(cacheReadTokens)));
  }
  expect(reads).toEqual([0, 12]);
});

test('an answer stays in its blocks, so the next turn of the conversation reads it too', () => {
  const scheduler = createScheduler(PROFILE);
  scheduler.add(job(1, 16, 9, 'talk'));
  drain(scheduler);
  scheduler.add(job(2, 40, 1, 'talk'));
  const reads: number[] = [];
  drain(scheduler, (progress) => progress.forEach(({ cacheReadTokens }) => reads.push(cacheReadTokens)));
  // 16 + 9 tokens, of which the newest was never computed: six full blocks of four.
  expect(reads).toEqual([24]);
});

test('a job cancelled in the middle of a step gains nothing from it and frees its blocks at once', () => {
  const scheduler = createScheduler(PROFILE);
  scheduler.add(job(1, 16, 4));
  scheduler.begin();
  expect(scheduler.cancel(1)).toBe(true);
  expect(scheduler.cancel(1)).toBe(false);
  expect(scheduler.counts().usedBlocks).toBe(0);
  expect(scheduler.finish()).toEqual([]);
  expect(scheduler.begin()).toBe(null);
});

test('when blocks run out the youngest sequence is put back, computed again, and still finishes', () => {
  const scheduler = createScheduler({ ...PROFILE, capacityTokens: 64 });
  for (const id of [1, 2, 3]) scheduler.add(job(id, 16, 32));
  const ends: number[] = [];
  drain(scheduler, (progress) => progress.filter((one) => one.isFinished).forEach(({ id }) => ends.push(id)));
  expect(ends).toEqual([1, 2, 3]);
  expect(scheduler.counts().preemptions).toBeGreaterThan(0);
});

const jobs = fc.array(
  fc.record({
    promptTokens: fc.integer({ min: 1, max: 60 }),
    outputTokens: fc.integer({ min: 1, max: 30 }),
    family: fc.constantFrom('a', 'b', 'c', 'd'),
    afterSteps: fc.integer({ min: 0, max: 20 }),
    cancelAfterSteps: fc.option(fc.integer({ min: 0, max: 40 }), { nil: null }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('whatever arrives and leaves: work is conserved, memory is never exceeded, and every job that stays is finished once', () => {
  fc.assert(
    fc.property(jobs, fc.constantFrom(96, 128, 256), fc.integer({ min: 1, max: 40 }), (arrivals, capacityTokens, stepTokens) => {
      const scheduler = createScheduler({ ...PROFILE, capacityTokens, stepTokens });
      const outputs = new Map<number, number>();
      const finished: number[] = [];
      const gone = new Set<number>();
      for (let step = 0; step < 3000; step += 1) {
        for (const [id, one] of arrivals.entries()) {
          if (one.afterSteps === step) scheduler.add(job(id, one.promptTokens, one.outputTokens, one.family));
          if (one.cancelAfterSteps === step && scheduler.cancel(id)) gone.add(id);
        }
        const before = scheduler.counts();
        if (scheduler.begin() === null) {
          if (step > 40) break;
          continue;
        }
        const progress = scheduler.finish();
        const after = scheduler.counts();
        expect(after.usedBlocks + after.keptBlocks).toBeLessThanOrEqual(after.capacityBlocks);
        expect(after.running).toBeLessThanOrEqual(PROFILE.maxSequences);
        expect(after.prefilledTokens - before.prefilledTokens).toBeLessThanOrEqual(stepTokens);
        expect(after.generatedTokens - before.generatedTokens).toBe(progress.length);
        for (const { id, outputTokens, cacheReadTokens, isFinished } of progress) {
          expect(outputTokens).toBe((outputs.get(id) ?? 0) + 1);
          expect(cacheReadTokens).toBeLessThan(arrivals[id]!.promptTokens);
          outputs.set(id, outputTokens);
          if (isFinished) finished.push(id);
        }
      }
      const stayed = [...arrivals.keys()].filter((id) => !gone.has(id));
      expect(finished.toSorted((a, b) => a - b)).toEqual(stayed);
      for (const id of finished) expect(outputs.get(id)).toBe(arrivals[id]!.outputTokens);
      const counts = scheduler.counts();
      expect([counts.usedBlocks, counts.running, counts.waiting]).toEqual([0, 0, 0]);
      expect([...outputs.values()].reduce((sum, tokens) => sum + tokens, 0)).toBe(counts.generatedTokens);
      const prompts = arrivals.reduce((sum, one) => sum + one.promptTokens, 0);
      if (gone.size === 0 && counts.preemptions === 0) expect(counts.prefilledTokens + counts.cacheReadTokens).toBe(prompts);
    }),
  );
});
