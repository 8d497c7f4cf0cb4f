import ipaddr from 'ipaddr.js';
import type { Key } from '#contracts/tenancy';

/** What a key may be used for, ready to be asked. What its scopes do not mention is not restricted. */
export interface KeyScopes {
  allowsModel(model: string): boolean;
  /** `region` is null where the configuration names none; a key that is bound to regions may not go there. */
  allowsRegion(region: string | null): boolean;
  /** Whether the key restricts addresses at all: finding the client's may cost something. */
  readonly hasAddresses: boolean;
  /** `address` as the socket or a believed proxy gives it; IPv4 inside IPv6 is taken as IPv4. What is no address is not allowed. */
  allowsAddress(address: string): boolean;
}

/**
 * Prepares the scopes of a key. A block that is not CIDR matches nothing, so a list of such blocks alone allows nobody.
 * Source: RFC 4632 (CIDR), RFC 4291 section 2.5.5.2 (IPv4-mapped addresses).
 */
export function compileScopes({ models, regions, addresses }: Key['scopes']): KeyScopes {
  const allowedModels = models && new Set(models);
  const allowedRegions = regions && new Set(regions);
  const blocks = addresses?.map(readBlock);
  return {
    allowsModel: (model) => allowedModels === undefined || allowedModels.has(model),
    allowsRegion: (region) => allowedRegions === undefined || (region !== null && allowedRegions.has(region)),
    hasAddresses: blocks !== undefined,
    allowsAddress(text) {
      if (blocks === undefined) return true;
      const address = readAddress(text);
      return address !== null && blocks.some((block) => block !== null && isInside(address, block));
    },
  };
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

interface Block {
  readonly address: Address;
  readonly bits: number;
}

function isInside(address: Address, { address: start, bits }: Block): boolean {
  return address.kind() === start.kind() && address.match(start, bits);
}

/** Strict: no octal, no hexadecimal, no missing parts, which others read differently. */
function readAddress(text: string): Address | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text)) return null;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** `a/n`, or a single address. */
function readBlock(text: string): Block | null {
  const slash = text.indexOf('/');
  const address = readAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const width = address.kind() === 'ipv4' ? 32 : 128;
  if (slash < 0) return { address, bits: width };
  const digits = text.slice(slash + 1);
  // An IPv4 block may be written as a mapped one; its length then counts 96 bits more.
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) - (width === 32 && text.includes(':') ? 96 : 0) : -1;
  return bits >= 0 && bits <= width ? { address, bits } : null;
}
