import { describe, expect, test } from 'vitest';
import { judgeAttempt, readRetryAfterMs } from './judge-attempt.ts';

describe('what an attempt means', () => {
  test.each([
    [200, 'answered', 'answer', 0],
    [400, 'refused_by_upstream', 'pass_error', 0],
    [404, 'refused_by_upstream', 'pass_error', 0],
    [422, 'refused_by_upstream', 'pass_error', 0],
    [401, 'failed_before_answer', 'move_on', 0],
    [403, 'failed_before_answer', 'move_on', 0],
    [429, 'backpressure', 'move_on', 1000],
    [529, 'backpressure', 'move_on', 1000],
    [500, 'failed_before_answer', 'move_on', 0],
    [503, 'failed_before_answer', 'move_on', 0],
    [302, 'failed_before_answer', 'move_on', 0],
    [204, 'failed_before_answer', 'move_on', 0],
  ] as const)('status %d is %s and then %s', (status, outcome, next, pauseMs) => {
    expect(judgeAttempt({ kind: 'status', status, retryAfterMs: null })).toMatchObject({ outcome, next, pauseMs });
  });

  test("a replica's retry-after pauses it, never for more than a minute", () => {
    expect(judgeAttempt({ kind: 'status', status: 429, retryAfterMs: 2_500 }).pauseMs).toBe(2_500);
    expect(judgeAttempt({ kind: 'status', status: 529, retryAfterMs: 86_400_000 }).pauseMs).toBe(60_000);
    expect(judgeAttempt({ kind: 'status', status: 503, retryAfterMs: 100 }).outcome).toBe('backpressure');
    expect(judgeAttempt({ kind: 'error_event', status: 529 }).outcome).toBe('backpressure');
  });

  test("the operator's credential trouble is not shown to the client as its own", () => {
    expect(judgeAttempt({ kind: 'status', status: 401, retryAfterMs: null }).refusal?.code).toBe('upstream_rejected');
  });

  test('a request that was never sent moves on for free', () => {
    expect(judgeAttempt({ kind: 'not_sent', isSaturated: false })).toMatchObject({ next: 'move_on_free', pauseMs: 1000 });
    expect(judgeAttempt({ kind: 'not_sent', isSaturated: true })).toMatchObject({ next: 'move_on_free', pauseMs: 0 });
  });
});

test.each([
  [{ ms: '250', seconds: '9' }, 250],
  [{ ms: undefined, seconds: '2' }, 2000],
  [{ ms: undefined, seconds: '0.5' }, 500],
  [{ ms: undefined, seconds: 'Thu, 01 Jan 1970 00:00:11 GMT' }, 1000],
  [{ ms: undefined, seconds: 'Thu, 01 Jan 1970 00:00:01 GMT' }, 0],
  [{ ms: 'soon', seconds: '-3' }, null],
  [{ ms: undefined, seconds: '1e99999' }, null],
  [{ ms: undefined, seconds: undefined }, null],
])('retry-after %j is %s ms', (headers, expected) => {
  expect(readRetryAfterMs(headers, 10_000, (text) => (/^[A-Z]/.test(text) ? Date.parse(text) : NaN))).toBe(expected);
});
