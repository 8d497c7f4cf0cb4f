import { errors, Pool, type Dispatcher } from 'undici';
import type { Operation } from '#contracts/record';
import type { Engine, EngineCall, EngineFailure, EngineHandler, EngineRequest } from '../engine.ts';

export interface RemoteEngineOptions {
  /** What the dialect's own SDK takes as its base URL: OpenAI's ends in `/v1`, Anthropic's does not. */
  readonly url: string;
  readonly dialect: 'anthropic' | 'openai';
  /** The replica's credential, null when it needs none. */
  readonly key: string | null;
  /** The header that carries it. */
  readonly auth: 'x-api-key' | 'bearer';
  /** Whether an OpenAI server has `/responses` besides `/chat/completions`. */
  readonly hasResponses: boolean;
  /** Connections kept to the replica at most; a call beyond them fails at once as `saturated`. */
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
  /** How long an idle connection is kept when the replica does not say. */
  readonly keepAliveMs: number;
}

const PATHS: Readonly<Record<Operation, string>> = {
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
  chat_completions: '/chat/completions',
  responses: '/responses',
};

/** A replica that speaks a dialect over HTTP/1.1, through a bounded pool of connections of its own. */
export function createRemoteEngine(options: RemoteEngineOptions): Engine {
  const { dialect, key, connectionsMax } = options;
  const base = new URL(options.url);
  const prefix = base.pathname.replace(/\/+$/, '');
  const pool = new Pool(base.origin, {
    connections: connectionsMax,
    pipelining: 1,
    connect: { timeout: options.connectTimeoutMs },
    keepAliveTimeout: options.keepAliveMs,
    // Times are the gateway's to watch: it knows the phase a request is in.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const credentials: Readonly<Record<string, string>> =
    key === null ? {} : options.auth === 'x-api-key' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` };
  let openCalls = 0;

  const operations: ReadonlySet<Operation> =
    dialect === 'anthropic'
      ? new Set<Operation>(['messages', 'count_tokens'])
      : new Set<Operation>(options.hasResponses ? ['chat_completions', 'responses'] : ['chat_completions']);

  return {
    dialect,
    operations,
    call(request, handler) {
      if (openCalls >= connectionsMax)
        return failLater(handler, { kind: 'saturated', message: 'all connections to the replica are in use' });
      openCalls++;
      return dispatch(
        pool,
        request,
        { path: prefix + PATHS[request.operation] + request.query, credentials },
        handler,
        () => openCalls--,
      );
    },
    async close() {
      await pool.destroy(new Error('the gateway is closing'));
    },
  };
}

interface Target {
  readonly path: string;
  readonly credentials: Readonly<Record<string, string>>;
}

function dispatch(pool: Pool, request: EngineRequest, target: Target, handler: EngineHandler, release: () => void): EngineCall {
  let controller: Dispatcher.DispatchController | null = null;
  let aborted: Error | null = null;
  let isSettled = false;
  const settle = (): boolean => {
    if (isSettled) return false;
    isSettled = true;
    release();
    return true;
  };

  pool.dispatch(
    {
      path: target.path,
      method: 'POST',
      // Compression would have to be undone before anything here could read it.
      headers: { ...request.headers, ...target.credentials, 'accept-encoding': 'identity' },
      body: request.body,
    },
    {
      onRequestStart(started) {
        controller = started;
        if (aborted) started.abort(aborted);
      },
      onResponseStart(_, status, headers) {
        if (status >= 200 && !isSettled) handler.onHead(status, headers);
      },
      onResponseData(_, chunk) {
        if (!isSettled) handler.onData(chunk);
      },
      onResponseEnd() {
        if (settle()) handler.onEnd();
      },
      onResponseError(_, error) {
        if (settle()) handler.onError(failureOf(error, aborted));
      },
    },
  );

  return {
    abort(reason) {
      if (isSettled || aborted) return;
      aborted = reason;
      if (controller) controller.abort(reason);
      else {
        // Still waiting for a connection: undici tells of it only once it has one, and then nothing is sent.
        queueMicrotask(() => {
          if (settle()) handler.onError({ kind: 'aborted', message: reason.message });
        });
      }
    },
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
  };
}

function failLater(handler: EngineHandler, failure: EngineFailure): EngineCall {
  queueMicrotask(() => handler.onError(failure));
  return { abort() {}, pause() {}, resume() {} };
}

/** Errors that mean no connection was made, so that nothing of the request can have reached the replica. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
]);

function failureOf(error: Error, aborted: Error | null): EngineFailure {
  if (aborted) return { kind: 'aborted', message: aborted.message };
  const code = codeOf(error);
  if (error instanceof errors.ConnectTimeoutError)
    return { kind: 'connect_timeout', message: 'no connection in time', cause: error };
  if (UNREACHABLE.has(code)) return { kind: 'unreachable', message: `no connection (${code})`, cause: error };
  if (error instanceof errors.HTTPParserError) return { kind: 'protocol', message: `not HTTP (${code})`, cause: error };
  return { kind: 'reset', message: `the connection broke (${code})`, cause: error };
}

function codeOf(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
