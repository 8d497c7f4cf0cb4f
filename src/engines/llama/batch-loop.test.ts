import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import { ok } from '#core/kernel';
import { createBatchLoop, type BatchRequest } from './batch-loop.ts';
import { SAMPLER_DEFAULTS } from './sampler.ts';
import { promptOf } from './test-prompt.fixture.ts';
import type { TokenModel, TokenSequence } from './token-model.ts';

/**
 * A model small enough to know by heart: characters are tokens, and after `x` comes the next letter of the alphabet; after `z` it
 * ends its turn. Its cache is real: writing continues what is in it, whoever put it there.
 */
function alphabet(sequences: number, contextTokens = 64): TokenModel & { readonly batches: number[] } {
  const batches: number[] = [];
  let batch = 0;
  const compute = async (count: number): Promise<void> => {
    if (batch === 0) setImmediate(() => (batch = batches.push(batch) * 0));
    batch += count;
    await new Promise(setImmediate);
  };
  const sequence = (): TokenSequence => {
    const cache: number[] = [];
    let computed = 0;
    const read = async (tokens: readonly number[]): Promise<void> => {
      if (tokens.includes(33)) throw new Error('the text of a prompt');
      await compute(tokens.length);
      cache.push(...tokens);
      computed += tokens.length;
    };
    return {
      tokens: () => [...cache],
      computedTokens: () => computed,
      async truncate(length) {
        cache.length = length;
      },
      read,
      write(tokens) {
        let pending = tokens;
        return {
          async next() {
            await read(pending);
            const next = cache.at(-1)! + 1;
            pending = [next];
            return next > 122 ? null : next;
          },
          async end() {},
        };
      },
    };
  };
  return {
    batches,
    contextTokens,
    sequences: Array.from({ length: sequences }, sequence),
    tokenize: (messages) => ok([...Buffer.from(messages.map(({ content }) => content).join(''))]),
    detokenize: (tokens) => String.fromCharCode(...tokens),
  };
}

interface Asked {
  readonly events: AnswerEvent[];
  readonly closed: Promise<void>;
  abort(): void;
}

function asker(model: TokenModel, stepTokens = 16): (text: string, more?: Partial<BatchRequest>) => Asked {
  const loop = createBatchLoop({
    model,
    stepTokens,
    defaults: SAMPLER_DEFAULTS,
    random: { next: () => 0, hex: () => 'id' },
    clock: { nowUs: () => 0 },
  });
  return (text, more = {}) => {
    const events: AnswerEvent[] = [];
    const closed = Promise.withResolvers<void>();
    const abort = loop.add({
      prompt: promptOf([text]),
      tokens: [...Buffer.from(text)],
      grammar: null,
      isolation: 'a',
      conversation: null,
      emit: (event) => events.push(event),
      closed: closed.resolve,
      ...more,
    });
    return { events, closed: closed.promise, abort };
  };
}

function textOf(events: readonly AnswerEvent[]): string {
  return events.map((event) => (event.kind === 'delta' && event.delta.kind === 'text' ? event.delta.text : '')).join('');
}

function find<K extends AnswerEvent['kind']>(events: readonly AnswerEvent[], kind: K): Extract<AnswerEvent, { kind: K }> {
  return events.find((event): event is Extract<AnswerEvent, { kind: K }> => event.kind === kind)!;
}

test('an answer is start, one block of text, usage, stop and end', async () => {
  const asked = asker(alphabet(1))('abcw');
  await asked.closed;
  expect(asked.events.map(({ kind }) => kind)).toEqual([
    'start',
    'block_start',
    'delta',
    'delta',
    'delta',
    'block_end',
    'usage',
    'stop',
    'end',
  ]);
  expect(textOf(asked.events)).toBe('xyz');
  expect(find(asked.events, 'stop').reason).toBe('end_turn');
  expect(find(asked.events, 'usage').usage).toEqual({ input: 4, cacheRead: 0, output: 3 });
});

test('an answer without words has no block', async () => {
  const asked = asker(alphabet(1))('z');
  await asked.closed;
  expect(asked.events.map(({ kind }) => kind)).toEqual(['start', 'usage', 'stop', 'end']);
});

test.each([
  ['max_tokens', { maxOutputTokens: 2 }, 'bc', undefined],
  ['stop_sequence', { stopSequences: ['ef'] }, 'bcd', 'ef'],
  ['end_turn', { stopSequences: ['z!'] }, 'bcdefghijklmnopqrstuvwxyz', undefined],
] as const)('an answer ends with %s for %j', async (reason, more, text, stopSequence) => {
  const asked = asker(alphabet(1))('a', { prompt: promptOf(['a'], more) });
  await asked.closed;
  expect(textOf(asked.events)).toBe(text);
  expect(find(asked.events, 'stop')).toEqual({ kind: 'stop', reason, ...(stopSequence && { stopSequence }) });
});

test('an answer that reaches the end of the context says so', async () => {
  const asked = asker(alphabet(1, 8))('abc');
  await asked.closed;
  expect(textOf(asked.events)).toBe('defgh');
  expect(find(asked.events, 'stop').reason).toBe('context_window');
});

test('the next turn computes only what is new, and usage says exactly that', async () => {
  const model = alphabet(2);
  const ask = asker(model);
  await ask('abw').closed;
  const before = model.sequences.map((sequence) => sequence.computedTokens());
  const second = ask('abwxyz-tx');
  await second.closed;
  const { input, cacheRead, output } = find(second.events, 'usage').usage;
  expect({ input, cacheRead }).toEqual({ input: 3, cacheRead: 6 });
  const computed = model.sequences.reduce((sum, sequence, at) => sum + sequence.computedTokens() - before[at]!, 0);
  // Each written token but the first is computed once too, to write the next: y, z.
  expect(computed).toBe(input! + output!);
});

test('another isolation value computes everything again, also on the same sequence', async () => {
  const ask = asker(alphabet(1));
  await ask('abw').closed;
  const other = ask('abw', { isolation: 'b' });
  await other.closed;
  expect(find(other.events, 'usage').usage).toEqual({ input: 3, cacheRead: 0, output: 3 });
  expect(textOf(other.events)).toBe('xyz');
});

test('several requests share each step, and no step is larger than its budget', async () => {
  const model = alphabet(3);
  const ask = asker(model, 8);
  const asked = [ask('-'.repeat(30) + 'a'), ask('-'.repeat(20) + 'k'), ask('v')];
  await Promise.all(asked.map(({ closed }) => closed));
  expect(asked.map(({ events }) => textOf(events))).toEqual(['bcdefghijklmnopqrstuvwxyz', 'lmnopqrstuvwxyz', 'wxyz']);
  expect(Math.max(...model.batches)).toBeLessThanOrEqual(8);
});

test('an abort is felt after one step, also in the middle of a long prompt, and what was computed stays useful', async () => {
  const model = alphabet(1);
  const ask = asker(model, 8);
  const text = '-'.repeat(40) + 'w';
  const first = ask(text);
  await new Promise(setImmediate);
  first.abort();
  const seen = first.events.length;
  await first.closed;
  expect(first.events.length).toBe(seen);
  const computed = model.sequences[0]!.computedTokens();
  expect(computed).toBeLessThanOrEqual(16);
  const second = ask(text);
  await second.closed;
  expect(find(second.events, 'usage').usage.cacheRead).toBe(computed);
});

test('a failure of the library ends one generation without its words, and leaves nothing in the cache to build on', async () => {
  const model = alphabet(2);
  const ask = asker(model);
  const [broken, fine] = [ask('ab!'), ask('w')];
  await Promise.all([broken.closed, fine.closed]);
  expect(broken.events.at(-1)).toEqual({
    kind: 'error',
    error: { status: 500, type: 'api_error', message: 'the embedded engine failed: Error' },
  });
  expect(textOf(fine.events)).toBe('xyz');
  expect(model.sequences.map((sequence) => sequence.tokens().length)).toContain(0);
});

test('whatever was asked before, and by whom, an answer is the same as on a fresh engine', async () => {
  const text = fc.string({ unit: fc.constantFrom('u', 'v', 'w'), minLength: 1, maxLength: 6 });
  const request = fc.record({ text, isolation: fc.constantFrom('a', 'b'), conversation: fc.constantFrom('c', null) });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), async (requests) => {
      const ask = asker(alphabet(2), 4);
      const fresh = asker(alphabet(1));
      for (const { text: asked, ...who } of requests) {
        const [used, clean] = [ask(asked, who), fresh(asked, { isolation: crypto.randomUUID() })];
        await Promise.all([used.closed, clean.closed]);
        expect(textOf(used.events)).toBe(textOf(clean.events));
      }
    }),
    { numRuns: 50 },
  );
});
