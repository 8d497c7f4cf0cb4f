import type OpenaiSdk from 'openai';
import { behindCheck, type Check, type Context } from '../check.ts';
import { NO_SUCH_MODEL } from '../no-such-model.ts';
import { say, type ScriptedAnswer } from '../replica/script.ts';
import { fail, judge, pass, quote, type Verdict } from '../verdict.ts';
import { describeError, orThrown, sdkTheme, thrownBy, threw, type SdkName } from './sdk-verdict.ts';

export type OpenaiClass = typeof OpenaiSdk;

const TOOL_ARGUMENTS = { city: 'São "Paulo"', days: 3 };
const TOOL: ScriptedAnswer = {
  parts: [
    { kind: 'tool', id: 'call_1', name: 'weather', pieces: JSON.stringify(TOOL_ARGUMENTS).match(/.{1,4}/gsu) ?? [] },
    { kind: 'tool', id: 'call_2', name: 'clock', pieces: ['{"city"', ':"東京"}'] },
  ],
  stop: 'tool',
  usage: { input: 30, cacheRead: 4, output: 20 },
};
const EXPECTED_CALLS = [
  ['weather', TOOL_ARGUMENTS],
  ['clock', { city: '東京' }],
];

/** OpenAI's official client against the gateway, as its users call it. */
export function openaiSdkChecks(OpenAI: OpenaiClass, name: SdkName): readonly Check[] {
  const theme = sdkTheme(name);
  const chat = { theme, dialects: ['openai-chat'] } as const;
  const responses = { theme, dialects: ['openai-responses'] } as const;
  const id = (suffix: string): string => `sdk.${name.packageName}.${suffix}`;
  const client = (context: Context, more: { readonly key?: string; readonly maxRetries?: number } = {}) =>
    new OpenAI({
      baseURL: `${context.probe.baseUrl}/v1`,
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
      ...chat,
      id: id('chat'),
      title: 'chat.completions.create gives a completion, and its request id',
      run: (context) =>
        orThrown(async () => {
          const completion = await client(context).chat.completions.create(asking(context));
          const problems = [];
          if (!completion.choices[0]?.message.content) problems.push('it has no text');
          if (!completion._request_id) problems.push('_request_id is empty');
          return judge(problems, `${completion.usage?.completion_tokens ?? 'unknown'} output tokens`);
        }),
    },
    {
      ...chat,
      id: id('chat-stream'),
      title: 'chat.completions.stream gives the final completion',
      run: (context) =>
        orThrown(async () => {
          const final = await client(context).chat.completions.stream(asking(context)).finalChatCompletion();
          const choice = final.choices[0];
          return choice?.message.content ? pass(`stopped with ${choice.finish_reason}`) : fail('it has no text');
        }),
    },
    {
      ...chat,
      id: id('errors.authentication'),
      title: 'a wrong key throws AuthenticationError',
      needs: ['key'],
      run: async (context) =>
        threw(
          await thrownBy(() => client(context, { key: 'plimsoll-check-wrong-key' }).chat.completions.create(asking(context))),
          OpenAI.AuthenticationError,
          'AuthenticationError',
        ),
    },
    {
      ...chat,
      id: id('errors.not-found'),
      title: 'an unknown model throws NotFoundError, with a request id',
      async run(context) {
        const thrown = await thrownBy(() =>
          client(context).chat.completions.create({ ...asking(context), model: NO_SUCH_MODEL }),
        );
        const verdict = threw(thrown, OpenAI.NotFoundError, 'NotFoundError');
        if (verdict.kind !== 'pass' || !(thrown instanceof OpenAI.APIError)) return verdict;
        return thrown.requestID ? verdict : fail('requestID is empty');
      },
    },
    {
      ...chat,
      id: id('errors.bad-request'),
      title: 'a request without messages throws BadRequestError',
      run: async (context) =>
        threw(
          await thrownBy(() => client(context).chat.completions.create({ model: context.model } as never)),
          OpenAI.BadRequestError,
          'BadRequestError',
        ),
    },
    {
      ...chat,
      id: id('models'),
      title: 'models.list gives every model',
      run: (context) =>
        orThrown(async () => {
          const ids: string[] = [];
          for await (const model of client(context).models.list()) ids.push(model.id);
          return ids.length > 0 ? pass(`${ids.length} models`) : fail('no model came');
        }),
    },
    behindCheck({
      ...chat,
      id: id('tools'),
      title: 'tool calls come out of the streaming helper whole',
      run: (context) =>
        scripted(context, async (text) => {
          const tool = (toolName: string) => ({
            type: 'function' as const,
            function: { name: toolName, parameters: { type: 'object' } },
          });
          const final = await client(context)
            .chat.completions.stream({ ...asking(context, text), tools: [tool('weather'), tool('clock')] })
            .finalChatCompletion();
          const calls = final.choices[0]?.message.tool_calls ?? [];
          return sameCalls(calls.flatMap((call) => (call.type === 'function' ? [call.function] : [])));
        }),
    }),
    behindCheck({
      ...chat,
      id: id('broken-stream'),
      title: 'iterating over a stream that broke is an exception',
      async run(context) {
        const turn = context.behind.replica.play({
          answer: say('one ', 'two ', 'three'),
          fault: { kind: 'reset', at: { afterPieces: 2 } },
        });
        const thrown = await thrownBy(async () => {
          const chunks = await client(context).chat.completions.create({ ...asking(context, turn.marker), stream: true });
          for await (const _ of chunks);
        });
        turn.end();
        return thrown === null ? fail('it was taken for a whole answer') : pass(describeError(thrown));
      },
    }),
    behindCheck({
      ...chat,
      id: id('retries'),
      title: 'a busy replica is tried again by the client after the time it was told, and then answers',
      async run(context) {
        const turn = context.behind.replica.play((index) =>
          index === 0
            ? {
                answer: say('never'),
                fault: { kind: 'http_error', status: 429, message: 'Busy', headers: { 'retry-after-ms': '300' } },
              }
            : { answer: say('at last') },
        );
        const thrown = await thrownBy(() =>
          client(context, { maxRetries: 2 }).chat.completions.create(asking(context, turn.marker)),
        );
        turn.end();
        if (thrown) return fail(`${describeError(thrown)} after ${turn.seen.length} requests at the replica`);
        const [first, second] = turn.seen;
        if (!first || !second) return fail(`${turn.seen.length} requests at the replica where 2 were due`);
        const waitedMs = Math.round(second.atMs - first.atMs);
        return waitedMs >= 290 ? pass(`after ${waitedMs} ms`) : fail(`after ${waitedMs} ms, where 300 were asked for`);
      },
    }),
    {
      ...responses,
      id: id('responses'),
      title: 'responses.create gives a response with text',
      run: (context) =>
        orThrown(async () => {
          const response = await client(context).responses.create({ model: context.model, input: 'Say hello.', store: false });
          return response.output_text === '' ? fail('output_text is empty') : pass(`status ${String(response.status)}`);
        }),
    },
    {
      ...responses,
      id: id('responses-stream'),
      title: 'responses.stream gives the final response',
      run: (context) =>
        orThrown(async () => {
          const stream = client(context).responses.stream({ model: context.model, input: 'Say hello.', store: false });
          const final = await stream.finalResponse();
          return final.output_text === '' ? fail('output_text is empty') : pass(`status ${String(final.status)}`);
        }),
    },
    {
      ...responses,
      id: id('responses-errors.not-found'),
      title: 'an unknown model throws NotFoundError',
      run: async (context) =>
        threw(
          await thrownBy(() => client(context).responses.create({ model: NO_SUCH_MODEL, input: 'Say hello.' })),
          OpenAI.NotFoundError,
          'NotFoundError',
        ),
    },
    behindCheck({
      ...responses,
      id: id('responses-tools'),
      title: 'function calls come out of the streaming helper whole',
      run: (context) =>
        scripted(context, async (text) => {
          const tool = (toolName: string) => ({
            type: 'function' as const,
            name: toolName,
            strict: false,
            parameters: { type: 'object' },
          });
          const final = await client(context)
            .responses.stream({ model: context.model, input: text, store: false, tools: [tool('weather'), tool('clock')] })
            .finalResponse();
          return sameCalls(final.output.flatMap((item) => (item.type === 'function_call' ? [item] : [])));
        }),
    }),
  ];
}

function sameCalls(calls: readonly { readonly name: string; readonly arguments: string }[]): Verdict {
  const said = calls.map((call) => [call.name, JSON.parse(call.arguments) as unknown]);
  return JSON.stringify(said) === JSON.stringify(EXPECTED_CALLS)
    ? pass('two calls')
    : fail(`they came as ${quote(JSON.stringify(said))}`);
}

async function scripted(
  context: Parameters<Parameters<typeof behindCheck>[0]['run']>[0],
  run: (text: string) => Promise<Verdict>,
): Promise<Verdict> {
  const turn = context.behind.replica.play({ answer: TOOL });
  try {
    return await orThrown(() => run(turn.marker));
  } finally {
    turn.end();
  }
}
