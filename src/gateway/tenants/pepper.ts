import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writePrivately } from './write-privately.ts';

/** There is no pepper, or not the right one: without it no key can be recognised. The message says what to do. */
export class PepperProblem extends Error {
  override readonly name = 'PepperProblem';
}

export interface PepperPlace {
  /** `keys.pepper` of the configuration: `env:NAME` or `file:/path`; absent where nothing is said. */
  readonly reference: string | undefined;
  readonly dataDirectory: string;
  /** Whether the control store is shared with other gateways. */
  readonly isShared: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const PEPPER_BYTES = 32;
/** Shorter ones could be guessed. */
const BYTES_MIN = 16;
/** What a data directory has once it has known tenants: a pepper made anew would make all their keys worthless. */
const TRACES = ['keys.json', 'tenants.snapshot'];

/**
 * The pepper that keys are hashed under. It is kept apart from the store, so that whoever reads the store can neither use a key
 * nor test a guess; an embedded store has it made in the data directory, a shared one must be given the same by every gateway.
 */
export async function openPepper({ reference, dataDirectory, isShared, environment }: PepperPlace): Promise<Buffer> {
  if (reference !== undefined) return readReference(reference, environment);
  if (isShared)
    throw new PepperProblem(
      'keys.pepper is needed with a shared control store (stores.control): give every gateway the same secret of 32 random bytes or more, as keys.pepper: env:NAME or file:/path',
    );
  const file = path.join(dataDirectory, 'pepper');
  if (existsSync(file)) return checked(readFileSync(file), file);
  const trace = TRACES.find((name) => existsSync(path.join(dataDirectory, name)));
  if (trace !== undefined)
    throw new PepperProblem(
      `${file} is missing and ${trace} is there: put the pepper back from a backup, for without it no key made before can be recognised`,
    );
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const pepper = randomBytes(PEPPER_BYTES);
  await writePrivately(file, pepper);
  return pepper;
}

/** A key for another purpose, that tells nothing of the pepper. Source: HKDF-Expand of one block, RFC 5869. */
export function deriveKey(pepper: Buffer, purpose: string): Buffer {
  return createHmac('sha256', pepper).update(`plimsoll ${purpose}`).update(Buffer.of(1)).digest();
}

/** Tells two peppers apart without telling them. */
export function pepperCheck(pepper: Buffer): string {
  return deriveKey(pepper, 'pepper check').toString('hex').slice(0, 16);
}

function readReference(reference: string, environment: PepperPlace['environment']): Buffer {
  if (reference.startsWith('env:')) return checked(Buffer.from(environment[reference.slice('env:'.length)] ?? ''), reference);
  const file = reference.slice('file:'.length);
  try {
    return checked(readFileSync(file), reference);
  } catch (error) {
    if (error instanceof PepperProblem) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new PepperProblem(`keys.pepper: ${reference} cannot be read (${code})`, { cause: error });
  }
}

/** Raw bytes as they are; a text without its last line feed, which editors add. */
function checked(bytes: Buffer, where: string): Buffer {
  const text = bytes.length === PEPPER_BYTES ? bytes : bytes.subarray(0, bytes.length - lineEnd(bytes));
  if (text.length < BYTES_MIN)
    throw new PepperProblem(
      `the pepper in ${where} has ${text.length} bytes, and needs ${BYTES_MIN} or more: use 32 random bytes`,
    );
  return text;
}

function lineEnd(bytes: Buffer): number {
  if (bytes.at(-1) !== 0x0a) return 0;
  return bytes.at(-2) === 0x0d ? 2 : 1;
}
