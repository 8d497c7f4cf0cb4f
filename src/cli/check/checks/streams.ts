import { behindCheck, play, type Check } from '../check.ts';
import { DIALECT_NAMES, type DialectName } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { parseJson } from '../json-value.ts';
import { say, type ScriptedAnswer, type ScriptedStop } from '../replica/script.ts';
import { fail, judge, pass, quote, unknown, type Verdict } from '../verdict.ts';
import type { Played } from '../check.ts';

const theme = 'Answers, compared with what the replica said';

const MANY_TONGUES = ['Grüße ', '東京 ', '👩‍👩‍👧 ', 'שלום ', 'e\u0301 ', '"\\n\\u0041" ', '\u2028', ' end.'];
const THOUGHTS = ['First, ', 'think. ', '考える。'];
const SIGNATURE = 'c2lnbmF0dXJlIG9mIHRoZSBjaGVjaw==';

const ARGUMENTS = { city: 'São "Paulo"\n', days: 3, deep: { list: [1.5, null, true], empty: {} }, emoji: '🌧️' };
/** Two tools at once; the JSON of their arguments is cut in the middle of words, escapes and characters outside the BMP. */
const TOOLS: ScriptedAnswer = {
  parts: [
    { kind: 'text', pieces: ['Let me look.'] },
    { kind: 'tool', id: 'toolu_check_1', name: 'weather', pieces: cut(JSON.stringify(ARGUMENTS), 5) },
    { kind: 'tool', id: 'toolu_check_2', name: 'clock', pieces: cut(JSON.stringify({ city: '東京' }), 3) },
  ],
  stop: 'tool',
  usage: { input: 40, cacheRead: 0, output: 31 },
};

const STOP_WORDS: Readonly<Record<Exclude<ScriptedStop, 'tool'>, string>> = {
  end: 'an answer’s own end',
  max_tokens: 'the length limit',
  refusal: 'a refusal',
};

/** What must reach the client as the replica said it. */
export const streamChecks: readonly Check[] = [
  ...(['whole', 'streamed'] as const).map((how) =>
    behindCheck({
      id: `intact.text-${how}`,
      theme,
      title: `text of many scripts arrives unchanged, ${how}${how === 'streamed' ? ', with its bytes cut anywhere' : ''}`,
      dialects: DIALECT_NAMES,
      async run(context) {
        const played = await play(context, { answer: say(...MANY_TONGUES), delivery: 'bytes' }, { stream: how === 'streamed' });
        return sameText(played, MANY_TONGUES.join(''));
      },
    }),
  ),
  behindCheck({
    id: 'intact.large-event',
    theme,
    title: 'one event of 300 KB arrives whole',
    dialects: DIALECT_NAMES,
    async run(context) {
      const large = 'All work and no play. '.repeat(14_000);
      return sameText(await play(context, { answer: say('Now: ', large) }, { stream: true }), `Now: ${large}`);
    },
  }),
  behindCheck({
    id: 'intact.incremental',
    theme,
    title: 'each event is passed on when it comes, not when the answer ends',
    dialects: DIALECT_NAMES,
    async run(context) {
      let hasFirst: () => void = () => undefined;
      const first = new Promise<boolean>((resolve) => (hasFirst = () => resolve(true)));
      let isIncremental: boolean | null = null;
      const played = await play(
        context,
        {
          answer: say('first piece', ', second piece'),
          // The replica says no more before the client has heard this much, or a second and a half has gone by.
          async beforePiece(index) {
            if (index !== 1) return;
            isIncremental = await Promise.race([first, pause(1_500).then(() => false)]);
          },
        },
        { stream: true },
        { onText: (text) => text.includes('first piece') && hasFirst() },
      );
      if (isIncremental === null) return fail(`the replica was not asked for a stream: ${describeReply(played.reply)}`);
      return isIncremental ? pass('the first piece came before the second was sent') : fail('held back for 1.5 s or more');
    },
  }),
  ...(['whole', 'streamed'] as const).map((how) =>
    behindCheck({
      id: `intact.tools-${how}`,
      theme,
      title: `two parallel tool calls arrive with their ids, names and arguments, ${how}`,
      dialects: DIALECT_NAMES,
      async run(context) {
        const { client } = context;
        const played = await play(context, { answer: TOOLS }, { stream: how === 'streamed', tools: ['weather', 'clock'] });
        const problem = unheard(played);
        if (problem) return fail(problem);
        const { heard } = played;
        const said = heard.tools.map(({ id, name, json }) => ({ id, name, arguments: parseJson(json) }));
        const expected = TOOLS.parts.flatMap((part) =>
          part.kind === 'tool' ? [{ id: part.id, name: part.name, arguments: parseJson(part.pieces.join('')) }] : [],
        );
        const problems = [...heard.problems];
        if (JSON.stringify(said) !== JSON.stringify(expected))
          problems.push(`the calls arrived as ${quote(JSON.stringify(said))}`);
        if (heard.text !== 'Let me look.') problems.push(`the text beside them arrived as ${quote(heard.text)}`);
        if (heard.stop !== client.stops.tool)
          problems.push(`it stopped with ${heard.stop ?? 'nothing'}, not ${client.stops.tool}`);
        return judge(problems, 'both intact');
      },
    }),
  ),
  behindCheck({
    id: 'intact.thinking',
    theme,
    title: 'thinking arrives as thinking, with its signature',
    dialects: DIALECT_NAMES,
    async run(context) {
      const answer: ScriptedAnswer = {
        parts: [
          { kind: 'thinking', pieces: THOUGHTS, signature: SIGNATURE },
          { kind: 'text', pieces: ['Done.'] },
        ],
        stop: 'end',
        usage: { input: 21, cacheRead: 0, output: 12 },
      };
      const played = await play(context, { answer }, { stream: true });
      const problem = unheard(played);
      if (problem) return fail(problem);
      const { heard } = played;
      if (heard.text !== 'Done.') return fail(`the text arrived as ${quote(heard.text)}`);
      const isSame = context.behind.upstreamDialect === context.client.name;
      const hasSignature = !(isSame && context.client.name === 'anthropic') || heard.signature === SIGNATURE;
      if (heard.thinking === THOUGHTS.join('') && hasSignature) return judge(heard.problems, 'intact');
      const found = `thinking arrived as ${quote(heard.thinking)}${hasSignature ? '' : ', without its signature'}`;
      return isSame
        ? fail(found)
        : unknown(found, 'the two dialects have no common word for it: read the gateway’s documentation');
    },
  }),
  ...(['whole', 'streamed'] as const).map((how) =>
    behindCheck({
      id: `intact.usage-${how}`,
      theme,
      title: `usage is what the replica counted, cached tokens apart, ${how}`,
      dialects: DIALECT_NAMES,
      async run(context) {
        const usage = { input: 1_234, cacheRead: 5_678, output: 91 };
        const played = await play(context, { answer: { ...say('Counted.'), usage } }, { stream: how === 'streamed' });
        const problem = unheard(played);
        if (problem) return fail(problem);
        const said = played.heard.usage;
        const isSame = said?.input === usage.input && said.cacheRead === usage.cacheRead && said.output === usage.output;
        return isSame
          ? pass('1,234 new, 5,678 cached, 91 output')
          : fail(`${JSON.stringify(usage)} arrived as ${JSON.stringify(said)}`);
      },
    }),
  ),
  ...(['end', 'max_tokens', 'refusal'] as const).map((stop) =>
    behindCheck({
      id: `intact.stop-${stop.replace('_', '-')}`,
      theme,
      title: `${STOP_WORDS[stop]} is said in the dialect’s own word, streamed and whole`,
      dialects: stop === 'refusal' ? (['anthropic', 'openai-chat'] satisfies DialectName[]) : DIALECT_NAMES,
      async run(context) {
        const expected = context.client.stops[stop];
        const problems: string[] = [];
        for (const stream of [true, false]) {
          const played = await play(context, { answer: { ...say('Well.'), stop } }, { stream });
          const said = unheard(played) ?? played.heard.stop;
          if (said !== expected) problems.push(`${stream ? 'streamed' : 'whole'}: ${said ?? 'nothing'}, not ${expected}`);
        }
        return judge(problems, expected);
      },
    }),
  ),
];

/** Why there is nothing to compare; null when there is. */
function unheard({ reply, seen, heard }: Played): string | null {
  if (seen === null) return `the replica was not reached: ${describeReply(reply)}`;
  if (reply.kind === 'nothing' || reply.status !== 200 || reply.end !== 'clean') return describeReply(reply);
  return heard.error === null ? null : `an error came: ${quote(heard.error.message)}`;
}

function sameText(played: Played, expected: string): Verdict {
  const problem = unheard(played);
  if (problem) return fail(problem);
  const { heard } = played;
  const problems = [...heard.problems];
  if (heard.text !== expected)
    problems.push(`${expected.length} UTF-16 units arrived as ${heard.text.length}: ${quote(heard.text)}`);
  if (!heard.isComplete) problems.push('it has no proper end');
  return judge(problems, 'unchanged');
}

function cut(text: string, size: number): readonly string[] {
  return Array.from(text).reduce<string[]>((pieces, character, index) => {
    if (index % size === 0) pieces.push('');
    pieces[pieces.length - 1] += character;
    return pieces;
  }, []);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
