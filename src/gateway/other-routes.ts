import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Random } from '#contracts/clock';
import { refusal, REFUSALS, type Refusal } from '#contracts/errors';
import type { Dialect } from '#contracts/record';
import { writeErrorBody } from '#dialects';
import { authenticate } from './authenticate.ts';
import { requestIdHeaders, retryHeaders } from './headers.ts';
import type { TenantDirectory } from './tenants/tenant-directory.ts';
import { describeModels, modelsDialect } from './models.ts';
import type { Readiness } from './readiness.ts';
import type { Topology } from './topology.ts';

/** Whom a listener serves: everybody, or one side where operators have a listener of their own. */
export type Audience = 'all' | 'clients' | 'operators';

export interface OtherRoutesOptions {
  readonly readiness: () => Readiness;
  /** What is served now, and since when (wall ms). */
  readonly served: () => { readonly topology: Topology; readonly sinceMs: number };
  readonly tenants: Pick<TenantDirectory, 'find'>;
  readonly random: Random;
  readonly operator?: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
}

export interface OtherRoute {
  readonly path: string;
  /** The query with its `?`, or empty. */
  readonly search: string;
  readonly audience: Audience;
  /** The path is one of those that call models, with another method. */
  readonly takesPost: boolean;
}

/** Everything but calling a model: health, readiness, the list of models, the operator's paths, and what is not there. */
export function createOtherRoutes({ readiness, served, tenants, random, operator }: OtherRoutesOptions) {
  return (incoming: IncomingMessage, outgoing: ServerResponse, { path, search, audience, takesPost }: OtherRoute): void => {
    if (path === '/healthz') return respond(outgoing, 200, { status: 'ok' });
    if (path === '/readyz') {
      const { isReady, because } = readiness();
      return respond(outgoing, isReady ? 200 : 503, { ready: isReady, because });
    }
    if (audience !== 'clients' && operator && (path === '/metrics' || path.startsWith('/admin/')))
      return operator(incoming, outgoing);
    incoming.resume(); // no other path has a body to read
    if (audience === 'operators')
      return respond(outgoing, 404, { error: { type: 'not_found', message: 'No such path on the operator listener' } });
    if (path === '/v1/models' || path.startsWith('/v1/models/')) return models(incoming, outgoing, path, search);
    if (path === '/' && incoming.method === 'HEAD') return respond(outgoing, 200, {});
    const problem = takesPost ? refusal('method_not_allowed', `${path} takes POST`) : refusal('not_found', 'No such path');
    refuse(outgoing, modelsDialect(incoming), problem);
  };

  function models(incoming: IncomingMessage, outgoing: ServerResponse, path: string, search: string): void {
    const dialect = modelsDialect(incoming);
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD')
      return refuse(outgoing, dialect, refusal('method_not_allowed', `${path} takes GET`));
    const caller = authenticate(incoming, tenants, 'api');
    if (!caller.ok) return refuse(outgoing, dialect, caller.error);
    const { topology, sinceMs } = served();
    const id = decodePath(path.slice('/v1/models/'.length));
    const described = describeModels(topology, { dialect, id, search: new URLSearchParams(search), createdAtMs: sinceMs });
    if (!described.ok) return refuse(outgoing, dialect, described.error);
    respond(outgoing, 200, described.value, requestIdHeaders({ dialect, id: `req_${random.hex(12)}` }));
  }

  function refuse(outgoing: ServerResponse, dialect: Dialect, problem: Refusal): void {
    const id = `req_${random.hex(12)}`;
    outgoing.writeHead(REFUSALS[problem.code].status, {
      'content-type': 'application/json',
      ...requestIdHeaders({ dialect, id }),
      ...retryHeaders(problem),
    });
    outgoing.end(writeErrorBody(dialect, problem, id));
  }
}

function respond(outgoing: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
  outgoing.end(JSON.stringify(body));
}

/** A path segment, decoded; null when it is empty. What cannot be decoded is looked up as it is, and not found. */
function decodePath(segment: string): string | null {
  if (segment === '') return null;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
