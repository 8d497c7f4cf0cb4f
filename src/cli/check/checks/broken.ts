import { behindCheck, play, type Check, type Played } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { say, type Fault } from '../replica/script.ts';
import { fail, judge, pass, quote, type Verdict } from '../verdict.ts';
import { errorProblems } from './envelope.ts';

const theme = 'Broken answers';
const ANSWER = say('one ', 'two ', 'three ', 'four');

/** An answer that broke must not look like one that ended. */
export const brokenChecks: readonly Check[] = [
  midStream('broken.reset-mid-stream', 'a stream whose connection breaks ends in an error that clients raise', {
    kind: 'reset',
    at: { afterPieces: 2 },
  }),
  midStream('broken.cut-mid-stream', 'a stream that stops short, politely, ends in an error that clients raise', {
    kind: 'cut',
    afterPieces: 2,
  }),
  midStream('broken.error-event', 'an error event in mid-stream arrives as one error, and as the last event', {
    kind: 'error_event',
    afterPieces: 2,
  }),
  beforeContent('broken.error-before-content', 'an error event after the 200 and before any content is never an empty success', {
    kind: 'error_event',
    afterPieces: 0,
  }),
  beforeContent(
    'broken.cut-before-content',
    'a stream that ends after the 200 and before any content is never an empty success',
    {
      kind: 'cut',
      afterPieces: 0,
    },
  ),
  beforeContent(
    'broken.reset-before-head',
    'a connection that breaks before the answer is a 5xx in the dialect’s envelope',
    {
      kind: 'reset',
      at: 'before_head',
    },
    { isInEnvelope: true },
  ),
  wholeFault('broken.reset-whole', 'a whole answer that breaks half way never arrives as a 200 cut short', {
    kind: 'reset',
    at: { afterPieces: 0 },
  }),
  wholeFault(
    'broken.not-json',
    'a 200 of the replica that is no answer is a 5xx in the dialect’s envelope',
    { kind: 'garbage' },
    { isInEnvelope: true },
  ),
];

function midStream(id: string, title: string, fault: Fault): Check {
  return behindCheck({
    id,
    theme,
    title,
    dialects: DIALECT_NAMES,
    async run(context) {
      const played = await play(context, { answer: ANSWER, fault }, { stream: true });
      const { reply, seen } = played;
      if (seen === null) return fail(`the replica was not reached: ${describeReply(reply)}`);
      if (reply.kind === 'nothing') return fail(describeReply(reply));
      if (reply.status !== 200) return failedOutright(reply.status, 'held back, then ');
      return noticed(played, 'one two ');
    },
  });

  function noticed({ reply, heard }: Played, before: string): Verdict {
    const end = reply.kind === 'answer' ? reply.end : 'clean';
    if (end === 'timeout') return fail('the client’s stream was left open');
    if (heard.isComplete) return fail('it ended like an answer that is complete');
    if (heard.error === null)
      return end === 'broken' ? pass('the connection was broken, which clients notice') : fail('it ended cleanly, with no error');
    const problems = heard.problems.filter((problem) => problem.includes('after the end') || problem.includes('no error.type'));
    if (heard.text !== before && !before.startsWith(heard.text))
      problems.push(`the text before it arrived as ${quote(heard.text)}`);
    return judge(problems, `an error event: ${quote(heard.error.type)}`);
  }
}

const FAILED = [500, 502, 503, 504, 529];

function failedOutright(status: number, before = '', after = ''): Verdict {
  return FAILED.includes(status) ? pass(`${before}status ${status}${after}`) : fail(`${before}status ${status}${after}`);
}

function beforeContent(id: string, title: string, fault: Fault, { isInEnvelope = false } = {}): Check {
  return behindCheck({
    id,
    theme,
    title,
    dialects: DIALECT_NAMES,
    async run(context) {
      const { reply, heard, seen, turn } = await play(context, { answer: ANSWER, fault }, { stream: true });
      if (seen === null) return fail(`the replica was not reached: ${describeReply(reply)}`);
      const attempts = turn.seen.length === 1 ? '' : `, after ${turn.seen.length} attempts`;
      if (reply.kind === 'nothing') return fail(describeReply(reply));
      if (reply.status !== 200)
        return isInEnvelope
          ? judge(errorProblems(context, reply, { statuses: FAILED }), `${describeReply(reply)}${attempts}`)
          : failedOutright(reply.status, '', attempts);
      if (heard.error !== null) return pass(`an error event: ${quote(heard.error.type)}${attempts}`);
      return reply.end === 'broken' ? pass('the connection was broken, which clients notice') : fail('an empty success');
    },
  });
}

function wholeFault(id: string, title: string, fault: Fault, { isInEnvelope = false } = {}): Check {
  return behindCheck({
    id,
    theme,
    title,
    dialects: DIALECT_NAMES,
    async run(context) {
      const { reply, seen } = await play(context, { answer: ANSWER, fault });
      if (seen === null) return fail(`the replica was not reached: ${describeReply(reply)}`);
      if (reply.kind === 'answer' && reply.end === 'broken') return pass('the connection was broken, which clients notice');
      if (isInEnvelope || reply.kind === 'nothing')
        return judge(errorProblems(context, reply, { statuses: FAILED }), describeReply(reply));
      return failedOutright(reply.status);
    },
  });
}
