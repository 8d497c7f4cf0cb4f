import type { AnswerEvent } from '#contracts/answer';
import type { Clock, Random } from '#contracts/clock';
import type { Prompt } from '#contracts/prompt';
import { invariant } from '#core/kernel';
import { chooseSequence, type IdleSequence } from './choose-sequence.ts';
import { createGeneration, type Generation } from './generation.ts';
import { planStep, type Wish } from './plan-step.ts';
import { nextBudget } from './step-budget.ts';
import { samplerFor, type Sampler, type SamplerDefaults } from './sampler.ts';
import type { TokenModel, TokenSequence, TokenWriter } from './token-model.ts';

export interface BatchLoopOptions {
  readonly model: TokenModel;
  /** Most tokens in one batch, at least twice the number of sequences. */
  readonly stepTokens: number;
  readonly defaults: SamplerDefaults;
  readonly random: Random;
  readonly clock: Pick<Clock, 'nowUs'>;
}

export interface BatchRequest {
  readonly prompt: Prompt;
  /** 1 to `contextTokens - 1` tokens. */
  readonly tokens: readonly number[];
  /** The GBNF grammar of the answer; null for free text. */
  readonly grammar: string | null;
  readonly isolation: string;
  readonly conversation: string | null;
  emit(event: AnswerEvent): void;
  /** Called once, last: the sequence is free. */
  closed(): void;
}

export interface BatchLoop {
  /** Starts a generation; the caller never has more of them open than there are sequences. Returns what aborts it. */
  add(request: BatchRequest): () => void;
}

/**
 * Runs generations side by side in steps: every step is one batch, in which each generation reads a slice of its prompt or writes
 * a token. Between steps generations come, go and are aborted, so nothing takes effect later than one step after it was asked.
 * A sequence keeps its cache when its generation is over: the next turn of the conversation finds it there.
 */
export function createBatchLoop({ model, stepTokens, defaults, random, clock }: BatchLoopOptions): BatchLoop {
  const seats: Seat[] = model.sequences.map((sequence) => ({
    sequence,
    isolation: null,
    conversation: null,
    lastUsed: 0,
    job: null,
  }));
  const bounds = { leastTokens: 2 * model.sequences.length, mostTokens: stepTokens };
  let budgetTokens = Math.max(bounds.leastTokens, Math.floor(stepTokens / 2));
  let uses = 0;
  let isRunning = false;

  async function run(): Promise<void> {
    for (;;) {
      const jobs = seats.flatMap(({ job }) => (job === null ? [] : [job]));
      for (const job of jobs.filter(({ isAborted }) => isAborted)) await close(job);
      const live = jobs.filter(({ isAborted }) => !isAborted);
      if (live.length === 0) return;
      const shares = planStep(live.map(wishOf), budgetTokens);
      const startedUs = clock.nowUs();
      const areDone = await Promise.all(live.map((job, at) => advance(job, shares[at] ?? 1)));
      const usedTokens = shares.reduce((sum, share) => sum + share, 0);
      budgetTokens = nextBudget({ budgetTokens, usedTokens, tookMs: (clock.nowUs() - startedUs) / 1000 }, bounds);
      for (const [at, job] of live.entries()) if (areDone[at] === true) await close(job);
    }
  }

  function wake(): void {
    if (isRunning) return;
    isRunning = true;
    // `run` cannot fail: `advance` turns what goes wrong into the end of the one generation that it went wrong for.
    void run().finally(() => {
      isRunning = false;
      if (seats.some(({ job }) => job !== null)) wake();
    });
  }

  async function close(job: Job): Promise<void> {
    await job.writer?.end();
    job.seat.job = null;
    job.request.closed();
  }

  return {
    add(request) {
      invariant(request.tokens.length > 0 && request.tokens.length < model.contextTokens, 'a prompt must fit its sequence');
      const choice = chooseSequence(idleSequences(seats), request);
      const seat = choice === null ? undefined : seats[choice.index];
      invariant(choice !== null && seat !== undefined, 'a generation was added while no sequence was free');
      const job: Job = {
        request,
        seat,
        sampler: samplerFor(request.prompt, defaults, Math.floor(random.next() * 2 ** 32)),
        generation: createGeneration({
          id: `msg_${random.hex(12)}`,
          prompt: request.prompt,
          promptTokens: request.tokens.length,
          contextTokens: model.contextTokens,
          detokenize: (tokens, before) => model.detokenize(tokens, before),
          emit: (event) => {
            if (!job.isAborted) request.emit(event);
          },
        }),
        keep: choice.keep,
        computedBefore: seat.sequence.computedTokens(),
        position: null,
        computed: 0,
        writer: null,
        isAborted: false,
      };
      seat.isolation = request.isolation;
      seat.conversation = request.conversation;
      seat.lastUsed = ++uses;
      seat.job = job;
      wake();
      return () => {
        job.isAborted = true;
      };
    },
  };
}

/** One sequence and who sits on it. */
interface Seat {
  readonly sequence: TokenSequence;
  isolation: string | null;
  conversation: string | null;
  lastUsed: number;
  job: Job | null;
}

interface Job {
  readonly request: BatchRequest;
  readonly seat: Seat;
  readonly sampler: Sampler;
  readonly generation: Generation;
  /** How many of the sequence's tokens stay. */
  readonly keep: number;
  readonly computedBefore: number;
  /** How much of the prompt is in the cache; null until what stays has been cut to size. */
  position: number | null;
  /** What was computed of the prompt, counted at the sequence. */
  computed: number;
  writer: TokenWriter | null;
  isAborted: boolean;
}

function idleSequences(seats: readonly Seat[]): readonly IdleSequence[] {
  return seats.flatMap(({ sequence, isolation, conversation, lastUsed, job }, index) =>
    job === null ? [{ index, tokens: sequence.tokens(), isolation, conversation, lastUsed }] : [],
  );
}

function wishOf({ request, writer, position, keep }: Job): Wish {
  return writer === null ? { kind: 'prefill', left: request.tokens.length - (position ?? keep) } : { kind: 'decode' };
}

/** Moves one generation by one step. Answers whether it is over. */
async function advance(job: Job, share: number): Promise<boolean> {
  const { seat, request, generation, sampler } = job;
  try {
    if (job.position === null) {
      await seat.sequence.truncate(job.keep);
      job.position = job.keep;
      generation.start(job.keep);
    }
    if (job.writer === null) {
      const slice = request.tokens.slice(job.position, job.position + share);
      job.position += slice.length;
      if (job.position < request.tokens.length) {
        await seat.sequence.read(slice);
        return false;
      }
      job.writer = seat.sequence.write(slice, sampler, request.grammar);
      const first = await job.writer.next();
      job.computed = seat.sequence.computedTokens() - job.computedBefore;
      return generation.take(first, cachedTokens(job));
    }
    return generation.take(await job.writer.next(), cachedTokens(job));
  } catch (error) {
    // What is in the cache is unknown now, so nobody may build on it.
    seat.isolation = null;
    await seat.sequence.truncate(0).catch(() => undefined);
    generation.fail({ status: 500, type: 'api_error', message: `the embedded engine failed: ${nameOf(error)}` });
    return true;
  }
}

/** Not what was planned but what was counted: whatever was computed again for any reason is not a cache read. */
function cachedTokens({ request, computed }: Job): number {
  return Math.max(0, request.tokens.length - computed);
}

/** The kind of failure only: a message of the library's might hold content. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown';
}
