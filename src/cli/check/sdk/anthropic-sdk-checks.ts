import type AnthropicSdk from '@anthropic-ai/sdk';
import { behindCheck, type Check, type Context } from '../check.ts';
import { NO_SUCH_MODEL } from '../no-such-model.ts';
import { say, type ScriptedAnswer } from '../replica/script.ts';
import { fail, judge, pass, quote, unknown, type Verdict } from '../verdict.ts';
import { describeError, orThrown, sdkTheme, thrownBy, threw, type SdkName } from './sdk-verdict.ts';

export type AnthropicClass = typeof AnthropicSdk;

const TOOL_INPUT = { city: 'São "Paulo"', days: 3, deep: { list: [1.5, null, true] } };
const TOOL: ScriptedAnswer = {
  parts: [
    { kind: 'text', pieces: ['Let me look.'] },
    { kind: 'tool', id: 'toolu_1', name: 'weather', pieces: JSON.stringify(TOOL_INPUT).match(/.{1,4}/gsu) ?? [] },
    { kind: 'tool', id: 'toolu_2', name: 'clock', pieces: ['{"city"', ':"東京"}'] },
  ],
  stop: 'tool',
  usage: { input: 30, cacheRead: 4, output: 20 },
};
const BETA = 'plimsoll-check-2026-01-01';

/** Anthropic's official client against the gateway, as its users call it. */
export function anthropicSdkChecks(Anthropic: AnthropicClass, name: SdkName): readonly Check[] {
  const common = { theme: sdkTheme(name), dialects: ['anthropic'] } as const;
  const id = (suffix: string): string => `sdk.${name.packageName}.${suffix}`;
  const client = (context: Context, more: { readonly key?: string; readonly maxRetries?: number } = {}) =>
    new Anthropic({
      baseURL: context.probe.baseUrl,
      apiKey: more.key ?? context.key ?? 'none',
      defaultHeaders: context.probe.headers,
      maxRetries: more.maxRetries ?? 0,
      timeout: 30_000,
      logLevel: 'off',
    });
  const asking = ({ model }: Context, text = 'Say hello.') => ({
    model,
    max_tokens: 64,
    messages: [{ role: 'user' as const, content: text }],
  });

  return [
    {
      ...common,
      id: id('message'),
      title: 'messages.create gives a message, and its request id',
      run: (context) =>
        orThrown(async () => {
          const message = await client(context).messages.create(asking(context));
          const problems = [];
          if (textOf(message) === '') problems.push('it has no text');
          if (!message._request_id) problems.push('_request_id is empty');
          return judge(problems, `${message.usage.output_tokens} output tokens`);
        }),
    },
    {
      ...common,
      id: id('stream'),
      title: 'messages.stream gives text as it comes, and the final message',
      run: (context) =>
        orThrown(async () => {
          const stream = client(context).messages.stream(asking(context));
          let streamed = '';
          stream.on('text', (piece) => (streamed += piece));
          const message = await stream.finalMessage();
          if (textOf(message) === '') return fail('the final message has no text');
          if (textOf(message) !== streamed) return fail('the final message is not what was streamed');
          return stream.request_id ? pass(`stopped with ${String(message.stop_reason)}`) : fail('request_id is empty');
        }),
    },
    {
      ...common,
      id: id('errors.authentication'),
      title: 'a wrong key throws AuthenticationError',
      needs: ['key'],
      run: async (context) =>
        threw(
          await thrownBy(() => client(context, { key: 'plimsoll-check-wrong-key' }).messages.create(asking(context))),
          Anthropic.AuthenticationError,
          'AuthenticationError',
        ),
    },
    {
      ...common,
      id: id('errors.not-found'),
      title: 'an unknown model throws NotFoundError, with a request id',
      async run(context) {
        const thrown = await thrownBy(() => client(context).messages.create({ ...asking(context), model: NO_SUCH_MODEL }));
        const verdict = threw(thrown, Anthropic.NotFoundError, 'NotFoundError');
        if (verdict.kind !== 'pass' || !(thrown instanceof Anthropic.APIError)) return verdict;
        return thrown.requestID ? verdict : fail('requestID is empty');
      },
    },
    {
      ...common,
      id: id('errors.bad-request'),
      title: 'a request without messages throws BadRequestError',
      run: async (context) =>
        threw(
          await thrownBy(() => client(context).messages.create({ model: context.model, max_tokens: 4 } as never)),
          Anthropic.BadRequestError,
          'BadRequestError',
        ),
    },
    {
      ...common,
      id: id('models'),
      title: 'models.list pages through every model by itself',
      run: (context) =>
        orThrown(async () => {
          const ids: string[] = [];
          for await (const model of client(context).models.list({ limit: 1 })) {
            ids.push(model.id);
            if (ids.length >= 200) break;
          }
          if (new Set(ids).size < ids.length) return fail('a model came twice');
          return ids.length > 0 ? pass(`${ids.length} models`) : fail('no model came');
        }),
    },
    {
      ...common,
      id: id('count-tokens'),
      title: 'messages.countTokens counts',
      async run(context) {
        try {
          const { model, messages } = asking(context);
          const { input_tokens: tokens } = await client(context).messages.countTokens({ model, messages });
          return tokens > 0 ? pass(`${tokens} tokens`) : fail(`input_tokens is ${tokens}`);
        } catch (error) {
          const isAbsent = error instanceof Anthropic.NotFoundError || error instanceof Anthropic.BadRequestError;
          return isAbsent
            ? unknown(`not offered: ${describeError(error)}`, 'a model that can count')
            : fail(describeError(error));
        }
      },
    },
    behindCheck({
      ...common,
      id: id('tools'),
      title: 'tool calls come out of the streaming helper with their parsed input',
      run: (context) =>
        scripted(context, TOOL, async (text) => {
          const tool = (toolName: string) => ({ name: toolName, input_schema: { type: 'object' as const } });
          const message = await client(context)
            .messages.stream({ ...asking(context, text), tools: [tool('weather'), tool('clock')] })
            .finalMessage();
          const calls = message.content.flatMap((block) => (block.type === 'tool_use' ? [[block.name, block.input]] : []));
          const expected = [
            ['weather', TOOL_INPUT],
            ['clock', { city: '東京' }],
          ];
          if (JSON.stringify(calls) !== JSON.stringify(expected)) return fail(`they came as ${quote(JSON.stringify(calls))}`);
          return message.stop_reason === 'tool_use' ? pass('two calls') : fail(`it stopped with ${String(message.stop_reason)}`);
        }),
    }),
    behindCheck({
      ...common,
      id: id('beta'),
      title: 'beta.messages.create is served, and its beta names reach the replica',
      async run(context) {
        const turn = context.behind.replica.play({ answer: say('Ok.') });
        try {
          await client(context).beta.messages.create({ ...asking(context, turn.marker), betas: [BETA] });
        } catch (error) {
          return fail(describeError(error));
        } finally {
          turn.end();
        }
        const arrived = String(turn.seen[0]?.headers['anthropic-beta'] ?? '');
        if (context.behind.upstreamDialect !== 'anthropic') return pass('answered');
        return arrived.includes(BETA) ? pass(arrived) : fail(`anthropic-beta arrived as ${quote(arrived)}`);
      },
    }),
    behindCheck({
      ...common,
      id: id('broken-stream'),
      title: 'the final message of a stream that broke is an exception',
      async run(context) {
        const turn = context.behind.replica.play({
          answer: say('one ', 'two ', 'three'),
          fault: { kind: 'reset', at: { afterPieces: 2 } },
        });
        const thrown = await thrownBy(() => client(context).messages.stream(asking(context, turn.marker)).finalMessage());
        const plain = await thrownBy(async () => {
          const events = await client(context).messages.create({ ...asking(context, turn.marker), stream: true });
          for await (const _ of events);
        });
        turn.end();
        if (thrown === null || plain === null)
          return fail(`${thrown === null ? 'the helper' : 'plain iteration'} took it for a whole answer`);
        return pass(describeError(plain));
      },
    }),
    behindCheck({
      ...common,
      id: id('retries'),
      title: 'a busy replica is tried again by the client after the time it was told, and then answers',
      async run(context) {
        const turn = context.behind.replica.play((index) =>
          index === 0
            ? {
                answer: say('never'),
                fault: { kind: 'http_error', status: 529, message: 'Overloaded', headers: { 'retry-after-ms': '300' } },
              }
            : { answer: say('at last') },
        );
        const thrown = await thrownBy(() => client(context, { maxRetries: 2 }).messages.create(asking(context, turn.marker)));
        turn.end();
        if (thrown) return fail(`${describeError(thrown)} after ${turn.seen.length} requests at the replica`);
        const [first, second] = turn.seen;
        if (!first || !second) return fail(`${turn.seen.length} requests at the replica where 2 were due`);
        const waitedMs = Math.round(second.atMs - first.atMs);
        return waitedMs >= 290 ? pass(`after ${waitedMs} ms`) : fail(`after ${waitedMs} ms, where 300 were asked for`);
      },
    }),
    behindCheck({
      ...common,
      id: id('abort'),
      title: 'a stream that its user aborts stops the replica',
      async run(context) {
        const turn = context.behind.replica.play({
          answer: say('begun', 'more'),
          fault: { kind: 'stall', at: { afterPieces: 1 } },
        });
        const stream = client(context).messages.stream(asking(context, turn.marker));
        stream.on('text', () => stream.abort());
        const thrown = await thrownBy(() => stream.finalMessage());
        const seen = turn.seen[0];
        turn.end();
        if (seen === undefined) return fail(`the replica was not reached: ${describeError(thrown)}`);
        const closed = await Promise.race([
          seen.closed,
          new Promise<null>((resolve) => setTimeout(() => resolve(null), context.watchMs).unref()),
        ]);
        if (closed === null) return fail(`the replica was still at work ${context.watchMs / 1000} s later`);
        return threw(thrown, Anthropic.APIUserAbortError, 'APIUserAbortError');
      },
    }),
  ];
}

const textOf = ({ content }: { readonly content: readonly { readonly type: string }[] }): string =>
  content.flatMap((block) => ('text' in block ? [String(block.text)] : [])).join('');

/** One scripted question, whatever the client throws. */
async function scripted(
  context: Parameters<Parameters<typeof behindCheck>[0]['run']>[0],
  answer: ScriptedAnswer,
  run: (text: string) => Promise<Verdict>,
): Promise<Verdict> {
  const turn = context.behind.replica.play({ answer });
  try {
    return await orThrown(() => run(turn.marker));
  } finally {
    turn.end();
  }
}
