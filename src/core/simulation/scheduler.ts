import { invariant } from '../kernel/index.ts';
import { type Block, type BlockPool, createBlockPool } from './block-pool.ts';
import { type EngineProfile, type StepLoad, stepUs } from './profile.ts';

/** A sequence to generate, as far as time and memory are concerned. */
export interface Job {
  /** Names the job to its owner; unique among jobs that have not ended. */
  readonly id: number;
  /** Whole tokens, 1 or more; with `outputTokens` at most the profile's `contextTokens` and `capacityTokens`. */
  readonly promptTokens: number;
  /** Whole tokens to generate, 1 or more. */
  readonly outputTokens: number;
  /**
   * Content address of the `index`-th full block of prompt and answer together (0 is the first): equal for two jobs exactly when
   * everything up to the end of that block is equal and may be shared.
   */
  blockKey(index: number): string;
}

/** How far a job came in one step. */
export interface JobProgress {
  readonly id: number;
  /** Tokens generated so far. */
  readonly outputTokens: number;
  /** Prompt tokens that were found in blocks when the job was first admitted, and so not computed. */
  readonly cacheReadTokens: number;
  readonly isFinished: boolean;
}

/**
 * Continuous batching with a token budget per step and chunked prefill. Time is the caller's: `begin` plans a step and says how
 * long it takes, `finish` applies it. Between the two, jobs may be added (they wait for the next step) and cancelled (at once).
 */
export interface Scheduler {
  add(job: Job): void;
  /** Ends a job and frees its blocks; false when it had ended. */
  cancel(id: number): boolean;
  /** Plans a step: its duration in whole µs, or null when there is nothing to do. */
  begin(): number | null;
  /** Ends the step that `begin` planned: the jobs that gained a token. */
  finish(): readonly JobProgress[];
  /** Forgets every prefix that no running job uses. */
  clearCache(): void;
  counts(): SchedulerCounts;
}

export interface SchedulerCounts {
  readonly waiting: number;
  readonly running: number;
  readonly usedBlocks: number;
  readonly keptBlocks: number;
  readonly capacityBlocks: number;
  /** Since the start, whole tokens: prompt tokens computed (again, where a job was preempted), read from blocks, and generated. */
  readonly prefilledTokens: number;
  readonly cacheReadTokens: number;
  readonly generatedTokens: number;
  readonly preemptions: number;
}

interface Running {
  readonly job: Job;
  blocks: Block[];
  /** Tokens whose keys and values are in `blocks`. */
  computed: number;
  generated: number;
  /** Null until first admitted. */
  cacheRead: number | null;
  isEnded: boolean;
}

/** What one step computes of one sequence. */
interface Share {
  readonly one: Running;
  readonly tokens: number;
}

/**
 * Makes an idle scheduler with an empty cache.
 * Source: the loop of vLLM's v1 scheduler (v1/core/sched/scheduler.py): running sequences first, oldest first; then waiting ones,
 * in order of arrival, while budget, sequences and blocks last; when blocks run out the youngest running one is put back and
 * computed again later.
 */
export function createScheduler(profile: EngineProfile): Scheduler {
  const pool = createBlockPool(Math.floor(profile.capacityTokens / profile.blockTokens));
  const waiting: Running[] = [];
  const running: Running[] = [];
  let step: Share[] | null = null;
  const totals = { prefilledTokens: 0, cacheReadTokens: 0, generatedTokens: 0, preemptions: 0 };

  const preemptYoungest = (): Running | undefined => {
    const victim = running.pop();
    if (victim === undefined) return undefined;
    releaseAll(pool, victim);
    waiting.unshift(victim);
    totals.preemptions += 1;
    return victim;
  };
  const planRunning = (plan: Share[], budget: number): number => {
    let left = budget;
    // Whoever is put back is younger than the sequence at `index`, or that sequence itself, so nothing planned is ever undone.
    for (let index = 0; index < running.length && left > 0; index += 1) {
      const one = running[index];
      if (one === undefined) break;
      const tokens = Math.min(known(one) - one.computed, left);
      let isIn = true;
      while (isIn && !grow(pool, one, one.computed + tokens, profile.blockTokens)) isIn = preemptYoungest() !== one;
      if (!isIn) break;
      plan.push({ one, tokens });
      left -= tokens;
    }
    return left;
  };
  const admitWaiting = (plan: Share[], budget: number): void => {
    let left = budget;
    while (left > 0 && running.length < profile.maxSequences) {
      const one = waiting[0];
      if (one === undefined) return;
      one.blocks = pool.take(sharedKeys(one, profile.blockTokens));
      one.computed = one.blocks.length * profile.blockTokens;
      const tokens = Math.min(known(one) - one.computed, left);
      if (!grow(pool, one, one.computed + tokens, profile.blockTokens)) {
        releaseAll(pool, one);
        return;
      }
      one.cacheRead ??= countCacheRead(totals, one.computed);
      waiting.shift();
      running.push(one);
      plan.push({ one, tokens });
      left -= tokens;
    }
  };
  const end = (one: Running): void => {
    one.isEnded = true;
    releaseAll(pool, one);
    remove(running, one);
    remove(waiting, one);
  };
  return {
    add(job) {
      const total = job.promptTokens + job.outputTokens;
      invariant(job.promptTokens >= 1 && job.outputTokens >= 1, 'a job has at least a token on either side');
      invariant(total <= pool.counts().capacity * profile.blockTokens, `a job of ${total} tokens can never fit`);
      waiting.push({ job, blocks: [], computed: 0, generated: 0, cacheRead: null, isEnded: false });
    },
    cancel(id) {
      const one = running.find(({ job }) => job.id === id) ?? waiting.find(({ job }) => job.id === id);
      if (one !== undefined) end(one);
      return one !== undefined;
    },
    begin() {
      invariant(step === null, 'a step is finished before the next begins');
      const plan: Share[] = [];
      const preemptedBefore = totals.preemptions;
      const left = planRunning(plan, profile.stepTokens);
      // A victim of this step must not take back, in the same step, the room that it was made to give.
      if (totals.preemptions === preemptedBefore) admitWaiting(plan, left);
      if (plan.length === 0) return null;
      step = plan;
      return stepUs(profile, loadOf(plan));
    },
    finish() {
      invariant(step !== null, 'no step to finish');
      const progress: JobProgress[] = [];
      for (const { one, tokens } of step) {
        if (one.isEnded) continue;
        totals.prefilledTokens += Math.max(0, Math.min(one.job.promptTokens, one.computed + tokens) - one.computed);
        compute(pool, one, tokens, profile.blockTokens);
        if (one.computed < known(one)) continue;
        one.generated += 1;
        totals.generatedTokens += 1;
        const isFinished = one.generated === one.job.outputTokens;
        if (isFinished) end(one);
        progress.push({ id: one.job.id, outputTokens: one.generated, cacheReadTokens: one.cacheRead ?? 0, isFinished });
      }
      step = null;
      return progress;
    },
    clearCache: () => pool.clear(),
    counts() {
      const { used, kept, capacity } = pool.counts();
      const blocks = { usedBlocks: used, keptBlocks: kept, capacityBlocks: capacity };
      return { waiting: waiting.length, running: running.length, ...blocks, ...totals };
    },
  };
}

/** Tokens whose values are known: the prompt and what was generated. All but the newest must be computed before another comes. */
function known(one: Running): number {
  return one.job.promptTokens + one.generated;
}

/** Addresses of the full blocks that may be shared: never the last known token, which must be computed to get the next. */
function* sharedKeys(one: Running, blockTokens: number): Generator<string> {
  const full = Math.floor((known(one) - 1) / blockTokens);
  for (let index = 0; index < full; index += 1) yield one.job.blockKey(index);
}

/** Makes room for `tokens` in all; false, with nothing evicted for it, when there is not enough. */
function grow(pool: BlockPool, one: Running, tokens: number, blockTokens: number): boolean {
  const missing = Math.ceil(tokens / blockTokens) - one.blocks.length;
  const { used, capacity } = pool.counts();
  if (missing > capacity - used) return false;
  for (let count = 0; count < missing; count += 1) one.blocks.push(pool.allocate());
  return true;
}

function compute(pool: BlockPool, one: Running, tokens: number, blockTokens: number): void {
  const fullBefore = Math.floor(one.computed / blockTokens);
  one.computed += tokens;
  const fullAfter = Math.floor(one.computed / blockTokens);
  for (let index = fullBefore; index < fullAfter; index += 1) {
    const block = one.blocks[index];
    invariant(block !== undefined, 'a computed token has a block');
    if (block.key === null) pool.seal(block, one.job.blockKey(index));
  }
}

function releaseAll(pool: BlockPool, one: Running): void {
  pool.release(one.blocks);
  one.blocks = [];
  one.computed = 0;
}

function countCacheRead(totals: { cacheReadTokens: number }, tokens: number): number {
  totals.cacheReadTokens += tokens;
  return tokens;
}

function loadOf(step: readonly Share[]): StepLoad {
  let prefillTokens = 0;
  let sequences = 0;
  let contextTokens = 0;
  for (const { one, tokens } of step)
    if (one.generated > 0 && one.computed + tokens === known(one) && tokens === 1) {
      sequences += 1;
      contextTokens += one.computed + 1;
    } else prefillTokens += tokens;
  return { prefillTokens, sequences, contextTokens };
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
