import { refusal, type Refusal } from '#contracts/errors';
import { err, ok, type Result } from '#core/kernel';

/**
 * Collects what is wrong with a request while it is read or written in straight lines. Only the first problem is kept: it is
 * the one the caller is told, and what is read after it is never used.
 */
export interface Problems {
  /** The request breaks its own dialect's rules at `path`. */
  invalid(path: string, what: string): void;
  /** The request is sound, but what it says at `path` has no equal where it goes. */
  unsupported(path: string, why: string): void;
  /** `value`, unless a problem was found. */
  result<T>(value: T): Result<T, Refusal>;
}

/** A collector with nothing in it. */
export function createProblems(): Problems {
  let first: Refusal | null = null;
  const note = (code: 'invalid_request' | 'unsupported_by_engine') => (path: string, message: string) => {
    first ??= path === '' ? refusal(code, message) : refusal(code, `${path}: ${message}`, { param: path });
  };
  return {
    invalid: note('invalid_request'),
    unsupported: note('unsupported_by_engine'),
    result: (value) => (first === null ? ok(value) : err(first)),
  };
}
