import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DialectName } from '../clients/client-dialect.ts';
import { objectOf, parseJson, textOf } from '../json-value.ts';
import { NO_SUCH_MODEL } from '../no-such-model.ts';
import { anthropicWriter } from './anthropic-writer.ts';
import { chatWriter } from './chat-writer.ts';
import { perform } from './perform.ts';
import { responsesWriter } from './responses-writer.ts';
import { say, type Script } from './script.ts';
import type { ReplicaWriter } from './writer.ts';
import { refuseAsVendor } from './vendor-rules.ts';

/** A replica of our own, behind the gateway that is checked: it does what the script of a question says, and remembers what it saw. */
export interface Replica {
  readonly port: number;
  /** What an Anthropic SDK takes as its base URL. */
  readonly anthropicUrl: string;
  /** What an OpenAI SDK takes as its base URL. */
  readonly openaiUrl: string;
  /** Takes a script in; the question that carries the turn's marker is answered by it, each time it comes. */
  play(script: Script | ((index: number) => Script)): Turn;
  close(): Promise<void>;
}

/** One scripted question, as the replica lives it. */
export interface Turn {
  /** Text that the question must carry, for the replica to know it by. */
  readonly marker: string;
  /** Every request that came with the marker: more than one when the gateway tried again. */
  readonly seen: readonly SeenRequest[];
  /** The request of this index, from 0; null when it has not come in time. */
  whenSeen(index: number, withinMs: number): Promise<SeenRequest | null>;
  /** The script is forgotten. */
  end(): void;
}

export interface SeenRequest {
  readonly dialect: DialectName;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** `performance.now()` when it was read. */
  readonly atMs: number;
  /** Resolves when the gateway closed the connection, or the answer was sent whole. */
  readonly closed: Promise<{ readonly atMs: number; readonly isWhole: boolean }>;
}

export interface ReplicaOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The key that the gateway must send; null takes any. */
  readonly upstreamKey: string | null;
}

const WRITERS: Readonly<Record<string, ReplicaWriter>> = {
  '/v1/messages': anthropicWriter,
  '/v1/messages/count_tokens': anthropicWriter,
  '/v1/chat/completions': chatWriter,
  '/v1/responses': responsesWriter,
};
const BODY_BYTES_MAX = 40 * 1024 * 1024;
/** What a vendor's account would add; none of it is the client's to see. */
const ACCOUNT_HEADERS = {
  'anthropic-organization-id': 'org_of_the_replica',
  'openai-organization': 'org_of_the_replica',
  'set-cookie': 'session=of_the_replica',
} as const;

interface OpenTurn {
  readonly script: (index: number) => Script;
  readonly seen: SeenRequest[];
  readonly waiting: Set<() => void>;
}

export async function createReplica({ host, port, upstreamKey }: ReplicaOptions): Promise<Replica> {
  const turns = new Map<string, OpenTurn>();

  const answer = (incoming: IncomingMessage, outgoing: ServerResponse, bytes: Buffer): void => {
    const path = (incoming.url ?? '/').replace(/\?.*$/, '');
    const writer = WRITERS[path];
    const requestId = `req_replica_${randomBytes(6).toString('hex')}`;
    for (const name of ['request-id', 'x-request-id']) outgoing.setHeader(name, requestId);
    for (const [name, value] of Object.entries(ACCOUNT_HEADERS)) outgoing.setHeader(name, value);
    if (incoming.method === 'HEAD') return void outgoing.writeHead(200).end();
    if (incoming.method === 'GET' && path === '/v1/models') return json(outgoing, 200, listModels(incoming));
    if (incoming.method === 'GET' && path.startsWith('/v1/models/') && !path.endsWith(NO_SUCH_MODEL))
      return json(outgoing, 200, describeModel(incoming, decodeURIComponent(path.slice('/v1/models/'.length))));
    if (incoming.method !== 'POST' || writer === undefined)
      return json(outgoing, 404, (writer ?? writerFor(incoming)).error(404, 'The replica has no such path.'));
    const rawBody = bytes.toString('utf8');
    const body = objectOf(parseJson(rawBody));
    const marker = /plimsoll-check-[a-f0-9]{12}/.exec(rawBody)?.[0] ?? '';
    const turn = turns.get(marker);
    if (turn === undefined || path.endsWith('/count_tokens')) {
      const refused = refuseAsVendor(incoming, { rawBody, body, dialect: writer.dialect, upstreamKey });
      if (refused) return json(outgoing, refused.status, writer.error(refused.status, refused.message));
      if (path.endsWith('/count_tokens')) return json(outgoing, 200, { input_tokens: 21 });
    }
    const isCut = Number(body['max_tokens'] ?? body['max_output_tokens']) <= 16;
    const script = turn?.script(turn.seen.length) ?? {
      answer: isCut ? { ...say('Hello'), stop: 'max_tokens' } : say('Hello from ', 'the replica.'),
    };
    const closed = new Promise<{ atMs: number; isWhole: boolean }>((resolve) =>
      outgoing.once('close', () => resolve({ atMs: performance.now(), isWhole: outgoing.writableFinished })),
    );
    turn?.seen.push({ dialect: writer.dialect, path, headers: incoming.headers, rawBody, body, atMs: performance.now(), closed });
    for (const wake of turn?.waiting ?? []) wake();
    void perform(script, { writer, outgoing, request: { model: textOf(body['model']), body } });
  };

  const server = createServer({ noDelay: true }, (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > BODY_BYTES_MAX) incoming.destroy();
      else chunks.push(chunk);
    });
    incoming.on('end', () => answer(incoming, outgoing, Buffer.concat(chunks)));
    // A gateway that leaves is what many checks wait for.
    outgoing.on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  return {
    port: bound,
    anthropicUrl: origin,
    openaiUrl: `${origin}/v1`,
    play(script) {
      const marker = `plimsoll-check-${randomBytes(6).toString('hex')}`;
      const turn: OpenTurn = { script: typeof script === 'function' ? script : () => script, seen: [], waiting: new Set() };
      turns.set(marker, turn);
      return {
        marker,
        seen: turn.seen,
        whenSeen: (index, withinMs) => whenSeen(turn, index, withinMs),
        end: () => turns.delete(marker),
      };
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function whenSeen(turn: OpenTurn, index: number, withinMs: number): Promise<SeenRequest | null> {
  return new Promise((resolve) => {
    const look = (): void => {
      const found = turn.seen[index];
      if (found) settle(found);
    };
    const settle = (found: SeenRequest | null): void => {
      clearTimeout(timer);
      turn.waiting.delete(look);
      resolve(found);
    };
    const timer = setTimeout(() => settle(null), withinMs);
    turn.waiting.add(look);
    look();
  });
}

function json(outgoing: ServerResponse, status: number, body: object): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify(body));
}

function listModels(incoming: IncomingMessage): object {
  const data = [describeModel(incoming, 'check')];
  return isAnthropic(incoming) ? { data, has_more: false, first_id: 'check', last_id: 'check' } : { object: 'list', data };
}

function describeModel(incoming: IncomingMessage, id: string): object {
  return isAnthropic(incoming)
    ? { type: 'model', id, display_name: id, created_at: '2026-01-01T00:00:00Z' }
    : { id, object: 'model', created: 1_760_000_000, owned_by: 'plimsoll' };
}

const writerFor = (incoming: IncomingMessage): ReplicaWriter => (isAnthropic(incoming) ? anthropicWriter : chatWriter);

const isAnthropic = ({ headers }: IncomingMessage): boolean => headers['anthropic-version'] !== undefined;
