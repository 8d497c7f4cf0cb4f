import { createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A model server at the level of bytes, on a real loopback socket: it answers what a test tells it to, and says what it was sent. */
export interface ScriptedReplica {
  readonly url: string;
  readonly exchanges: readonly Exchange[];
  /** Connections taken so far, and those open now. */
  readonly connections: () => { readonly taken: number; readonly open: number };
  answer(script: Script): void;
  close(): Promise<void>;
}

export type Script = (exchange: Exchange) => void | Promise<void>;

/** One request as it came, and the hands to answer it with. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Names in lower case, in the order they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  header(name: string): string | undefined;
  /** Set when the connection has closed, by performance.now(). */
  closedAt: number | null;
  /** Bytes that the socket has taken from `write`. */
  readonly socket: Socket;
  /** @returns false when the peer's window is full */
  write(bytes: string | Uint8Array): boolean;
  /** A whole answer with a length. */
  respond(status: number, body: string | Uint8Array, headers?: Readonly<Record<string, string>>): void;
  /** The head of a chunked answer; `chunk` and `last` follow. */
  head(status: number, headers?: Readonly<Record<string, string>>): void;
  chunk(bytes: string | Uint8Array): boolean;
  last(): void;
  /** A whole stream of events. */
  events(text: string | Uint8Array): void;
  /** Breaks the connection, without the last chunk. */
  reset(): void;
}

/** @param atEnd - is given what closes it; of the test that is running, when absent */
export async function startReplica(
  first?: Script,
  atEnd: (close: () => Promise<void>) => void = onTestFinished,
): Promise<ScriptedReplica> {
  const exchanges: Exchange[] = [];
  const sockets = new Set<Socket>();
  let script: Script = first ?? (() => {});
  let taken = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    taken++;
    sockets.add(socket);
    let pieces: Buffer[] = [];
    let length = 0;
    let wanted = 0; // bytes without which the next request cannot be whole
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      const now = performance.now();
      for (const exchange of exchanges) if (exchange.socket === socket) exchange.closedAt ??= now;
    });
    socket.on('data', (bytes) => {
      pieces.push(bytes);
      length += bytes.length;
      while (length > 0 && length >= wanted) {
        const received: Buffer = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
        const parsed = parse(received);
        wanted = typeof parsed === 'number' ? parsed : 0;
        const rest = typeof parsed === 'number' ? received : received.subarray(parsed.length);
        pieces = [rest];
        length = rest.length;
        if (typeof parsed === 'number') continue;
        const exchange = exchangeOn(socket, parsed);
        exchanges.push(exchange);
        void (async () => script(exchange))();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  atEnd(close);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    connections: () => ({ taken, open: sockets.size }),
    answer(next) {
      script = next;
    },
    close,
  };
}

interface ParsedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly length: number;
}

/** The first request in `bytes`, or how many bytes must be there to look again; the gateway's bodies always have a length. */
function parse(bytes: Buffer): ParsedRequest | number {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return bytes.length + 1;
  const [line = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [method = '', path = ''] = line.split(' ');
  const headers = lines.map((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
  });
  const bodyLength = Number(headers.find(([name]) => name === 'content-length')?.[1] ?? 0);
  const length = end + 4 + bodyLength;
  return bytes.length < length ? length : { method, path, headers, body: bytes.subarray(end + 4, length), length };
}

function exchangeOn(socket: Socket, { method, path, headers, body }: ParsedRequest): Exchange {
  const writeHead = (status: number, more: Readonly<Record<string, string>>): void => {
    const lines = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${status} Scripted\r\n${lines.join('')}\r\n`);
  };
  const exchange: Exchange = {
    method,
    path,
    headers,
    body,
    header: (name) => headers.find(([candidate]) => candidate === name)?.[1],
    closedAt: null,
    socket,
    write: (bytes) => socket.write(bytes),
    respond(status, bytes, more = {}) {
      writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(bytes)), ...more });
      socket.write(bytes);
    },
    head: (status, more = {}) =>
      writeHead(status, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked', ...more }),
    chunk(bytes) {
      const length = Buffer.byteLength(bytes);
      return (
        length === 0 ||
        socket.write(Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`), Buffer.from(bytes), Buffer.from('\r\n')]))
      );
    },
    last: () => void socket.write('0\r\n\r\n'),
    events(text) {
      exchange.head(200);
      exchange.chunk(text);
      exchange.last();
    },
    reset: () => void socket.resetAndDestroy(),
  };
  return exchange;
}
