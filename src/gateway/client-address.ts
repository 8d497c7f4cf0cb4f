import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';

/** Tells the client's address of a request. */
export type ClientAddress = (incoming: IncomingMessage) => string;

/** Hops of a forwarding header that are looked at; more is a client that writes its own. */
const HOPS_MAX = 32;

/**
 * The client's address comes from the socket. Only where the socket is a proxy that the configuration names is its
 * `x-forwarded-for` believed, from the right, through proxies that are named too: the first address that is not one of them is
 * the client. What a client writes into the header itself stands further left, and is never reached.
 * @param trusted - CIDR blocks of proxies
 */
export function createClientAddress(trusted: readonly string[]): ClientAddress {
  const blocks = trusted.map((block) => ipaddr.parseCIDR(block));
  const isTrusted = (address: string): boolean => {
    if (isIP(address) === 0) return false;
    const parsed = ipaddr.process(address);
    return blocks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match([network, bits] as never));
  };
  return (incoming) => {
    const socket = plain(incoming.socket.remoteAddress ?? '');
    if (blocks.length === 0 || !isTrusted(socket)) return socket;
    const header = incoming.headers['x-forwarded-for'];
    if (header === undefined) return socket;
    const hops = (Array.isArray(header) ? header.join(',') : header).split(',').slice(-HOPS_MAX);
    let client = socket;
    for (const hop of hops.toReversed()) {
      const address = plain(hop.trim());
      // Something that is no address was not written by a proxy of ours.
      if (isIP(address) === 0) break;
      client = address;
      if (!isTrusted(address)) break;
    }
    return client;
  };
}

/** Without brackets and port, and IPv4 as such when it came over a socket of both families. */
function plain(address: string): string {
  const bare = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? (/^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] || address);
  return bare.startsWith('::ffff:') && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}
