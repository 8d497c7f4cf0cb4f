import { expect, test } from 'vitest';
import type { Json } from '#contracts/prompt';
import { checkVersion } from './version.ts';

const user = (...content: Json[]): Json => ({ messages: [{ role: 'user', content }] });
const cited = { type: 'text', text: 'x', citations: [{ type: 'char_location' }] };

test.each<[string, Json, string]>([
  ['temperature', { temperature: 1 }, 'temperature: Extra inputs are not permitted'],
  ['top_p', { top_p: null }, 'top_p: Extra inputs are not permitted'],
  ['top_k', { top_k: 0 }, 'top_k: Extra inputs are not permitted'],
  [
    'a document in an assistant message',
    { messages: [{ role: 'assistant', content: [{ type: 'text', text: 'x' }, { type: 'document' }] }] },
    'messages.0.content.1: Document blocks are not permitted in assistant messages',
  ],
  [
    'citations on user text',
    user(cited),
    'messages.0.content.0.citations: Citations are not permitted on text blocks in user messages',
  ],
  [
    'citations in a search result',
    user({ type: 'search_result', content: [cited] }),
    'messages.0.content.0.content.0.citations: Citations are not permitted on text blocks in user messages',
  ],
  [
    'citations in a search result of a tool',
    user({ type: 'tool_result', content: [{ type: 'search_result', content: [cited] }] }),
    'messages.0.content.0.content.0.content.0.citations: Citations are not permitted on text blocks in user messages',
  ],
])('version 2026-10-21 refuses %s, version 2023-06-01 takes it', (_, body, message) => {
  expect(checkVersion('2026-10-21', body)).toMatchObject({ code: 'invalid_request', message });
  expect(checkVersion('2023-06-01', body)).toBeNull();
});

test.each<[string, Json]>([
  ['plain requests', { model: 'm', messages: [{ role: 'user', content: 'hi' }] }],
  ['empty and null citations', user({ ...cited, citations: [] }, { ...cited, citations: null })],
  ['citations sent back in assistant text', { messages: [{ role: 'assistant', content: [cited] }] }],
  ['a document inside a tool result', user({ type: 'tool_result', content: [{ type: 'document' }] })],
  ['bodies that are not requests', [1, 'x', null]],
])('version 2026-10-21 takes %s', (_, body) => {
  expect(checkVersion('2026-10-21', body)).toBeNull();
});

test.each([undefined, '', '2024-01-01', '2023-06-01 '])(
  'a request with the version %o is refused and told which there are',
  (version) => {
    expect(checkVersion(version, {})).toMatchObject({ code: 'invalid_request', param: 'anthropic-version' });
  },
);
