import { errors, Pool, type Dispatcher } from 'undici';
import type { Operation } from '#contracts/record';
import type { Engine, EngineCall, EngineFailure, EngineHandler } from '../engine.ts';

type EngineHeaders = Readonly<Record<string, string | string[] | undefined>>;

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
  const ownHeaders: Readonly<Record<string, string>> = {
    ...(key === null ? {} : options.auth === 'x-api-key' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` }),
    // Compression would have to be undone before anything here could read it.
    'accept-encoding': 'identity',
  };
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
      const call = new RemoteCall(handler, () => openCalls--);
      pool.dispatch(
        {
          path: prefix + PATHS[request.operation] + request.query,
          method: 'POST',
          headers: { ...request.headers, ...ownHeaders },
          body: request.body,
        },
        call,
      );
      return call;
    },
    async close() {
      await pool.destroy(new Error('the gateway is closing'));
    },
  };
}

/** One call: what undici tells, told on. A class, because a call is made for every attempt, and eight closures weigh a kilobyte. */
class RemoteCall implements EngineCall, Dispatcher.DispatchHandler {
  readonly #handler: EngineHandler;
  readonly #release: () => void;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: Error | null = null;
  #isSettled = false;

  constructor(handler: EngineHandler, release: () => void) {
    this.#handler = handler;
    this.#release = release;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: EngineHeaders): void {
    if (status >= 200 && !this.#isSettled) this.#handler.onHead(status, headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isSettled) this.#handler.onData(chunk);
  }

  onResponseEnd(): void {
    if (this.#settle()) this.#handler.onEnd();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settle()) this.#handler.onError(failureOf(error, this.#aborted));
  }

  abort(reason: Error): void {
    if (this.#isSettled || this.#aborted) return;
    this.#aborted = reason;
    if (this.#controller) this.#controller.abort(reason);
    else {
      // Still waiting for a connection: undici tells of it only once it has one, and then nothing is sent.
      queueMicrotask(() => {
        if (this.#settle()) this.#handler.onError({ kind: 'aborted', message: reason.message });
      });
    }
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.#release();
    return true;
  }
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
