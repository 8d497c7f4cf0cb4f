import type { AnswerError, AnswerEvent } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import type { SamplerDefaults } from './sampler.ts';

/** How a model is loaded. */
export interface LoadOptions {
  readonly modelPath: string;
  /** Most tokens of one conversation, prompt and answer together; never more than the model was trained on. */
  readonly contextTokens: number;
  /** Generations side by side. */
  readonly parallel: number;
  /** Most tokens in one batch, at least four times `parallel`. */
  readonly stepTokens: number;
  readonly threads: number;
  readonly defaults: SamplerDefaults;
}

/** Why there is no model, for operators: the message may hold a path. */
export interface LoadFailure {
  readonly kind: 'model_missing' | 'library_missing' | 'load_failed';
  readonly message: string;
}

/** What the gateway's process says to the model's. */
export type ToModel =
  | { readonly kind: 'load'; readonly options: LoadOptions }
  | {
      readonly kind: 'generate';
      readonly id: number;
      readonly prompt: Prompt;
      readonly isolation: string;
      readonly conversation: string | null;
    }
  | { readonly kind: 'count'; readonly id: number; readonly prompt: Prompt }
  | { readonly kind: 'abort'; readonly id: number };

/** What the model's process says to the gateway's. */
export type FromModel =
  | { readonly kind: 'ready'; readonly contextTokens: number }
  | { readonly kind: 'unloadable'; readonly failure: LoadFailure }
  | { readonly kind: 'event'; readonly id: number; readonly event: AnswerEvent }
  /** Nothing more comes for this generation, and its sequence is free again. */
  | { readonly kind: 'closed'; readonly id: number }
  | { readonly kind: 'counted'; readonly id: number; readonly tokens: number }
  | { readonly kind: 'uncountable'; readonly id: number; readonly error: AnswerError };
