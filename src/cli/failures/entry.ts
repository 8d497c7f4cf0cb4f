import type { Lab } from './kit/lab.ts';

/** One row of the catalogue (docs/failure-modes.md): a way to hurt a user, and how to bring it about on one machine. */
export interface FailureEntry {
  /** The catalogue's own name, never used for anything else: `A8`. */
  readonly id: string;
  readonly component:
    | 'replica'
    | 'stream'
    | 'client'
    | 'gateway'
    | 'dialect'
    | 'retries'
    | 'limits'
    | 'keys'
    | 'tenants'
    | 'usage'
    | 'logs'
    | 'configuration';
  readonly failure: string;
  readonly effect: string;
  /** How it would be known: which metric, record or log line. */
  readonly signal: string;
  /** What the system does by itself. */
  readonly response: string;
  /** 1 harm or a leak between tenants; 2 an outage at scale; 3 partial; 4 cost or annoyance. */
  readonly severity: 1 | 2 | 3 | 4;
  /** How `provoke` brings it about. */
  readonly injection: string;
  /** Why it cannot be provoked on this machine, or null; absent when it can be anywhere. */
  readonly obstacle?: () => string | null;
  /** The most it may take, ms; absent: {@link BOUND_MS}. */
  readonly boundMs?: number;
  /** Brings it about and looks. Throws `NotProvoked` when it could not be brought about: that is never a pass. */
  provoke(lab: Lab): Promise<readonly Check[]>;
}

export const BOUND_MS = 20_000;

/** One thing that was looked at. */
export interface Check {
  readonly about: 'response' | 'signal';
  /** What should be so, as a sentence. */
  readonly claim: string;
  readonly kind: 'held' | 'broken' | 'unmeasured';
  /** What was seen, in figures. */
  readonly saw: string;
  /** From the moment of the failure until it was seen, ms; null where there is no such moment. */
  readonly afterMs: number | null;
}

export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'fail'; readonly because: string }
  | { readonly kind: 'unmeasured'; readonly because: string };

/** The failure could not be brought about; the message says why. */
export class NotProvoked extends Error {
  override readonly name = 'NotProvoked';
}

interface Seen {
  readonly saw: string;
  readonly afterMs?: number | null;
}

/** The system did, or did not do, what it should by itself. */
export const response = (claim: string, isSo: boolean, { saw, afterMs = null }: Seen): Check => ({
  about: 'response',
  claim,
  kind: isSo ? 'held' : 'broken',
  saw,
  afterMs,
});

/** An operator could, or could not, have known. */
export const signal = (claim: string, isSo: boolean, seen: Seen): Check => ({ ...response(claim, isSo, seen), about: 'signal' });

/** Both a response and a signal have to have been seen; one thing that was not as it should be outweighs all others. */
export function judge(checks: readonly Check[]): Verdict {
  const broken = checks.filter(({ kind }) => kind === 'broken');
  if (broken.length > 0) return { kind: 'fail', because: broken.map(({ claim, saw }) => `${claim}: ${saw}`).join('; ') };
  const unmeasured = checks.find(({ kind }) => kind === 'unmeasured');
  if (unmeasured) return { kind: 'unmeasured', because: `${unmeasured.claim}: ${unmeasured.saw}` };
  for (const about of ['response', 'signal'] as const)
    if (!checks.some((check) => check.about === about)) return { kind: 'unmeasured', because: `no ${about} was looked at` };
  return { kind: 'pass' };
}
