import { expect, test } from 'vitest';
import type { Operation } from '#contracts/record';
import type { Engine, EngineCall, EngineFailure, EngineRequest } from './engine.ts';

/** What an implementation gives the suite, and what it cannot show. */
interface EngineUnderTest {
  readonly engine: Engine;
  /** A model that the engine serves. */
  readonly model: string;
  /** Requests that the engine is working on now; absent where it cannot be seen. */
  openWork?(): number | Promise<number>;
  close(): Promise<void>;
}

export interface ConformanceOptions {
  readonly name: string;
  readonly create: () => Promise<EngineUnderTest>;
  /** False where the engine keeps no prefixes, or says nothing of them. */
  readonly reportsCacheReads: boolean;
  /** False where isolation is not the engine's to keep: a remote one is never told of it. */
  readonly keepsIsolation: boolean;
  /** False where hostile bodies pass through unread. */
  readonly readsBodies: boolean;
  /** Longest time from an abort to the end of the work: 100 ms for a remote engine, 250 ms for an embedded one. */
  readonly abortMsMax: number;
}

/** The suite that every {@link Engine} must pass: order, one end, abort, back-pressure, refusals, isolation. */
export function describeEngine(options: ConformanceOptions): void {
  const { name, create } = options;
  const withEngine = async (run: (under: EngineUnderTest) => Promise<void>): Promise<void> => {
    const under = await create();
    try {
      await run(under);
    } finally {
      await under.close();
    }
  };

  test(`${name}: a stream is a head, then data, then exactly one end, and nothing before the call returned`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Say something.', stream: true, maxTokens: 24 });
      expect(call.seen).toEqual([]);
      await call.over;
      expect(call.status).toBe(200);
      expect(String(call.headers['content-type'])).toContain('text/event-stream');
      expect(call.seen.join(' ')).toMatch(/^head( data)+ end$/);
      expect(call.text()).toContain(under.engine.dialect === 'anthropic' ? 'event: message_stop' : 'data: [DONE]');
    }));

  test(`${name}: a whole answer is one JSON body`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Say something.', stream: false, maxTokens: 12 });
      await call.over;
      expect([call.status, call.failure]).toEqual([200, null]);
      expect(call.seen.join(' ')).toMatch(/^head( data)+ end$/);
      expect(JSON.parse(call.text())).toMatchObject({ model: under.model });
    }));

  test(`${name}: several calls at once are answered each with its own end`, () =>
    withEngine(async (under) => {
      const calls = [1, 2, 3].map((index) => start(under, { text: `Number ${index}.`, stream: true, maxTokens: 8 }));
      for (const call of calls) await call.over;
      for (const call of calls) expect(call.seen.join(' ')).toMatch(/^head( data)+ end$/);
    }));

  test(`${name}: an abort in the middle gives one failure, nothing after it, and the work stops`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Tell a long story.', stream: true, maxTokens: 2000 });
      await until(() => call.seen.includes('data'));
      await expectAborted(under, call, options.abortMsMax);
      expect(call.seen.indexOf('error')).toBe(call.seen.length - 1);
    }));

  test(`${name}: an abort before the first byte gives one failure and no head`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Tell a long story.', stream: false, maxTokens: 2000 });
      await expectAborted(under, call, options.abortMsMax);
      expect(call.seen).toEqual(['error']);
    }));

  test(`${name}: an abort after the end is no failure`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Hi.', stream: true, maxTokens: 4 });
      await call.over;
      call.call.abort(new Error('too late'));
      await new Promise((resolve) => setImmediate(resolve));
      expect(call.seen.at(-1)).toBe('end');
    }));

  test(`${name}: a paused call comes to a halt, and on resuming nothing is missing`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Say something.', stream: true, maxTokens: 24 });
      await until(() => call.seen.includes('data'));
      call.call.pause();
      await stable(() => call.seen.length);
      expect(call.seen).not.toContain('error');
      call.call.resume();
      await call.over;
      expect(call.seen.join(' ')).toMatch(/^head( data)+ end$/);
      expect(call.text()).toContain(under.engine.dialect === 'anthropic' ? 'event: message_stop' : 'data: [DONE]');
    }));

  test(`${name}: a paused call can be aborted`, () =>
    withEngine(async (under) => {
      const call = start(under, { text: 'Tell a long story.', stream: true, maxTokens: 2000 });
      await until(() => call.seen.includes('data'));
      call.call.pause();
      await expectAborted(under, call, options.abortMsMax);
    }));

  test(`${name}: tokens are counted without generating`, (context) =>
    withEngine(async (under) => {
      if (!under.engine.operations.has('count_tokens')) return context.skip('the dialect does not count tokens');
      const counts: number[] = [];
      for (const text of ['Hi.', 'A longer thing to say, with several more words in it.']) {
        const call = send(under, {
          operation: 'count_tokens',
          body: { model: under.model, messages: [{ role: 'user', content: text }] },
        });
        await call.over;
        expect(call.status).toBe(200);
        counts.push((JSON.parse(call.text()) as { input_tokens: number }).input_tokens);
      }
      expect(counts[0]).toBeGreaterThan(0);
      expect(counts[1]).toBeGreaterThan(counts[0] ?? 0);
    }));

  const hostile: readonly (readonly [string, Buffer])[] = [
    ['no body', Buffer.alloc(0)],
    ['not JSON', Buffer.from('{"model":')],
    ['not UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
    ['a list', Buffer.from('[]')],
    ['null', Buffer.from('null')],
    ['messages that are no list', Buffer.from('{"model":"m","max_tokens":1,"messages":"x"}')],
    ['a role that there is not', Buffer.from('{"model":"m","max_tokens":1,"messages":[{"role":"__proto__","content":"x"}]}')],
    ['a hundred thousand brackets', Buffer.from(`{"messages":${'['.repeat(100_000)}`)],
    [
      'deep nesting that closes',
      Buffer.from(`{"model":"m","max_tokens":1,"messages":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
    ],
  ];
  test.each(options.readsBodies ? hostile : [])(`${name}: a hostile body is a 400 in the dialect's envelope (%s)`, (_, body) =>
    withEngine(async (under) => {
      const call = send(under, { operation: mainOperation(under.engine), body });
      await call.over;
      expect(call.status).toBe(400);
      const error = (JSON.parse(call.text()) as { error: { type: string; message: string } }).error;
      expect(error.type).toBe('invalid_request_error');
      expect(error.message.length).toBeGreaterThan(0);
    }),
  );

  test(`${name}: the same prompt again is read from the cache, under another isolation it is not`, (context) =>
    withEngine(async (under) => {
      if (!options.reportsCacheReads) return context.skip('the engine does not report cache reads');
      const text = 'The harbor opens at dawn and closes at dusk. '.repeat(24);
      const reads: number[] = [];
      for (const isolation of ['tenant-a', 'tenant-a', 'tenant-b']) {
        const call = start(under, { text, stream: false, maxTokens: 4, isolation });
        await call.over;
        reads.push(cacheReadOf(call.text()));
      }
      expect(reads[0]).toBe(0);
      expect(reads[1]).toBeGreaterThan(0);
      if (options.keepsIsolation) expect(reads[2]).toBe(0);
    }));

  test(`${name}: closing fails the calls that are open, once`, async () => {
    const under = await create();
    const call = start(under, { text: 'Tell a long story.', stream: true, maxTokens: 2000 });
    await until(() => call.seen.includes('data'));
    await under.close();
    await call.over;
    expect(call.seen.filter((kind) => kind === 'error' || kind === 'end')).toEqual(['error']);
  });
}

interface Watched {
  readonly call: EngineCall;
  readonly seen: ('head' | 'data' | 'end' | 'error')[];
  readonly over: Promise<void>;
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  failure: EngineFailure | null;
  text(): string;
}

interface Ask {
  readonly text: string;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly isolation?: string;
}

function mainOperation(engine: Engine): Operation {
  return engine.dialect === 'anthropic' ? 'messages' : 'chat_completions';
}

function start(under: EngineUnderTest, { text, stream, maxTokens, isolation = 'tenant-a' }: Ask): Watched {
  const body = { model: under.model, max_tokens: maxTokens, stream, messages: [{ role: 'user', content: text }] };
  return send(under, { operation: mainOperation(under.engine), body, isolation });
}

function send(
  { engine }: EngineUnderTest,
  request: { readonly operation: Operation; readonly body: Buffer | object; readonly isolation?: string },
): Watched {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.from(JSON.stringify(request.body));
  const chunks: Buffer[] = [];
  const finished = Promise.withResolvers<void>();
  const sent: EngineRequest = {
    operation: request.operation,
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
    body,
    isStream: body.includes('"stream":true'),
    query: '',
    isolation: request.isolation ?? 'tenant-a',
    conversation: null,
  };
  const watched: Omit<Watched, 'call'> = {
    seen: [],
    over: finished.promise,
    status: 0,
    headers: {},
    failure: null,
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
  const call = engine.call(sent, {
    onHead(status, headers) {
      watched.seen.push('head');
      Object.assign(watched, { status, headers });
    },
    onData(chunk) {
      watched.seen.push('data');
      chunks.push(chunk);
    },
    onEnd() {
      watched.seen.push('end');
      finished.resolve();
    },
    onError(failure) {
      watched.seen.push('error');
      Object.assign(watched, { failure });
      finished.resolve();
    },
  });
  return Object.assign(watched, { call });
}

async function expectAborted(under: EngineUnderTest, call: Watched, abortMsMax: number): Promise<void> {
  const abortedAt = performance.now();
  call.call.abort(new Error('the client left'));
  call.call.abort(new Error('the client left twice'));
  await call.over;
  expect(call.failure?.kind).toBe('aborted');
  await until(async () => ((await under.openWork?.()) ?? 0) === 0);
  expect(performance.now() - abortedAt).toBeLessThan(abortMsMax);
  const before = call.seen.length;
  await stable(() => call.seen.length);
  expect(call.seen.length).toBe(before);
  expect(call.seen.filter((kind) => kind === 'error' || kind === 'end')).toEqual(['error']);
}

function cacheReadOf(text: string): number {
  const { usage } = JSON.parse(text) as {
    usage: { cache_read_input_tokens?: number; prompt_tokens_details?: { cached_tokens?: number } };
  };
  return usage.cache_read_input_tokens ?? usage.prompt_tokens_details?.cached_tokens ?? 0;
}

/** Polls until something holds, for ten seconds at most. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('what was waited for did not come in ten seconds');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Waits until a count has stayed the same for a while. */
async function stable(count: () => number): Promise<void> {
  let since = performance.now();
  let last = count();
  await until(() => {
    if (count() !== last) since = performance.now();
    last = count();
    return performance.now() - since > 40;
  });
}
