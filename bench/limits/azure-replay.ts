import { formatNumber, formatTable } from '../report/table.ts';
import { readTrace, tenantsOf, type TracedRequest, type TraceName } from './azure-trace.ts';
import type { Part } from './part.ts';
import { replay, type ReplayFigures, type ReplayOptions } from './replay.ts';

const TENANTS = 200;
const EXPONENT = 1;
const SEEDS = [1, 2, 3, 4, 5];
const MODES: readonly (Pick<ReplayOptions, 'output' | 'maxTokens'> & { readonly name: string })[] = [
  { name: 'metered as it streams', output: 'metered', maxTokens: 4_096 },
  { name: 'reserved at a learned quantile (0.9)', output: 'quantile', maxTokens: 4_096 },
  { name: 'reserved at max_tokens, 2,048', output: 'max_tokens', maxTokens: 2_048 },
  { name: 'reserved at max_tokens, 4,096', output: 'max_tokens', maxTokens: 4_096 },
];

/** How well each way of reserving output fits real traffic. No clock and no chance: it prints the same each time. */
export function replayAzure(): Promise<Part> {
  const lines = (['chat', 'code'] as const).flatMap((name) => {
    const requests = readTrace(name);
    return requests === null ? [`  ${name}: skipped, ../shared/traces/azure-llm-2023 is not there`] : linesOf(name, requests);
  });
  return Promise.resolve({
    title: `reservation accuracy: the Azure traces of 2023, ${TENANTS} tenants of Zipf ${EXPONENT}, seeds ${SEEDS.join(', ')}`,
    lines: [
      '  One rule: output tokens a minute and tenant, the same for all tenants, at half of what the largest sends in a mean minute',
      '  ("tight"), or at twice that ("roomy"), burst one window. Streams begin after 0.5 s and make 50 tokens a second; what is refused',
      '  does not come again. Refused wrongly: an oracle that knows outputs would have let it in, after the same requests.',
      '  Beyond the limit: tokens that streamed while their tenant was over it, and the furthest that any tenant ever was.',
      ...lines,
    ],
  });
}

function linesOf(name: TraceName, requests: readonly TracedRequest[]): readonly string[] {
  const minutes = (requests.at(-1)?.atUs ?? 0) / 60e6;
  const tokens = requests.reduce((sum, { output }) => sum + output, 0);
  const largest = tokens / minutes / harmonic(TENANTS);
  const header = [
    '',
    'admitted',
    'refused',
    'reserved ÷ used',
    'refused wrongly',
    'of all',
    'beyond, of used',
    'furthest, of limit',
  ];
  return [['tight', 0.5] as const, ['roomy', 2] as const].flatMap(([what, factor]) => {
    const limit = roundTo2(largest * factor);
    const rows = MODES.map(({ name: mode, output, maxTokens }) => {
      const runs = SEEDS.map((seed) =>
        replay({
          requests,
          tenants: tenantsOf(requests.length, { tenants: TENANTS, exponent: EXPONENT, seed }),
          tenantCount: TENANTS,
          output,
          limit,
          maxTokens,
        }),
      );
      const sum = (figure: keyof ReplayFigures): number => runs.reduce((total, run) => total + run[figure], 0);
      const furthest = Math.max(...runs.map(({ beyondMax }) => beyondMax));
      return [
        mode,
        formatNumber(sum('admitted')),
        formatNumber(sum('refused')),
        (sum('reserved') / sum('used')).toFixed(2),
        formatNumber(sum('refusedWrongly')),
        percent(sum('refusedWrongly') / (requests.length * SEEDS.length)),
        percent(sum('beyond') / sum('used')),
        percent(furthest / limit),
      ];
    });
    const title = `  ${name}, ${what}: ${formatNumber(requests.length)} requests × ${SEEDS.length} seeds, limit ${formatNumber(limit)} output tokens a minute`;
    return ['', title, ...formatTable(header, rows)];
  });
}

function harmonic(count: number): number {
  let sum = 0;
  for (let at = 1; at <= count; at++) sum += at ** -EXPONENT;
  return sum;
}

/** To two digits, as people set limits. */
const roundTo2 = (value: number): number => Number(value.toPrecision(2));
const percent = (ratio: number): string => `${(ratio * 100).toFixed(ratio < 0.0995 ? 2 : 1)} %`;
