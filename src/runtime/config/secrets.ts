import { readFileSync } from 'node:fs';
import { err, ok, type Result } from '#core/kernel';

/**
 * Reads a secret by its reference, `env:NAME` or `file:/path`. The answer is never logged; the error names the reference only.
 * A file's last newline is not part of the secret.
 */
export function readSecret(reference: string, environment: Readonly<Record<string, string | undefined>>): Result<string, string> {
  if (reference.startsWith('env:')) {
    const value = environment[reference.slice(4)];
    return value ? ok(value) : err(`${reference} is not set or empty`);
  }
  try {
    const value = readFileSync(reference.slice('file:'.length), 'utf8').replace(/\r?\n$/, '');
    return value ? ok(value) : err(`${reference} is empty`);
  } catch (error) {
    return err(
      `${reference} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`,
    );
  }
}
