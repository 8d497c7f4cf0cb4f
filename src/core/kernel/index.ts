export { invariant, unreachable } from './invariant.ts';
export { err, ok, type Result } from './result.ts';
