import { expect, test } from 'vitest';
import { configSchema } from '../../src/contracts/config.ts';
import { createLimitViews } from '../../src/cli/limit-views.ts';
import { renderKeyLimits } from '../../src/cli/limit.ts';
import { presentLimits } from '../../src/control/present.ts';
import { createSystemClock } from '../../src/runtime/index.ts';
import * as answers from './kit/answers.ts';
import { ask, open } from './kit/client.ts';
import { startReplica } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

test('a key under load is explained as it is: what is left, how wrong it can be, which limit binds next and why', async () => {
  const held: (() => void)[] = [];
  const replica = await startReplica((exchange) =>
    exchange.body.includes('hold')
      ? void held.push(() => exchange.respond(200, answers.messagesAnswer('Seven feet.')))
      : exchange.respond(200, answers.messagesAnswer('Seven feet.')),
  );
  const config = poolOf([replica], {
    rest: {
      limits: {
        defaults: { rpm: 100, itpm: 100_000, otpm: 1_000, concurrency: 8 },
        rules: [
          { id: 'org-day', per: ['organization'], of: 'requests', limit: 20, window: 'day' },
          { id: 'tight', per: ['key'], of: 'requests', limit: 1, window: '1h', dry_run: true },
          { id: 'class', per: ['organization', 'model_class'], of: 'input_tokens', limit: 5_000, window: '1h' },
        ],
      },
    },
  });
  const gateway = await startGateway({ config });
  const send = (more = {}) => ({ path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest(more) });
  for (let n = 0; n < 12; n++) expect((await ask(gateway.port, send())).status).toBe(200);
  const open2 = [1, 2].map(() => open(gateway.port, send({ metadata: { a: 'hold' } })));
  await until(() => held.length === 2 && gateway.records.length === 12, 'two are open, and the others settled');

  const views = createLimitViews({
    limiter: gateway.gateway.limiter,
    config: () => configSchema.parse(config),
    callerOf: gateway.tenants.directory.callerOf,
    clock: createSystemClock(),
  });
  const explained = (await views.explain('key_first_api'))!;
  const left = Object.fromEntries(explained.limits.map((limit) => [limit.rule, limit.left]));
  expect(left).toMatchObject({ concurrency: 6, 'org-day': 6 });
  // 14 of 100 were taken a moment ago; a few may have come back since.
  expect(left['rpm']).toBeGreaterThanOrEqual(86);
  expect(left['rpm']).toBeLessThan(92);
  // 7 output tokens for each of the twelve; those of the open ones are not known yet.
  expect(left['otpm']).toBeGreaterThanOrEqual(1_000 - 84);
  expect(explained.limits.map(({ subject }) => subject)).toContain('harbor-1|org_first');
  expect(explained.limits.find(({ rule }) => rule === 'otpm')?.bounds.overshoot).toBe(64);
  expect(explained.limits.find(({ rule }) => rule === 'rpm')?.bounds).toEqual({ overshoot: 0, stranded: 0, staleMs: 0 });
  expect(explained.bindsNext).toMatchObject({ subject: expect.any(String), because: expect.stringMatching(/\w/) });
  expect(['org-day', 'concurrency']).toContain(explained.bindsNext?.rule);

  const text = renderKeyLimits(JSON.parse(JSON.stringify(presentLimits(explained))));
  expect(text).toMatch(/^tight \(dry run\) /m);
  expect(text).toMatch(/^Next to bind: (org-day|concurrency) of /m);
  for (const go of held) go();
  for (const one of open2) expect((await one.answer).status).toBe(200);
  expect(await views.explain('key_nobody')).toBeNull();
});
