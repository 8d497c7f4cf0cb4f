/** Thrown when something that cannot happen did; becomes one 500 at the edge, never a steering device. */
class InvariantViolated extends Error {
  override readonly name = 'InvariantViolated';
}

/**
 * Throws {@link InvariantViolated} unless `condition` holds.
 * @param condition - what must be true here
 * @param message - what was broken, without secrets or content
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolated(message);
}

/** Ends a `switch` over a union: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new InvariantViolated(`unreachable case: ${JSON.stringify(value)}`);
}
