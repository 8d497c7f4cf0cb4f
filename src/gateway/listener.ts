import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#contracts/clock';
import type { Config } from '#contracts/config';
import { framingProblem } from './framing.ts';

export interface ListenerOptions {
  readonly config: Config;
  /** One well-framed request whose turn has come; no other is being answered on its connection. */
  readonly onRequest: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  /** What follows on a connection is not HTTP. @returns true when a request is open there, which is told and ends by itself */
  readonly onGarbage: (socket: Socket, reason: GarbageReason) => boolean;
}

/** Why bytes are not a request: ambiguous or malformed, a head beyond the bound, or not whole in time. */
export const GARBAGE_REASONS = ['framing', 'headers_too_large', 'timeout'] as const;
type GarbageReason = (typeof GARBAGE_REASONS)[number];

/** Longer than any client's or proxy's own idle time of a minute, so that they close first and no request meets a closed door. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_TIMEOUT_MS = 20_000;
/** Requests that a client may send ahead on one connection; each waits for its turn. No client of a model sends any. */
const AHEAD_MAX = 8;

/** An HTTP server that hands on one request at a time from each connection, and none whose framing is in doubt. */
export function createListener({ config, onRequest, onGarbage }: ListenerOptions): Server {
  const ahead = new WeakMap<Socket, number>();
  const server = createServer(
    {
      noDelay: true,
      keepAlive: true,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Bodies have a time limit of their own, which answers in the client's dialect; this is the net under it.
      requestTimeout: config.timeouts.body_ms + HEADERS_TIMEOUT_MS,
      maxHeaderSize: config.bounds.header_bytes,
      insecureHTTPParser: false,
    },
    (incoming, outgoing) => {
      const { socket } = incoming;
      const problem = framingProblem(incoming);
      if (problem !== null) {
        if (!onGarbage(socket, 'framing')) answerAndClose(socket, '400 Bad Request', problem);
        return;
      }
      if (outgoing.socket !== null) return onRequest(incoming, outgoing);
      // Sent ahead: an answer is still being written on this connection. A response that has no socket yet is not told when the
      // client leaves, so the request begins only when it has one.
      const waiting = (ahead.get(socket) ?? 0) + 1;
      if (waiting > AHEAD_MAX) return void socket.destroy();
      ahead.set(socket, waiting);
      outgoing.once('socket', () => {
        ahead.set(socket, (ahead.get(socket) ?? 1) - 1);
        onRequest(incoming, outgoing);
      });
    },
  );
  server.on('clientError', (error: Error & { readonly code?: string }, socket: Socket) => {
    // A client that ends its side in the middle of a request has left, however politely.
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE') socket.destroy();
    else {
      const [status, message, reason] = CLIENT_ERRORS[error.code ?? ''] ?? NOT_HTTP;
      if (!onGarbage(socket, reason)) answerAndClose(socket, status, message);
    }
  });
  return server;
}

type ClientError = readonly [status: string, message: string, reason: GarbageReason];
const NOT_HTTP: ClientError = ['400 Bad Request', 'The request is not well-formed HTTP/1.1', 'framing'];
const CLIENT_ERRORS: Readonly<Record<string, ClientError | undefined>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The request headers are too large', 'headers_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request did not arrive in time', 'timeout'],
};

/**
 * Answers bytes that are not one unambiguous request, once, and closes: nobody can say where the next request begins. The
 * envelope is Anthropic's; OpenAI's clients find their fields in it too.
 */
function answerAndClose(socket: Socket, status: string, message: string): void {
  const body = JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message } });
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

/** How long the last bytes of the last answers may take; what is left after that is a client that does not read. */
const LAST_BYTES_MS = 500;

/** Waits until every connection of servers that no longer accept has ended, and ends those that do not. */
export async function endConnections(servers: readonly Server[], clock: Clock): Promise<void> {
  const force = clock.after(LAST_BYTES_MS, () => servers.forEach((server) => server.closeAllConnections()));
  await Promise.all(servers.map(untilClosed));
  force.cancel();
}

function untilClosed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.getConnections((_, count) => (server.listening || count > 0 ? server.once('close', () => resolve()) : resolve()));
  });
}
