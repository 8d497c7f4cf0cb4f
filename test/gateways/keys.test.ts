// Real processes on a real PostgreSQL and a real Redis: each step takes what it takes.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as answers from '../gateway/kit/answers.ts';
import { eventually } from './kit/eventually.ts';
import { because, HEARD_WITHIN_MS, isPossible, REDIS, startFleet, type Fleet } from './kit/fleet.ts';
import type { GatewayProcess } from './kit/gateway-process.ts';

const REVOKED_WITHIN_MS = 5_000;

interface Acknowledgement {
  readonly acknowledged: readonly { readonly name: string }[];
  readonly not_acknowledged: readonly { readonly name: string }[];
}

describe.skipIf(!isPossible)(`three gateways on one control store${because}`, () => {
  let fleet: Fleet;
  let [a, b, c] = [] as unknown as [GatewayProcess, GatewayProcess, GatewayProcess];
  beforeAll(async () => {
    fleet = await startFleet({
      size: 3,
      redis: `${REDIS}/8`,
      script: (exchange) =>
        exchange.path.endsWith('/chat/completions')
          ? exchange.respond(200, answers.chatAnswer('Seven feet.'))
          : exchange.respond(200, answers.messagesAnswer('Seven feet.')),
    });
    [a, b, c] = fleet.gateways as [GatewayProcess, GatewayProcess, GatewayProcess];
  });
  afterAll(() => fleet?.close());

  const statusAt = async (gateway: GatewayProcess, key: string): Promise<number> => (await gateway.call(key)).status;
  const reaches = (gateway: GatewayProcess, key: string, status: number, boundMs = HEARD_WITHIN_MS): Promise<number> =>
    eventually(async () => (await statusAt(gateway, key)) === status, `${gateway.port} answers ${status}`, boundMs);
  const everywhere = (key: string, status: number): Promise<number[]> =>
    Promise.all(fleet.gateways.map((gateway) => reaches(gateway, key, status)));
  const portsOf = (seen: readonly { readonly name: string }[]): number[] =>
    seen.map(({ name }) => Number(name.split(':').at(-1))).toSorted((one, other) => one - other);
  const ports = (...gateways: readonly GatewayProcess[]): number[] =>
    gateways.map(({ port }) => port).toSorted((one, other) => one - other);

  test('that begin at once on an empty database make one set of first keys, and all take it', async () => {
    expect(fleet.firstKeyFiles).toHaveLength(1);
    const { body } = await b.admin('GET', 'keys?organization=org_first');
    expect(body['data']).toMatchObject([{ id: 'key_first_admin' }, { id: 'key_first_api' }]);
    for (const gateway of fleet.gateways) {
      expect(await statusAt(gateway, fleet.first.api_key)).toBe(200);
      expect((await gateway.admin('GET', 'me')).status).toBe(200);
    }
    const entries = (await c.admin('GET', 'audit')).body['data'] as readonly { readonly act: string }[];
    expect(entries.filter(({ act }) => act === 'installation.begin')).toHaveLength(1);
    expect((await c.admin('GET', 'audit/verify')).body).toMatchObject({ broken_at: null });
  });

  test('a key made on one works on the others within a second or so; both work while a rotation overlaps', async ({
    annotate,
  }) => {
    const old = await fleet.newKey();
    for (const gateway of fleet.gateways) expect(await statusAt(gateway, old.secret)).toBe(200);
    const rotated = await b.admin('POST', `keys/${old.id}/rotate`, { overlap_seconds: 600 });
    expect(rotated.status).toBe(201);
    const next = rotated.body['secret'] as string;
    await everywhere(next, 200);
    for (const gateway of fleet.gateways) expect(await statusAt(gateway, old.secret)).toBe(200);
    await annotate(`a new key was known everywhere after ${old.knownMs.toFixed(0)} ms`);
  });

  test('a revocation names all as acknowledged, and then none serves the key; no later than 5 s after the call', async ({
    annotate,
  }) => {
    const key = await fleet.newKey();
    const startMs = performance.now();
    const elsewhere = Promise.all([b, c].map((gateway) => reaches(gateway, key.secret, 401, REVOKED_WITHIN_MS)));
    const { status, body } = await a.admin('POST', `keys/${key.id}/revoke`);
    const answeredMs = performance.now() - startMs;
    // Acknowledged is refused: now, and not soon.
    for (const gateway of fleet.gateways) expect(await statusAt(gateway, key.secret)).toBe(401);
    expect(status).toBe(200);
    const { acknowledged, not_acknowledged } = body as unknown as Acknowledgement;
    expect([portsOf(acknowledged), not_acknowledged]).toEqual([ports(a, b, c), []]);
    const refusedMs = Math.max(...(await elsewhere));
    expect(refusedMs).toBeLessThan(REVOKED_WITHIN_MS);
    await annotate(`revoked: answered after ${answeredMs.toFixed(0)} ms, refused elsewhere after ${refusedMs.toFixed(0)} ms`);
  });

  test('a gateway that is stopped is named within 5 s as one that has not acknowledged, and refuses when it goes on', async ({
    annotate,
  }) => {
    const key = await fleet.newKey();
    b.signal('SIGSTOP');
    let answeredMs = 0;
    try {
      const startMs = performance.now();
      const { body } = await a.admin('POST', `keys/${key.id}/revoke`);
      answeredMs = performance.now() - startMs;
      const { acknowledged, not_acknowledged } = body as unknown as Acknowledgement;
      expect([portsOf(acknowledged), portsOf(not_acknowledged)]).toEqual([ports(a, c), ports(b)]);
      expect(answeredMs).toBeLessThan(REVOKED_WITHIN_MS);
      expect([await statusAt(a, key.secret), await statusAt(c, key.secret)]).toEqual([401, 401]);
    } finally {
      b.signal('SIGCONT');
    }
    const refusedMs = await reaches(b, key.secret, 401, REVOKED_WITHIN_MS);
    await annotate(`stopped: answered after ${answeredMs.toFixed(0)} ms, refused ${refusedMs.toFixed(0)} ms after it went on`);
  });

  test('who is suspended on one gateway is told why and where to appeal on another, and is served again once that is reversed', async ({
    annotate,
  }) => {
    const appealUrl = 'https://harbor.example/appeals';
    const key = await fleet.newKey({ settings: { appeal_url: appealUrl } });
    for (const [rung, subject] of [
      ['suspend_key', { kind: 'key', id: key.id }],
      ['suspend_organization', { kind: 'organization', id: key.organization }],
    ] as const) {
      const made = await a.admin('POST', 'actions', {
        organization: key.organization,
        subject,
        rung,
        reason: 'many_networks',
      });
      expect(made.status).toBe(201);
      const id = made.body['id'] as string;
      const tookMs = await reaches(b, key.secret, 403);
      const { error } = JSON.parse((await b.call(key.secret)).body.toString()) as { error: { type: string; message: string } };
      expect(error.type).toBe('permission_error');
      for (const part of ['suspended', 'many_networks', id, appealUrl]) expect(error.message).toContain(part);
      const reversed = await c.admin('POST', `actions/${id}/reverse`, { because: 'It was a conference.' });
      expect(reversed.status).toBe(200);
      const backMs = Math.max(...(await everywhere(key.secret, 200)));
      await annotate(`${rung}: refused elsewhere after ${tookMs.toFixed(0)} ms, served again after ${backMs.toFixed(0)} ms`);
    }
  });

  test('after moving in from LiteLLM the old keys work with the official clients on every gateway, within their limits', async () => {
    const [search, chat] = ['sk-search-4711-made-up', 'sk-chat-0815-made-up'];
    const hash = (secret: string): string => createHash('sha256').update(secret).digest('hex');
    const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const file = (name: string, content: string): string => {
      const place = path.join(path.dirname(a.dataDirectory), name);
      writeFileSync(place, content);
      return place;
    };
    const keys = file(
      'keys.jsonl',
      lines([
        { token: hash(search), key_name: 'sk-...made-up', key_alias: 'search', team_id: 'team-1', rpm_limit: 2, models: [] },
        { token: hash(chat), key_name: 'sk-...made-up', key_alias: 'chat', team_id: 'team-1', rpm_limit: 100, models: [] },
      ]),
    );
    const teams = file('teams.jsonl', lines([{ team_id: 'team-1', team_alias: 'Search', models: [] }]));
    const printed = await a.command(['import', 'litellm', '--keys', keys, '--teams', teams, '--json']);
    expect(JSON.parse(printed)).toMatchObject({ planned: { keys: 2 }, imported: { differs: [] } });
    await reaches(c, chat, 200);

    const client = (gateway: GatewayProcess, apiKey: string) =>
      new Anthropic({ baseURL: `http://127.0.0.1:${gateway.port}`, apiKey, maxRetries: 0, logLevel: 'off' });
    const question = { model: 'harbor-1', max_tokens: 64, messages: [{ role: 'user' as const, content: 'How deep?' }] };
    const openai = new OpenAI({ baseURL: `http://127.0.0.1:${b.port}/v1`, apiKey: chat, maxRetries: 0, logLevel: 'off' });
    expect((await openai.chat.completions.create(question)).choices[0]?.message.content).toBe('Seven feet.');

    // Two a minute, counted across the gateways.
    await reaches(b, chat, 200);
    for (const gateway of [a, b]) {
      // On a machine so busy that the store of limits seems away for a moment, a rate waits for it.
      const isServed = async (): Promise<boolean> => {
        const answer = await client(gateway, search)
          .messages.create(question)
          .catch((error: unknown) => error);
        if (answer instanceof Anthropic.RateLimitError) return false;
        expect(answer).toMatchObject({ content: [{ text: 'Seven feet.' }] });
        return true;
      };
      await eventually(isServed, `${gateway.port} serves a key that moved in`, 5_000);
    }
    for (const gateway of fleet.gateways) {
      const refused = await client(gateway, search)
        .messages.create(question)
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Anthropic.RateLimitError);
      expect(String(refused)).toMatch(/limit rpm of key .*: 2 requests in 60 s/);
      const stranger = client(gateway, 'sk-nobody-has-this-one').messages.create(question);
      await expect(stranger).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    }
  });
});
