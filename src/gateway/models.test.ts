import { expect, test } from 'vitest';
import { configSchema } from '#contracts/config';
import { describeModels } from './models.ts';
import { buildTopology } from './topology.ts';

const IDS = Array.from({ length: 25 }, (_, index) => `m-${String(index).padStart(2, '0')}`);
const topology = (ids: readonly string[]) =>
  buildTopology(
    configSchema.parse({
      pools: [{ id: 'p', engine: 'simulated' }],
      models: ids.map((id) => ({ id, display_name: `The ${id}`, max_input_tokens: 8192, serve: [{ pool: 'p' }] })),
    }),
    () => [],
  );

const list = (search: string) => {
  const described = describeModels(topology(IDS), {
    dialect: 'anthropic',
    id: null,
    search: new URLSearchParams(search),
    createdAtMs: 0,
  });
  return described.ok
    ? (described.value as { data: { id: string }[]; has_more: boolean; first_id: string | null; last_id: string | null })
    : described.error;
};

test('an Anthropic client can walk all pages forwards and backwards, and sees each model once', () => {
  for (const direction of ['after_id', 'before_id'] as const) {
    const seen: string[] = [];
    let cursor = direction === 'after_id' ? '' : `&before_id=${IDS.at(-1)}`;
    for (let pages = 0; pages < 10; pages++) {
      const page = list(`limit=7${cursor}`);
      if ('code' in page) throw new Error(page.message);
      const ids = page.data.map(({ id }) => id);
      if (direction === 'after_id') seen.push(...ids);
      else seen.unshift(...ids);
      if (!page.has_more) break;
      cursor = `&${direction}=${direction === 'after_id' ? page.last_id : page.first_id}`;
    }
    expect(seen).toEqual(direction === 'after_id' ? IDS : IDS.slice(0, -1));
  }
});

test('a page holds twenty models unless asked otherwise', () => {
  expect(list('')).toMatchObject({ has_more: true, first_id: 'm-00', last_id: 'm-19' });
  expect(list('limit=25')).toMatchObject({ has_more: false });
});

test.each(['limit=0', 'limit=1001', 'limit=1.5', 'limit=x', 'after_id=nope', 'before_id='])('%s is refused', (search) => {
  expect(list(search)).toMatchObject({ code: 'invalid_request' });
});

test('each family sees a model in its own shape', () => {
  const one = (dialect: 'anthropic' | 'openai_chat', id: string) =>
    describeModels(topology(IDS), { dialect, id, search: new URLSearchParams(), createdAtMs: 1_760_000_000_500 });
  expect(one('anthropic', 'm-03')).toEqual({
    ok: true,
    value: {
      type: 'model',
      id: 'm-03',
      display_name: 'The m-03',
      created_at: '2025-10-09T08:53:20.500Z',
      max_input_tokens: 8192,
    },
  });
  expect(one('openai_chat', 'm-03')).toEqual({
    ok: true,
    value: { id: 'm-03', object: 'model', created: 1_760_000_000, owned_by: 'plimsoll' },
  });
  expect(one('openai_chat', 'nope')).toMatchObject({ ok: false, error: { code: 'model_not_found' } });
});

test('a gateway without models has an empty list', () => {
  const described = describeModels(topology([]), {
    dialect: 'anthropic',
    id: null,
    search: new URLSearchParams(),
    createdAtMs: 0,
  });
  expect(described).toEqual({ ok: true, value: { data: [], has_more: false, first_id: null, last_id: null } });
});
