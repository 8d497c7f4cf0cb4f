import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Action, Case, Key } from '#contracts/tenancy';
import { json, problem, type Answer } from './answer.ts';
import { newId } from './fields.ts';
import { route, type Call, type Route } from './route.ts';

/** The key itself, or a hash of it as we keep them; in the body, where no log of addresses finds it. */
const body = z.union([
  z.strictObject({ key: z.string().min(8).max(512) }),
  z.strictObject({ hash: z.strictObject({ kind: z.enum(['hmac_sha256', 'sha256']), hex: z.string().regex(/^[0-9a-f]{64}$/) }) }),
]);

const RECEIVED: Answer = json({ status: 'received' }, 202);

/**
 * Reports of leaked keys. The answer is the same for every report, and each is one commit, so that neither its words nor its
 * time tell whether the key exists; the audit log and the cases do, to whoever may read them.
 */
export const leakedKeyRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/admin/v1/leaked_keys',
    permission: 'keys.write',
    body,
    async handle(call, { body: report }) {
      // Somebody else may change the key at the same moment: then it is read again.
      for (let attempt = 0; attempt < 3; attempt++) if (await take(call, report)) return RECEIVED;
      return problem('conflict', 'The report met other changes three times; send it again');
    },
  }),
];

async function take(call: Call, report: z.infer<typeof body>): Promise<boolean> {
  const id =
    hashesOf(call, report)
      .map(call.tools.findKey)
      .find((found) => found !== null) ?? null;
  const key = id === null ? null : await call.tenants.get('key', id);
  const opened = key === null ? null : openCase(call, key.object);
  const isKnown = opened === null || (await call.tenants.get('case', opened.id)) !== null;
  const now = call.tools.clock.wallMs();
  const done = await call.tenants.commit({
    act: 'leaked_key.report',
    organization: key?.object.organization ?? null,
    subject: key?.object.id ?? 'unknown',
    details: { by: 'key' in report ? 'key' : 'hash', is_known: key !== null },
    put: [
      ...(key !== null && key.object.revokedAtMs === null
        ? [{ object: { ...key.object, revokedAtMs: now }, expectVersion: key.version }]
        : []),
      ...(isKnown ? [] : [opened, noteOf(call, opened)].map((object) => ({ object, expectVersion: 0 }))),
    ],
  });
  return done !== null;
}

function hashesOf(call: Call, report: z.infer<typeof body>): readonly Key['hash'][] {
  if ('hash' in report) return [report.hash];
  return [call.tools.hashKey(report.key), { kind: 'sha256', hex: createHash('sha256').update(report.key).digest('hex') }];
}

/** One case for a key, however often it is reported. */
function openCase({ tools }: Call, key: Key): Case {
  const now = tools.clock.wallMs();
  return {
    kind: 'case',
    id: `case_leak_${key.id.slice(key.id.indexOf('_') + 1)}`,
    organization: key.organization,
    subject: {
      kind: 'key',
      id: key.id,
    },
    rule: 'leaked_key',
    status: 'open',
    signals: { leak_reports: 1 },
    occurrences: 1,
    openedAtMs: now,
    lastSeenAtMs: now,
    closedAtMs: null,
    review: null,
  };
}

/** What the organization sees of it. */
function noteOf(call: Call, { id, organization, subject }: Case): Action {
  return {
    kind: 'action',
    id: newId(call, 'act'),
    organization,
    subject,
    rung: 'note',
    factor: null,
    capabilities: [],
    reason: 'leaked_key',
    evidence: { key_revoked: true },
    case: id,
    decidedBy: {
      kind: 'leak_report',
      id: call.principal.actor,
    },
    createdAtMs: call.tools.clock.wallMs(),
    expiresAtMs: null,
    reversedAtMs: null,
    reversedBy: null,
    reversedBecause: null,
  };
}
