import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { startStopwatch } from './stopwatch.ts';

/** What a client got, to the last byte. */
export interface ClientAnswer {
  /** 0 when none came. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** How it ended: as HTTP says it should, broken, or not within the bound. */
  readonly end: 'whole' | 'broken' | 'timeout';
  readonly totalMs: number;
}

/** A request under way. */
export interface Asking {
  readonly answer: Promise<ClientAnswer>;
  readonly bytes: () => number;
  readonly status: () => number;
  /** When each piece came, ms since the request. */
  readonly arrivals: readonly number[];
  pause(): void;
  resume(): void;
  /** Leaves: closes the connection. */
  leave(): void;
}

export interface AskOptions {
  readonly port: number;
  readonly path: string;
  readonly key?: string;
  readonly method?: 'POST' | 'GET' | 'PATCH' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object | string | Buffer;
  readonly boundMs?: number;
  /** Sends the head and this many bytes of the body only, and then nothing. */
  readonly stopAfterBytes?: number;
  /** Reads nothing of the answer until told. */
  readonly isPaused?: boolean;
  /** Counts the body instead of keeping it. */
  readonly isCounted?: boolean;
}

export function ask(options: AskOptions): Asking {
  const elapsed = startStopwatch();
  const bytes = bodyBytes(options.body);
  const arrivals: number[] = [];
  const pieces: Buffer[] = [];
  let length = 0;
  let status = 0;
  let headers: IncomingHttpHeaders = {};
  let stream: { pause(): void; resume(): void } | null = null;
  let isPaused = options.isPaused === true;
  const { promise: answer, resolve } = Promise.withResolvers<ClientAnswer>();
  const outgoing = request({
    host: '127.0.0.1',
    port: options.port,
    path: options.path,
    method: options.method ?? 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(options.method === 'GET' ? {} : { 'content-length': bytes.length }),
      'anthropic-version': '2023-06-01',
      ...(options.key === undefined ? {} : { 'x-api-key': options.key }),
      ...options.headers,
    },
  });
  const settle = (end: ClientAnswer['end']): void => {
    clearTimeout(bound);
    resolve({ status, headers, body: Buffer.concat(pieces).toString('utf8'), end, totalMs: elapsed() });
  };
  const bound = setTimeout(() => {
    settle('timeout');
    outgoing.destroy();
  }, options.boundMs ?? 10_000);
  outgoing.on('error', () => settle('broken'));
  outgoing.on('response', (incoming) => {
    status = incoming.statusCode ?? 0;
    headers = incoming.headers;
    stream = incoming;
    incoming.on('data', (piece: Buffer) => {
      arrivals.push(elapsed());
      length += piece.length;
      if (!options.isCounted) pieces.push(piece);
    });
    incoming.on('error', () => settle('broken'));
    incoming.on('close', () => settle(incoming.complete ? 'whole' : 'broken'));
    if (isPaused) incoming.pause();
  });
  if (options.stopAfterBytes === undefined) outgoing.end(options.method === 'GET' ? undefined : bytes);
  else outgoing.write(bytes.subarray(0, options.stopAfterBytes));
  return {
    answer,
    arrivals,
    bytes: () => length,
    status: () => status,
    pause() {
      isPaused = true;
      stream?.pause();
    },
    resume() {
      isPaused = false;
      stream?.resume();
    },
    leave: () => void outgoing.destroy(),
  };
}

function bodyBytes(body: AskOptions['body']): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body ?? {}));
}

/** Sends bytes as they are and reads until the other side closes, or the bound. */
export function exchangeBytes(
  port: number,
  bytes: string,
  boundMs: number,
): Promise<{ readonly text: string; readonly isClosed: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')));
    const settle = (isClosed: boolean): void => {
      clearTimeout(bound);
      resolve({ text, isClosed });
      socket.destroy();
    };
    const bound = setTimeout(() => settle(false), boundMs);
    socket.on('data', (data) => (text += data.toString('latin1')));
    socket.on('error', () => settle(true));
    socket.on('close', () => settle(true));
  });
}

/** One event of a stream, its data as text. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** The events that are whole; what follows the last blank line is in `rest`. */
export function readEvents(body: string): { readonly events: readonly ServerEvent[]; readonly rest: string } {
  const blocks = body.split('\n\n');
  const rest = blocks.pop() ?? '';
  const events = blocks.map((block) => ({
    event: /^event: ?(.*)$/m.exec(block)?.[1] ?? 'message',
    data: [...block.matchAll(/^data: ?(.*)$/gm)].map(([, line]) => line).join('\n'),
  }));
  return { events, rest };
}

/** The text of an answer, streamed or whole, in either dialect. */
export function textOf(body: string): string {
  const texts = (json: string): string =>
    [...json.matchAll(/"(?:text|content)":("(?:[^"\\]|\\.)*")/g)]
      .map(([, quoted]) => String(JSON.parse(quoted ?? '""')))
      .join('');
  if (!/^(event|data):/m.test(body)) return texts(body);
  return readEvents(body)
    .events.map(({ data }) => texts(data))
    .join('');
}
