import path from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { DirectoryInUse, openUsageStore, type UsageDimension, type UsageRow } from '#storage';
import { bodyOf, openAdminClient, withAdminOptions, type AdminClient, type AdminOptions } from './admin-client.ts';
import { CannotStart } from './create-engines.ts';
import { readServeConfig } from './serve-config.ts';
import { renderTable } from './table.ts';
import { usagePlace } from './usage-place.ts';

const DIMENSIONS: readonly UsageDimension[] = ['organization', 'workspace', 'key', 'model', 'day', 'outcome'];
const DAY_MS = 86_400_000;

/** Registers `plimsoll usage`. */
export function registerUsage(program: Command): void {
  withAdminOptions(
    program
      .command('usage')
      .description('tokens and cost by key, model and day: from a running server, or from the data directory when none runs')
      .option('--by <list>', `what to group by, of ${DIMENSIONS.join(', ')}`, 'key,model,day')
      .option('--from <date>', 'first day, 2026-01-31 (default: 30 days ago)')
      .option('--to <date>', 'last day, included (default: today)'),
  )
    .option('--offline', 'read the data directory; refused while a server has it')
    .option('--json', 'print rows as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 printed; 1 neither a server nor the data directory could be asked; 2 the command line is wrong.',
    )
    .action(async (options: UsageOptions) => {
      try {
        await printUsage(options);
      } catch (error) {
        if (!(error instanceof CannotStart || error instanceof DirectoryInUse)) throw error;
        console.error(`plimsoll usage: ${error.message}`);
        process.exitCode = 1;
      }
    });
}

interface UsageOptions extends AdminOptions {
  readonly by: string;
  readonly from?: string;
  readonly to?: string;
  readonly offline?: true;
  readonly json?: true;
}

interface Asked {
  readonly groupBy: readonly UsageDimension[];
  readonly fromMs: number;
  readonly toMs: number;
}

async function printUsage(options: UsageOptions): Promise<void> {
  const asked = readAsked(options);
  const rows =
    (options.offline ? null : await fromServer(openAdminClient(options, process.env), asked)) ??
    (await fromStore(offlinePlace(options), asked));
  if (options.json) console.log(JSON.stringify({ from_ms: asked.fromMs, to_ms: asked.toMs, group_by: asked.groupBy, rows }));
  else console.log(render(rows, asked.groupBy));
}

function readAsked({ by, from, to }: UsageOptions): Asked {
  const groupBy = by.split(',').map((name) => name.trim());
  const unknown = groupBy.find((name) => !DIMENSIONS.includes(name as UsageDimension));
  if (unknown !== undefined) throw new CannotStart(`--by: ${JSON.stringify(unknown)} is none of ${DIMENSIONS.join(', ')}`);
  const day = (text: string, option: string): number => {
    const parsed = z.iso.date().safeParse(text);
    if (!parsed.success) throw new CannotStart(`${option}: ${JSON.stringify(text)} is not a date such as 2026-01-31`);
    return Date.parse(text);
  };
  const toMs = to === undefined ? Date.now() + DAY_MS : day(to, '--to') + DAY_MS;
  return { groupBy: groupBy as UsageDimension[], fromMs: from === undefined ? toMs - 31 * DAY_MS : day(from, '--from'), toMs };
}

const answerSchema = z.object({
  rows: z.array(z.custom<UsageRow>((value) => typeof value === 'object' && value !== null && 'group' in value)),
});

/** @returns null when no server listens there */
async function fromServer(client: AdminClient, { groupBy, fromMs, toMs }: Asked): Promise<readonly UsageRow[] | null> {
  const query = new URLSearchParams({
    group_by: groupBy.join(','),
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
  });
  const answer = await client.ask('GET', `/admin/v1/usage?${query}`);
  if (answer.kind === 'nobody') return null;
  const parsed = answerSchema.safeParse(bodyOf(answer, client));
  if (!parsed.success) throw new CannotStart(`the server at ${client.url} does not answer as this version does`);
  return parsed.data.rows;
}

function offlinePlace(options: UsageOptions): ReturnType<typeof usagePlace> {
  const config = readServeConfig(options, process.env);
  return usagePlace(config.stores.control, path.resolve(config.data));
}

async function fromStore(place: ReturnType<typeof usagePlace>, { groupBy, fromMs, toMs }: Asked): Promise<readonly UsageRow[]> {
  const store = await openUsageStore(place);
  try {
    return await store.usage({ organization: null, fromMs, toMs, groupBy });
  } finally {
    await store.close();
  }
}

function render(rows: readonly UsageRow[], groupBy: readonly UsageDimension[]): string {
  if (rows.length === 0) return 'No requests in this time.';
  const header = [...groupBy, 'requests', 'failed', 'input', 'cache read', 'cache write', 'output', 'cost USD', ''];
  const lines = rows.map((row) => [
    ...groupBy.map((dimension) => row.group[dimension] ?? '–'),
    ...[row.requests, row.failures, row.input, row.cacheRead, row.cacheWrite, row.output].map((count) =>
      count.toLocaleString('en-US'),
    ),
    row.costMicroUsd === null ? '–' : (row.costMicroUsd / 1e6).toFixed(6),
    doubts(row),
  ]);
  return renderTable(header, lines, { rightFrom: groupBy.length, leftLast: true });
}

/** A total that contains guesses, or that is not the whole cost, says so. */
function doubts({ estimated, unpriced }: UsageRow): string {
  return [estimated > 0 ? `${estimated} estimated` : '', unpriced > 0 ? `${unpriced} without a price` : '']
    .filter((text) => text !== '')
    .join(', ');
}
