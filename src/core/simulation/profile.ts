import type { FitError } from './least-squares.ts';

/**
 * How fast a simulated engine is and how much it holds: the few numbers that a calibrated profile has. Integers throughout.
 * `scripts/fit-profile.ts` fits the times to published measurements.
 */
export interface EngineProfile {
  /** Fixed time of a step that computes any prompt tokens, µs. */
  readonly prefillBaseUs: number;
  /** Added for each prompt token computed in the step, ns. */
  readonly prefillTokenNs: number;
  /** Fixed time of a step that decodes, µs: reading the weights once. */
  readonly decodeBaseUs: number;
  /** Added for each sequence that decodes in the step, ns. */
  readonly decodeSequenceNs: number;
  /** Added for each token of context that those sequences attend to, ns: reading their keys and values. */
  readonly decodeContextTokenNs: number;
  /** Most tokens that one step computes, prompt and decoded together (vLLM's `max_num_batched_tokens`), 1 or more. */
  readonly stepTokens: number;
  /** Most sequences that run at once (vLLM's `max_num_seqs`), 1 or more. */
  readonly maxSequences: number;
  /** Tokens in a block of keys and values, 1 or more. */
  readonly blockTokens: number;
  /** Tokens whose keys and values fit in memory, cached and running together; at least `blockTokens`. */
  readonly capacityTokens: number;
  /** Most tokens of prompt and answer together. */
  readonly contextTokens: number;
}

/** A profile and where it comes from, as the file of profiles keeps it. */
export interface CalibratedProfile {
  readonly about: string;
  /** The measurements it was fitted to; null when it was invented. */
  readonly source: { readonly origin: string; readonly licence: string } | null;
  /** Which of the numbers were not fitted. */
  readonly assumed: string;
  /** How far predictions are from those measurements, by what was measured; null when there are none. */
  readonly fit: { readonly [figure: string]: FitError } | null;
  readonly profile: EngineProfile;
}

/** What one step computes. */
export interface StepLoad {
  /** Prompt tokens computed in this step, all sequences together. */
  readonly prefillTokens: number;
  /** Sequences that decode one token each. */
  readonly sequences: number;
  /** Tokens already held by those sequences, together. */
  readonly contextTokens: number;
}

/**
 * How long one step takes.
 *
 * A step that mixes decoding with a chunk of prefill pays the larger of the two fixed costs once (the weights are read once), and
 * everything else adds up: chunked prefill slows the sequences that share the step, as it does in vLLM.
 * @returns whole µs, 1 or more
 */
export function stepUs(profile: EngineProfile, load: StepLoad): number {
  const baseUs = Math.max(load.prefillTokens > 0 ? profile.prefillBaseUs : 0, load.sequences > 0 ? profile.decodeBaseUs : 0);
  const marginalNs =
    load.prefillTokens * profile.prefillTokenNs +
    load.sequences * profile.decodeSequenceNs +
    load.contextTokens * profile.decodeContextTokenNs;
  return Math.max(1, baseUs + Math.round(marginalNs / 1000));
}
