import { behindCheck, play, type Check } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { parseJson } from '../json-value.ts';
import { say } from '../replica/script.ts';
import { fail, judge } from '../verdict.ts';
import { errorProblems } from './envelope.ts';

const theme = 'Errors of the replica';
const WORDS = 'plimsoll check: these are the words of the replica';
/** Client retries multiply with these. */
const ATTEMPTS_MAX = 4;

/** A replica that refuses, fails or has enough. */
export const upstreamChecks: readonly Check[] = [
  behindCheck({
    id: 'upstream.bad-request',
    theme,
    title: 'a 400 of the replica reaches the client as a 400, with its words, in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    async run(context) {
      const { reply, seen, turn } = await play(context, {
        answer: say('never'),
        fault: { kind: 'http_error', status: 400, message: WORDS },
      });
      if (seen === null) return fail(`the replica was not reached: ${describeReply(reply)}`);
      const problems = [...errorProblems(context, reply, { statuses: [400] })];
      if (reply.kind === 'answer' && !reply.body.toString('utf8').includes(WORDS)) problems.push('its words were lost');
      if (turn.seen.length > 1) problems.push(`it was tried ${turn.seen.length} times`);
      return judge(problems, describeReply(reply));
    },
  }),
  behindCheck({
    id: 'upstream.server-error',
    theme,
    title: 'a 500 of the replica is a 5xx in the dialect’s envelope, after few attempts',
    dialects: DIALECT_NAMES,
    async run(context) {
      const { reply, turn } = await play(context, {
        answer: say('never'),
        fault: { kind: 'http_error', status: 500, message: WORDS },
      });
      const problems = [...errorProblems(context, reply, { statuses: [500, 502, 503, 504, 529] })];
      const attempts = turn.seen.length;
      if (attempts === 0) problems.push('the replica was not reached');
      if (attempts > ATTEMPTS_MAX) problems.push(`the replica was asked ${attempts} times`);
      return judge(problems, `${describeReply(reply)}, ${attempts === 1 ? 'one attempt' : `${attempts} attempts`}`);
    },
  }),
  ...([429, 529] as const).map((status) =>
    behindCheck({
      id: `upstream.busy-${status}`,
      theme,
      title: `a ${status} of the replica reaches the client in its envelope as one to try again later, and its retry-after is kept`,
      dialects: DIALECT_NAMES,
      async run(context) {
        const { reply, turn } = await play(context, {
          answer: say('never'),
          fault: { kind: 'http_error', status, message: WORDS, headers: { 'retry-after': '1', 'retry-after-ms': '500' } },
        });
        const problems = [...errorProblems(context, reply, { statuses: [429, 503, 529] })];
        const [first, ...later] = turn.seen;
        if (first === undefined) return fail(`the replica was not reached: ${describeReply(reply)}`);
        if (later.some(({ atMs }) => atMs - first.atMs < 400)) problems.push(`it was asked ${turn.seen.length} times too soon`);
        if (reply.kind === 'answer') {
          const { headers } = reply;
          const waitMs = Number(headers['retry-after-ms'] ?? Number(headers['retry-after'] ?? Number.NaN) * 1_000);
          if (Number.isNaN(waitMs)) problems.push('no retry-after');
          else if (waitMs < 400) problems.push(`retry-after is ${waitMs} ms where the replica said 500`);
          if (headers['x-should-retry'] === 'false') problems.push('x-should-retry tells clients to give up');
          if (parseJson(reply.body.toString('utf8')) === undefined) problems.push('the body is not JSON');
        }
        return judge(problems, `${describeReply(reply)}, with retry-after`);
      },
    }),
  ),
];
