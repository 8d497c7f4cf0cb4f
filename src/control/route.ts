import { z } from 'zod';
import type { Clock, Random } from '#contracts/clock';
import type { Key, Subject } from '#contracts/tenancy';
import type { Permission } from '#core/tenancy';
import type { Acknowledgement, ControlStore, NewKey } from '#storage';
import { problem, type Answer } from './answer.ts';
import { id as idField } from './fields.ts';
import type { LimitViews } from './limit-views.ts';
import type { Principal, Reach } from './principal.ts';
import type { Tenants } from './tenants.ts';

/** One way into the admin API, as data: the table of all of them is `routes.ts`. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT';
  /** Under /admin/v1, with `:name` for parameters; the metrics alone stand elsewhere. */
  readonly path: string;
  /** What the caller's role must include; null for any. */
  readonly permission: Permission | null;
  /** The least reach. Within it, `Tenants` shows only what is the caller's. */
  readonly reach: Reach;
  /** Whether API keys may come here too. */
  readonly isOpenToApiKeys: boolean;
  readonly handle: (call: Call, raw: RawInput) => Promise<Answer> | Answer;
}

/** What a handler may use: the store as its caller sees it, and the world. */
export interface Call {
  readonly principal: Principal;
  readonly tenants: Tenants;
  readonly tools: Tools;
}

export interface Tools {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly random: Random;
  /** Makes a key under the pepper. */
  readonly newKey: (use: Key['use']) => NewKey;
  /** How a key of ours is kept. */
  readonly hashKey: (presented: string) => Key['hash'];
  /** The id of the key with this hash, of any organization; from memory. */
  readonly findKey: (hash: Key['hash']) => string | null;
  /** The id of the object of an organization's end user, from the client's name for it. */
  readonly endUserId: (organization: string, user: string) => string;
  /** Which gateways have applied a commit, once all have or the time is over. */
  readonly awaitAcknowledged: (commit: number, withinMs: number) => Promise<Acknowledgement>;
  readonly limits: LimitViews;
  /** What is known of a subject on the gateway that is asked, and what each rule says of it; null when nothing is. */
  readonly signals: (subject: Subject) => object | null;
  readonly verifyAudit: ControlStore['verifyAudit'];
}

export interface RawInput {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** Undefined for a body that is not JSON. */
  readonly body: unknown;
}

interface Definition<Q, B> {
  readonly method: Route['method'];
  readonly path: string;
  readonly permission: Permission | null;
  readonly reach?: Reach;
  readonly isOpenToApiKeys?: boolean;
  readonly query?: z.ZodType<Q>;
  readonly body?: z.ZodType<B>;
  readonly handle: (call: Call, input: { readonly id: string; readonly query: Q; readonly body: B }) => Promise<Answer> | Answer;
}

const nothing = z.strictObject({});

/** Defines a route; its query and body are parsed strictly before its handler sees them. */
export function route<Q = Record<string, never>, B = undefined>(definition: Definition<Q, B>): Route {
  const { method, path, permission, reach = 'organization', isOpenToApiKeys = false, query = nothing, body, handle } = definition;
  return {
    method,
    path,
    permission,
    reach,
    isOpenToApiKeys,
    handle(call, raw) {
      const { id = '' } = raw.params;
      if (id !== '' && !idField.safeParse(id).success) return problem('not_found', 'There is nothing with such an id');
      const parsedQuery = query.safeParse(raw.query);
      if (!parsedQuery.success) return invalid('query', parsedQuery.error);
      const parsedBody = body?.safeParse(raw.body);
      if (parsedBody?.success === false)
        return raw.body === undefined ? problem('invalid_request', 'The body must be JSON') : invalid('body', parsedBody.error);
      return handle(call, {
        id,
        query: parsedQuery.data as Q,
        body: parsedBody?.data as B,
      });
    },
  };
}

/** Words for what is wrong, by place; never what stood there. */
function invalid(what: 'query' | 'body', error: z.ZodError): Answer {
  const issues = error.issues.slice(0, 10).map(({ path, message }) => `${path.join('.') || what}: ${message}`);
  return problem('invalid_request', issues.join('; '));
}
