import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What stands between a gateway and a server that it needs: a port of its own, and bytes that pass or do not. */
export interface Link {
  readonly port: number;
  /** From now on no byte passes, and nobody is told: connections stand, new ones are accepted, nothing answers. */
  cut(): void;
  /** Bytes pass again, on new connections. */
  heal(): void;
  close(): Promise<void>;
}

/** Reads and changes what passes on one connection; what is kept back is given with a later piece. */
export interface Between {
  readonly toServer: (bytes: Buffer) => Buffer;
  readonly toClient: (bytes: Buffer) => Buffer;
}

const UNCHANGED: Between = { toServer: (bytes) => bytes, toClient: (bytes) => bytes };

export async function startLink(serverPort: number, between: () => Between = () => UNCHANGED): Promise<Link> {
  const sockets = new Set<Socket>();
  let isCut = false;

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect(serverPort, '127.0.0.1').setNoDelay(true);
    const { toServer, toClient } = between();
    pass(client, upstream, toServer);
    pass(upstream, client, toClient);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => void (isCut = true),
    heal() {
      isCut = false;
      // What was not passed on is missing in the middle of them.
      breakAll();
    },
    close() {
      breakAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  function pass(from: Socket, to: Socket, change: (bytes: Buffer) => Buffer): void {
    sockets.add(from);
    from.on('data', (data) => {
      if (isCut) return;
      const bytes = change(data);
      if (bytes.length > 0 && !to.destroyed) to.write(bytes);
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      sockets.delete(from);
      if (!isCut) to.destroy();
    });
  }
}
