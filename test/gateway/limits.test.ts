import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Action } from '#contracts/tenancy';
import { sampleAction } from '#contracts/tenancy-kit.fixture';
import { createSystemClock } from '#runtime';
import { createMemoryLimits, type LimitStore } from '#storage';
import * as answers from './kit/answers.ts';
import { ask, open } from './kit/client.ts';
import { startReplica, type Script } from './kit/scripted-replica.ts';
import { poolOf, startGateway, type ConfigInput, type TestGateway } from './kit/start-gateway.ts';
import { organizationOf } from './kit/tenants.ts';
import { until } from './kit/until.ts';

const whole: Script = (exchange) =>
  exchange.path.endsWith('/chat/completions')
    ? exchange.respond(200, answers.chatAnswer('Seven feet.'))
    : exchange.respond(200, answers.messagesAnswer('Seven feet.'));
type Limits = ConfigInput['limits'];
async function gatewayWith(limits: Limits, script: Script = whole, more: Partial<ConfigInput> = {}) {
  const replica = await startReplica(script);
  const gateway = await startGateway({ config: poolOf([replica], { rest: { ...more, limits } }) });
  return { replica, gateway };
}
const message = (gateway: TestGateway, more: object = {}, key = gateway.key, headers: Record<string, string> = {}) =>
  ask(gateway.port, { path: answers.MESSAGES, key, body: answers.messagesRequest(more), headers });
const textOf = (received: { body: Buffer }): string => JSON.parse(received.body.toString()).error.message as string;
const actionOf = (more: Partial<Action>): Action =>
  sampleAction({
    id: 'act_1',
    organization: 'org_first',
    subject: { kind: 'key', id: 'key_first_api' },
    rung: 'suspend_key',
    factor: null,
    reason: 'leaked_key',
    ...more,
  });

test('a refusal names the limit, the subject and the exact wait, in the headers that both SDKs obey; and is recorded', async () => {
  const { gateway, replica } = await gatewayWith({ defaults: { rpm: 2 } });
  for (const remaining of ['1', '0']) {
    const passed = await message(gateway);
    expect(passed.status).toBe(200);
    expect(passed.headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '2',
      'anthropic-ratelimit-requests-remaining': remaining,
      'anthropic-ratelimit-requests-reset': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
  }
  const refused = await message(gateway);
  expect(refused.status).toBe(429);
  expect(textOf(refused)).toMatch(/limit rpm of key key_first_api: 2 requests in 60 s/);
  expect(refused.headers).toMatchObject({ 'x-should-retry': 'true', 'anthropic-ratelimit-requests-remaining': '0' });
  const waitMs = Number(refused.headers['retry-after-ms']);
  expect(waitMs).toBeGreaterThan(25_000);
  expect(waitMs).toBeLessThanOrEqual(30_000);
  expect(Number(refused.headers['retry-after'])).toBe(Math.ceil(waitMs / 1000));
  const chat = await ask(gateway.port, { path: answers.CHAT, key: gateway.key, body: answers.chatRequest() });
  expect(chat.status).toBe(429);
  expect(JSON.parse(chat.body.toString())).toMatchObject({ error: { type: 'rate_limit_error', code: 'rate_limit_exceeded' } });
  expect(chat.headers).toMatchObject({ 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '0' });
  expect(chat.headers['x-ratelimit-reset-requests']).toMatch(/^(\d+m)?[\d.]+s$/);
  expect(replica.exchanges).toHaveLength(2);
  expect(gateway.records.map(({ code }) => code)).toEqual([null, null, 'rate_limited', 'rate_limited']);
});

test('a request that is refused for one limit burns nothing of the others', async () => {
  const held: (() => void)[] = [];
  const { gateway } = await gatewayWith(
    { defaults: { rpm: 3, concurrency: 1 } },
    (exchange) => void held.push(() => void whole(exchange)),
  );
  const first = open(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() });
  await until(() => held.length === 1, 'the first is at its replica');
  for (let n = 0; n < 5; n++) {
    const refused = await message(gateway);
    expect(refused.status).toBe(429);
    expect(textOf(refused)).toMatch(/concurrency of key/);
    expect(refused.headers['retry-after']).toBe('1');
  }
  held.pop()!();
  await first.answer;
  for (let n = 0; n < 2; n++) {
    const next = message(gateway);
    await until(() => held.length === 1, 'the next is at its replica');
    held.pop()!();
    expect((await next).status).toBe(200);
  }
  expect(textOf(await message(gateway))).toMatch(/limit rpm/);
});

test('tokens are charged as the engine counted them: cache reads are free, what was reserved too much comes back', async () => {
  const { gateway } = await gatewayWith({ rules: [{ id: 'in', per: ['key'], of: 'input_tokens', limit: 1_000, window: '1h' }] });
  const body = { metadata: { padding: 'x'.repeat(2_000) } };
  const first = await message(gateway, body);
  expect(first.headers['anthropic-ratelimit-input-tokens-limit']).toBe('1000');
  // Some 520 tokens were reserved for the body; the engine read 21, and 4 from its cache.
  expect(Number(first.headers['anthropic-ratelimit-input-tokens-remaining'])).toBeLessThan(500);
  await until(() => gateway.records.length === 1, 'it is settled');
  const left = Number((await message(gateway, { metadata: { a: 1 } })).headers['anthropic-ratelimit-input-tokens-remaining']);
  expect(left).toBeGreaterThan(1_000 - 21 - 60);
});

/** A stream of which a test sends the words. */
function wordByWord(): {
  script: Script;
  say: (count: number) => void;
  end: () => void;
  isOpen: () => boolean;
  isClosed: () => boolean;
} {
  let exchange: Parameters<Script>[0] | null = null;
  const events = answers.messagesEvents(['word']);
  return {
    script(opened) {
      exchange = opened;
      opened.head(200, { 'content-type': 'text/event-stream' });
      opened.chunk(events.slice(0, 3).join(''));
    },
    say: (count) => exchange?.chunk((events[3] as string).repeat(count)),
    end() {
      exchange?.chunk(events.slice(4).join(''));
      exchange?.last();
    },
    isOpen: () => exchange !== null,
    isClosed: () => exchange?.closedAt !== null,
  };
}

test('output is charged while it streams: who has used it up waits before the first answer is over', async () => {
  const stream = wordByWord();
  const { gateway } = await gatewayWith({ defaults: { otpm: 100 } }, stream.script);
  const first = open(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest({ stream: true }) });
  await until(stream.isOpen, 'the stream is open');
  stream.say(150);
  await until(() => first.received().body.toString().split('text_delta').length === 151, 'the words have come');
  const second = await message(gateway, { stream: true });
  expect(second.status).toBe(429);
  expect(textOf(second)).toMatch(/limit otpm of key key_first_api: 100 output tokens/);
  stream.end();
  expect((await first.answer).body.toString()).toMatch(/message_stop/);
});

test('a hard stop ends the stream in an error event, tells the replica, and says which limit it was', async () => {
  const stream = wordByWord();
  const { gateway } = await gatewayWith(
    { rules: [{ id: 'budget', per: ['key'], of: 'output_tokens', limit: 100, window: '1h', hard_stop: true }] },
    stream.script,
  );
  const first = open(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest({ stream: true }) });
  await until(stream.isOpen, 'the stream is open');
  stream.say(64);
  await until(() => first.received().body.toString().split('text_delta').length === 65, 'the first words have come');
  stream.say(64);
  const { body, isComplete } = await first.answer;
  expect(isComplete).toBe(true);
  expect(body.toString()).toMatch(/event: error\ndata: .*rate_limit_error.*limit budget of key key_first_api is used up/);
  expect(body.toString()).not.toMatch(/message_stop/);
  await until(stream.isClosed, 'the replica is told');
  expect(gateway.records[0]).toMatchObject({ outcome: 'broken', code: 'rate_limited', tokens: { output: 128, estimated: true } });
});

test('a client that leaves gives its place back and pays for what was delivered, no more', async () => {
  const stream = wordByWord();
  const { gateway } = await gatewayWith(
    {
      defaults: { concurrency: 1 },
      rules: [{ id: 'out', per: ['key'], of: 'output_tokens', limit: 1_000, window: '1h', output: 'max_tokens' }],
    },
    stream.script,
  );
  const first = open(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body: answers.messagesRequest({ stream: true, max_tokens: 900 }),
  });
  await until(stream.isOpen, 'the stream is open');
  stream.say(10);
  await until(() => first.received().body.toString().split('text_delta').length === 11, 'the words have come');
  expect(textOf(await message(gateway, { stream: true, max_tokens: 900 }))).toMatch(/limit (concurrency|out)/);
  first.leave();
  await until(() => gateway.records.some(({ outcome }) => outcome === 'client_gone'), 'it is settled');
  const caller = gateway.tenants.directory.find(gateway.key)!;
  const groups = gateway.gateway.limiter().groupsOf(caller, 'harbor-1');
  const { ahead } = await gateway.limits.peek(groups);
  const states = Object.fromEntries(
    groups.flatMap((group) => group.scope.rules.map((rule) => rule.id)).map((id, at) => [id, ahead[at]]),
  );
  expect(states['concurrency']).toBe(0);
  // 10 of 1,000 an hour: 36 s of ticks, less what has passed since.
  expect(states['out']! / 3_600_000).toBeGreaterThan(9.5);
  expect(states['out']! / 3_600_000).toBeLessThanOrEqual(10);
});

test('a request that no engine worked on is given back', async () => {
  const { gateway } = await gatewayWith({ defaults: { rpm: 1 } });
  expect((await message(gateway, { model: 'nobody' })).status).toBe(404);
  expect((await message(gateway)).status).toBe(200);
  expect((await message(gateway)).status).toBe(429);
});

test('money: a month’s cap refuses with 402 and no retry, and names what is spent', async () => {
  const replica = await startReplica(whole);
  const base = poolOf([replica], { rest: { limits: { tiers: [{ id: 'start', spend: { hard: 10 } }] } } });
  const gateway = await startGateway({
    config: { ...base, models: base.models!.map((model) => ({ ...model, price: { input: 1e6, output: 1e6 } })) },
  });
  gateway.tenants.put(organizationOf('org_first', { tier: 'start' }));
  expect((await message(gateway)).status).toBe(200);
  await until(() => gateway.records.length === 1, 'it is settled');
  const refused = await message(gateway);
  expect(refused.status).toBe(402);
  expect(refused.headers).toMatchObject({ 'x-should-retry': 'false', 'retry-after': expect.stringMatching(/^\d+$/) });
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(3_600);
  expect(textOf(refused)).toMatch(/spend-month of organization org_first: 10 micro-dollars a month/);
});

test('actions in force: suspended, blocked and slowed callers are told what, why, until when and where to appeal', async () => {
  const { gateway, replica } = await gatewayWith({ defaults: { rpm: 100 }, appeal_url: 'https://example.com/appeal' });
  gateway.tenants.put(actionOf({}));
  const suspended = await message(gateway);
  expect(suspended.status).toBe(403);
  expect(textOf(suspended)).toBe(
    'This key is suspended (reason: leaked_key; until it is lifted; action act_1). Appeal at https://example.com/appeal.',
  );
  gateway.tenants.put(actionOf({ reversedAtMs: 1 }));
  expect((await message(gateway)).status).toBe(200);
  gateway.tenants.put(actionOf({ id: 'act_2', rung: 'block_capability', capabilities: ['tools'], reason: 'prompt_injection' }));
  expect((await message(gateway, { tools: [] })).status).toBe(403);
  expect((await message(gateway)).status).toBe(200);
  gateway.tenants.put(actionOf({ id: 'act_3', rung: 'slow', factor: 0.01, reason: 'velocity' }));
  expect((await message(gateway)).status).toBe(429);
  expect(replica.exchanges).toHaveLength(2);
});

test('a key is good for its models, regions and addresses, and for nothing else', async () => {
  const { gateway } = await gatewayWith({}, whole, { listen: { port: 0, trusted_proxies: ['127.0.0.0/8'] } });
  const models = gateway.tenants.add('key_models', { scopes: { models: ['other'] } });
  expect(textOf(await message(gateway, {}, models))).toMatch(/may not use model harbor-1/);
  const addresses = gateway.tenants.add('key_addresses', { scopes: { addresses: ['203.0.113.0/24'] } });
  expect((await message(gateway, {}, addresses)).status).toBe(403);
  expect((await message(gateway, {}, addresses, { 'x-forwarded-for': '203.0.113.7' })).status).toBe(200);
  const regions = gateway.tenants.add('key_regions', { scopes: { regions: ['mars'] } });
  expect((await message(gateway, {}, regions)).status).toBe(503);
});

test('guessing keys gets slow for the address that does it, and for nobody who has a key', async () => {
  const { gateway } = await gatewayWith({ unknown_keys_per_minute: 3 }, whole, {
    listen: { port: 0, trusted_proxies: ['127.0.0.0/8'] },
  });
  const guess = (address: string): Promise<number> =>
    message(gateway, {}, 'plimsoll_api_nobody', { 'x-forwarded-for': address }).then(({ status }) => status);
  expect([await guess('203.0.113.1'), await guess('203.0.113.1'), await guess('203.0.113.1')]).toEqual([401, 401, 401]);
  expect(await guess('203.0.113.1')).toBe(429);
  expect(await guess('203.0.113.2')).toBe(401);
  expect((await message(gateway, {}, gateway.key, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200);
});

test('a gateway that cannot hear of its tenants serves whom their organization lets it, and for as long', async () => {
  const { gateway } = await gatewayWith({});
  gateway.tenants.put(organizationOf('org_first', { whenCutOff: { kind: 'refuse', afterSeconds: 60 } }));
  gateway.tenants.cutOffMs = 59_999;
  expect((await message(gateway)).status).toBe(200);
  gateway.tenants.cutOffMs = 60_000;
  const refused = await message(gateway);
  expect([refused.status, refused.headers['x-should-retry']]).toEqual([503, 'true']);
  gateway.tenants.cutOffMs = 0;
  expect((await message(gateway)).status).toBe(200);
});

test('limits on end users and addresses count each of them for itself', async () => {
  const { gateway } = await gatewayWith({
    rules: [
      { id: 'each-user', per: ['organization', 'end_user'], of: 'requests', limit: 1, window: '1m' },
      { id: 'each-class', per: ['organization', 'model_class'], of: 'requests', limit: 100, window: '1m' },
    ],
  });
  const as = (user: string): Promise<number> => message(gateway, { metadata: { user_id: user } }).then(({ status }) => status);
  expect([await as('ada'), await as('ada'), await as('bo'), await as('ada')]).toEqual([200, 429, 200, 429]);
  await until(() => gateway.records.length === 4, 'all are recorded');
  expect(gateway.records[0]!.endUser).toBe(gateway.tenants.endUser('ada'));
  expect(JSON.stringify(gateway.records)).not.toContain('"ada"');
});

test('a store that must be asked: a client that leaves meanwhile, and one that waits, both give everything back', async () => {
  const memory = createMemoryLimits({ clock: createSystemClock(), subjectsMax: 1_000 });
  let answer: (() => void)[] = [];
  const slow: LimitStore = {
    ...memory,
    take: (request) => new Promise((resolve) => answer.push(() => resolve(memory.take(request)))),
    settle: async (settlement) => memory.settle(settlement),
  };
  const replica = await startReplica(whole);
  const gateway = await startGateway({
    config: poolOf([replica], { rest: { limits: { defaults: { rpm: 5, concurrency: 2 } } } }),
    limits: slow,
  });
  const leaving = open(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() });
  const staying = message(gateway);
  await until(() => answer.length === 2, 'both ask the store');
  leaving.leave();
  await ask(gateway.port, { path: '/healthz', body: '' }); // by now it has been seen to leave
  for (const go of answer) go();
  answer = [];
  expect((await staying).status).toBe(200);
  await until(() => gateway.records.length === 2, 'both are recorded');
  expect(gateway.metrics()).toContain('plimsoll_open_requests 0');
  const groups = gateway.gateway.limiter().groupsOf(gateway.tenants.directory.find(gateway.key)!, 'harbor-1');
  const { ahead } = await memory.peek(groups);
  const rules = groups.flatMap((group) => group.scope.rules.map((rule) => rule.id));
  expect(ahead[rules.indexOf('concurrency')]).toBe(0);
  // The one that was answered has cost one; the one that left before any engine saw it, none.
  expect(Math.ceil(ahead[rules.indexOf('rpm')]! / 12_000_000)).toBe(1);
});

test('a reload with limits that cannot be meant is refused, and the old ones hold on', async () => {
  const { gateway, replica } = await gatewayWith({ defaults: { rpm: 1 } });
  expect((await message(gateway)).status).toBe(200);
  const rules = [{ id: 'odd', per: ['key' as const], of: 'requests' as const, limit: 5 }];
  expect(() => gateway.reconfigure(poolOf([replica], { rest: { limits: { rules } } }))).toThrow(/odd: say the window/);
  expect((await message(gateway)).status).toBe(429);
  gateway.reconfigure(poolOf([replica], { rest: { limits: { defaults: { rpm: 2 } } } }));
  // Half of two is used, as all of one was: nothing was forgiven but the share that the new limit adds.
  expect((await message(gateway)).status).toBe(429);
});

test('whatever limits and whichever requests, no more is admitted than the limit says, through a whole gateway', async () => {
  const { gateway, replica } = await gatewayWith({ rules: [{ id: 'r', per: ['key'], of: 'requests', limit: 5, window: '1h' }] });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 12 }), async (limit, count) => {
      const before = replica.exchanges.length;
      const key = gateway.tenants.add(`key_${limit}_${count}_${before}`, { limits: { r: { limit } } });
      const statuses = await Promise.all(
        Array.from({ length: count }, () => message(gateway, {}, key).then(({ status }) => status)),
      );
      expect(statuses.filter((status) => status === 200)).toHaveLength(Math.min(limit, count));
      expect(replica.exchanges.length - before).toBe(Math.min(limit, count));
    }),
    { numRuns: 10 },
  );
});
