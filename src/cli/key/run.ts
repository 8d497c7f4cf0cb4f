import type { Command } from 'commander';
import { z } from 'zod';
import {
  bodyOf,
  openAdminClient,
  withAdminOptions,
  withServerOptions,
  type AdminClient,
  type AdminOptions,
} from '../admin-client.ts';
import { CannotStart } from '../create-engines.ts';
import { renderTable } from '../table.ts';

export interface CommonOptions extends AdminOptions {
  readonly json?: true;
}

const EXIT_CODES = '\nExit codes: 0 done; 1 refused, or the server could not be asked; 2 the command line is wrong.';

/** Finishes a command of the admin API: the options to find the server, `--json`, help about exit codes, and failures in words. */
export function finish<A extends readonly unknown[]>(
  command: Command,
  work: (client: AdminClient, ...rest: A) => Promise<void>,
): void {
  act(withAdminOptions(command), (options) => options, work);
}

/** The same for a command whose `--config` is another program's. */
export function finishForeign<A extends readonly unknown[]>(
  command: Command,
  work: (client: AdminClient, ...rest: A) => Promise<void>,
): void {
  act(withServerOptions(command), ({ config: _, ...options }: CommonOptions) => options, work);
}

function act<A extends readonly unknown[]>(
  command: Command,
  serverOptions: (options: CommonOptions) => AdminOptions,
  work: (client: AdminClient, ...rest: A) => Promise<void>,
): void {
  command
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXIT_CODES)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(async (...given: unknown[]) => {
      // Commander hands over the arguments, then the options, then the command.
      const rest = given.slice(0, -1) as unknown as A;
      try {
        await work(openAdminClient(serverOptions(rest.at(-1) as CommonOptions), process.env), ...rest);
      } catch (error) {
        if (!(error instanceof CannotStart)) throw error;
        console.error(`plimsoll: ${error.message}`);
        process.exitCode = 1;
      }
    });
}

const objectSchema = z.record(z.string(), z.unknown());
export type Shown = z.infer<typeof objectSchema>;

/** Asks, and answers with the object that came. */
export async function ask(client: AdminClient, method: 'GET' | 'POST' | 'PATCH', route: string, body?: object): Promise<Shown> {
  return objectSchema.parse(bodyOf(await client.ask(method, route, body), client));
}

const pageSchema = z.object({ data: z.array(objectSchema), next_after: z.union([z.string(), z.number()]).nullable() });

/** Every object of a list, page after page. */
export async function askAll(
  client: AdminClient,
  route: string,
  query: Readonly<Record<string, string | undefined>>,
): Promise<readonly Shown[]> {
  const all: Shown[] = [];
  const asked = new URLSearchParams({ limit: '100' });
  for (const [name, value] of Object.entries(query)) if (value !== undefined) asked.set(name, value);
  for (;;) {
    const page = pageSchema.parse(bodyOf(await client.ask('GET', `${route}?${asked}`), client));
    all.push(...page.data);
    if (page.next_after === null) return all;
    asked.set('after', String(page.next_after));
  }
}

/** Columns of a list, by the fields that the admin API gives. */
export function printAll(objects: readonly Shown[], columns: readonly string[], options: CommonOptions): void {
  if (options.json) return console.log(JSON.stringify(objects));
  if (objects.length === 0) return console.error('none');
  const rows = objects.map((object) => columns.map((column) => cell(column, object[column])));
  console.log(
    renderTable(
      columns.map((column) => column.replace(/_at_ms$/, '').replaceAll('_', ' ')),
      rows,
      { rightFrom: columns.length, leftLast: true },
    ),
  );
}

/** One object, a field a line. */
export function printOne(object: Shown, options: CommonOptions): void {
  if (options.json) return console.log(JSON.stringify(object));
  const names = Object.keys(object);
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) console.log(`${name.padEnd(width)}  ${cell(name, object[name])}`);
}

function cell(name: string, value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (name.endsWith('_at_ms') && typeof value === 'number') return new Date(value).toISOString().slice(0, 19).replace('T', ' ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
