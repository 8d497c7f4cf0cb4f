export { invariant, unreachable } from './invariant.ts';
export { nearest } from './nearest.ts';
export { err, ok, type Result } from './result.ts';
