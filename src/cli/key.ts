import type { Command } from 'commander';
import { registerKeys } from './key/keys.ts';
import { registerMembers, registerOrganizations, registerWorkspaces } from './key/tenants.ts';

/** Registers `plimsoll key`: keys and the tenants that have them, through the admin API of a running server. */
export function registerKey(program: Command): void {
  const key = program.command('key').description('keys, and the organizations, workspaces and members that have them');
  registerKeys(key);
  registerOrganizations(key);
  registerWorkspaces(key);
  registerMembers(key);
}
