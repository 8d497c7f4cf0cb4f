import type { Attributes } from '@opentelemetry/api';
import type { HistogramMetricData } from '@opentelemetry/sdk-metrics';
import type { UsageRecord } from '#contracts/record';
import type { Serving } from './serving.ts';
import { operationName, toHrTime } from './spans-of.ts';

/**
 * The histograms of the GenAI conventions over all requests, sampled or not, added up since the start. They are kept here and
 * not by the SDK's meter, because that makes a key of its attributes at every recording: five of them cost a request 5 µs, this
 * costs 0.4 µs, and the request path is what the product is judged by.
 */
export interface Histograms {
  record(record: UsageRecord): void;
  collect(nowMs: number): HistogramMetricData[];
}

/** Names, units and bucket boundaries as the conventions advise (development status, read in November 2026). */
const INSTRUMENTS = {
  duration: {
    name: 'gen_ai.server.request.duration',
    description: 'Generative AI server request duration such as time-to-last byte or last output token.',
    unit: 's',
    boundaries: [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
  },
  firstToken: {
    name: 'gen_ai.server.time_to_first_token',
    description: 'Time to generate first token for successful responses.',
    unit: 's',
    boundaries: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
  perToken: {
    name: 'gen_ai.server.time_per_output_token',
    description: 'Time per output token generated after the first token for successful responses.',
    unit: 's',
    boundaries: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
  },
  tokens: {
    name: 'gen_ai.client.token.usage',
    description: 'Number of input and output tokens used.',
    unit: '{token}',
    boundaries: [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864],
  },
} as const;
type InstrumentName = keyof typeof INSTRUMENTS;

/** Of one way a request can end, for one model: what it is called and how it went. */
interface OutcomeSeries {
  readonly attributes: Attributes;
  readonly duration: Accumulator;
}
/** Of one model as one provider serves it. */
interface ModelSeries {
  readonly attributes: Attributes;
  readonly firstToken: Accumulator;
  readonly perToken: Accumulator;
  readonly input: Accumulator;
  readonly output: Accumulator;
}

/** Series of one instrument. Models are those of the configuration, but configurations are reloaded. */
const SERIES_MAX = 2000;
const OVERFLOW = 'overflow';

/** The values that the SDK's enums have, given by whoever has loaded it. */
export interface HistogramTypes {
  readonly histogram: HistogramMetricData['dataPointType'];
  readonly cumulative: HistogramMetricData['aggregationTemporality'];
  readonly double: HistogramMetricData['descriptor']['valueType'];
}

export function createHistograms(serving: () => Serving, types: HistogramTypes, startMs: number): Histograms {
  const models = new Map<string, ModelSeries>();
  const outcomes = new Map<string, OutcomeSeries>();

  const seriesOf = (record: UsageRecord): { readonly model: ModelSeries; readonly outcome: OutcomeSeries } => {
    const provider = serving().provider(record.pool, record.dialect);
    const modelKey = `${provider} ${record.operation === 'count_tokens'} ${record.model}`;
    const attributes = (): Attributes => ({
      'gen_ai.operation.name': operationName(record.operation),
      'gen_ai.provider.name': provider,
      ...(record.model === null ? {} : { 'gen_ai.request.model': record.model }),
    });
    return {
      model: bounded(models, modelKey, (isOverflow) => ({
        attributes: isOverflow ? { 'otel.metric.overflow': true } : attributes(),
        firstToken: newAccumulator('firstToken'),
        perToken: newAccumulator('perToken'),
        input: newAccumulator('tokens'),
        output: newAccumulator('tokens'),
      })),
      outcome: bounded(outcomes, `${record.outcome} ${record.code} ${modelKey}`, (isOverflow) => ({
        attributes: isOverflow
          ? { 'otel.metric.overflow': true }
          : {
              ...attributes(),
              'plimsoll.outcome': record.outcome,
              ...(record.outcome === 'answered' ? {} : { 'error.type': record.code ?? record.outcome }),
            },
        duration: newAccumulator('duration'),
      })),
    };
  };

  return {
    record(record) {
      const { tokens, firstContentUs, durationUs } = record;
      const { model, outcome } = seriesOf(record);
      add(outcome.duration, durationUs / 1e6);
      if (!tokens.estimated) {
        // Tokens that we counted ourselves are no usage that anyone reported, and the conventions ask for nothing else.
        const input = tokens.input + tokens.cacheRead + tokens.cacheWrite;
        if (input > 0) add(model.input, input);
        if (tokens.output > 0) add(model.output, tokens.output);
      }
      // A whole answer has no first token that anyone saw.
      if (record.outcome !== 'answered' || !record.streamed || firstContentUs === null) return;
      add(model.firstToken, firstContentUs / 1e6);
      if (tokens.output > 1 && !tokens.estimated) add(model.perToken, (durationUs - firstContentUs) / 1e6 / (tokens.output - 1));
    },
    collect(nowMs) {
      const startTime = toHrTime(startMs * 1000);
      const endTime = toHrTime(nowMs * 1000);
      const metric = (
        instrument: InstrumentName,
        series: readonly { readonly attributes: Attributes; readonly accumulator: Accumulator }[],
      ): HistogramMetricData => {
        const { name, description, unit, boundaries } = INSTRUMENTS[instrument];
        return {
          descriptor: { name, description, unit, valueType: types.double },
          aggregationTemporality: types.cumulative,
          dataPointType: types.histogram as 0,
          dataPoints: series
            .filter(({ accumulator }) => accumulator.count > 0)
            .map(({ attributes, accumulator: { counts, count, sum, min, max } }) => ({
              startTime,
              endTime,
              attributes,
              value: { buckets: { boundaries: [...boundaries], counts: [...counts] }, count, sum, min, max },
            })),
        };
      };
      const ofModels = [...models.values()];
      return [
        metric(
          'duration',
          [...outcomes.values()].map(({ attributes, duration }) => ({ attributes, accumulator: duration })),
        ),
        metric(
          'firstToken',
          ofModels.map(({ attributes, firstToken }) => ({ attributes, accumulator: firstToken })),
        ),
        metric(
          'perToken',
          ofModels.map(({ attributes, perToken }) => ({ attributes, accumulator: perToken })),
        ),
        metric(
          'tokens',
          ofModels.flatMap(({ attributes, input, output }) => [
            { attributes: { ...attributes, 'gen_ai.token.type': 'input' }, accumulator: input },
            { attributes: { ...attributes, 'gen_ai.token.type': 'output' }, accumulator: output },
          ]),
        ),
      ].filter(({ dataPoints }) => dataPoints.length > 0);
    },
  };
}

/** The series of `key`; past the bound, the one that takes all others. */
function bounded<T>(series: Map<string, T>, key: string, make: (isOverflow: boolean) => T): T {
  const known = series.get(key);
  if (known !== undefined) return known;
  const isOverflow = series.size >= SERIES_MAX;
  const made = (isOverflow ? series.get(OVERFLOW) : undefined) ?? make(isOverflow);
  series.set(isOverflow ? OVERFLOW : key, made);
  return made;
}

interface Accumulator {
  readonly boundaries: readonly number[];
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

function newAccumulator(instrument: InstrumentName): Accumulator {
  const { boundaries } = INSTRUMENTS[instrument];
  const counts = Array.from({ length: boundaries.length + 1 }, () => 0);
  return { boundaries, counts, count: 0, sum: 0, min: Infinity, max: -Infinity };
}

function add(to: Accumulator, value: number): void {
  const { boundaries, counts } = to;
  let bucket = 0;
  while (bucket < boundaries.length && value > (boundaries[bucket] as number)) bucket++;
  counts[bucket] = (counts[bucket] as number) + 1;
  to.count++;
  to.sum += value;
  if (value < to.min) to.min = value;
  if (value > to.max) to.max = value;
}
