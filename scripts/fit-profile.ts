// Fits the profiles of the simulated engine to published measurements and writes them, with how far the fit is off, to
// src/engines/simulated/profiles.ts. The measurements are not in the repository; docs/simulated-engine.md says where they are.
//   node scripts/fit-profile.ts --splitwise DIR/perf_model.csv --silicon DIR/silicon_sample.csv.gz [--out FILE] [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import {
  type CalibratedProfile,
  createScheduler,
  type EngineProfile,
  type FitError,
  fitError,
  fitNonNegative,
  type Observation,
  predict,
} from '#core/simulation';

const SPLITWISE = {
  origin: 'github.com/Mutinifni/splitwise-sim, data/perf_model.csv, commit 8f99e7d',
  licence: 'MIT',
} as const;
const SILICON = {
  origin: 'github.com/ai-dynamo/aiconfigurator, measured serving points, commit 095f58a',
  licence: 'Apache-2.0',
} as const;

type Row = Readonly<Record<string, string>>;

const { values } = parseArgs({
  options: {
    splitwise: { type: 'string' },
    silicon: { type: 'string' },
    out: { type: 'string', default: 'src/engines/simulated/profiles.ts' },
    check: { type: 'boolean', default: false },
  },
});
if (values.splitwise === undefined || values.silicon === undefined) {
  console.error(
    'usage: node scripts/fit-profile.ts --splitwise perf_model.csv --silicon silicon_sample.csv.gz [--out FILE] [--check]',
  );
  process.exit(2);
}
const splitwise = readCsv(values.splitwise);
const silicon = readCsv(values.silicon);
const profiles: Record<string, CalibratedProfile> = {
  small: small(),
  'llama2-70b-a100': fitSplitwise(splitwise, 'a100-80gb'),
  'llama2-70b-h100': fitSplitwise(splitwise, 'h100-80gb'),
  'qwen3-32b-h100': fitSilicon(silicon),
};
for (const [name, { fit }] of Object.entries(profiles))
  for (const [figure, { points, medianRatio, p90Ratio }] of Object.entries(fit ?? {}))
    console.log(
      `${name.padEnd(16)} ${figure.padEnd(18)} ${points} points, off by ${percent(medianRatio)} at the median, ${percent(p90Ratio)} at p90`,
    );
const file = path.resolve(values.out);
if (values.check) {
  const written = (await import(pathToFileURL(file).href)) as { readonly PROFILES: unknown };
  if (!isDeepStrictEqual(written.PROFILES, profiles)) {
    console.error(`${values.out} is not what these measurements give`);
    process.exit(1);
  }
} else
  writeFileSync(
    file,
    `// Written by scripts/fit-profile.ts; docs/simulated-engine.md says how. Run \`npm run format\` after it.
import type { CalibratedProfile } from '#core/simulation';

export const PROFILES = ${JSON.stringify(profiles, null, 2)} as const satisfies Readonly<Record<string, CalibratedProfile>>;

export type ProfileName = keyof typeof PROFILES;
`,
  );

function small(): CalibratedProfile {
  return {
    about: 'Invented for demonstrations, not measured: first token after about 20 ms, then about 130 tokens a second.',
    source: null,
    assumed: 'All of it.',
    fit: null,
    profile: {
      prefillBaseUs: 15_000,
      prefillTokenNs: 30_000,
      decodeBaseUs: 7500,
      decodeSequenceNs: 60_000,
      decodeContextTokenNs: 20,
      stepTokens: 2048,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 524_288,
      contextTokens: 131_072,
    },
  };
}

/** Llama 2 70B over eight accelerators: prompts alone, and batches of equal sequences that decode. */
function fitSplitwise(rows: readonly Row[], hardware: string): CalibratedProfile {
  const points = rows.filter(
    (row) => row['model'] === 'llama2-70b' && row['hardware'] === hardware && row['tensor_parallel'] === '8',
  );
  const prefill = medians(points, 'prompt_time', ({ batch, prompt }) => [1, batch * prompt]);
  const decode = medians(points, 'token_time', ({ batch, prompt, tokens }) => [1, batch, batch * (prompt + tokens / 2)]);
  const [prefillBaseUs = 0, prefillTokenUs = 0] = fitNonNegative(prefill);
  const [decodeBaseUs = 0, sequenceUs = 0, contextUs = 0] = fitNonNegative(decode);
  return {
    about: `Llama 2 70B on eight ${hardware.toUpperCase()} (tensor parallel).`,
    source: SPLITWISE,
    assumed: 'stepTokens, maxSequences, blockTokens and contextTokens; capacityTokens from the memory that 16-bit weights leave.',
    fit: {
      prefillTime: errorOf(prefill, [prefillBaseUs, prefillTokenUs]),
      decodeStepTime: errorOf(decode, [decodeBaseUs, sequenceUs, contextUs]),
    },
    profile: {
      prefillBaseUs: Math.round(prefillBaseUs),
      prefillTokenNs: Math.round(prefillTokenUs * 1000),
      decodeBaseUs: Math.round(decodeBaseUs),
      decodeSequenceNs: Math.round(sequenceUs * 1000),
      decodeContextTokenNs: Math.round(contextUs * 1000),
      stepTokens: 8192,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens: 1_331_200,
      contextTokens: 16_384,
    },
  };
}

/** The median of each repeated measurement, in µs, so that what was measured most often does not weigh most. */
function medians(
  rows: readonly Row[],
  column: 'prompt_time' | 'token_time',
  termsOf: (load: { readonly batch: number; readonly prompt: number; readonly tokens: number }) => readonly number[],
): readonly Observation[] {
  const groups = Map.groupBy(rows, (row) =>
    JSON.stringify(termsOf({ batch: int(row, 'batch_size'), prompt: int(row, 'prompt_size'), tokens: int(row, 'token_size') })),
  );
  return [...groups].map(([terms, group]) => {
    const times = group.map((row) => float(row, column) * 1000).toSorted((a, b) => a - b);
    return { terms: JSON.parse(terms) as number[], measured: times[Math.floor((times.length - 1) / 2)] ?? 0 };
  });
}

/**
 * Qwen3 32B, 16 bits, on two H100 under vLLM 0.12.0: mean times of a server kept at a fixed number of requests. In such a steady
 * state each decode step carries, on average, `batch × input ÷ output` prompt tokens of newcomers; that makes the mean time
 * between tokens a sum of the profile's terms. The errors are those of the scheduler run in the same closed loop.
 */
function fitSilicon(rows: readonly Row[]): CalibratedProfile {
  const points = rows
    .filter((row) => row['model_path'] === 'Qwen/Qwen3-32B' && row['system'] === 'h100_sxm' && row['backend'] === 'vllm')
    .filter((row) => row['backend_version'] === '0.12.0' && row['tp_size'] === '2' && row['precision'] === '')
    .map((row) => ({
      input: int(row, 'isl'),
      output: int(row, 'osl'),
      concurrency: float(row, 'silicon_concurrency'),
      firstTokenMs: float(row, 'silicon_ttft_ms'),
      perTokenMs: float(row, 'silicon_tpot_ms'),
    }));
  const candidates = [260_000, 280_000, 300_000, 320_000].map((capacityTokens) => {
    const fitting = points.filter((point) => point.concurrency * (point.input + point.output) <= capacityTokens);
    const [decodeBaseUs = 0, sequenceUs = 0, contextUs = 0, prefillTokenUs = 0] = fitNonNegative(
      fitting.map(({ input, output, concurrency, perTokenMs }) => ({
        terms: [1, concurrency, concurrency * (input + output / 2), (concurrency * input) / output],
        measured: perTokenMs * 1000,
      })),
    );
    const profile: EngineProfile = {
      prefillBaseUs: Math.round(decodeBaseUs),
      prefillTokenNs: Math.round(prefillTokenUs * 1000),
      decodeBaseUs: Math.round(decodeBaseUs),
      decodeSequenceNs: Math.round(sequenceUs * 1000),
      decodeContextTokenNs: Math.round(contextUs * 1000),
      stepTokens: 8192,
      maxSequences: 256,
      blockTokens: 16,
      capacityTokens,
      contextTokens: 40_960,
    };
    const simulated = points.map((point) => ({ point, run: closedLoop(profile, point) }));
    return {
      profile,
      timePerToken: fitError(simulated.map(({ point, run }) => ({ predicted: run.perTokenMs, measured: point.perTokenMs }))),
      timeToFirstToken: fitError(
        simulated.map(({ point, run }) => ({ predicted: run.firstTokenMs, measured: point.firstTokenMs })),
      ),
    };
  });
  const [best] = candidates.toSorted((a, b) => loss(a) - loss(b));
  if (best === undefined) throw new Error('no candidate');
  return {
    about: 'Qwen3 32B, 16 bits, on two H100 SXM (tensor parallel) under vLLM 0.12.0.',
    source: SILICON,
    assumed:
      'prefillBaseUs (taken equal to decodeBaseUs), stepTokens, maxSequences and blockTokens (vLLM defaults), contextTokens.',
    fit: { timePerToken: best.timePerToken, timeToFirstToken: best.timeToFirstToken },
    profile: best.profile,
  };
}

function loss(one: { readonly timePerToken: FitError; readonly timeToFirstToken: FitError }): number {
  return one.timePerToken.medianRatio + one.timeToFirstToken.medianRatio;
}

/** Runs the scheduler with a fixed number of requests in flight, ten rounds of them, and takes means as the benchmark does. */
function closedLoop(
  profile: EngineProfile,
  load: { readonly input: number; readonly output: number; readonly concurrency: number },
) {
  const scheduler = createScheduler(profile);
  const total = load.concurrency * 10;
  const starts = new Map<number, { readonly addedUs: number; firstUs: number }>();
  let nowUs = 0;
  let added = 0;
  let firstUs = 0;
  let decodeUs = 0;
  const add = (): void => {
    if (added === total) return;
    const id = (added += 1);
    starts.set(id, { addedUs: nowUs, firstUs: 0 });
    scheduler.add({ id, promptTokens: load.input, outputTokens: load.output, blockKey: (index) => `${id}/${index}` });
  };
  for (let count = 0; count < load.concurrency; count += 1) add();
  for (let durationUs = scheduler.begin(); durationUs !== null; durationUs = scheduler.begin()) {
    nowUs += durationUs;
    for (const { id, outputTokens, isFinished } of scheduler.finish()) {
      const start = starts.get(id);
      if (start === undefined) continue;
      if (outputTokens === 1) {
        start.firstUs = nowUs;
        firstUs += nowUs - start.addedUs;
      }
      if (!isFinished) continue;
      decodeUs += (nowUs - start.firstUs) / (load.output - 1);
      starts.delete(id);
      add();
    }
  }
  return { firstTokenMs: firstUs / total / 1000, perTokenMs: decodeUs / total / 1000 };
}

function errorOf(points: readonly Observation[], weights: readonly number[]): FitError {
  return fitError(points.map(({ terms, measured }) => ({ predicted: predict(weights, terms), measured })));
}

function readCsv(file: string): readonly Row[] {
  const bytes = readFileSync(file);
  const [head = '', ...lines] = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').trim().split(/\r?\n/);
  const names = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']));
  });
}

function int(row: Row, name: string): number {
  return Number.parseInt(row[name] ?? '', 10);
}

function float(row: Row, name: string): number {
  return Number.parseFloat(row[name] ?? '');
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
