import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRandom } from './full-tree.ts';
import { createZipf } from './zipf.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/traces/azure-llm-2023/', import.meta.url));
const FILES = { chat: 'AzureLLMInferenceTrace_conv.csv', code: 'AzureLLMInferenceTrace_code.csv' } as const;
export type TraceName = keyof typeof FILES;

export interface TracedRequest {
  /** µs since the first. */
  readonly atUs: number;
  readonly output: number;
}

/** One of the two hours of November 2023 that Microsoft published; null where it is not there. */
export function readTrace(name: TraceName): readonly TracedRequest[] | null {
  const file = `${FOLDER}${FILES[name]}`;
  if (!existsSync(file)) return null;
  const rows = readFileSync(file, 'utf8').trim().split(/\r?\n/).slice(1);
  const read = rows.map((row) => {
    const [time = '', , output = ''] = row.split(',');
    // Seven digits of a second: the ms are read as a date, the rest by hand.
    const [seconds = '', fraction = ''] = time.split('.');
    return {
      atUs: Date.parse(`${seconds.replace(' ', 'T')}Z`) * 1000 + Number(fraction.padEnd(7, '0')) / 10,
      output: Number(output),
    };
  });
  const firstUs = Math.floor(read[0]?.atUs ?? 0);
  return read.map(({ atUs, output }) => ({ atUs: Math.floor(atUs) - firstUs, output })).toSorted((a, b) => a.atUs - b.atUs);
}

/** The traces do not say who called: each request is given to a tenant, a few of which call most. */
export function tenantsOf(
  requests: number,
  { tenants, exponent, seed }: { readonly tenants: number; readonly exponent: number; readonly seed: number },
): Uint16Array {
  const random = createRandom(seed);
  const zipf = createZipf(tenants, exponent);
  return Uint16Array.from({ length: requests }, () => zipf(random(2 ** 30) / 2 ** 30));
}
