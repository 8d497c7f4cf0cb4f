import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configSchema } from '../../src/contracts/config.ts';
import { limitRuleSchema, tierSchema } from '../../src/contracts/limits.ts';
import { parseConfig } from '../../src/runtime/index.ts';

const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const rowsOf = (part: string): Map<string, string> =>
  new Map([...part.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)].map(([, key = '', value = '']) => [key, value.trim()]));
const [keys = '', rule = '', tier = '', pool = '', model = ''] = page.split(/^### /m).map((part) => part);

test('docs/configuration.md gives every default as the schema has it', () => {
  const parsed = parseConfig('');
  if (!parsed.ok) throw new Error('the empty configuration does not parse');
  for (const [key, said] of rowsOf(keys)) {
    const value = key.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], parsed.value);
    const expected = value === undefined ? 'none' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
    if (key !== 'limits.defaults') expect(`${key}: ${said}`).toBe(`${key}: ${expected}`);
  }
});

test('docs/configuration.md knows every key of the schema, and no other', () => {
  const shape = configSchema.shape;
  const inner = (schema: unknown): Record<string, unknown> => {
    const value = schema as { shape?: Record<string, unknown>; element?: unknown; def?: { innerType?: unknown } };
    return value.shape ?? inner(value.element ?? value.def?.innerType);
  };
  const top = Object.entries(shape).flatMap(([key, schema]) =>
    ['data', 'regions', 'pools', 'models'].includes(key) ? [key] : Object.keys(inner(schema)).map((name) => `${key}.${name}`),
  );
  expect([...rowsOf(keys).keys()].sort()).toEqual(top.sort());
  expect([...rowsOf(rule).keys()].sort()).toEqual(Object.keys(limitRuleSchema.shape).sort());
  expect([...rowsOf(tier).keys()].sort()).toEqual(Object.keys(tierSchema.shape).sort());
  expect([...rowsOf(pool).keys()].sort()).toEqual(Object.keys(inner(shape.pools)).sort());
  expect([...rowsOf(model).keys()].sort()).toEqual(Object.keys(inner(shape.models)).sort());
});
