import type { Clock } from '#contracts/clock';
import type { AttemptOutcome, AttemptRecord } from '#contracts/record';
import { readRetryAfterMs, type AttemptFact } from '#core/routing';
import type { AttemptResult, EngineHeaders } from './attempt.ts';

/** What routing needs to know of an attempt that did not become a stream. */
export function factOf(result: Exclude<AttemptResult, { kind: 'stream' }>, clock: Clock): AttemptFact {
  if (result.kind === 'whole')
    return { kind: 'status', status: result.status, retryAfterMs: retryAfterOf(result.headers, clock) };
  switch (result.failure.kind) {
    case 'unreachable':
    case 'connect_timeout':
      return { kind: 'not_sent', isSaturated: false };
    case 'saturated':
      return { kind: 'not_sent', isSaturated: true };
    case 'error_event':
      return { kind: 'error_event', status: result.failure.status };
    case 'timed_out':
      return { kind: 'silent' };
    case 'too_large':
      return { kind: 'too_large' };
    case 'reset':
    case 'protocol':
    case 'aborted':
      return { kind: 'broken' };
  }
}

function retryAfterOf(headers: EngineHeaders, clock: Clock): number | null {
  const text = (name: string): string | undefined => (typeof headers[name] === 'string' ? headers[name] : undefined);
  const said = { ms: text('retry-after-ms'), seconds: text('retry-after') };
  return said.ms === undefined && said.seconds === undefined ? null : readRetryAfterMs(said, clock.wallMs(), Date.parse);
}

export interface AttemptFrame {
  readonly replica: string;
  readonly outcome: AttemptOutcome;
  /** Since the request's arrival, µs. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly firstContentUs: number | null;
}

/** An attempt as the usage record keeps it. */
export function recordOf(
  result: AttemptResult,
  { replica, outcome, startUs, durationUs, firstContentUs }: AttemptFrame,
): AttemptRecord {
  const upstreamId = result.headers['request-id'] ?? result.headers['x-request-id'];
  return {
    replica,
    outcome,
    status: result.status,
    upstreamRequestId: typeof upstreamId === 'string' ? upstreamId.slice(0, 128) : null,
    startUs,
    durationUs,
    firstContentUs,
  };
}
