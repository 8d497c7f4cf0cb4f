import ipaddr from 'ipaddr.js';

/** What one client holds of addresses: an IPv4 address, or the /64 of an IPv6 one; text that is neither as it is, cut short. */
export function addressBlock(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address.slice(0, 64);
  return `${ipaddr.IPv6.parse(address)
    .parts.slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
