import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { bodyOf, type AdminClient } from './admin-client.ts';
import { CannotStart } from './create-engines.ts';
import { collectLeftovers, type Leftover } from './import/leftovers.ts';
import { readExport, type ExportFiles } from './import/litellm-export.ts';
import { readLitellmConfig, type Fragment } from './import/litellm-config.ts';
import { planTenants, type ImportedObject } from './import/litellm-tenants.ts';
import { renderFragment } from './import/render-fragment.ts';
import { finishForeign, type CommonOptions } from './key/run.ts';

interface LitellmOptions extends CommonOptions, ExportFiles {
  readonly organizationName: string;
  readonly out?: string;
  readonly dryRun?: true;
}

/** Registers `plimsoll import`. */
export function registerImport(program: Command): void {
  const command = program.command('import').description('move in from another gateway');
  finishForeign(
    command
      .command('litellm')
      .description('take in a LiteLLM proxy: its models as a fragment of the configuration, its teams and keys as tenants')
      .requiredOption('--keys <file>', 'LiteLLM_VerificationToken as JSON lines or CSV')
      .option('--teams <file>', 'LiteLLM_TeamTable; needed when keys have teams')
      .option('--users <file>', 'LiteLLM_UserTable; needed when keys without a team have users')
      .option('--organizations <file>', 'LiteLLM_OrganizationTable; needed when teams or keys have organizations')
      .option('--budgets <file>', 'LiteLLM_BudgetTable; needed when keys or organizations have budgets there')
      .option('--config <file>', "LiteLLM's config.yaml")
      .option('--organization-name <name>', 'what the organization of teams without one is called', 'LiteLLM')
      .option('--out <file>', 'where the fragment of the configuration goes (default: stdout); a file that exists is kept')
      .option('--dry-run', 'say what would be done, and ask no server')
      .addHelpText('after', '\nThe commands that export the tables are in docs/tenancy.md. Running it twice changes nothing.'),
    importLitellm,
  );
}

interface Imported {
  readonly created: number;
  readonly unchanged: number;
  /** Here already, and changed since: left as they are. */
  readonly differs: readonly string[];
}

async function importLitellm(client: AdminClient, options: LitellmOptions): Promise<void> {
  if (options.out !== undefined && existsSync(options.out)) throw new CannotStart(`${options.out} exists; give --out a new name`);
  const leftovers = collectLeftovers();
  const config = options.config === undefined ? null : readLitellmConfig(readText(options.config), leftovers);
  if (config?.ok === false) throw new CannotStart(`${options.config}: ${config.error}`);
  const models = config?.value.models ?? { names: [], groups: new Map<string, string[]>([]) };
  const objects = planTenants(readExport(options, leftovers), { organizationName: options.organizationName, models }, leftovers);
  const imported = options.dryRun ? null : await send(client, objects);
  const fragment = config?.value.fragment ?? null;
  if (fragment !== null && options.out !== undefined && !options.dryRun)
    writeFileSync(options.out, renderFragment(fragment), { flag: 'wx' });
  report({ objects, imported, fragment, left: leftovers.list() }, options);
}

interface Outcome {
  readonly objects: readonly ImportedObject[];
  readonly imported: Imported | null;
  readonly fragment: Fragment | null;
  readonly left: readonly Leftover[];
}

/** The fragment alone goes to stdout, so that it can be redirected; what people read goes to stderr. */
function report({ objects, imported, fragment, left }: Outcome, options: LitellmOptions): void {
  const count = (kind: ImportedObject['kind']): number => objects.filter((object) => object.kind === kind).length;
  const planned = { organizations: count('organization'), workspaces: count('workspace'), keys: count('key') };
  if (options.json) return console.log(JSON.stringify({ planned, imported, leftovers: left, ...(fragment && { fragment }) }));
  if (fragment !== null && (options.out === undefined || options.dryRun)) console.log(renderFragment(fragment));
  console.error(`${planned.organizations} organizations, ${planned.workspaces} workspaces, ${planned.keys} keys read`);
  if (imported === null) console.error('nothing was sent (--dry-run)');
  else console.error(`${imported.created} created, ${imported.unchanged} here already`);
  for (const id of imported?.differs ?? []) console.error(`  changed here since, left as it is: ${id}`);
  for (const kind of ['changed', 'left'] as const) {
    const some = left.filter((one) => one.kind === kind);
    if (some.length > 0) console.error(kind === 'changed' ? '\nCarried over, but not as it was:' : '\nNot carried over:');
    for (const { because, of } of some) console.error(`  ${because}\n    ${listed(of)}`);
  }
}

const NAMES_SHOWN = 5;
const listed = (names: readonly string[]): string =>
  names.slice(0, NAMES_SHOWN).join(', ') +
  (names.length > NAMES_SHOWN ? `, and ${names.length - NAMES_SHOWN} more (--json names all)` : '');

const BATCH = 100;
/** The server takes 64 KiB; what surrounds the objects is less than the rest. */
const BATCH_BYTES = 60_000;

const answerSchema = z.object({
  results: z.array(z.object({ id: z.string(), outcome: z.enum(['created', 'unchanged', 'differs']) })),
});

async function send(client: AdminClient, objects: readonly ImportedObject[]): Promise<Imported> {
  const outcomes: z.infer<typeof answerSchema>['results'] = [];
  for (const batch of batches(objects)) {
    const answer = await client.ask('POST', '/admin/v1/import', { source: 'litellm', objects: batch });
    outcomes.push(...answerSchema.parse(bodyOf(answer, client)).results);
  }
  const of = (outcome: string): readonly string[] => outcomes.filter((one) => one.outcome === outcome).map(({ id }) => id);
  return { created: of('created').length, unchanged: of('unchanged').length, differs: of('differs') };
}

function* batches(objects: readonly ImportedObject[]): Generator<readonly ImportedObject[]> {
  let batch: ImportedObject[] = [];
  let bytes = 0;
  for (const object of objects) {
    const size = Buffer.byteLength(JSON.stringify(object)) + 1;
    if (batch.length > 0 && (batch.length === BATCH || bytes + size > BATCH_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(object);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CannotStart(
      `${file} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`,
    );
  }
}
