import { Option, type Command } from 'commander';
import { ROLES } from '#contracts/tenancy';
import { CannotStart } from '../create-engines.ts';
import { readLimit, readSeconds, type Limits } from './parse.ts';
import { ask, askAll, finish, printAll, printOne, type CommonOptions } from './run.ts';

interface TenantFields extends CommonOptions {
  readonly name?: string;
  readonly limit?: Limits;
  readonly tier?: string;
  readonly whenCutOff?: string;
  readonly appealUrl?: string;
  readonly organization?: string;
}

const at = (kind: 'organizations' | 'workspaces' | 'members', id = '', act = ''): string =>
  `/admin/v1/${kind}${id === '' ? '' : `/${encodeURIComponent(id)}`}${act === '' ? '' : `/${act}`}`;

/** `plimsoll key organization create | list | show | change | close`. */
export function registerOrganizations(key: Command): void {
  const organization = key.command('organization').description('organizations, the outermost tenants');
  finish(
    withSettings(organization.command('create').description('make an organization')).requiredOption(
      '--name <name>',
      'what people call it',
    ),
    async (client, options: TenantFields) =>
      printOne(await ask(client, 'POST', at('organizations'), { name: options.name, ...settingsOf(options) }), options),
  );
  finish(
    organization.command('list').description('list the organizations that the admin key reaches'),
    async (client, options: CommonOptions) =>
      printAll(await askAll(client, at('organizations'), {}), ['id', 'name', 'tier', 'created_at_ms', 'closed_at_ms'], options),
  );
  registerOne(organization, 'organizations');
  finish(
    withSettings(
      organization.command('change').description('change an organization; what is not named stays').argument('<id>'),
    ).option('--name <name>', 'what people call it'),
    async (client, id: string, options: TenantFields) => {
      const now = await ask(client, 'GET', at('organizations', id));
      const limits = options.limit && { limits: { ...(now['limits'] as object), ...options.limit } };
      const name = options.name !== undefined && { name: options.name };
      printOne(
        await ask(client, 'PATCH', at('organizations', id), {
          ...settingsOf(options),
          ...limits,
          ...name,
          version: now['version'],
        }),
        options,
      );
    },
  );
}

/** `plimsoll key workspace create | list | show | change | close`. */
export function registerWorkspaces(key: Command): void {
  const workspace = key.command('workspace').description('workspaces, which hold the keys of an organization');
  const limit = [
    '--limit <rule=number>',
    'a limit of its own: workspace-rpm=1000, or with a burst: workspace-rpm=1000/50; several times',
    readLimit,
  ] as const;
  finish(
    workspace
      .command('create')
      .description('make a workspace')
      .requiredOption('--name <name>', 'what people call it')
      .option('--organization <id>', "organization (default: the admin key's own)")
      .option(...limit),
    async (client, { name, organization, limit: limits, ...options }: TenantFields) =>
      printOne(await ask(client, 'POST', at('workspaces'), { name, organization, limits }), options),
  );
  finish(
    workspace.command('list').description('list workspaces').option('--organization <id>', 'only of this organization'),
    async (client, { organization, ...options }: TenantFields) =>
      printAll(
        await askAll(client, at('workspaces'), { organization }),
        ['id', 'name', 'organization', 'created_at_ms', 'closed_at_ms'],
        options,
      ),
  );
  registerOne(workspace, 'workspaces');
  finish(
    workspace
      .command('change')
      .description('change a workspace; what is not named stays')
      .argument('<id>')
      .option('--name <name>', 'what people call it')
      .option(...limit),
    async (client, id: string, options: TenantFields) => {
      const now = await ask(client, 'GET', at('workspaces', id));
      const limits = options.limit && { limits: { ...(now['limits'] as object), ...options.limit } };
      const name = options.name !== undefined && { name: options.name };
      printOne(await ask(client, 'PATCH', at('workspaces', id), { ...limits, ...name, version: now['version'] }), options);
    },
  );
}

/** `plimsoll key member create | list | change | remove`. */
export function registerMembers(key: Command): void {
  const member = key.command('member').description('people who operate, with their roles');
  const role = (): Option => new Option('--role <role>', 'what the person may do').choices(ROLES).makeOptionMandatory();
  finish(
    member
      .command('create')
      .description('make a member')
      .requiredOption('--email <address>', 'who it is')
      .addOption(role())
      .addOption(new Option('--reach <reach>', 'how far').choices(['organization', 'installation']).default('organization'))
      .option('--organization <id>', "organization (default: the admin key's own)"),
    async (
      client,
      {
        email,
        role: given,
        reach,
        organization,
        ...options
      }: CommonOptions & Readonly<Record<'email' | 'role' | 'reach' | 'organization', string>>,
    ) => printOne(await ask(client, 'POST', at('members'), { email, role: given, reach, organization }), options),
  );
  finish(
    member.command('list').description('list members').option('--organization <id>', 'only of this organization'),
    async (client, { organization, ...options }: TenantFields) =>
      printAll(
        await askAll(client, at('members'), { organization }),
        ['id', 'email', 'role', 'reach', 'organization', 'removed_at_ms'],
        options,
      ),
  );
  finish(
    member
      .command('change')
      .description("change a member's role, and that of the member's keys")
      .argument('<id>')
      .addOption(role()),
    async (client, id: string, options: CommonOptions & { readonly role: string }) =>
      printOne(await ask(client, 'PATCH', at('members', id), { role: options.role }), options),
  );
  finish(
    member.command('remove').description("remove a member and revoke the member's keys").argument('<id>'),
    async (client, id: string, options: CommonOptions) =>
      printOne(await ask(client, 'POST', at('members', id, 'remove')), options),
  );
}

function registerOne(parent: Command, kind: 'organizations' | 'workspaces'): void {
  const word = kind.slice(0, -1);
  finish(
    parent.command('show').description(`show one ${word}`).argument('<id>'),
    async (client, id: string, options: CommonOptions) => printOne(await ask(client, 'GET', at(kind, id)), options),
  );
  finish(
    parent.command('close').description(`close a ${word}: its keys are good for nothing from then on`).argument('<id>'),
    async (client, id: string, options: CommonOptions) => printOne(await ask(client, 'POST', at(kind, id, 'close')), options),
  );
}

function withSettings(command: Command): Command {
  return command
    .option('--tier <id>', 'a tier of the configuration, or none')
    .option('--limit <rule=number>', 'a limit of its own: spend-month=50000000 (micro-dollars); several times', readLimit)
    .option(
      '--when-cut-off <policy>',
      'while a gateway cannot hear of revocations: serve, or the time after which to refuse: 10m',
    )
    .option('--appeal-url <url>', 'where its people are told to appeal, or none');
}

function settingsOf({ tier, limit, whenCutOff, appealUrl }: TenantFields): object {
  return {
    ...(tier !== undefined && { tier: tier === 'none' ? null : tier }),
    ...(limit && { limits: limit }),
    ...(whenCutOff !== undefined && { when_cut_off: readCutOff(whenCutOff) }),
    ...(appealUrl !== undefined && { appeal_url: appealUrl === 'none' ? null : appealUrl }),
  };
}

function readCutOff(policy: string): object {
  if (policy === 'serve') return { kind: 'serve' };
  if (!/^\d{1,9}[smhd]$/.test(policy)) throw new CannotStart('--when-cut-off takes serve, or a time such as 10m');
  return { kind: 'refuse', after_seconds: readSeconds(policy) };
}
