import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dialect } from '#contracts/record';
import { anthropicCodec } from './anthropic/codec.ts';
import { anthropicSayable } from './anthropic/sayable.conformance.ts';
import type { Codec, WriterOptions } from './codec.ts';
import { lawBroken, readStream, writeStream } from './codec.conformance.ts';
import { openaiChatCodec } from './openai-chat/codec.ts';
import { chatSayable } from './openai-chat/sayable.conformance.ts';
import { responsesCodec } from './responses/responses-codec.ts';
import { answers, anyJson, prompts, type Sayable } from './sayable.conformance.ts';
import { createAnswerTranslator, translateAnswer, translateRequest } from './translate.ts';
import { collectAnswer, type WholeAnswer } from './whole-answer.ts';

const options: WriterOptions = { model: 'm', includeUsage: true, createdAtS: 1_700_000_000 };

const codecs: Readonly<Record<Dialect, Codec>> = {
  anthropic: anthropicCodec,
  openai_chat: openaiChatCodec,
  openai_responses: responsesCodec,
};
const pairs: readonly (readonly [Dialect, Dialect, Sayable])[] = [
  ['anthropic', 'openai_chat', anthropicSayable],
  ['anthropic', 'openai_responses', anthropicSayable],
  ['openai_chat', 'anthropic', chatSayable],
  ['openai_chat', 'openai_responses', chatSayable],
];

describe.each(pairs)('from %s to %s', (from, to, can) => {
  test('whatever a client can say is understood by the engine, or refused by name', () => {
    fc.assert(
      fc.property(prompts(can), (prompt) => {
        const written = codecs[from].writeRequest(prompt);
        expect(written).toMatchObject({ ok: true });
        if (!written.ok) return;
        const there = translateRequest({ from, to, body: written.value, model: 'theirs' });
        if (there.ok) {
          expect(codecs[to].readRequest(JSON.parse(JSON.stringify(there.value.body)))).toMatchObject({
            ok: true,
            value: { model: 'theirs' },
          });
          expect(there.value.prompt.model).toBe(prompt.model);
        } else {
          expect(there.error.code).toBe('unsupported_by_engine');
          expect(there.error.param).toMatch(/^[a-z_]+(\.|$)/);
        }
      }),
    );
  });

  test('any JSON is refused, never thrown at', () => {
    fc.assert(
      fc.property(anyJson, (body) => {
        expect(translateRequest({ from, to, body, model: 'm' }).ok).toBe(false);
        expect(translateAnswer({ from, to, body, options }).ok).toBe(false);
      }),
    );
  });

  test('an answer keeps every word, call, count and the kind of its end, streamed or whole', () => {
    fc.assert(
      fc.property(answers(can), (events) => {
        const text = writeStream(codecs[from], events);
        const translator = createAnswerTranslator({ from, to, options });
        const streamed = readStream(codecs[to], translator.push(new TextEncoder().encode(text)) + translator.end());
        expect(lawBroken(streamed)).toBeNull();
        const before = essence(collectAnswer(readStream(codecs[from], text)));
        expect(essence(collectAnswer(streamed))).toEqual(before);
        expect(translator.progress).toMatchObject({ isComplete: true, error: null });

        const body = JSON.parse(JSON.stringify(codecs[from].writeAnswer(events, options)));
        const whole = translateAnswer({ from, to, body, options });
        expect(whole).toMatchObject({ ok: true });
        if (!whole.ok) return;
        const read = codecs[to].readAnswer(JSON.parse(JSON.stringify(whole.value.body)));
        expect(read).toMatchObject({ ok: true });
        if (read.ok) expect(essence(collectAnswer(read.value))).toEqual(before);
      }),
    );
  });
});

/** What every dialect carries: words by kind, calls in order, total input and output, and whether it ended well, short or refused. */
function essence({ blocks, usage, stop }: WholeAnswer): unknown {
  const refused = stop.reason === 'refusal' ? (stop.refusal?.explanation ?? '') : '';
  const words = (kind: 'text' | 'thinking') => blocks.flatMap((block) => (block.kind === kind ? [block.text] : [])).join('');
  const refusalWords = blocks.flatMap((block) => (block.kind === 'refusal' ? [block.text] : [])).join('');
  return {
    // Where refusals have no place of their own they are text, and an explanation becomes words.
    said: sorted([words('text'), refusalWords, ...(refusalWords === '' ? [refused] : [])]),
    thought: words('thinking').replaceAll('\n\n', ''),
    calls: blocks.flatMap((block) => (block.kind === 'tool_call' ? [[block.id, block.name, JSON.parse(block.arguments)]] : [])),
    input: (usage.input ?? 0) + (usage.cacheRead ?? 0) + (usage.cacheWrite ?? 0),
    output: usage.output ?? 0,
    end: endKind(
      stop.reason,
      blocks.some((block) => block.kind === 'tool_call'),
    ),
  };
}

function sorted(texts: readonly string[]): string {
  return Array.from(texts.join('')).toSorted().join('');
}

function endKind(reason: WholeAnswer['stop']['reason'], hasCalls: boolean): string {
  if (reason === 'refusal') return 'refused';
  if (reason === 'max_tokens' || reason === 'context_window' || reason === 'pause_turn') return 'short';
  return hasCalls ? 'calls' : 'well';
}
