import ipaddr from 'ipaddr.js';

/**
 * An internet address as four 32-bit words. IPv4 lies in ::ffff:0:0/96, so that there is one kind of address, and a client that
 * comes over a dual-stack socket is the same client.
 */
export type Address = readonly [number, number, number, number];

const V4_PREFIX = 0xffff;

/** @returns null for anything that is not one IPv4 or IPv6 address in plain notation; a zone (`%eth0`) is dropped */
export function parseAddress(text: string): Address | null {
  const v4 = parseV4(text);
  if (v4 !== null) return [0, 0, V4_PREFIX, v4];
  if (text.length > 64 || !text.includes(':') || !ipaddr.IPv6.isValid(text)) return null;
  const parts = ipaddr.IPv6.parse(text).parts;
  const word = (at: number): number => (((parts[at] as number) << 16) | (parts[at + 1] as number)) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

/** @param bytes - 4 or 16, as sockets give them; null for any other number */
export function addressOfBytes(bytes: Uint8Array): Address | null {
  const word = (at: number): number =>
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0;
  if (bytes.length === 4) return [0, 0, V4_PREFIX, word(0)];
  return bytes.length === 16 ? [word(0), word(4), word(8), word(12)] : null;
}

/**
 * The network that an address counts for: the /24 of an IPv4 address, the /48 of an IPv6 one, which is what one customer of a
 * provider usually holds.
 */
export function networkOf(address: Address): Address {
  return isV4(address)
    ? [0, 0, V4_PREFIX, (address[3] & 0xffff_ff00) >>> 0]
    : [address[0], (address[1] & 0xffff_0000) >>> 0, 0, 0];
}

/** The network as people write it: `203.0.113.0/24`, `2001:db8:1::/48`. */
export function networkText(network: Address): string {
  if (isV4(network)) return `${[24, 16, 8, 0].map((shift) => (network[3] >>> shift) & 255).join('.')}/24`;
  const parts = [network[0] >>> 16, network[0] & 0xffff, network[1] >>> 16];
  return `${parts.map((part) => part.toString(16)).join(':')}::/48`;
}

/** @returns the network of what {@link networkText} wrote, or null */
export function parseNetwork(text: string): Address | null {
  const address = parseAddress(text.slice(0, Math.max(0, text.indexOf('/'))));
  if (!address) return null;
  const network = networkOf(address);
  return networkText(network) === text ? network : null;
}

function isV4(address: Address): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === V4_PREFIX;
}

/** By hand, because every request brings one: four decimal parts without leading zeros. */
function parseV4(text: string): number | null {
  let [value, part, digits, parts] = [0, 0, 0, 0];
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : 46;
    if (code === 46) {
      if (digits === 0 || part > 255 || ++parts > 4) return null;
      value = value * 256 + part;
      [part, digits] = [0, 0];
    } else if (code >= 48 && code <= 57 && digits < 3 && !(digits > 0 && part === 0)) {
      part = part * 10 + code - 48;
      digits++;
    } else return null;
  }
  return parts === 4 ? value : null;
}
