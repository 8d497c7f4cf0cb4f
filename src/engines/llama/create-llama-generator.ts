import os from 'node:os';
import path from 'node:path';
import type { Clock } from '#contracts/clock';
import type { ModelStatus } from './model-process.ts';
import { createProcessGenerator, type LlamaGenerator } from './process-generator.ts';
import { SAMPLER_DEFAULTS, type SamplerDefaults } from './sampler.ts';

export interface LlamaOptions {
  /** The GGUF file. */
  readonly modelPath: string;
  readonly clock: Clock;
  /** Most tokens of one conversation, prompt and answer together; 4,096 by default, never more than the model was trained on. */
  readonly contextTokens?: number;
  /** Requests answered side by side, 1 to 32, each with a cache of its own; 4 by default. */
  readonly parallel?: number;
  /** Requests that may wait for one of those places; 64 by default. */
  readonly queueMax?: number;
  /** Threads to compute with; by default one less than there are processors, at most 8: see {@link threadsFor}. */
  readonly threads?: number;
  /** What a request that says nothing about sampling gets. */
  readonly defaults?: SamplerDefaults;
  /** Told of every change, for logs and readiness; messages may hold a path, never content. */
  readonly onStatus?: (status: ModelStatus) => void;
}

/** The largest batch; how much of it a step uses is decided by how long steps take. */
const STEP_TOKENS_MAX = 128;

/**
 * A model under llama.cpp, in a process of its own: whatever it computes, and however it ends, the gateway's event loop does not
 * feel it. The process is started now and restarted when it ends; requests wait (within bounds) while it loads.
 */
export function createLlamaGenerator(options: LlamaOptions): LlamaGenerator {
  const { modelPath, clock, contextTokens = 4096, parallel = 4, queueMax = 64, onStatus } = options;
  return createProcessGenerator({
    entry: new URL(`./llama-process${path.extname(import.meta.url)}`, import.meta.url),
    load: {
      modelPath,
      contextTokens,
      parallel,
      threads: options.threads ?? threadsFor(os.availableParallelism()),
      stepTokens: Math.max(STEP_TOKENS_MAX, 4 * parallel),
      defaults: options.defaults ?? SAMPLER_DEFAULTS,
    },
    clock,
    queueMax,
    onStatus: onStatus ?? (() => undefined),
  });
}

/**
 * llama.cpp's threads wait for each other by spinning. With more of them than free processors every batch waits for a thread that
 * is not running: 4 threads on 2 busy processors were seen to take 4 s a token where 1 thread takes 10 ms. So one processor is
 * left to the gateway.
 */
function threadsFor(processors: number): number {
  return Math.min(8, Math.max(1, processors - 1));
}
