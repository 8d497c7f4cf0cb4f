import type { Command } from 'commander';
import { z } from 'zod';
import { promotionOf, type Promotion } from '#core/limits';
import { bodyOf, type AdminClient } from '../admin-client.ts';
import { ask, askAll, finish, type CommonOptions } from '../key/run.ts';
import { readServeConfig } from '../serve-config.ts';
import { renderTable } from '../table.ts';

const DAY_MS = 86_400_000;
const organization = z.object({
  id: z.string(),
  tier: z.string().nullable(),
  created_at_ms: z.number(),
  closed_at_ms: z.number().nullable(),
});
const usage = z.object({
  rows: z.array(z.object({ costMicroUsd: z.number().nullable(), unpriced: z.number(), requests: z.number() })),
});
const action = z.object({ rung: z.string(), reversed_at_ms: z.number().nullable() });

interface Judged {
  readonly organization: string;
  readonly tier: string | null;
  readonly promotion: Promotion;
  readonly applied: boolean;
}

/** Registers `plimsoll limit promotions`. */
export function registerPromotions(limit: Command): void {
  finish(
    limit
      .command('promotions')
      .option('--apply', 'move those up that may, each change in the audit log')
      .description('which organizations may move up a tier by the rules of limits.tiers, and what the others lack'),
    async (client, options: CommonOptions & { readonly apply?: true }) => {
      const { tiers } = readServeConfig(options, process.env).limits;
      const judged: Judged[] = [];
      for (const shown of await askAll(client, '/admin/v1/organizations', {})) {
        const found = organization.parse(shown);
        const tier = tiers.find(({ id }) => id === found.tier) ?? null;
        if (found.closed_at_ms !== null || tier?.promotion === undefined) continue;
        const promotion = promotionOf(tier, {
          ageDays: (Date.now() - found.created_at_ms) / DAY_MS,
          spentMicroUsd: await spentBy(client, found.id, found.created_at_ms),
          hasActions: await hasActions(client, found.id),
        });
        const applied = options.apply === true && promotion.kind === 'eligible';
        if (applied) await ask(client, 'PATCH', `/admin/v1/organizations/${found.id}`, { tier: promotion.to });
        judged.push({ organization: found.id, tier: found.tier, promotion, applied });
      }
      console.log(options.json ? JSON.stringify(judged) : render(judged));
    },
  );
}

/** Null when some requests had no price. */
async function spentBy(client: AdminClient, id: string, sinceMs: number): Promise<number | null> {
  const query = new URLSearchParams({ organization: id, group_by: 'organization', from: new Date(sinceMs).toISOString() });
  const { rows } = usage.parse(bodyOf(await client.ask('GET', `/admin/v1/usage?${query}`), client));
  if (rows.some(({ unpriced }) => unpriced > 0)) return null;
  return rows.reduce((sum, { costMicroUsd }) => sum + (costMicroUsd ?? 0), 0);
}

async function hasActions(client: AdminClient, id: string): Promise<boolean> {
  const actions = await askAll(client, '/admin/v1/actions', { organization: id });
  return actions
    .map((one) => action.parse(one))
    .some(({ rung, reversed_at_ms: reversed }) => rung !== 'note' && reversed === null);
}

function render(judged: readonly Judged[]): string {
  if (judged.length === 0) return 'No organization has a tier with a promotion rule.';
  const words = ({ promotion, applied }: Judged): string => {
    if (promotion.kind === 'none') return '';
    if (promotion.kind === 'eligible') return applied ? `moved up to ${promotion.to}` : `may move up to ${promotion.to}`;
    return `${promotion.kind === 'unmeasured' ? 'could not tell' : 'not yet'}: ${promotion.because.join('; ')}`;
  };
  return renderTable(
    ['organization', 'tier', ''],
    judged.map((one) => [one.organization, one.tier ?? '–', words(one)]),
    { rightFrom: 99, leftLast: true },
  );
}
