import type { IncomingMessage } from 'node:http';
import { refusal, type Refusal } from '#contracts/errors';
import { err, ok, type Result } from '#core/kernel';
import type { Caller, TenantDirectory } from './tenants/tenant-directory.ts';

/** Stage 2: whose key this is. From memory; the same words for a missing, a mistyped and a revoked key. */
export function authenticate(
  incoming: IncomingMessage,
  tenants: Pick<TenantDirectory, 'find'>,
  role: Caller['role'],
): Result<Caller, Refusal> {
  const presented = presentedKey(incoming);
  if (presented === null) return err(refusal('unauthenticated', 'No API key: send it as x-api-key or as Authorization: Bearer'));
  const caller = tenants.find(presented);
  if (caller === null) return err(refusal('unauthenticated', 'Invalid API key'));
  if (caller.role !== role)
    return err(
      refusal('forbidden', role === 'api' ? 'An admin key does not call models; use an API key' : 'This needs an admin key'),
    );
  return ok(caller);
}

/** The key that a request presents; `x-api-key` first, as the real API prefers it when both are there. */
function presentedKey(incoming: IncomingMessage): string | null {
  const { authorization } = incoming.headers;
  const key = incoming.headers['x-api-key'];
  if (typeof key === 'string' && key !== '') return key;
  return authorization !== undefined && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : null;
}
