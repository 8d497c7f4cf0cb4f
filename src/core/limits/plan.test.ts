import { expect, test } from 'vitest';
import type { LimitRule } from '#contracts/limits';
import { limitRuleSchema, tierSchema } from '#contracts/limits';
import { compileLimits, problemOfOverride, type LimitedRequest, type LimitedTenant, type LimitPlanner } from './plan.ts';
import { RATE_KINDS } from './rate.ts';

const hash = { text: (text: string) => text.length, high: () => 7 };
const rule = (more: Partial<LimitRule> & Pick<LimitRule, 'id'>): LimitRule =>
  limitRuleSchema.parse({ per: ['organization'], of: 'requests', limit: 100, window: '1m', ...more });
const tier = (more: object): ReturnType<typeof tierSchema.parse> => tierSchema.parse({ id: 'start', ...more });

function planner(
  rules: readonly LimitRule[] = [],
  { tiers = [], defaults = {} }: { tiers?: ReturnType<typeof tier>[]; defaults?: object } = {},
): LimitPlanner {
  const compiled = compileLimits(
    { defaults, rules, tiers, modelClasses: [{ id: 'large', models: ['harbor-1', 'harbor-2'] }] },
    hash,
  );
  if (!compiled.ok) throw new Error(compiled.error.join('; '));
  return compiled.value;
}
const tenant = (more: Partial<LimitedTenant> = {}): LimitedTenant => ({
  organization: { id: 'org_a', tier: null, limits: {} },
  workspace: { id: 'ws_a', limits: {} },
  key: { id: 'key_a', limits: {} },
  slow: { organization: 1, key: 1 },
  ...more,
});
const request = (more: Partial<LimitedRequest> = {}): LimitedRequest => ({
  tenant: tenant(),
  modelClass: 'large',
  endUser: null,
  address: '10.0.0.1',
  ...more,
});
/** Rule id → limit, of every meter that limits. */
const limits = (plan: LimitPlanner, of: LimitedRequest): Record<string, number> =>
  Object.fromEntries(
    plan
      .groupsOf(of)
      .flatMap((group) => group.rates.map((rate, at) => [group.scope.rules[at]!.id, rate] as const))
      .filter(([, rate]) => rate.kind !== RATE_KINDS.unlimited)
      .map(([id, rate]) => [id, rate.limit]),
  );

test('without any configuration nothing is limited and nothing is looked up', () => {
  expect(planner().groupsOf(request())).toEqual([]);
});

test('defaults hold for each key; tiers, organizations, workspaces and keys replace them, the nearest one wins', () => {
  const plan = planner([], { defaults: { rpm: 600, concurrency: 8 }, tiers: [tier({ limits: { rpm: { limit: 50 } } })] });
  expect(limits(plan, request())).toEqual({ rpm: 600, concurrency: 8 });
  const organization = { id: 'org_a', tier: 'start', limits: {} };
  expect(limits(plan, request({ tenant: tenant({ organization }) }))).toMatchObject({ rpm: 50 });
  const own = { ...organization, limits: { rpm: { limit: 70 } } };
  expect(limits(plan, request({ tenant: tenant({ organization: own }) }))).toMatchObject({ rpm: 70 });
  const workspace = { id: 'ws_a', limits: { rpm: { limit: 60 } } };
  expect(limits(plan, request({ tenant: tenant({ organization: own, workspace }) }))).toMatchObject({ rpm: 60 });
  const key = { id: 'key_a', limits: { rpm: { limit: 5 } } };
  expect(limits(plan, request({ tenant: tenant({ organization: own, workspace, key }) }))).toMatchObject({ rpm: 5 });
});

test('a meter that keys share has one limit, whatever one of the keys says of itself', () => {
  const plan = planner([rule({ id: 'shared', per: ['organization'] })]);
  expect(limits(plan, request({ tenant: tenant({ key: { id: 'key_a', limits: { shared: { limit: 1e6 } } } }) }))).toEqual({
    shared: 100,
  });
});

test('rules that nobody has by default hold where something is said: workspace limits, money, end users', () => {
  const plan = planner([], { tiers: [tier({ spend: { soft: 50, hard: 90 } })] });
  expect(
    limits(
      plan,
      request({
        tenant: tenant({
          organization: { id: 'org_a', tier: 'start', limits: {} },
          workspace: { id: 'ws_a', limits: { 'workspace-tpm': { limit: 9 } } },
        }),
        endUser: { id: 'eu_a', limits: { 'end-user-rpm': { limit: 3 } }, slow: 1 },
      }),
    ),
  ).toEqual({ 'workspace-tpm': 9, 'spend-month': 90, 'spend-month-soft': 50, 'end-user-rpm': 3 });
});

test('combinations have meters of their own; models of a class share one, and a stranger among models is its own class', () => {
  const plan = planner([
    rule({ id: 'per-class', per: ['organization', 'model_class'] }),
    rule({ id: 'addresses', per: ['address'] }),
  ]);
  const subjects = (model: string): string[] =>
    plan.groupsOf(request({ modelClass: plan.modelClassOf(model) })).map(({ subject }) => subject);
  expect(subjects('harbor-1')).toEqual(['large|org_a', '10.0.0.1']);
  expect(subjects('harbor-2')).toEqual(subjects('harbor-1'));
  expect(subjects('other')).toEqual(['other|org_a', '10.0.0.1']);
});

test('an end user of whom nothing is said has its tenant’s limits, one of whom something is said its own, in any order', () => {
  const plan = planner([rule({ id: 'each', per: ['organization', 'end_user'] })]);
  const own = tenant();
  const as = (more: Partial<NonNullable<LimitedRequest['endUser']>>): Record<string, number> =>
    limits(plan, request({ tenant: own, endUser: { id: 'eu_a', limits: {}, slow: 1, ...more } }));
  expect(as({ limits: { each: { limit: 3 } } })).toEqual({ each: 3 });
  expect(as({})).toEqual({ each: 100 });
  expect(as({ slow: 0.5 })).toEqual({ each: 50, 'slow-end-user': 30 });
  expect(as({})).toEqual({ each: 100 });
  expect(limits(plan, request({ tenant: own }))).toEqual({});
});

test('a rule for some classes leaves the others alone', () => {
  const plan = planner([rule({ id: 'large-only', per: ['key', 'model_class'], model_classes: ['large'] })]);
  expect(limits(plan, request())).toEqual({ 'large-only': 100 });
  expect(plan.groupsOf(request({ modelClass: 'small' }))).toEqual([]);
});

test('what is the same for all requests of a tenant is made once, and anew for a tenant that changed', () => {
  const plan = planner([], { defaults: { rpm: 10 } });
  const [first, second] = [tenant(), tenant({ key: { id: 'key_a', limits: { rpm: { limit: 10 } } } })];
  expect(plan.groupsOf(request({ tenant: first }))).toBe(plan.groupsOf(request({ tenant: first })));
  const [a] = plan.groupsOf(request({ tenant: first }));
  const [b] = plan.groupsOf(request({ tenant: second }));
  expect(a).not.toBe(b);
  expect(a!.rates).toBe(b!.rates);
});

test('a slowed key keeps a part of every rate, and has one even where it had none', () => {
  const slow = { organization: 1, key: 0.1 };
  expect(limits(planner([], { defaults: { rpm: 600, concurrency: 8 } }), request({ tenant: tenant({ slow }) }))).toEqual({
    rpm: 60,
    concurrency: 8,
  });
  expect(limits(planner(), request({ tenant: tenant({ slow: { organization: 0.01, key: 1 } }) }))).toEqual({
    'slow-organization': 1,
  });
});

test('money is refused when the store is away, rates are shared, and only the file can say open', () => {
  const plan = planner([
    rule({ id: 'a' }),
    rule({ id: 'b', of: 'spend', window: 'month' }),
    rule({ id: 'c', when_away: 'open' }),
  ]);
  const away = Object.fromEntries(plan.definitions.map((definition) => [definition.rule.id, definition.rule.whenAway]));
  expect(away).toMatchObject({ a: 'local_share', b: 'closed', c: 'open', rpm: 'local_share', 'spend-month': 'closed' });
});

test.each([
  [{ id: 'x', window: undefined }, /say the window/],
  [{ id: 'x', of: 'concurrency' as const }, /has no window/],
  [{ id: 'x', window: 'month', burst: 5 }, /a burst has no meaning/],
  [{ id: 'x', cache_read_weight: 0.1 }, /cache_read_weight is for/],
  [{ id: 'x', per: ['key' as const, 'key' as const] }, /names a level twice/],
  [{ id: 'x', per: ['model_class' as const] }, /whose traffic is counted/],
  [{ id: 'x', model_classes: ['large'] }, /needs model_class in per/],
  [{ id: 'x', window: '366d', limit: 999_999_999_989 }, /rounder limit/],
])('a rule that cannot be meant is refused: %j', (more, message) => {
  const compiled = compileLimits({ defaults: {}, rules: [rule(more)], tiers: [], modelClasses: [] }, hash);
  expect(compiled.ok ? '' : compiled.error.join()).toMatch(message);
});

test('a tier that names no rule, or is to be promoted to no tier, is refused with what there is', () => {
  const tiers = [tier({ limits: { rmp: { limit: 5 } }, promotion: { to: 'build', days: 7, spent: 0 } })];
  const compiled = compileLimits({ defaults: {}, rules: [], tiers, modelClasses: [] }, hash);
  expect(compiled.ok ? [] : compiled.error).toEqual([
    expect.stringMatching(/no rule is called rmp; there are rpm, /),
    'limits.tiers start: no tier is called build',
  ]);
});

test('an override is checked where it is set', () => {
  expect(problemOfOverride(planner(), 'rpm', { limit: 7 })).toBeNull();
  expect(problemOfOverride(planner(), 'rmp', { limit: 7 })).toMatch(/no rule is called rmp/);
  expect(problemOfOverride(planner(), 'spend-month', { limit: 1e12 })).toBeNull();
});
