import { connect, type Socket } from 'node:net';
import { createMessageParser, type MessageSink } from '../wire/message-parser.ts';

export interface ConnectionEvents {
  readonly ready: () => void;
  readonly head: (status: number) => void;
  readonly body: (buffer: Buffer, start: number, end: number) => void;
  /** A whole answer has come. `keepAlive` false: the server will close. */
  readonly end: (keepAlive: boolean) => void;
  /** Gone, by either side or by an error; comes once. `isCutShort`: in the middle of an answer's bytes. */
  readonly closed: (isCutShort: boolean) => void;
}

export interface Connection {
  write(bytes: Buffer): void;
  /** Drops the connection at once. */
  drop(): void;
}

/** One keep-alive connection on a raw socket. All of a process's connections read into `scratch`: nothing is allocated a read. */
export function openConnection(port: number, scratch: Buffer, events: ConnectionEvents): Connection {
  let keepAlive = true;
  let isDropped = false;
  const sink: MessageSink = {
    head(head) {
      keepAlive = head.keepAlive;
      events.head(Number(head.startLine.slice(9, 12)));
    },
    body: events.body,
    end: () => events.end(keepAlive),
  };
  const parser = createMessageParser('response', sink);
  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: scratch,
      callback(bytes) {
        try {
          parser.feed(scratch, 0, bytes);
        } catch {
          socket.destroy();
        }
        return true;
      },
    },
  });
  socket.once('connect', events.ready);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    const isWhole = parser.close();
    if (!isDropped) events.closed(!isWhole);
  });
  return {
    write: (bytes) => socket.write(bytes),
    drop() {
      isDropped = true;
      socket.destroy();
    },
  };
}
