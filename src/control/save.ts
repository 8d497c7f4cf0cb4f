import type { TenantObject } from '#contracts/tenancy';
import { conflict, json, type Answer } from './answer.ts';
import { present } from './present.ts';
import type { Call } from './route.ts';
import type { Change } from './tenants.ts';

interface Saved {
  readonly object: TenantObject;
  readonly expectVersion: number;
  readonly details?: Change['details'];
  /** Written in the same transaction. */
  readonly also?: Change['put'];
}

/** Commits one object with its audit entry, and answers with it: 201 for a new one, 409 when somebody was faster. */
export async function save(call: Call, act: string, { object, expectVersion, details = {}, also = [] }: Saved): Promise<Answer> {
  const { organization, id: subject } = object;
  const done = await call.tenants.commit({ act, organization, subject, details, put: [{ object, expectVersion }, ...also] });
  const [written] = done?.objects ?? [];
  return written === undefined ? conflict(`The ${object.kind}`) : json(present(written), expectVersion === 0 ? 201 : 200);
}
