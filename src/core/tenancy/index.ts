export { mayServe } from './cut-off.ts';
export { formatKey, readKey, type KeyUse } from './key-format.ts';
export { compileScopes, type KeyScopes } from './key-scopes.ts';
export { may, type Permission } from './permissions.ts';
export { GOOD_STANDING, isInForce, standingOf, type Standing } from './standing.ts';
export { usabilityOf } from './usability.ts';
