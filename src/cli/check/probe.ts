import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Agent, request, type Dispatcher } from 'undici';

/** What came back: an HTTP answer, whole or cut off, or nothing. */
export type Reply =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Buffer;
      /** `clean`: as HTTP says an answer ends. `broken`: the connection broke. `left`: we closed it. `timeout`: it never ended. */
      readonly end: 'clean' | 'broken' | 'left' | 'timeout';
    }
  | { readonly kind: 'nothing'; readonly because: 'left' | 'timeout' | 'broken'; readonly message: string };

export interface ProbeRequest {
  readonly method: string;
  /** After the base URL's own path: `/v1/messages`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly leave?: AbortSignal;
  readonly onText?: (textSoFar: string) => void;
  readonly timeoutMs?: number;
}

/** Plain HTTP with bounded time and bounded size; every request on a connection of its own. */
export interface Probe {
  readonly isLoopback: boolean;
  readonly baseUrl: string;
  /** What is sent with every request, for those who send their own. */
  readonly headers: Readonly<Record<string, string>>;
  send(asked: ProbeRequest): Promise<Reply>;
  /**
   * Writes bytes as they are and reads until the other side closes or falls silent. `parts` are written one after the other, for
   * as long as no answer has come.
   */
  raw(parts: Iterable<string | Uint8Array>, quietMs: number): Promise<RawReply>;
  /** The request line's path and the `host` header for {@link raw}. */
  readonly rawPath: (path: string) => string;
  readonly host: string;
  close(): Promise<void>;
}

export interface RawReply {
  readonly text: string;
  readonly isClosed: boolean;
}

export interface ProbeOptions {
  readonly url: string;
  /** Sent with every request, beneath the request's own: how some gateways are told their upstream. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** No answer to a check is larger; what is, counts as broken. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export function createProbe({ url, headers: always, timeoutMs: defaultTimeoutMs }: ProbeOptions): Probe {
  const base = new URL(url);
  const prefix = base.pathname.replace(/\/+$/, '');
  const agent = new Agent({ pipelining: 0, connect: { timeout: defaultTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 });

  return {
    isLoopback: ['127.0.0.1', 'localhost', '[::1]'].includes(base.hostname),
    baseUrl: base.origin + prefix,
    headers: always,
    host: base.host,
    rawPath: (path) => prefix + path,
    async send({ method, path, headers, body, leave, onText, timeoutMs = defaultTimeoutMs }) {
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = leave === undefined ? timeout : AbortSignal.any([leave, timeout]);
      const why = (): 'left' | 'timeout' | 'broken' => (leave?.aborted ? 'left' : timeout.aborted ? 'timeout' : 'broken');
      let answer: Dispatcher.ResponseData;
      try {
        answer = await request(base.origin + prefix + path, {
          dispatcher: agent,
          method: method as Dispatcher.HttpMethod,
          headers: { ...always, ...headers },
          ...(body === undefined ? {} : { body }),
          signal,
        });
      } catch (error) {
        return { kind: 'nothing', because: why(), message: messageOf(error) };
      }
      const chunks: Buffer[] = [];
      let length = 0;
      let end: 'clean' | 'broken' | 'left' | 'timeout' = 'clean';
      try {
        for await (const chunk of answer.body as AsyncIterable<Buffer>) {
          length += chunk.length;
          if (length > ANSWER_BYTES_MAX) throw new Error('too large');
          chunks.push(chunk);
          if (onText) onText(Buffer.concat(chunks).toString('utf8'));
        }
      } catch {
        end = why();
      }
      return {
        kind: 'answer',
        status: answer.statusCode,
        headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value ?? '')])),
        body: Buffer.concat(chunks),
        end,
      };
    },
    raw(parts, quietMs) {
      return new Promise((resolve) => {
        const port = Number(base.port === '' ? (base.protocol === 'https:' ? 443 : 80) : base.port);
        const host = base.hostname.replace(/^\[|\]$/g, '');
        const socket = base.protocol === 'https:' ? connectTls({ host, port, servername: host }) : connectTcp({ host, port });
        let text = '';
        const settle = (isClosed: boolean): void => {
          resolve({ text, isClosed });
          socket.destroy();
        };
        socket.setTimeout(quietMs, () => settle(false));
        socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        socket.on('close', () => settle(true));
        socket.on('error', () => settle(true));
        const iterator = parts[Symbol.iterator]();
        const writeOn = (): void => {
          for (;;) {
            const next = text === '' && socket.writable ? iterator.next() : null;
            if (next === null || next.done === true) return;
            if (!socket.write(next.value)) return void socket.once('drain', writeOn);
          }
        };
        socket.once(base.protocol === 'https:' ? 'secureConnect' : 'connect', writeOn);
      });
    },
    close: () => agent.destroy(),
  };
}

function messageOf(error: unknown): string {
  const cause = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
