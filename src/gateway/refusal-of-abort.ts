import { refusal, type Refusal } from '#contracts/errors';
import { BadFraming, ClientGone, DeadlineExceeded, ShuttingDown } from './abort-reasons.ts';

/** What an aborted request is told, by who aborted it. Nobody reads it when the client has left, but the record does. */
export function refusalOfAbort(reason: unknown): Refusal {
  if (reason instanceof ClientGone) return refusal('client_gone', reason.message);
  if (reason instanceof BadFraming) return refusal('bad_framing', 'The request body is not well-formed HTTP/1.1');
  if (reason instanceof ShuttingDown)
    return refusal('shutting_down', 'The gateway is shutting down; try again', { retryAfterMs: 1_000 });
  if (reason instanceof DeadlineExceeded) {
    switch (reason.limit) {
      case 'body':
        return refusal('request_timeout', 'The request body did not arrive in time');
      case 'total':
        return refusal('deadline_exceeded', 'The request took longer than it may');
      case 'first_token':
        return refusal('upstream_timeout', 'The model did not begin to answer in time');
      case 'idle':
        return refusal('upstream_timeout', 'The model stopped in the middle of its answer');
    }
  }
  return refusal('internal', 'Internal error');
}
