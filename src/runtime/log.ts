import pino from 'pino';

/**
 * The one log: JSON lines on standard error, for operators and machines. Fields are ids, numbers and words of ours; never a
 * secret, a prompt or a completion. What every request did is in the journal, not here.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** The real log. Writes are synchronous: a line about a crash must not be lost in a buffer. */
export function createLog({ level }: { readonly level: 'debug' | 'info' | 'warn' | 'error' }): Log {
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}

/** A log that keeps its lines, for tests. */
export function createMemoryLog(): Log & {
  readonly lines: readonly { readonly level: string; readonly message: string; readonly fields: LogFields }[];
} {
  const lines: { level: string; message: string; fields: LogFields }[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
