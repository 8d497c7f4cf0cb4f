import { describe, expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Operation } from '#contracts/record';
import { createSystemClock, createSystemRandom, createVirtualClock } from '#runtime';
import { createEmbeddedEngine } from './embedded.ts';
import { describeEngine } from './engine.conformance.ts';
import type { Engine, EngineCall, EngineFailure } from './engine.ts';
import type { Generator } from './generator.ts';
import { UncountablePrompt } from './llama/token-counts.ts';
import { createSimulatedGenerator, type SimulatedOptions } from './simulated/generator.ts';
import { PROFILES } from './simulated/profiles.ts';

/** Quick enough for a test on real time: a token a millisecond. */
const QUICK = { ...PROFILES.small.profile, prefillBaseUs: 1000, prefillTokenNs: 0, decodeBaseUs: 1000, decodeSequenceNs: 0 };

describe.each(['anthropic', 'openai'] as const)('the suite for engines', (dialect) => {
  describeEngine({
    name: `simulated engine, embedded, ${dialect}`,
    create: () => {
      const clock = createSystemClock();
      const generator = createSimulatedGenerator({ clock, profile: QUICK, seed: 1, medianAnswerTokens: 400 });
      const engine = createEmbeddedEngine(generator, { dialect, clock, random: createSystemRandom() });
      return Promise.resolve({ engine, model: 'sim-small', openWork: () => generator.stats().open, close: () => engine.close() });
    },
    reportsCacheReads: true,
    keepsIsolation: true,
    readsBodies: true,
    abortMsMax: 250,
  });
});

interface Heard {
  status: number;
  headers: Readonly<Record<string, unknown>>;
  readonly chunks: string[];
  end: 'end' | EngineFailure | null;
  readonly call: EngineCall;
}

function call(engine: Engine, body: object, isolation = 'a', operation: Operation = 'messages'): Heard {
  const heard = { status: 0, headers: {}, chunks: [] as string[], end: null as Heard['end'] };
  const made = engine.call(
    {
      operation,
      headers: {},
      body: Buffer.from(JSON.stringify(body)),
      isStream: true,
      query: '',
      isolation,
      conversation: null,
    },
    {
      onHead: (status, headers) => Object.assign(heard, { status, headers }),
      onData: (chunk) => void heard.chunks.push(chunk.toString('utf8')),
      onEnd: () => (heard.end = 'end'),
      onError: (failure) => (heard.end = failure),
    },
  );
  return Object.assign(heard, { call: made });
}

const HELLO = { model: 'sim', max_tokens: 64, stream: true, messages: [{ role: 'user', content: 'hello' }] };

function setUp(options: Partial<SimulatedOptions> = {}) {
  const clock = createVirtualClock();
  const generator = createSimulatedGenerator({ clock, profile: PROFILES.small.profile, seed: 3, ...options });
  return {
    clock,
    generator,
    engine: createEmbeddedEngine(generator, { dialect: 'anthropic', clock, random: createSystemRandom() }),
  };
}

const eventNames = (text: string) => [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);

test('events that are ready at the same moment leave in one chunk', async () => {
  const { clock, engine } = setUp();
  const heard = call(engine, { ...HELLO, max_tokens: 3 });
  await clock.advance(1000);
  expect(heard.chunks.map(eventNames)).toEqual([
    ['message_start', 'content_block_start', 'content_block_delta'],
    ['content_block_delta'],
    ['content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'],
  ]);
  expect(heard.chunks[0]).toMatch(/"id":"msg_[0-9a-f]{24}"/);
  expect(heard.headers['request-id']).toMatch(/^req_[0-9a-f]{24}$/);
});

test('an error before the first event is an HTTP error, with its retry-after', async () => {
  const { clock, engine } = setUp({ rules: [{ do: { kind: 'http_error', status: 529, retry_after_s: 7 } }] });
  for (const stream of [true, false]) {
    const heard = call(engine, { ...HELLO, stream });
    await clock.advance(1);
    expect([heard.status, heard.headers['retry-after'], heard.end]).toEqual([529, '7', 'end']);
    expect(JSON.parse(heard.chunks.join(''))).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } });
  }
});

test('an error after the first event is an error event after a 200; a whole answer still becomes an HTTP error', async () => {
  const { clock, engine } = setUp({ rules: [{ do: { kind: 'stream_error', after_tokens: 2 } }] });
  const streamed = call(engine, HELLO);
  await clock.advance(1000);
  expect([streamed.status, eventNames(streamed.chunks.join('')).at(-1), streamed.end]).toEqual([200, 'error', 'end']);
  const whole = call(engine, { ...HELLO, stream: false });
  await clock.advance(1000);
  expect([whole.status, whole.end]).toEqual([529, 'end']);
});

test('a connection that breaks is a failure, not an end', async () => {
  const { clock, engine } = setUp({ rules: [{ do: { kind: 'break', after_tokens: 2 } }] });
  const heard = call(engine, HELLO);
  await clock.advance(1000);
  expect(heard).toMatchObject({ status: 200, end: { kind: 'reset' } });
});

test('a stall before the first token sends not even a status', async () => {
  const { clock, engine } = setUp({ rules: [{ do: { kind: 'stall' } }] });
  const heard = call(engine, HELLO);
  await clock.advance(3_600_000);
  expect(heard).toMatchObject({ status: 0, end: null });
});

test('the model that answers is the one named, even where another was asked for', async () => {
  const { clock, engine } = setUp({ rules: [{ do: { kind: 'wrong_behavior', model: 'impostor' } }] });
  const heard = call(engine, HELLO);
  await clock.advance(5000);
  expect(heard.chunks.join('')).toContain('"model":"impostor"');
});

test('a paused call takes nothing more from the generator than what it was just given', async () => {
  let taken = 0;
  const endless: Generator = {
    async *generate(): AsyncGenerator<AnswerEvent, void> {
      yield { kind: 'start', id: 'x', model: 'm', usage: {} };
      yield { kind: 'block_start', index: 0, block: { kind: 'text' } };
      for (; taken < 100_000; taken += 1) {
        yield { kind: 'delta', index: 0, delta: { kind: 'text', text: 'on and on ' } };
        await Promise.resolve();
      }
    },
    countTokens: () => Promise.resolve(1),
    close: () => Promise.resolve(),
  };
  const clock = createVirtualClock();
  const engine = createEmbeddedEngine(endless, { dialect: 'anthropic', clock, random: createSystemRandom() });
  const made: { call?: EngineCall } = {};
  let bytes = 0;
  made.call = engine.call(
    {
      operation: 'messages',
      headers: {},
      body: Buffer.from(JSON.stringify(HELLO)),
      isStream: true,
      query: '',
      isolation: '',
      conversation: null,
    },
    {
      onHead: () => undefined,
      onData: (chunk) => {
        bytes += chunk.length;
        made.call?.pause();
      },
      onEnd: () => undefined,
      onError: () => undefined,
    },
  );
  await clock.advance(1);
  const takenWhenPaused = taken;
  await clock.advance(1);
  expect(taken).toBe(takenWhenPaused);
  expect(bytes).toBeLessThan(200_000);
  made.call.abort(new Error('enough'));
});

test('a generator that throws or stops short is a failure: a 500 before the answer, a broken call in it', async () => {
  const clock = createVirtualClock();
  const broken = (events: readonly AnswerEvent[], isThrown: boolean): Engine =>
    createEmbeddedEngine(
      {
        async *generate(): AsyncGenerator<AnswerEvent, void> {
          await Promise.resolve();
          yield* events;
          if (isThrown) throw new Error('secret words of a prompt');
        },
        countTokens: () => Promise.resolve(1),
        close: () => Promise.resolve(),
      },
      { dialect: 'anthropic', clock, random: createSystemRandom() },
    );
  const start: AnswerEvent = { kind: 'start', id: 'x', model: 'm', usage: {} };
  const early = call(broken([], true), HELLO);
  const middle = call(broken([start], true), HELLO);
  const short = call(broken([start], false), HELLO);
  await clock.advance(1);
  expect([early.status, early.end]).toEqual([500, 'end']);
  expect(early.chunks.join('')).not.toContain('secret');
  expect([middle.end, short.end]).toMatchObject([{ kind: 'protocol' }, { kind: 'protocol' }]);
});

test('a prompt that the generator cannot count is refused with its reason', async () => {
  const clock = createVirtualClock();
  const error = { status: 400, type: 'invalid_request_error', message: 'This model sees no images.' };
  const blind: Generator = {
    // eslint-disable-next-line require-yield
    async *generate(): AsyncGenerator<AnswerEvent, void> {
      await Promise.resolve();
    },
    countTokens: () => Promise.reject(new UncountablePrompt(error)),
    close: () => Promise.resolve(),
  };
  const engine = createEmbeddedEngine(blind, { dialect: 'anthropic', clock, random: createSystemRandom() });
  const heard = call(engine, HELLO, 'a', 'count_tokens');
  await clock.advance(1);
  expect([heard.status, heard.end]).toEqual([400, 'end']);
  expect(heard.chunks.join('')).toContain('sees no images');
});

test('a call after closing is unreachable', async () => {
  const { clock, engine } = setUp();
  await engine.close();
  const heard = call(engine, HELLO);
  await clock.advance(1);
  expect(heard.end).toMatchObject({ kind: 'unreachable' });
});
