export { type Address, networkOf, networkText, parseAddress, parseNetwork } from './address.ts';
export {
  createIpTable,
  type IpBlocks,
  type IpTable,
  type ListProblem,
  parseCidrList,
  parseCidrPlaces,
  type Place,
} from './ip-table.ts';
export { parseMailDomains } from './mail-domains.ts';
