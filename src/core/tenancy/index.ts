export { mayServe } from './cut-off.ts';
export { formatKey, KEY_PATTERN, readKey, type KeyReading, type KeyUse } from './key-format.ts';
export { compileScopes, type KeyScopes } from './key-scopes.ts';
export { may, PERMISSIONS, type Permission } from './permissions.ts';
export { GOOD_STANDING, isInForce, standingOf, type Standing } from './standing.ts';
export { usabilityOf, type KeyOwner, type Usability } from './usability.ts';
