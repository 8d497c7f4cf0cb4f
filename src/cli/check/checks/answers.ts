import type { Check } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply, isEventStream } from '../context.ts';
import { listOf, objectOf, parseJson } from '../json-value.ts';
import { parseSse } from '../sse.ts';
import { fail, judge, pass, unknown } from '../verdict.ts';

const theme = 'Answers';
/** The smallest limit that OpenAI's Responses API takes. */
const SHORT_TOKENS = 16;

/** What can be seen of answers from outside, whatever model gives them. */
export const answerChecks: readonly Check[] = [
  {
    id: 'answers.whole',
    theme,
    title: 'a whole answer has every field that clients read',
    dialects: DIALECT_NAMES,
    async run({ hear }) {
      const { reply, heard } = await hear();
      if (reply.kind === 'nothing' || reply.status !== 200) return fail(describeReply(reply));
      const problems = [...heard.problems];
      if (!(reply.headers['content-type'] ?? '').startsWith('application/json')) problems.push('content-type is not JSON');
      if (heard.stop === null) problems.push('it does not say why it stopped');
      if (heard.usage === null) problems.push('usage is missing or incomplete');
      return judge(problems, 'complete');
    },
  },
  {
    id: 'answers.stream',
    theme,
    title: 'a streamed answer keeps the laws of its dialect, and says how it ended',
    dialects: DIALECT_NAMES,
    async run({ client, hear }) {
      const { reply, heard } = await hear({ stream: true });
      if (reply.kind === 'nothing' || reply.status !== 200) return fail(describeReply(reply));
      if (!isEventStream(reply)) return fail('the answer to a streamed request is no event stream');
      const problems = [...heard.problems];
      if (!heard.isComplete) problems.push('it has no proper end');
      if (client.name !== 'openai-chat' && reply.body.includes('data: [DONE]'))
        problems.push('[DONE] is not part of this dialect');
      if (heard.usage === null) problems.push('usage is missing or incomplete');
      return judge(problems, 'every law kept');
    },
  },
  {
    id: 'answers.usage-agrees',
    theme,
    title: 'the same question costs the same input, streamed or not',
    dialects: DIALECT_NAMES,
    async run({ hear }) {
      const whole = (await hear()).heard.usage;
      const streamed = (await hear({ stream: true })).heard.usage;
      if (whole === null || streamed === null) return fail(`usage is missing ${whole === null ? 'whole' : 'streamed'}`);
      const [a, b] = [whole, streamed].map(({ input, cacheRead }) => input + cacheRead);
      return a === b ? pass(`${a} input tokens both ways`) : fail(`${a} input tokens whole, ${b} streamed`);
    },
  },
  {
    id: 'answers.max-tokens',
    theme,
    title: 'an answer that reached its length limit says so',
    dialects: DIALECT_NAMES,
    async run({ client, hear }) {
      const { reply, heard } = await hear({ maxTokens: SHORT_TOKENS, text: 'Count from one to one hundred.' });
      if (reply.kind === 'nothing' || reply.status !== 200)
        return unknown(`with a limit of ${SHORT_TOKENS} tokens: ${describeReply(reply)}`, 'a model that takes so small a limit');
      return heard.stop === client.stops.max_tokens
        ? pass(`${heard.stop}`)
        : fail(`cut at ${SHORT_TOKENS} tokens, it says ${heard.stop ?? 'nothing'}`);
    },
  },
  {
    id: 'answers.include-usage',
    theme,
    title: 'usage in a stream comes when asked for, in a last chunk of its own, and not otherwise',
    dialects: ['openai-chat'],
    async run({ ask }) {
      const withUsage = await ask({ stream: true });
      const without = await ask({ stream: true }, { body: { stream_options: undefined } });
      if (withUsage.kind === 'nothing' || without.kind === 'nothing') return fail('a stream was not answered');
      const chunks = (body: Buffer): readonly Readonly<Record<string, unknown>>[] =>
        parseSse(body.toString('utf8'))
          .events.filter(({ data }) => data !== '[DONE]')
          .map(({ data }) => objectOf(parseJson(data)));
      const asked = chunks(withUsage.body);
      const last = asked.at(-1) ?? {};
      const problems: string[] = [];
      if (typeof last['usage'] !== 'object' || last['usage'] === null) problems.push('asked for, the last chunk has none');
      else if (listOf(last['choices']).length > 0) problems.push('the chunk with usage has choices too');
      if (chunks(without.body).some(({ usage }) => typeof usage === 'object' && usage !== null))
        problems.push('not asked for, a chunk has usage');
      if (chunks(without.body).some(({ choices }) => listOf(choices).length === 0))
        problems.push('not asked for, a chunk without choices is left over');
      return judge(problems, 'only when asked for');
    },
  },
];
