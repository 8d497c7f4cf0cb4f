import type { Action, Key, Organization, Workspace } from './tenancy.ts';

/** Tenant objects for tests, whole and plain; `more` says what a test is about. */
export function sampleOrganization(more: Partial<Organization> = {}): Organization {
  const id = more.id ?? 'org_one';
  return {
    kind: 'organization',
    id,
    organization: id,
    name: 'One',
    tier: null,
    limits: {},
    whenCutOff: { kind: 'serve' },
    appealUrl: null,
    createdAtMs: 1_000,
    closedAtMs: null,
    ...more,
  };
}

export function sampleWorkspace(more: Partial<Workspace> = {}): Workspace {
  return {
    kind: 'workspace',
    id: 'ws_one',
    organization: 'org_one',
    name: 'Work',
    limits: {},
    createdAtMs: 1_000,
    closedAtMs: null,
    ...more,
  };
}

export function sampleKey(more: Partial<Key> = {}): Key {
  return {
    kind: 'key',
    id: 'key_one',
    organization: 'org_one',
    workspace: 'ws_one',
    name: 'a key',
    use: 'api',
    role: null,
    reach: null,
    member: null,
    hash: { kind: 'hmac_sha256', hex: '0'.repeat(64) },
    hint: 'abcdef',
    scopes: {},
    limits: {},
    createdAtMs: 1_000,
    createdBy: 'system',
    expiresAtMs: null,
    revokedAtMs: null,
    replacedBy: null,
    ...more,
  };
}

export function sampleAction(more: Partial<Action> = {}): Action {
  return {
    kind: 'action',
    id: 'act_one',
    organization: 'org_one',
    subject: { kind: 'key', id: 'key_one' },
    rung: 'slow',
    factor: 0.5,
    capabilities: [],
    reason: 'velocity',
    evidence: {},
    case: null,
    decidedBy: { kind: 'person', id: 'member:mem_one' },
    createdAtMs: 1_000,
    expiresAtMs: null,
    reversedAtMs: null,
    reversedBy: null,
    reversedBecause: null,
    ...more,
  };
}
