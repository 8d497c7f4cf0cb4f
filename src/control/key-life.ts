import { z } from 'zod';
import type { Key } from '#contracts/tenancy';
import { StoreAway, type Versioned } from '#storage';
import { conflict, json, notFound, problem } from './answer.ts';
import { newId, wallMs } from './fields.ts';
import { mayManage, withSecret } from './create-key.ts';
import { present } from './present.ts';
import { route, type Call, type Route } from './route.ts';

/** How long the answer to a revocation waits for gateways, ms; the promise is that reachable ones take less than 5 s. */
const ACKNOWLEDGE_MS = 4_500;
const DAY_SECONDS = 86_400;

export const keyLifeRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/admin/v1/keys/:id/rotate',
    permission: 'keys.write',
    body: z.strictObject({
      /** How long the old key stays good. */
      overlap_seconds: z
        .int()
        .min(0)
        .max(90 * DAY_SECONDS)
        .default(DAY_SECONDS),
      /** Of the new key; as the old one's when absent. */
      expires_at_ms: wallMs.nullable().optional(),
    }),
    async handle(call, { id, body }) {
      const found = await call.tenants.get('key', id);
      if (found === null) return notFound('key', id);
      const old = found.object;
      const now = call.tools.clock.wallMs();
      const wrong = mayManage(call, old) ?? whyNotRotated(old, now);
      if (wrong) return wrong;
      const made = call.tools.newKey(old.use);
      const next: Key = {
        ...old,
        id: newId(call, 'key'),
        hash: made.hash,
        hint: made.hint,
        createdAtMs: now,
        createdBy: call.principal.actor,
        expiresAtMs: body.expires_at_ms === undefined ? old.expiresAtMs : body.expires_at_ms,
      };
      const overAtMs = Math.min(old.expiresAtMs ?? Infinity, now + body.overlap_seconds * 1000);
      const done = await call.tenants.commit({
        act: 'key.rotate',
        organization: old.organization,
        subject: old.id,
        details: {
          new_key: next.id,
          overlap_seconds: body.overlap_seconds,
        },
        put: [
          {
            object: next,
            expectVersion: 0,
          },
          {
            object: {
              ...old,
              replacedBy: next.id,
              expiresAtMs: overAtMs,
            },
            expectVersion: found.version,
          },
        ],
      });
      const [written] = done?.objects ?? [];
      if (written === undefined) return conflict('The key');
      return withSecret(json({ ...present(written), replaces: { id: old.id, expires_at_ms: overAtMs } }, 201), made.presented);
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/keys/:id/revoke',
    permission: 'keys.write',
    async handle(call, { id }) {
      const found = await call.tenants.get('key', id);
      if (found === null) return notFound('key', id);
      const wrong = mayManage(call, found.object);
      if (wrong) return wrong;
      const revoked = await revoke(call, found);
      if (revoked === null) return conflict('The key');
      return json({ id, revoked_at_ms: revoked.object.revokedAtMs, ...(await acknowledged(call, revoked.commit)) });
    },
  }),
];

/** Revokes a key once; whoever comes later hears of the first time. */
async function revoke(call: Call, found: Versioned<Key>): Promise<Pick<Versioned<Key>, 'object' | 'commit'> | null> {
  if (found.object.revokedAtMs !== null) return found;
  const object = { ...found.object, revokedAtMs: call.tools.clock.wallMs() };
  const done = await call.tenants.commit({
    act: 'key.revoke',
    organization: object.organization,
    subject: object.id,
    put: [
      {
        object,
        expectVersion: found.version,
      },
    ],
  });
  return done && { object, commit: done.commit };
}

/** Which gateways refuse the key already. The revocation stands whatever comes of the question. */
async function acknowledged(call: Call, commit: number): Promise<object> {
  try {
    const { acknowledged: heard, missing } = await call.tools.awaitAcknowledged(commit, ACKNOWLEDGE_MS);
    return {
      acknowledged: heard.map(({ id, name }) => ({ id, name })),
      not_acknowledged: missing.map(({ id, name, seenMsAgo }) => ({ id, name, seen_ms_ago: seenMsAgo })),
    };
  } catch (error) {
    if (!(error instanceof StoreAway)) throw error;
    const because = 'the control store stopped answering after it had written the revocation';
    return { acknowledged: null, not_acknowledged: null, because };
  }
}

function whyNotRotated(key: Key, now: number): ReturnType<typeof problem> | null {
  if (key.revokedAtMs !== null) return problem('conflict', 'The key is revoked; make a new one');
  if (key.replacedBy !== null) return problem('conflict', `The key was rotated already; its successor is ${key.replacedBy}`);
  return key.expiresAtMs !== null && key.expiresAtMs <= now ? problem('conflict', 'The key has expired; make a new one') : null;
}
