import { createServer, type AddressInfo, type Socket } from 'node:net';
import { startStopwatch } from './stopwatch.ts';

/** A replica on a real loopback socket that does exactly what it is told, byte by byte. */
export interface ScriptedReplica {
  readonly port: number;
  /** Base URL for either dialect. */
  readonly url: string;
  readonly openaiUrl: string;
  readonly calls: readonly ReplicaCall[];
  readonly connections: () => number;
  close(): Promise<void>;
}

/** One request that it was sent. */
export interface ReplicaCall {
  readonly number: number;
  readonly path: string;
  /** The request's head, as it came. */
  readonly head: string;
  readonly body: string;
  /** Ms since the replica was started. */
  readonly atMs: number;
  readonly socket: Socket;
  /** Writes bytes as they are; false when they wait to be read. */
  write(bytes: string | Uint8Array): boolean;
  /** This response is done; the connection may carry another. */
  done(): void;
  /** Breaks the connection by a reset, or ends it. */
  reset(): void;
  end(): void;
  readonly isClosed: () => boolean;
}

export type Behavior = (call: ReplicaCall) => void | Promise<void>;

export async function startScriptedReplica(behave: Behavior): Promise<ScriptedReplica> {
  const elapsed = startStopwatch();
  const calls: ReplicaCall[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;

  const server = createServer({ noDelay: true }, (socket) => {
    connections++;
    sockets.add(socket);
    // Joined only when a request is whole: a body of many megabytes comes in hundreds of pieces.
    let pieces: Buffer[] = [];
    let length = 0;
    let needed = 0;
    let isBusy = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      pieces.push(data);
      length += data.length;
      next();
    });

    function next(): void {
      if (isBusy || length === 0 || length < needed) return;
      const received = pieces.length === 1 ? (pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(pieces);
      pieces = [received];
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const head = received.toString('latin1', 0, headEnd);
      const bodyStart = headEnd + 4;
      needed = bodyStart + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (length < needed) return;
      const body = received.toString('utf8', bodyStart, needed);
      pieces = [received.subarray(needed)];
      length -= needed;
      needed = 0;
      isBusy = true;
      const call: ReplicaCall = {
        number: calls.length + 1,
        path: head.split(' ')[1] ?? '',
        head,
        body,
        atMs: elapsed(),
        socket,
        write: (bytes) => !socket.destroyed && socket.write(bytes),
        done() {
          isBusy = false;
          next();
        },
        reset: () => void socket.resetAndDestroy(),
        end: () => void socket.end(),
        isClosed: () => socket.destroyed,
      };
      calls.push(call);
      // What a behavior throws is a mistake in the entry; the connection breaks, and the entry sees that.
      Promise.resolve(behave(call)).catch(() => socket.destroy());
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    openaiUrl: `http://127.0.0.1:${port}/v1`,
    calls,
    connections: () => connections,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A port of loopback on which nothing listens: it was free a moment ago. */
export async function findClosedPort(): Promise<number> {
  const replica = await startScriptedReplica(() => {});
  await replica.close();
  return replica.port;
}
