import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ControlChange, ControlStore } from '#storage';
import { StoreAway } from '#storage';
import type { TenantObject } from '#contracts/tenancy';

/** A store behind a door that a test opens and shuts, and what passes through it. */
export interface Door {
  readonly store: ControlStore;
  isOpen: boolean;
  /** Calls that came to the door, open or not. */
  calls: number;
}

export function doorTo(behind: ControlStore): Door {
  const door = { isOpen: true, calls: 0 };
  const pass =
    <A extends readonly unknown[], T>(method: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> => {
      door.calls++;
      return door.isOpen ? method(...args) : Promise.reject(new StoreAway('the door is shut'));
    };
  const store: ControlStore = {
    ...behind,
    commit: pass(behind.commit),
    changesAfter: pass(behind.changesAfter),
    audit: pass(behind.audit),
    heartbeat: pass(behind.heartbeat),
    depart: pass(behind.depart),
    gateways: pass(behind.gateways),
  };
  return Object.assign(door, { store });
}

export function changeOf(...objects: readonly (readonly [TenantObject, number])[]): ControlChange {
  return {
    put: objects.map(([object, expectVersion]) => ({ object, expectVersion })),
    audit: { atMs: 1, actor: 'system', act: 'test', organization: null, subject: 'test', details: {} },
  };
}

/** A way to a server that a test can cut or freeze, as a network would. */
export interface Wire {
  readonly url: string;
  /** `cut`: refused and reset; `frozen`: taken and never answered. */
  state: 'whole' | 'cut' | 'frozen';
  close(): void;
}

export async function wireTo(url: string): Promise<Wire> {
  const real = new URL(url);
  const sockets = new Set<Socket>();
  let state: Wire['state'] = 'whole';
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (state === 'cut') socket.destroy();
    if (state !== 'whole') return;
    const behind = connect(Number(real.port), real.hostname);
    sockets.add(behind);
    socket.pipe(behind).pipe(socket);
    behind.on('error', () => socket.destroy());
    behind.on('close', () => sockets.delete(behind));
    socket.on('close', () => behind.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const here = new URL(url);
  here.port = String(typeof address === 'object' && address ? address.port : 0);
  return {
    url: here.href,
    get state() {
      return state;
    },
    set state(next) {
      state = next;
      for (const socket of sockets) {
        if (next === 'cut') socket.destroy();
        else if (next === 'frozen') socket.pause().unpipe();
        else socket.destroy();
      }
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
