import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRows } from './litellm-rows.ts';
import { keyRow, readTable } from './litellm-tables.ts';

const hash = 'ab'.repeat(32);

test('the same rows are read from JSON lines, from a JSON array and from CSV', () => {
  const rows = [
    { token: 'a', models: '{x}' },
    { token: 'b', models: null },
  ];
  expect(readRows(rows.map((row) => JSON.stringify(row)).join('\n'))).toEqual({ ok: true, value: rows });
  expect(readRows(JSON.stringify(rows, null, 2))).toEqual({ ok: true, value: rows });
  expect(readRows('token,models\na,{x}\nb,\n')).toEqual({ ok: true, value: rows });
  expect(readRows('token,models\r\na,{x}\r\nb,\r\n')).toEqual({ ok: true, value: rows });
});

test('CSV tells a NULL from an empty text', () => {
  expect(readRows('a,b,c\n,"",x\n')).toEqual({ ok: true, value: [{ a: null, b: '', c: 'x' }] });
  expect(readRows('a,b\nx,')).toEqual({ ok: true, value: [{ a: 'x', b: null }] });
});

test('whatever text stands in a field comes out of CSV as it went in', () => {
  const quote = (field: string | null): string => (field === null ? '' : `"${field.replaceAll('"', '""')}"`);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.option(fc.string({ unit: 'grapheme' })), fc.option(fc.string()), fc.option(fc.string()))),
      (lines) => {
        const csv = ['a,b,c', ...lines.map((line) => line.map(quote).join(','))].map((line) => `${line}\n`).join('');
        expect(readRows(csv)).toEqual({ ok: true, value: lines.map(([a, b, c]) => ({ a, b, c })) });
      },
    ),
  );
});

test.each([
  ['{"token":"a"}\nnot json', 'line 2 is not a JSON object'],
  ['[1]', 'element 1 is not an object'],
  ['[', 'none'],
  ['a,b\n1', 'record 2 has 1 fields'],
  ['a\n"open', 'never closed'],
  ['a,b\n"x"y,z', 'record 2 has text after a closing quote'],
])('%j is refused by its line, without what stands there', (text, because) => {
  expect(readRows(text)).toEqual({ ok: false, error: expect.stringContaining(because) });
});

test('columns mean the same in JSON and in CSV: flags, arrays, times without a zone, JSON inside text', () => {
  const json = {
    token: hash,
    key_name: 'sk-...wxyz',
    expires: '2026-03-01T10:00:00.5',
    models: ['gpt-4o', 'a "b", c'],
    aliases: { fast: 'gpt-4o-mini' },
    // LiteLLM writes json.dumps(…) into some JSONB columns: a JSON string that holds JSON.
    metadata: '{"tags":["x"]}',
    blocked: null,
    tpm_limit: 5000,
    max_budget: 12.5,
  };
  const csv = [
    'token,key_name,expires,models,aliases,metadata,blocked,tpm_limit,max_budget',
    `${hash},sk-...wxyz,2026-03-01 10:00:00.5,"{gpt-4o,""a \\""b\\"", c""}","{""fast"": ""gpt-4o-mini""}","""{\\""tags\\"":[\\""x\\""]}""",,5000,12.5`,
  ].join('\n');
  const read = [JSON.stringify(json), csv].map((text) => {
    const rows = readRows(text);
    return rows.ok ? readTable(rows.value, keyRow) : rows.error;
  });
  expect(read[0]).toEqual(read[1]);
  expect(read[0]).toMatchObject({
    unread: [],
    rows: [
      {
        expires: Date.UTC(2026, 2, 1, 10, 0, 0, 500),
        models: ['gpt-4o', 'a "b", c'],
        aliases: { fast: 'gpt-4o-mini' },
        metadata: { tags: ['x'] },
        blocked: false,
        tpm_limit: 5000,
        max_budget: 12.5,
        rpm_limit: null,
      },
    ],
  });
});

test.each([
  ['2026-03-01', Date.UTC(2026, 2, 1)],
  ['2026-03-01 10:00:00', Date.UTC(2026, 2, 1, 10)],
  ['2026-03-01T10:00:00.123', Date.UTC(2026, 2, 1, 10, 0, 0, 123)],
  ['2026-03-01T10:00:00Z', Date.UTC(2026, 2, 1, 10)],
  ['2026-03-01 10:00:00+00', Date.UTC(2026, 2, 1, 10)],
  ['2026-03-01 10:00:00+05:30', Date.UTC(2026, 2, 1, 4, 30)],
  ['', null],
])('the time %j is read as UTC unless it says otherwise', (expires, ms) => {
  expect(readTable([{ token: hash, expires }], keyRow).rows[0]?.expires).toBe(ms);
});

test('a row that is not one of the table is named by number and column, never by value', () => {
  const { rows, unread } = readTable([{ token: hash }, { token: 7, expires: 'soon' }], keyRow);
  expect(rows).toHaveLength(1);
  expect(unread).toEqual([{ row: 2, because: expect.stringContaining('token, expires') }]);
  expect(JSON.stringify(unread)).not.toContain('soon');
});
