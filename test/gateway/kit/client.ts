import { request, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { until } from './until.ts';

/** What a client got. */
export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** False when the connection broke before the answer's end. */
  readonly isComplete: boolean;
}

export interface Asking {
  readonly path: string;
  readonly key?: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

/** A request that has been sent: what has come so far, and the way to leave. */
export interface OpenRequest {
  readonly received: () => { readonly status: number | null; readonly body: Buffer };
  /** Resolves with the whole answer; rejects when the connection broke before its head. */
  readonly answer: Promise<Received>;
  /** Drops the connection. @returns when, by performance.now() */
  leave(): number;
}

const bytesOf = (body: unknown): string | Buffer =>
  typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);

/** Sends a request on a connection of its own. */
export function open(port: number, { path, key, body, headers = {} }: Asking): OpenRequest {
  const chunks: Buffer[] = [];
  let status: number | null = null;
  const bytes = bytesOf(body);
  const outgoing = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(path.startsWith('/v1/messages') ? { 'anthropic-version': '2023-06-01' } : {}),
      'content-length': Buffer.byteLength(bytes),
      ...(key === undefined ? {} : { 'x-api-key': key }),
      ...headers,
    },
  });
  const answer = new Promise<Received>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      status = incoming.statusCode ?? 0;
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', () => {});
      incoming.on('close', () =>
        resolve({ status: status ?? 0, headers: incoming.headers, body: Buffer.concat(chunks), isComplete: incoming.complete }),
      );
    });
  });
  answer.catch(() => {}); // a test that leaves does not wait for it
  outgoing.end(bytes);
  return {
    received: () => ({ status, body: Buffer.concat(chunks) }),
    answer,
    leave() {
      outgoing.destroy();
      return performance.now();
    },
  };
}

/** Sends a request and waits for the whole answer. */
export const ask = (port: number, asking: Asking): Promise<Received> => open(port, asking).answer;

/** A connection of bare bytes. */
export interface RawConnection {
  readonly socket: Socket;
  readonly text: () => string;
  readonly isClosed: () => boolean;
  write(bytes: string | Uint8Array): void;
  /** Resolves once the other side has closed. */
  closed(boundMs?: number): Promise<void>;
  /** Resolves once what has come holds `part`. */
  says(part: string, boundMs?: number): Promise<void>;
  destroy(): void;
}

export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  let text = '';
  let isClosed = false;
  socket.on('error', () => {});
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('close', () => (isClosed = true));
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return {
    socket,
    text: () => text,
    isClosed: () => isClosed,
    write: (bytes) => void socket.write(bytes),
    closed: async (boundMs) =>
      void (await until(() => isClosed, `the gateway closes the connection; it said ${text.slice(0, 200)}`, boundMs)),
    says: async (part, boundMs) =>
      void (await until(() => text.includes(part), `the gateway says ${part}; it said ${text.slice(0, 400)}`, boundMs)),
    destroy: () => void socket.destroy(),
  };
}
