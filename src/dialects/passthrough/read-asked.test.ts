import { expect, test } from 'vitest';
import type { Dialect, Operation } from '#contracts/record';
import { scanJson } from '../scan/json-scanner.ts';
import { ASKED_FIELDS, readAsked } from './read-asked.ts';

const OPERATIONS: Readonly<Record<Dialect, Operation>> = {
  anthropic: 'messages',
  openai_chat: 'chat_completions',
  openai_responses: 'responses',
};

function read(dialect: Dialect, body: object | string, operation = OPERATIONS[dialect]) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const bytes = new TextEncoder().encode(text);
  const scanned = scanJson(bytes, { depthMax: 64, valuesMax: 10_000, wanted: ASKED_FIELDS });
  if (scanned.kind !== 'fields') throw new Error(scanned.kind);
  return readAsked(dialect, operation, scanned.fields, ({ start, end }) => new TextDecoder().decode(bytes.subarray(start, end)));
}

const messages = { model: 'harbor-1', max_tokens: 8, messages: [] };

test('what a gateway acts on is read, and defaults are what the APIs say', () => {
  expect(read('anthropic', messages)).toEqual({
    ok: true,
    value: {
      model: 'harbor-1',
      isStream: false,
      endUser: null,
      conversations: [],
      streamOptions: undefined,
      maxOutputTokens: 8,
      usesTools: false,
      sampling: [],
    },
  });
  expect(
    read('openai_chat', {
      ...messages,
      stream: true,
      user: 'old',
      safety_identifier: 'new',
      stream_options: { include_usage: true },
    }),
  ).toMatchObject({
    value: { isStream: true, endUser: 'new', streamOptions: { include_usage: true } },
  });
  expect(read('anthropic', { ...messages, top_k: 1, temperature: 0, metadata: { user_id: 'u' } })).toMatchObject({
    value: { endUser: 'u', sampling: ['temperature', 'top_k'] },
  });
});

test('a conversation is found wherever a client may name it', () => {
  const conversations = (dialect: Dialect, more: object) => {
    const asked = read(dialect, { ...messages, input: 'x', ...more });
    return asked.ok ? asked.value.conversations : asked.error.message;
  };
  expect(conversations('anthropic', { metadata: { conversation_id: 'a' }, prompt_cache_key: 'not of this dialect' })).toEqual([
    { field: 'metadata.conversation_id', id: 'a' },
  ]);
  expect(conversations('openai_chat', { prompt_cache_key: 'k' })).toEqual([{ field: 'prompt_cache_key', id: 'k' }]);
  expect(conversations('openai_responses', { conversation: 'c' })).toEqual([{ field: 'conversation', id: 'c' }]);
  expect(conversations('openai_responses', { conversation: { id: 'c' }, metadata: { conversation_id: '' } })).toEqual([
    { field: 'conversation', id: 'c' },
  ]);
  expect(conversations('openai_chat', { prompt_cache_key: 'k'.repeat(257) })).toBe('prompt_cache_key: at most 256 characters');
});

test.each<[Dialect, object, string]>([
  ['anthropic', { ...messages, model: undefined }, 'model'],
  ['anthropic', { ...messages, model: '' }, 'model'],
  ['anthropic', { ...messages, model: 7 }, 'model'],
  ['anthropic', { ...messages, model: null }, 'model'],
  ['anthropic', { ...messages, model: 'm'.repeat(257) }, 'model'],
  ['anthropic', { ...messages, max_tokens: undefined }, 'max_tokens'],
  ['anthropic', { ...messages, max_tokens: -1 }, 'max_tokens'],
  ['anthropic', { ...messages, max_tokens: 1.5 }, 'max_tokens'],
  ['anthropic', { ...messages, max_tokens: '8' }, 'max_tokens'],
  ['anthropic', { ...messages, stream: 'true' }, 'stream'],
  ['anthropic', { ...messages, messages: {} }, 'messages'],
  ['anthropic', { ...messages, metadata: [] }, 'metadata'],
  ['openai_chat', { model: 'harbor-1' }, 'messages'],
  ['openai_chat', { ...messages, stream_options: true }, 'stream_options'],
  ['openai_chat', { ...messages, stream_options: { pad: 'x'.repeat(70_000) } }, 'stream_options'],
  ['openai_responses', { model: 'harbor-1' }, 'input'],
])('%s: %j is refused by the name of the field', (dialect, body, param) => {
  const asked = read(dialect, body);
  expect(asked).toMatchObject({ ok: false, error: { code: 'invalid_request', param } });
});

test('counting tokens needs no max_tokens and never streams', () => {
  expect(read('anthropic', { model: 'harbor-1', messages: [], stream: true }, 'count_tokens')).toMatchObject({
    value: { isStream: false },
  });
});
