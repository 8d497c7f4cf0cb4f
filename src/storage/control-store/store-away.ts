import { StoreAway } from '../control-port.ts';

/**
 * Error classes of PostgreSQL that say something of the server or the way to it, and nothing of what was asked: connection,
 * authorization, database gone, read-only after a failover, resources, operator intervention, system.
 */
const ABOUT_THE_SERVER = ['08', '28', '3D', '25', '53', '57', '58', 'XX'];

/** Tells a store that is away from a mistake of ours: an error that has a code of SQL about the query itself is the latter. */
export function asStoreAway(error: unknown): unknown {
  if (error instanceof StoreAway || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isAboutQuery = /^[0-9A-Z]{5}$/.test(code) && !ABOUT_THE_SERVER.includes(code.slice(0, 2));
  const isOurs = error.name === 'InvariantViolated' || error.name === 'ZodError' || error.name === 'NewerSchema';
  if (isAboutQuery || isOurs) return error;
  // Several addresses were tried: the message is in the parts.
  const message = error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return new StoreAway(`the control store cannot be reached: ${message || code}`, { cause: error });
}
