export { createKeyedHash, type KeyedHash, type Seed } from './keyed-hash.ts';
