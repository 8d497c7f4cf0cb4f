import { text } from 'node:stream/consumers';
import { Option, type Command } from 'commander';
import type { AdminClient } from '../admin-client.ts';
import { CannotStart } from '../create-engines.ts';
import { readExpiry, readLimit, readList, readSeconds, type Limits } from './parse.ts';
import { ask, askAll, finish, printAll, printOne, type CommonOptions, type Shown } from './run.ts';

interface KeyFields extends CommonOptions {
  readonly name?: string;
  readonly models?: readonly string[];
  readonly regions?: readonly string[];
  readonly addresses?: readonly string[];
  readonly limit?: Limits;
  readonly expires?: (nowMs: number) => number | null;
}

interface CreateOptions extends KeyFields {
  readonly organization?: string;
  readonly workspace?: string;
  readonly admin?: true;
  readonly role?: string;
  readonly reach?: string;
  readonly member?: string;
}

/** `plimsoll key create | list | show | change | rotate | revoke | report-leaked`. */
export function registerKeys(key: Command): void {
  finish(
    withFields(key.command('create').description('make a key; it alone is printed to stdout, once'), { isNew: true })
      .option('--organization <id>', "organization (default: the admin key's own)")
      .option('--workspace <id>', 'workspace (default: the only one of the organization)')
      .option('--admin', 'an admin key, which operates and calls no models')
      .option('--role <role>', 'of an admin key: admin, operator, reviewer or read_only')
      .option('--reach <reach>', 'of an admin key: organization or installation (default: organization)')
      .option('--member <id>', 'the member whose admin key it is, with that role and reach'),
    create,
  );
  finish(
    key
      .command('list')
      .description('list keys, without their secrets')
      .option('--organization <id>', 'only of this organization')
      .option('--workspace <id>', 'only of this workspace')
      .option('--member <id>', 'only of this member')
      .addOption(new Option('--use <use>', 'only these').choices(['api', 'admin'])),
    async (
      client,
      options: CommonOptions & Readonly<Record<'organization' | 'workspace' | 'member' | 'use', string | undefined>>,
    ) => {
      const { organization, workspace, member, use } = options;
      const keys = await askAll(client, '/admin/v1/keys', { organization, workspace, member, use });
      printAll(
        keys,
        ['id', 'name', 'organization', 'workspace', 'use', 'role', 'hint', 'expires_at_ms', 'revoked_at_ms'],
        options,
      );
    },
  );
  finish(
    key.command('show').description('show a key, without its secret').argument('<id>'),
    async (client, id: string, options: CommonOptions) =>
      printOne(await ask(client, 'GET', `/admin/v1/keys/${encodeURIComponent(id)}`), options),
  );
  finish(
    withFields(key.command('change').description('change what a key may do; what is not named stays').argument('<id>'), {
      isNew: false,
    }),
    async (client, id: string, options: KeyFields) =>
      printOne(
        await ask(client, 'PATCH', `/admin/v1/keys/${encodeURIComponent(id)}`, await changedFields(client, id, options)),
        options,
      ),
  );
  finish(
    key
      .command('rotate')
      .description('make a new key like this one, which it replaces; the new one alone is printed to stdout, once')
      .argument('<id>')
      .option('--overlap <time>', 'how long the old key stays good: 0s, 30m, 24h, 7d', readSeconds, 86_400),
    async (client, id: string, options: CommonOptions & { readonly overlap: number }) => {
      const made = await ask(client, 'POST', `/admin/v1/keys/${encodeURIComponent(id)}/rotate`, {
        overlap_seconds: options.overlap,
      });
      printSecret(made, options);
      if (!options.json) console.error(`${String(made['id'])} replaces ${id}, which stays good for ${options.overlap} s`);
    },
  );
  finish(
    key
      .command('revoke')
      .description('make a key good for nothing, within 5 s on every gateway that can be reached; it cannot be taken back')
      .argument('<id>'),
    revoke,
  );
  finish(
    key
      .command('report-leaked')
      .description('report a key that was seen where it should not be: read from stdin, it is revoked and a case is opened')
      .addHelpText('after', '\nThe answer is the same whether the key exists or not; plimsoll key list shows what was revoked.'),
    async (client, options: CommonOptions) => {
      if (process.stdin.isTTY) console.error('The key, then Enter and Ctrl-D:');
      const leaked = (await text(process.stdin)).trim();
      if (leaked.length < 8 || leaked.length > 512 || /\s/.test(leaked))
        throw new CannotStart('stdin must hold one key of 8 to 512 characters');
      printOne(await ask(client, 'POST', '/admin/v1/leaked_keys', { key: leaked }), options);
    },
  );
}

function withFields(command: Command, { isNew }: { readonly isNew: boolean }): Command {
  const name = '--name <name>';
  return (isNew ? command.requiredOption(name, 'what people call it') : command.option(name, 'what people call it'))
    .option('--models <list>', 'only these models: a,b', readList)
    .option('--regions <list>', 'only these regions', readList)
    .option('--addresses <list>', 'only from these addresses: 10.0.0.0/8,192.0.2.7', readList)
    .option('--limit <rule=number>', 'a limit of its own: rpm=100, or rpm=100/20 with a burst of 20; several times', readLimit)
    .option('--expires <when>', '30d, 2027-01-31 or never', readExpiry);
}

async function create(client: AdminClient, options: CreateOptions): Promise<void> {
  const { organization, role, reach, member, name, limit, expires } = options;
  const isAdmin = options.admin === true || role !== undefined || reach !== undefined || member !== undefined;
  const place = isAdmin
    ? { use: 'admin', role, reach, member }
    : { workspace: options.workspace ?? (await onlyWorkspace(client, organization)) };
  const made = await ask(client, 'POST', '/admin/v1/keys', {
    organization,
    name,
    ...place,
    scopes: scopesOf(options),
    limits: limit,
    ...(expires && { expires_at_ms: expires(Date.now()) }),
  });
  printSecret(made, options);
  if (!options.json) console.error(`${String(made['id'])} is the id of this key; it is not shown again`);
}

async function onlyWorkspace(client: AdminClient, organization: string | undefined): Promise<string> {
  const own = organization ?? String((await ask(client, 'GET', '/admin/v1/me'))['organization']);
  const open = (await askAll(client, '/admin/v1/workspaces', { organization: own })).filter(
    (one) => one['closed_at_ms'] === null,
  );
  const [first] = open;
  if (first !== undefined && open.length === 1) return String(first['id']);
  throw new CannotStart(
    open.length === 0
      ? 'the organization has no workspace; make one with plimsoll key workspace create'
      : `the organization has ${open.length} workspaces; say which with --workspace: ${open
          .slice(0, 10)
          .map(({ id }) => String(id))
          .join(', ')}`,
  );
}

const scopesOf = ({ models, regions, addresses }: KeyFields): object => ({
  ...(models && { models }),
  ...(regions && { regions }),
  ...(addresses && { addresses }),
});

/** Scopes and limits are replaced whole by the API: those not named here are sent as they are. */
async function changedFields(client: AdminClient, id: string, options: KeyFields): Promise<object> {
  const now = await ask(client, 'GET', `/admin/v1/keys/${encodeURIComponent(id)}`);
  const scopes = scopesOf(options);
  return {
    version: now['version'],
    ...(options.name !== undefined && { name: options.name }),
    ...(Object.keys(scopes).length > 0 && { scopes: { ...(now['scopes'] as object), ...scopes } }),
    ...(options.limit && { limits: { ...(now['limits'] as object), ...options.limit } }),
    ...(options.expires && { expires_at_ms: options.expires(Date.now()) }),
  };
}

/** The secret alone, so that `KEY=$(plimsoll key create …)` is the key. */
function printSecret(made: Shown, { json }: CommonOptions): void {
  console.log(json ? JSON.stringify(made) : String(made['secret']));
}

async function revoke(client: AdminClient, id: string, options: CommonOptions): Promise<void> {
  const answer = await ask(client, 'POST', `/admin/v1/keys/${encodeURIComponent(id)}/revoke`);
  if (options.json) return console.log(JSON.stringify(answer));
  const named = (list: unknown): string =>
    (Array.isArray(list) ? list : [])
      .map((gateway: { name?: unknown; id?: unknown }) => `${String(gateway.name)} (${String(gateway.id)})`)
      .join(', ');
  console.log(`revoked: ${id}`);
  if (answer['not_acknowledged'] === null)
    return console.error(`which gateways refuse it already is not known: ${String(answer['because'])}`);
  const missing = named(answer['not_acknowledged']);
  console.log(`refused already by: ${named(answer['acknowledged']) || 'this gateway'}`);
  if (missing !== '') console.error(`NOT YET by: ${missing}; a gateway that is cut off follows its organization's policy`);
}
