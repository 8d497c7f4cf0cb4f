import type { Command } from 'commander';
import { z } from 'zod';
import { bodyOf } from './admin-client.ts';
import { finish, type CommonOptions } from './key/run.ts';
import { registerPromotions } from './limit/promotions.ts';
import { registerRulesTest } from './limit/rules-test.ts';
import { renderTable } from './table.ts';

/** Registers `plimsoll limit`. */
export function registerLimit(program: Command): void {
  const limit = program.command('limit').description('what limits whom, what is left, and what a rule would do');
  finish(
    limit
      .command('explain')
      .argument('<key-id>', 'a key, as plimsoll key list names it')
      .description('each limit on a key as it stands: what is left, how wrong it can be, and which one binds next and why'),
    async (client, keyId: string, options: CommonOptions) => {
      const body = bodyOf(await client.ask('GET', `/admin/v1/keys/${encodeURIComponent(keyId)}/limits`), client);
      if (options.json) console.log(JSON.stringify(body));
      else console.log(renderKeyLimits(keyLimits.parse(body)));
    },
  );
  const rules = limit.command('rules').description('the rules of limits, and trials of abuse rules');
  finish(
    rules
      .command('list', { isDefault: true })
      .option('--organization <id>', 'whose', 'org_first')
      .description('the rules in force for an organization, with its own values'),
    async (client, options: CommonOptions & { readonly organization: string }) => {
      const route = `/admin/v1/organizations/${encodeURIComponent(options.organization)}/rate_limits`;
      const body = bodyOf(await client.ask('GET', route), client);
      if (options.json) console.log(JSON.stringify(body));
      else console.log(renderRules(organizationRules.parse(body).data));
    },
  );
  registerRulesTest(rules);
  registerPromotions(limit);
}

const rule = z.object({
  rule: z.string(),
  per: z.array(z.string()),
  of: z.string(),
  /** Null: nothing, unless a tier or the subject says otherwise. */
  limit: z.number().nullable(),
  burst: z.number().nullable(),
  window: z.string().nullable(),
  when_away: z.string(),
  dry_run: z.boolean(),
});
const organizationRules = z.object({ data: z.array(rule) });
const keyLimits = z.object({
  limits: z.array(
    rule.extend({
      subject: z.string(),
      left: z.number(),
      full_in_ms: z.number().nullable(),
      by: z.string(),
      bounds: z.object({ overshoot: z.number(), stranded: z.number(), stale_ms: z.number() }),
    }),
  ),
  binds_next: z.object({ rule: z.string(), subject: z.string(), because: z.string() }).nullable(),
});

export function renderKeyLimits({ limits, binds_next: next }: z.infer<typeof keyLimits>): string {
  if (limits.length === 0) return 'Nothing limits this key.';
  const rows = limits.map((one) => [
    one.dry_run ? `${one.rule} (dry run)` : one.rule,
    one.subject,
    one.of,
    count(one.limit),
    one.window ?? 'at once',
    count(one.left),
    one.full_in_ms === null ? '–' : inWords(one.full_in_ms),
    one.bounds.overshoot === 0 ? 'exact' : `+${count(one.bounds.overshoot)} a stream`,
    one.bounds.stranded === 0 ? '–' : `${count(one.bounds.stranded)}, ${one.bounds.stale_ms} ms`,
    one.when_away,
    one.by,
  ]);
  const table = renderTable(
    [
      'limit',
      'subject',
      'counts',
      'allows',
      'per',
      'left',
      'full in',
      'overshoot',
      'in leases at most',
      'store away',
      'decided by',
    ],
    rows,
    { rightFrom: 99, leftLast: true },
  );
  const last =
    next === null
      ? 'Nothing binds: no limit is enforced on this key.'
      : `Next to bind: ${next.rule} of ${next.subject}: ${next.because}.`;
  return `${table}\n\n${last}`;
}

function renderRules(rules: readonly z.infer<typeof rule>[]): string {
  return renderTable(
    ['rule', 'on', 'counts', 'allows', 'at once', 'per', 'store away', ''],
    rules.map((one) => [
      one.rule,
      one.per.join(' × '),
      one.of,
      one.limit === null ? 'any' : count(one.limit),
      one.burst === null ? 'any' : count(one.burst),
      one.window ?? 'held',
      one.when_away,
      one.dry_run ? 'dry run' : '',
    ]),
    { rightFrom: 99, leftLast: true },
  );
}

const count = (value: number | null): string => (value === null ? 'any' : value.toLocaleString('en-US'));

function inWords(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} d`;
}
