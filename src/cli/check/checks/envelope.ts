import type { Context } from '../check.ts';
import { describeReply } from '../context.ts';
import { parseJson } from '../json-value.ts';
import type { Reply } from '../probe.ts';

export interface Expected {
  readonly statuses: readonly number[];
}

/** What is wrong with an error, as the dialect's clients need it: its status, its envelope, its request id, its retry hint. */
export function errorProblems({ client }: Context, reply: Reply, { statuses }: Expected): readonly string[] {
  if (reply.kind === 'nothing' || reply.end !== 'clean') return [describeReply(reply)];
  const { status, headers, body } = reply;
  const shouldRetry = headers['x-should-retry'];
  return [
    statuses.includes(status) ? '' : `status ${status}, not ${statuses.join(' or ')}`,
    ...(status >= 400 ? client.errorProblems(status, parseJson(body.toString('utf8'))) : []),
    status >= 400 && status < 500 && ![408, 409, 429].includes(status) && shouldRetry === 'true'
      ? 'x-should-retry asks clients to send it again'
      : '',
    ...retryAfterProblems(headers),
  ].filter((problem) => problem !== '');
}

/** Official clients obey without a cap of their own. */
const RETRY_AFTER_S_MAX = 3_600;

function retryAfterProblems(headers: Readonly<Record<string, string>>): readonly string[] {
  const seconds = headers['retry-after'];
  const ms = headers['retry-after-ms'];
  return [
    seconds !== undefined && Number(seconds) > RETRY_AFTER_S_MAX ? `retry-after is ${seconds}` : '',
    seconds !== undefined && !/^\d+(\.\d+)?$/.test(seconds) && Number.isNaN(Date.parse(seconds)) ? 'retry-after is no time' : '',
    ms !== undefined && !/^\d+(\.\d+)?$/.test(ms) ? 'retry-after-ms is no number' : '',
  ].filter((problem) => problem !== '');
}
