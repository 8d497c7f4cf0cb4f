import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { request } from 'undici';
import { z } from 'zod';
import { DirectoryInUse, openUsageStore, type UsageDimension, type UsageRow } from '#storage';
import { CannotStart } from './create-engines.ts';
import { readServeConfig } from './serve-config.ts';
import { renderTable } from './table.ts';
import { usagePlace } from './usage-place.ts';

const DIMENSIONS: readonly UsageDimension[] = ['organization', 'workspace', 'key', 'model', 'day', 'outcome'];
const DAY_MS = 86_400_000;

/** Registers `plimsoll usage`. */
export function registerUsage(program: Command): void {
  program
    .command('usage')
    .description('tokens and cost by key, model and day: from a running server, or from the data directory when none runs')
    .option('--by <list>', `what to group by, of ${DIMENSIONS.join(', ')}`, 'key,model,day')
    .option('--from <date>', 'first day, 2026-01-31 (default: 30 days ago)')
    .option('--to <date>', 'last day, included (default: today)')
    .option('--config <file>', 'configuration file, as for serve')
    .option('--data <directory>', 'data directory, as for serve')
    .option('--url <url>', 'admin address of the server (default: where serve listens)')
    .addOption(
      new Option('--admin-key <key>', 'admin key (default: the first one of the data directory)').env('PLIMSOLL_ADMIN_KEY'),
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

interface UsageOptions {
  readonly by: string;
  readonly from?: string;
  readonly to?: string;
  readonly config?: string;
  readonly data?: string;
  readonly url?: string;
  readonly adminKey?: string;
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
  const config = readServeConfig(options, process.env);
  const dataDirectory = path.resolve(config.data);
  const admin = config.listen.admin ?? config.listen;
  const url = options.url ?? `http://${admin.host}:${admin.port}`;
  const rows =
    (options.offline ? null : await fromServer(url, options.adminKey ?? firstAdminKey(dataDirectory), asked)) ??
    (await fromStore(usagePlace(config.stores.control, dataDirectory), asked));
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
async function fromServer(
  url: string,
  key: string | null,
  { groupBy, fromMs, toMs }: Asked,
): Promise<readonly UsageRow[] | null> {
  const query = new URLSearchParams({
    group_by: groupBy.join(','),
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
  });
  let answer;
  try {
    answer = await request(`${url}/admin/v1/usage?${query}`, {
      headers: key === null ? {} : { 'x-api-key': key },
      headersTimeout: 15_000,
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return null;
    throw new CannotStart(`the server at ${url} did not answer: ${error instanceof Error ? error.message : String(error)}`);
  }
  const body: unknown = await answer.body.json().catch(() => null);
  if (answer.statusCode === 401)
    throw new CannotStart(`the server at ${url} does not take this admin key; give one with --admin-key or PLIMSOLL_ADMIN_KEY`);
  const parsed = answerSchema.safeParse(body);
  if (answer.statusCode !== 200 || !parsed.success)
    throw new CannotStart(
      `the server at ${url} answered with status ${answer.statusCode}: ${JSON.stringify(body).slice(0, 300)}`,
    );
  return parsed.data.rows;
}

async function fromStore(place: ReturnType<typeof usagePlace>, { groupBy, fromMs, toMs }: Asked): Promise<readonly UsageRow[]> {
  const store = await openUsageStore(place);
  try {
    return await store.usage({ organization: null, fromMs, toMs, groupBy });
  } finally {
    await store.close();
  }
}

function firstAdminKey(dataDirectory: string): string | null {
  try {
    const parsed = z
      .object({ admin_key: z.string() })
      .safeParse(JSON.parse(readFileSync(path.join(dataDirectory, 'first-keys.json'), 'utf8')));
    return parsed.success ? parsed.data.admin_key : null;
  } catch {
    return null;
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
