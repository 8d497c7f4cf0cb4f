import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REFUSALS } from '../../src/contracts/errors.ts';

test('docs/errors.md says of every code what the table in the code says, and knows no other', () => {
  const rows = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').matchAll(
    /^\| `(\w+)` \| (\d{3})[^|]*\| (\w+) \| (yes|no) \|/gm,
  );
  const documented = [...rows].map(([, code, status, fault, retry]) => ({
    code,
    status: Number(status),
    fault,
    retry: retry === 'yes',
  }));
  const table = Object.entries(REFUSALS).map(([code, row]) => ({ code, ...row }));
  const byCode = (a: { code: string | undefined }, b: { code: string | undefined }) =>
    String(a.code).localeCompare(String(b.code));
  expect(documented.sort(byCode)).toEqual(table.sort(byCode));
});
