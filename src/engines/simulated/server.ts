import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock, Random } from '#contracts/clock';
import { refusal, type RefusalCode, REFUSALS } from '#contracts/errors';
import type { Operation } from '#contracts/record';
import { writeErrorBody } from '#dialects';
import { createEmbeddedEngine } from '../embedded.ts';
import type { Engine } from '../engine.ts';
import type { SimulatedGenerator } from './generator.ts';

/** A simulated engine behind a real socket, so that any gateway can be tested against it. */
export interface EngineServer {
  readonly port: number;
  /** What the dialect's SDK takes as its base URL. */
  readonly url: string;
  stats(): EngineServerStats;
  /** Breaks open connections and stops. */
  close(): Promise<void>;
}

/** What `GET /_/stats` answers. Counts are since the start unless they say otherwise; whole tokens. */
export interface EngineServerStats {
  readonly requests_begun: number;
  readonly requests_finished: number;
  /** Their client left before the end. */
  readonly requests_cancelled: number;
  /** Failed by script, or could not be taken. */
  readonly requests_failed: number;
  /** Responses open now. */
  readonly open_streams: number;
  /** Requests being worked on now: with none open, anything above 0 is work for nobody. */
  readonly open_work: number;
  readonly tokens_generated: number;
  readonly tokens_generated_after_client_left: number;
  /** From the last client's leaving to the end of the work for it; null when none left yet. */
  readonly last_cancel_delay_ms: number | null;
  readonly prompt_tokens_computed: number;
  readonly prompt_tokens_read_from_cache: number;
  readonly blocks_used: number;
  readonly blocks_kept: number;
  readonly blocks: number;
  readonly preemptions: number;
}

export interface EngineServerOptions {
  readonly generator: SimulatedGenerator;
  readonly dialect: Engine['dialect'];
  readonly clock: Clock;
  readonly random: Random;
  /** 0 takes any free port. */
  readonly port: number;
  readonly host?: string;
  /** What `GET /v1/models` lists; any model is answered. */
  readonly models?: readonly string[];
}

const BODY_BYTES_MAX = 32 * 1024 * 1024;

const PATHS: Readonly<Record<string, { readonly dialect: Engine['dialect']; readonly operation: Operation }>> = {
  '/v1/messages': { dialect: 'anthropic', operation: 'messages' },
  '/v1/messages/count_tokens': { dialect: 'anthropic', operation: 'count_tokens' },
  '/v1/chat/completions': { dialect: 'openai', operation: 'chat_completions' },
};

/** Starts a {@link EngineServer}; resolves when it listens. */
export async function createEngineServer(options: EngineServerOptions): Promise<EngineServer> {
  const { generator, dialect, host = '127.0.0.1' } = options;
  const engine = createEmbeddedEngine(generator, options);
  const open = new Set<ServerResponse>();
  const stats = (): EngineServerStats => statsOf(generator, open.size);

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://engine');
    const path = Object.hasOwn(PATHS, pathname) ? PATHS[pathname] : undefined;
    if (request.method === 'POST' && path?.dialect === dialect) {
      open.add(response);
      response.once('close', () => open.delete(response));
      receive(
        request,
        response,
        (body) => forward(engine, path.operation, { request, response, body }),
        (code) => refuse(response, dialect, code),
      );
    } else if (request.method !== 'GET') refuse(response, dialect, 'not_found');
    else if (pathname === '/v1/models') json(response, listModels(dialect, options));
    else if (pathname === '/health') json(response, { status: 'ok' });
    else if (pathname === '/_/stats') json(response, stats());
    else refuse(response, dialect, 'not_found');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}${dialect === 'openai' ? '/v1' : ''}`,
    stats,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await engine.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

function forward(engine: Engine, operation: Operation, { request, response, body }: Exchange): void {
  const call = engine.call(
    {
      operation,
      headers: {},
      body,
      isStream: false,
      query: '',
      // As vendors do: what one key computed is not read by another.
      isolation: request.headers['x-api-key']?.toString() ?? request.headers.authorization ?? '',
      conversation: null,
    },
    {
      onHead(status, headers) {
        // With the head on its own, a client sees the status as soon as there is one.
        response.writeHead(status, headers).flushHeaders();
      },
      onData(chunk) {
        if (!response.write(chunk)) call.pause();
      },
      onEnd: () => response.end(),
      // A connection that broke, broke: no clean-looking end.
      onError: () => void request.socket.resetAndDestroy(),
    },
  );
  response.on('drain', () => call.resume());
  response.once('close', () => call.abort(new Error('the client left')));
}

function receive(
  request: IncomingMessage,
  response: ServerResponse,
  onBody: (body: Buffer) => void,
  onRefused: (code: RefusalCode) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= BODY_BYTES_MAX) chunks.push(chunk);
    else if (!response.headersSent) {
      chunks.length = 0;
      response.setHeader('connection', 'close');
      onRefused('request_too_large');
    }
  });
  request.on('end', () => {
    if (length <= BODY_BYTES_MAX) onBody(Buffer.concat(chunks, length));
  });
}

function refuse(response: ServerResponse, dialect: Engine['dialect'], code: RefusalCode): void {
  const message = code === 'not_found' ? `This engine speaks ${dialect} and has no such path.` : 'The body is larger than 32 MB.';
  response.writeHead(REFUSALS[code].status, { 'content-type': 'application/json' });
  response.end(writeErrorBody(dialect === 'anthropic' ? 'anthropic' : 'openai_chat', refusal(code, message), 'req_none'));
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function listModels(dialect: Engine['dialect'], { models = ['simulated'], clock }: EngineServerOptions): object {
  const wallMs = clock.wallMs();
  if (dialect === 'openai')
    return {
      object: 'list',
      data: models.map((id) => ({ id, object: 'model', created: Math.floor(wallMs / 1000), owned_by: 'simulated' })),
    };
  return {
    data: models.map((id) => ({ type: 'model', id, display_name: id, created_at: new Date(wallMs).toISOString() })),
    has_more: false,
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
  };
}

function statsOf(generator: SimulatedGenerator, openStreams: number): EngineServerStats {
  const { begun, finished, cancelled, failed, open, abandonedTokens, lastAbandonUs, scheduler } = generator.stats();
  return {
    requests_begun: begun,
    requests_finished: finished,
    requests_cancelled: cancelled,
    requests_failed: failed,
    open_streams: openStreams,
    open_work: open,
    tokens_generated: scheduler.generatedTokens,
    tokens_generated_after_client_left: abandonedTokens,
    last_cancel_delay_ms: lastAbandonUs === null ? null : Math.round(lastAbandonUs / 1000),
    prompt_tokens_computed: scheduler.prefilledTokens,
    prompt_tokens_read_from_cache: scheduler.cacheReadTokens,
    blocks_used: scheduler.usedBlocks,
    blocks_kept: scheduler.keptBlocks,
    blocks: scheduler.capacityBlocks,
    preemptions: scheduler.preemptions,
  };
}
