// Written by scripts/fit-profile.ts; docs/simulated-engine.md says how. Run `npm run format` after it.
import type { CalibratedProfile } from '#core/simulation';

export const PROFILES = {
  small: {
    about: 'Invented for demonstrations, not measured: first token after about 20 ms, then about 130 tokens a second.',
    source: null,
    assumed: 'All of it.',
    fit: null,
    profile: {
      prefillBaseUs: 15000,
      prefillTokenNs: 30000,
      decodeBaseUs: 7500,
      decodeSequenceNs: 60000,
      decodeContextTokenNs: 20,
      stepTokens: 2048,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 524288,
      contextTokens: 131072,
    },
  },
  'llama2-70b-a100': {
    about: 'Llama 2 70B on eight A100-80GB (tensor parallel).',
    source: {
      origin: 'github.com/Mutinifni/splitwise-sim, data/perf_model.csv, commit 8f99e7d',
      licence: 'MIT',
    },
    assumed: 'stepTokens, maxSequences, blockTokens and contextTokens; capacityTokens from the memory that 16-bit weights leave.',
    fit: {
      prefillTime: {
        points: 9,
        medianRatio: 0.197,
        p90Ratio: 0.326,
      },
      decodeStepTime: {
        points: 19,
        medianRatio: 0.013,
        p90Ratio: 0.042,
      },
    },
    profile: {
      prefillBaseUs: 28606,
      prefillTokenNs: 154497,
      decodeBaseUs: 44072,
      decodeSequenceNs: 189749,
      decodeContextTokenNs: 335,
      stepTokens: 8192,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 1331200,
      contextTokens: 16384,
    },
  },
  'llama2-70b-h100': {
    about: 'Llama 2 70B on eight H100-80GB (tensor parallel).',
    source: {
      origin: 'github.com/Mutinifni/splitwise-sim, data/perf_model.csv, commit 8f99e7d',
      licence: 'MIT',
    },
    assumed: 'stepTokens, maxSequences, blockTokens and contextTokens; capacityTokens from the memory that 16-bit weights leave.',
    fit: {
      prefillTime: {
        points: 9,
        medianRatio: 0.233,
        p90Ratio: 0.37,
      },
      decodeStepTime: {
        points: 19,
        medianRatio: 0.014,
        p90Ratio: 0.05,
      },
    },
    profile: {
      prefillBaseUs: 27577,
      prefillTokenNs: 70992,
      decodeBaseUs: 29889,
      decodeSequenceNs: 199277,
      decodeContextTokenNs: 179,
      stepTokens: 8192,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 1331200,
      contextTokens: 16384,
    },
  },
  'qwen3-32b-h100': {
    about: 'Qwen3 32B, 16 bits, on two H100 SXM (tensor parallel) under vLLM 0.12.0.',
    source: {
      origin: 'github.com/ai-dynamo/aiconfigurator, measured serving points, commit 095f58a',
      licence: 'Apache-2.0',
    },
    assumed:
      'prefillBaseUs (taken equal to decodeBaseUs), stepTokens, maxSequences and blockTokens (vLLM defaults), contextTokens.',
    fit: {
      timePerToken: {
        points: 30,
        medianRatio: 0.054,
        p90Ratio: 0.17,
      },
      timeToFirstToken: {
        points: 30,
        medianRatio: 0.317,
        p90Ratio: 0.996,
      },
    },
    profile: {
      prefillBaseUs: 14048,
      prefillTokenNs: 48952,
      decodeBaseUs: 14048,
      decodeSequenceNs: 62476,
      decodeContextTokenNs: 49,
      stepTokens: 8192,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 280000,
      contextTokens: 40960,
    },
  },
} as const satisfies Readonly<Record<string, CalibratedProfile>>;

export type ProfileName = keyof typeof PROFILES;
