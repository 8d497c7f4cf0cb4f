import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import { SIMULATED_PREFACE } from '#core/simulation';
import { createVirtualClock, type VirtualClock } from '#runtime';
import type { WireEvent } from '../wire-event.ts';
import { createSimulatedGenerator, type SimulatedGenerator, type SimulatedOptions } from './generator.ts';
import { PROFILES } from './profiles.ts';
import type { ScriptRule } from './script.ts';

const SMALL = PROFILES.small.profile;
const TOOL = {
  name: 'get_tide',
  schema: { type: 'object', properties: { hour: { type: 'integer' } }, required: ['hour'] },
} as const;

function promptOf(text: string, more: Partial<Prompt> = {}): Prompt {
  return {
    model: 'sim',
    system: [],
    turns: [{ role: 'user', parts: [{ kind: 'text', text }] }],
    tools: [],
    stopSequences: [],
    stream: true,
    ...more,
  };
}

function setUp(options: Partial<SimulatedOptions> = {}): { clock: VirtualClock; generator: SimulatedGenerator } {
  const clock = createVirtualClock();
  return { clock, generator: createSimulatedGenerator({ clock, profile: SMALL, seed: 7, ...options }) };
}

/** Runs virtual time until the answer has ended. */
async function answer(
  { clock, generator }: ReturnType<typeof setUp>,
  prompt: Prompt,
  { isolation = 'a', signal = new AbortController().signal }: { isolation?: string; signal?: AbortSignal } = {},
): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  let isDone = false;
  const reading = (async () => {
    for await (const event of generator.generateWire(prompt, { isolation, conversation: null }, signal)) events.push(event);
    isDone = true;
  })();
  while (!isDone && (await clock.runNext()));
  if (isDone) await reading;
  return events;
}

function textOf(events: readonly WireEvent[]): string {
  return events.map((event) => (event.kind === 'delta' && 'text' in event.delta ? event.delta.text : '')).join('');
}
const find = <K extends WireEvent['kind']>(events: readonly WireEvent[], kind: K) =>
  events.find((event): event is Extract<WireEvent, { kind: K }> => event.kind === kind);
const usageOf = (events: readonly WireEvent[]) => find(events, 'usage')!.usage;

/** The laws of `contracts/answer.ts`; an answer may be cut only by an error, a reset or an abort. */
function expectLaws(events: readonly WireEvent[]): void {
  let open: number | null = null;
  let next = 0;
  let isStopped = false;
  for (const [at, event] of events.entries()) {
    if (event.kind === 'error' || event.kind === 'wire_error' || event.kind === 'wire_reset' || event.kind === 'end') {
      expect(at).toBe(events.length - 1);
      if (event.kind === 'wire_error') expect(at).toBe(0);
      if (event.kind === 'end') expect(isStopped).toBe(true);
      continue;
    }
    expect(event.kind === 'start').toBe(at === 0);
    if (event.kind === 'block_start') {
      expect([open, event.index, isStopped]).toEqual([null, next, false]);
      open = event.index;
      next += 1;
    }
    if (event.kind === 'delta') expect(event.index).toBe(open);
    if (event.kind === 'block_end') {
      expect(event.index).toBe(open);
      open = null;
    }
    if (event.kind === 'stop') {
      expect([open, isStopped]).toEqual([null, false]);
      isStopped = true;
    }
  }
  expect(['end', 'error', 'wire_error', 'wire_reset']).toContain(events.at(-1)?.kind);
}

test('an answer says first that it is simulated, and the same seed and request give the same words', async () => {
  const first = await answer(setUp(), promptOf('hello'));
  expect(textOf(first).startsWith(SIMULATED_PREFACE)).toBe(true);
  expect(await answer(setUp(), promptOf('hello'))).toEqual(first);
  expect(textOf(await answer(setUp({ seed: 8 }), promptOf('hello')))).not.toBe(textOf(first));
  expect(textOf(await answer(setUp(), promptOf('hello!')))).not.toBe(textOf(first));
});

test('the first token and the rest come when the profile says', async () => {
  const { clock, generator } = setUp({ rules: [{ do: { kind: 'answer', tokens: 101 } }] });
  const times: number[] = [];
  const reading = (async () => {
    for await (const event of generator.generate(
      promptOf('hello'),
      { isolation: 'a', conversation: null },
      new AbortController().signal,
    ))
      if (event.kind === 'delta') times.push(clock.nowUs());
  })();
  await clock.advance(2000);
  await reading;
  expect(times.length).toBe(101);
  expect(times[0]).toBe(15_000 + 30 * 4);
  const perSecond = 100 / ((times.at(-1)! - times[0]!) / 1e6);
  expect(perSecond).toBeGreaterThan(100);
  expect(perSecond).toBeLessThan(140);
});

test('two requests at once share the steps of the engine instead of doubling its speed', async () => {
  const alone = setUp({ rules: [{ do: { kind: 'answer', tokens: 50 } }] });
  await answer(alone, promptOf('one'));
  const together = setUp({ rules: [{ do: { kind: 'answer', tokens: 50 } }] });
  const first = answer(together, promptOf('one'));
  await answer(together, promptOf('two'));
  await first;
  expect(together.clock.nowUs()).toBeGreaterThan(alone.clock.nowUs());
  expect(together.clock.nowUs()).toBeLessThan(1.2 * alone.clock.nowUs());
});

describe('the prefix cache', () => {
  const long = 'The tide comes in twice a day. '.repeat(40);

  test('the same prompt in the same isolation is read from blocks; in another it is computed', async () => {
    const setting = setUp();
    expect(usageOf(await answer(setting, promptOf(long)))).toMatchObject({ cacheRead: 0 });
    const again = usageOf(await answer(setting, promptOf(long)));
    expect(again.cacheRead).toBe(Math.floor((again.input! + again.cacheRead! - 1) / 16) * 16);
    expect(usageOf(await answer(setting, promptOf(long), { isolation: 'b' })).cacheRead).toBe(0);
    setting.generator.clearCache();
    expect(usageOf(await answer(setting, promptOf(long))).cacheRead).toBe(0);
  });

  test('the next turn of a conversation reads the turn before it, its answer included', async () => {
    const setting = setUp();
    const first = await answer(setting, promptOf(long));
    const before = usageOf(first);
    const turns: Prompt['turns'] = [
      ...promptOf(long).turns,
      { role: 'assistant', parts: [{ kind: 'text', text: textOf(first) }] },
      { role: 'user', parts: [{ kind: 'text', text: 'And then?' }] },
    ];
    const after = usageOf(await answer(setting, promptOf('', { turns })));
    const held = before.input! + before.cacheRead! + before.output! - 1;
    expect(after.cacheRead).toBe(Math.floor(held / 16) * 16);
  });

  test('a tool call, its result and thinking are found again, too', async () => {
    const setting = setUp({
      rules: [{ when: { contains: 'tide?' }, do: [{ kind: 'call_tool', name: 'get_tide', arguments: { hour: 9 } }] }],
    });
    const first = await answer(setting, promptOf(`${long}tide?`, { tools: [TOOL] }));
    const call = find(first, 'block_start')!.block as { id: string; name: string };
    const turns: Prompt['turns'] = [
      ...promptOf(`${long}tide?`).turns,
      { role: 'assistant', parts: [{ kind: 'tool_call', id: call.id, name: call.name, arguments: '{"hour":9}' }] },
      { role: 'user', parts: [{ kind: 'tool_result', callId: call.id, parts: [{ kind: 'text', text: 'high' }] }] },
    ];
    const before = usageOf(first);
    const after = usageOf(await answer(setting, promptOf('', { turns, tools: [TOOL] })));
    expect(after.cacheRead).toBe(Math.floor((before.input! + before.output! - 1) / 16) * 16);
  });

  test('what the client marked to be cached counts as written the first time and as read the second', async () => {
    const setting = setUp();
    const prompt = promptOf('Go on.', { system: [{ kind: 'text', text: long, cache: { ttl: '5m' } }] });
    const first = usageOf(await answer(setting, prompt));
    const second = usageOf(await answer(setting, prompt));
    expect(first.cacheWrite).toBeGreaterThan(0);
    expect([second.cacheRead, second.cacheWrite]).toEqual([first.cacheWrite, 0]);
  });

  test('more conversations than fit push the oldest out', async () => {
    const setting = setUp({ profile: { ...SMALL, capacityTokens: 1024, contextTokens: 1024 } });
    for (const name of ['x', 'y', 'z', 'v', 'u', 'w']) await answer(setting, promptOf(`${name}${long}`, { maxOutputTokens: 8 }));
    expect(usageOf(await answer(setting, promptOf(`w${long}`, { maxOutputTokens: 8 }))).cacheRead).toBeGreaterThan(0);
    expect(usageOf(await answer(setting, promptOf(`x${long}`, { maxOutputTokens: 8 }))).cacheRead).toBe(0);
  });
});

describe('limits on length', () => {
  test.each([1, 2, 7])('an answer stops at %i tokens when that is the most asked for', async (maxOutputTokens) => {
    const events = await answer(setUp(), promptOf('hello', { maxOutputTokens }));
    expect(find(events, 'stop')).toEqual({ kind: 'stop', reason: 'max_tokens' });
    expect(usageOf(events).output).toBe(maxOutputTokens);
    expect(textOf(events).length).toBe(maxOutputTokens * 4);
  });

  test('a stop sequence ends the answer and is not shown, wherever its tokens are cut', async () => {
    for (const sequence of ['simulated', 'text, not', 'T', '. '])
      await expect(answer(setUp(), promptOf('hello', { stopSequences: ['never said', sequence] }))).resolves.toSatisfy(
        (events: WireEvent[]) => {
          expect(find(events, 'stop')).toEqual({ kind: 'stop', reason: 'stop_sequence', stopSequence: sequence });
          expect(textOf(events)).toBe(SIMULATED_PREFACE.slice(0, SIMULATED_PREFACE.indexOf(sequence)));
          expectLaws(events);
          return true;
        },
      );
  });

  test('an answer that would leave the context window stops there, and a prompt that fills it is refused', async () => {
    const profile = { ...SMALL, contextTokens: 64 };
    expect(find(await answer(setUp({ profile }), promptOf('hello')), 'stop')).toEqual({ kind: 'stop', reason: 'context_window' });
    expect(await answer(setUp({ profile }), promptOf('x'.repeat(400)))).toMatchObject([
      { kind: 'error', error: { status: 400 } },
    ]);
  });
});

describe('tools and formats', () => {
  test.each([[{ kind: 'any' }], [{ kind: 'tool', name: 'get_tide' }]] as const)(
    'a required tool is called with arguments that fit (%j)',
    async (toolChoice) => {
      const events = await answer(setUp(), promptOf('tide?', { tools: [TOOL], toolChoice }));
      const json = events.flatMap((event) =>
        event.kind === 'delta' && event.delta.kind === 'arguments' ? [event.delta.json] : [],
      );
      expect(json.length).toBeGreaterThan(1);
      expect(Number.isInteger(JSON.parse(json.join('')).hour)).toBe(true);
      expect(find(events, 'stop')).toEqual({ kind: 'stop', reason: 'tool_use' });
    },
  );

  test('a tool choice that names no tool of the request is refused', async () => {
    expect(await answer(setUp(), promptOf('x', { toolChoice: { kind: 'tool', name: 'gone' } }))).toMatchObject([
      { kind: 'error', error: { status: 400 } },
    ]);
  });

  test('an output format is kept', async () => {
    const schema = { type: 'object', properties: { mood: { enum: ['calm'] } }, required: ['mood'] } as const;
    const events = await answer(setUp(), promptOf('x', { outputFormat: { kind: 'json_schema', name: 'm', schema } }));
    expect(JSON.parse(textOf(events))).toEqual({ mood: 'calm' });
    expect(JSON.parse(textOf(await answer(setUp(), promptOf('x', { outputFormat: { kind: 'json_object' } }))))).toMatchObject({
      simulated: true,
    });
  });

  test('thinking that was asked for comes first, within its budget, and is counted apart', async () => {
    const events = await answer(setUp(), promptOf('x', { thinking: { kind: 'enabled', budgetTokens: 1024 } }));
    expect(events.filter((event) => event.kind === 'block_start').map(({ block }) => block.kind)).toEqual(['thinking', 'text']);
    expect(usageOf(events).thinking).toBe(32);
  });
});

describe('scripts', () => {
  const scripted = (effect: ScriptRule['do'], when: ScriptRule['when'] = {}) => setUp({ rules: [{ when, do: effect }] });
  const tokensBefore = (events: readonly WireEvent[]) => events.filter((event) => event.kind === 'delta').length;

  test('a refusal has its category; as text it is only words', async () => {
    const refusal = await answer(scripted({ kind: 'refuse', category: 'bio' }), promptOf('x'));
    expect(find(refusal, 'stop')).toEqual({ kind: 'stop', reason: 'refusal', refusal: { category: 'bio', explanation: null } });
    expect(find(await answer(scripted({ kind: 'refuse', as: 'text' }), promptOf('x')), 'stop')).toEqual({
      kind: 'stop',
      reason: 'end_turn',
    });
  });

  test('a category is refused at about its rate, and the same requests are refused on every run', async () => {
    const run = async () => {
      const setting = scripted({ kind: 'refuse', category: 'bio' }, { matches: '^make', probability: 0.3 });
      const reasons: (string | undefined)[] = [];
      for (let index = 0; index < 200; index += 1)
        reasons.push(find(await answer(setting, promptOf('make it', { maxOutputTokens: 1 })), 'stop')?.reason);
      return reasons.map((reason) => reason === 'refusal');
    };
    const setting = scripted({ kind: 'refuse' }, { probability: 0.3 });
    let refusals = 0;
    for (let index = 0; index < 300; index += 1)
      if (find(await answer(setting, promptOf(`ask ${index}`, { maxOutputTokens: 40 })), 'stop')?.reason === 'refusal')
        refusals += 1;
    expect(refusals).toBeGreaterThan(60);
    expect(refusals).toBeLessThan(120);
    expect(await run()).toEqual(await run());
  });

  test('an HTTP error comes instead of an answer', async () => {
    expect(await answer(scripted({ kind: 'http_error', status: 429, retry_after_s: 3 }), promptOf('x'))).toEqual([
      { kind: 'wire_error', error: { status: 429, type: 'rate_limit_error', message: 'Simulated failure.' }, retryAfterS: 3 },
    ]);
  });

  test('an error event comes after the start and before any content, or after so many tokens', async () => {
    const early = await answer(scripted({ kind: 'stream_error' }), promptOf('x'));
    expect(early.map(({ kind }) => kind)).toEqual(['start', 'error']);
    const late = await answer(scripted({ kind: 'stream_error', after_tokens: 5 }), promptOf('x'));
    expect([tokensBefore(late), late.at(-1)?.kind]).toEqual([5, 'error']);
  });

  test('a connection breaks before the answer, in it, or instead of its end', async () => {
    expect((await answer(scripted({ kind: 'break' }), promptOf('x'))).map(({ kind }) => kind)).toEqual(['wire_reset']);
    const middle = await answer(scripted({ kind: 'break', after_tokens: 3 }), promptOf('x'));
    expect([tokensBefore(middle), middle.at(-1)?.kind]).toEqual([3, 'wire_reset']);
    const end = await answer(scripted({ kind: 'break', after_tokens: 1_000_000 }), promptOf('x'));
    expect([find(end, 'stop'), end.at(-1)?.kind]).toEqual([undefined, 'wire_reset']);
  });

  test('a stall waits as long as it says, or for ever until the client leaves', async () => {
    const short = scripted({ kind: 'stall', after_tokens: 2, for_ms: 60_000 });
    expect((await answer(short, promptOf('x'))).at(-1)?.kind).toBe('end');
    expect(short.clock.nowUs()).toBeGreaterThan(60_000_000);
    const endless = scripted({ kind: 'stall' });
    const client = new AbortController();
    const reading = answer(endless, promptOf('x'), { signal: client.signal });
    await endless.clock.advance(3_600_000);
    expect(endless.generator.stats().open).toBe(1);
    client.abort();
    expect(await reading).toEqual([]);
    expect(endless.generator.stats()).toMatchObject({ open: 0, cancelled: 1 });
  });

  test('a slow request is later by its factor and delays nobody else', async () => {
    const rules: ScriptRule[] = [
      { do: { kind: 'answer', tokens: 40 } },
      { when: { contains: 'slow' }, do: { kind: 'slow', factor: 10 } },
    ];
    const plain = setUp({ rules });
    await answer(plain, promptOf('fast'));
    const slow = setUp({ rules });
    await answer(slow, promptOf('slow'));
    expect(slow.clock.nowUs() / plain.clock.nowUs()).toBeCloseTo(10, 1);
  });

  test('a wrong behavior says other words under another name', async () => {
    const right = await answer(setUp(), promptOf('x'));
    const wrong = await answer(scripted({ kind: 'wrong_behavior', model: 'impostor' }), promptOf('x'));
    expect([find(right, 'start')?.model, find(wrong, 'start')?.model]).toEqual(['sim', 'impostor']);
    expect(textOf(wrong)).not.toBe(textOf(right));
  });

  test('rules choose by the last user turn, by number, by every n-th and by model; effects of several rules add up', async () => {
    const setting = setUp({
      rules: [
        { when: { nth: 2 }, do: { kind: 'http_error', status: 500 } },
        { when: { every: 3 }, do: { kind: 'http_error', status: 503 } },
        { when: { model: 'other' }, do: { kind: 'http_error', status: 404 } },
        { when: { contains: 'think' }, do: { kind: 'think', tokens: 4 } },
        { do: { kind: 'answer', text: 'Aye.' } },
      ],
    });
    const statuses: (number | string)[] = [];
    for (const prompt of [promptOf('a'), promptOf('a'), promptOf('a'), promptOf('a', { model: 'other' }), promptOf('think')]) {
      const events = await answer(setting, prompt);
      const error = find(events, 'wire_error');
      statuses.push(
        error === undefined
          ? events.flatMap((event) => (event.kind === 'block_start' ? [event.block.kind] : [])).join('+')
          : error.error.status,
      );
    }
    expect(statuses).toEqual(['text', 500, 503, 404, 'thinking+text']);
  });

  test('a script with an unknown key, an unknown effect or a broken pattern is refused', () => {
    for (const rule of [
      { do: { kind: 'answer' }, extra: 1 },
      { do: { kind: 'dance' } },
      { when: { matches: '(' }, do: { kind: 'answer' } },
    ])
      expect(() => setUp({ rules: [rule as ScriptRule] })).toThrow();
  });
});

describe('a client that leaves', () => {
  const tenThousand: ScriptRule = { do: { kind: 'answer', tokens: 10_000 } };

  test('ends the work at once, with its blocks free and not a token more', async () => {
    const setting = setUp({ rules: [tenThousand] });
    const client = new AbortController();
    const reading = answer(setting, promptOf('x'), { signal: client.signal });
    await setting.clock.advance(200);
    client.abort();
    const events = await reading;
    const { tokensGenerated } = { tokensGenerated: setting.generator.stats().scheduler.generatedTokens };
    await setting.clock.advance(10_000);
    expect(setting.generator.stats()).toMatchObject({
      open: 0,
      cancelled: 1,
      finished: 0,
      abandonedTokens: 0,
      lastAbandonUs: 0,
      scheduler: { usedBlocks: 0, generatedTokens: tokensGenerated },
    });
    expect(events.at(-1)?.kind).toBe('delta');
  });

  test('is ignored where the script says so, and the waste is counted', async () => {
    const setting = setUp({ rules: [{ do: [{ kind: 'answer', tokens: 100 }, { kind: 'ignore_cancellation' }] }] });
    const client = new AbortController();
    const reading = answer(setting, promptOf('x'), { signal: client.signal });
    await setting.clock.advance(200);
    client.abort();
    await reading;
    expect(setting.generator.stats().abandonedTokens).toBeGreaterThan(50);
    expect(setting.generator.stats().lastAbandonUs).toBeGreaterThan(400_000);
  });

  test('before it arrived is not worked for at all', async () => {
    const setting = setUp();
    expect(await answer(setting, promptOf('x'), { signal: AbortSignal.abort() })).toEqual([]);
    expect(setting.generator.stats().scheduler.prefilledTokens).toBe(0);
  });
});

test('closing the engine ends open answers with an error', async () => {
  const setting = setUp();
  const reading = answer(setting, promptOf('x'));
  await setting.clock.advance(100);
  await setting.generator.close();
  await setting.clock.advance(1);
  expect((await reading).at(-1)).toMatchObject({ kind: 'error', error: { status: 503 } });
  expect(await answer(setting, promptOf('x'))).toMatchObject([{ kind: 'error', error: { status: 503 } }]);
});

const anyText = fc.string({ unit: 'grapheme', maxLength: 200 });
const anyPrompt: fc.Arbitrary<Prompt> = fc.record(
  {
    model: fc.constant('sim'),
    system: fc.array(fc.record({ kind: fc.constant('text' as const), text: anyText }), { maxLength: 2 }),
    turns: fc.array(
      fc.record({
        role: fc.constantFrom('user' as const, 'assistant' as const),
        parts: fc.array(fc.record({ kind: fc.constant('text' as const), text: anyText }), { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    tools: fc.constantFrom([], [TOOL]),
    stopSequences: fc.array(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 2 }),
    stream: fc.boolean(),
    maxOutputTokens: fc.integer({ min: 1, max: 300 }),
    thinking: fc.constant({ kind: 'enabled' as const, budgetTokens: 20 }),
    toolChoice: fc.constantFrom({ kind: 'auto' as const }, { kind: 'any' as const }),
  },
  { requiredKeys: ['model', 'system', 'turns', 'tools', 'stopSequences', 'stream'] },
);
const anyEffect: fc.Arbitrary<Exclude<ScriptRule['do'], readonly unknown[]>> = fc.oneof(
  fc.record({
    kind: fc.constant('refuse' as const),
    category: fc.constantFrom('a', null),
    as: fc.constantFrom('stop' as const, 'text' as const),
  }),
  fc.record({
    kind: fc.constant('call_tool' as const),
    name: fc.constant('get_tide'),
    arguments: fc.constant({ note: 'añejo 🌊' }),
  }),
  fc.record({ kind: fc.constant('answer' as const), text: fc.string({ unit: 'grapheme', minLength: 1 }) }),
  fc.record({ kind: fc.constant('think' as const), tokens: fc.integer({ min: 2, max: 20 }) }),
  fc.record({ kind: fc.constant('break' as const), after_tokens: fc.nat(60) }),
  fc.record({ kind: fc.constant('stream_error' as const), after_tokens: fc.nat(60) }),
  fc.record({ kind: fc.constant('stall' as const), after_tokens: fc.nat(20), for_ms: fc.nat(100) }),
  fc.record({ kind: fc.constant('slow' as const), factor: fc.constantFrom(1, 2.5) }),
);

test('whatever is asked and scripted, the events keep their laws, every input token is counted once, and nothing is left behind', async () => {
  const prompts = fc.array(fc.tuple(anyPrompt, fc.constantFrom('a', 'b')), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(prompts, fc.array(anyEffect, { maxLength: 3 }), async (asked, effects) => {
      const rules = effects.map((effect) => ({ do: effect }));
      const setting = setUp({ profile: { ...SMALL, capacityTokens: 4096, contextTokens: 2048 }, rules });
      for (const [prompt, isolation] of asked) {
        const events = await answer(setting, prompt, { isolation });
        expectLaws(events);
        const tokens = await setting.generator.countTokens(prompt, new AbortController().signal);
        const said = events.flatMap((event) => (event.kind === 'start' || event.kind === 'usage' ? [event.usage] : []));
        for (const usage of said) expect(usage.input! + usage.cacheRead! + usage.cacheWrite!).toBe(tokens);
        if (find(events, 'end') !== undefined) expect(usageOf(events).output).toBeLessThanOrEqual(prompt.maxOutputTokens ?? 2048);
        const { open, scheduler } = setting.generator.stats();
        expect([open, scheduler.usedBlocks, scheduler.running]).toEqual([0, 0, 0]);
        expect(scheduler.keptBlocks).toBeLessThanOrEqual(scheduler.capacityBlocks);
      }
      const { begun, finished, failed, cancelled } = setting.generator.stats();
      expect(finished + failed + cancelled).toBe(begun);
    }),
    { numRuns: 40 },
  );
});

test('above the wire, what a script does to the connection is an error like others', async () => {
  const { generator } = setUp({
    rules: [
      { when: { nth: 1 }, do: { kind: 'break' } },
      { when: { nth: 2 }, do: { kind: 'http_error', status: 529 } },
    ],
  });
  const read = async () => {
    const events: AnswerEvent[] = [];
    for await (const event of generator.generate(
      promptOf('x'),
      { isolation: 'a', conversation: null },
      new AbortController().signal,
    ))
      events.push(event);
    return events;
  };
  const second = read();
  expect(await read()).toMatchObject([{ kind: 'error', error: { status: 529 } }]);
  await generator.close();
  expect((await second).at(-1)?.kind).toBe('error');
});
