import { NotProvoked, response, signal, type Check, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, requestOf, streamHead, type ReplicaDialect } from '../kit/answers.ts';
import { readEvents, textOf, type ClientAnswer } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { each, median, startStopwatch } from '../kit/stopwatch.ts';

const WORDS = ['Seven ', 'fathoms ', 'deep.'];
const WIDTH = 8;

/** Three ways in which bytes can stop: a reset, an early end, and an end that HTTP takes for a good one. */
type Break = 'reset' | 'early_end' | 'clean_end';
const BREAKS: readonly Break[] = ['reset', 'early_end', 'clean_end'];

interface Cut {
  readonly dialect: ReplicaDialect;
  readonly way: Break;
  readonly at: number;
}

export const resetInAnswer: FailureEntry = {
  id: 'A8',
  component: 'stream',
  failure: 'A replica breaks off in the middle of its answer',
  effect: 'The client takes a truncated answer for a whole one, or hangs, or gets the beginning twice',
  signal:
    'plimsoll_upstream_errors_total{phase="after_content",outcome="broken_after_content"}; the record says `broken`, `upstream_broken`, its tokens estimated',
  response: "The stream ends in exactly one error event of the client's dialect; never a clean-looking end, never a second start",
  severity: 2,
  injection:
    'In both dialects the connection stops after every single byte between the first word and the last event, in turn by a reset, an early end, and an end that HTTP takes for a good one',
  async provoke(lab) {
    const asked = new Set<string>();
    const behave = (call: ReplicaCall): void => {
      const [, dialect, way, at] = /(anthropic|openai) (reset|early_end|clean_end) at=(\d+);/.exec(call.body) ?? [];
      if (dialect === undefined) return call.reset();
      asked.add(`${dialect}${way}${at}`);
      const { bytes } = wire(dialect as ReplicaDialect, way as Break);
      call.write(bytes.subarray(0, Number(at)));
      setImmediate(() => (way === 'reset' ? call.reset() : call.end()));
    };
    const replica = await lab.replica(behave);
    const gateway = await lab.gateway({
      pools: {
        anthropic: { dialect: 'anthropic', replicas: [replica.url] },
        openai: { dialect: 'openai', replicas: [replica.openaiUrl] },
      },
    });
    const cuts = (['anthropic', 'openai'] as const).flatMap((dialect) => cutsOf(dialect, lab.draw()));
    const elapsed = startStopwatch();
    const answers = await each(cuts, WIDTH, async ({ dialect, way, at }) => {
      const options = {
        path: CLIENT_PATHS[dialect],
        body: requestOf(dialect, `${dialect} ${way} at=${at};`, { stream: true }),
        boundMs: 3_000,
      };
      return { dialect, way, answer: await askGateway(gateway, options).answer };
    });
    if (asked.size < cuts.length) throw new NotProvoked(`only ${asked.size} of ${cuts.length} answers were broken`);
    const tookMs = elapsed();
    const scrape = await gateway.metrics();
    const scrapedMs = elapsed() - tookMs;
    const records = await lab.records(gateway, cuts.length);
    const counted = scrape.sum('plimsoll_upstream_errors_total', { phase: 'after_content', outcome: 'broken_after_content' });
    const told = records.filter(({ outcome, code }) => outcome === 'broken' && code === 'upstream_broken');
    const estimated = told.filter(({ tokens }) => tokens.estimated).length;
    // At the last positions Anthropic's final usage has come (only the end of its chunk has not), and nothing is left to estimate.
    const estimatedMin = cuts.filter(({ dialect, way, at }) => dialect === 'openai' || at < wire(dialect, way).to - 2).length;
    return [
      ...(['anthropic', 'openai'] as const).map((dialect): Check => {
        const mine = answers.filter((one) => one.dialect === dialect);
        const wrong = mine.filter(({ answer }) => !isHonest(dialect, answer));
        const shown = wrong[0] ? `; one of them (${wrong[0].way}) ended in ${describe(wrong[0].answer)}` : '';
        return response(`an ${dialect} stream ends in one error event`, wrong.length === 0, {
          saw: `${mine.length - wrong.length} of ${mine.length} byte positions${shown}`,
          afterMs: median(mine.map(({ answer }) => answer.totalMs)),
        });
      }),
      signal('the metric counts each broken answer', counted === cuts.length, {
        saw: `broken_after_content 0 → ${counted} of ${cuts.length}`,
        afterMs: scrapedMs,
      }),
      signal('each record says broken, its tokens estimated', told.length === cuts.length && estimated >= estimatedMin, {
        saw: `${told.length} of ${records.length} records, ${estimated} of ${estimatedMin} estimated`,
      }),
    ];
  },
};

/** A response's bytes, and where its first word and its last event are in them. */
function wire(dialect: ReplicaDialect, way: Break): { readonly bytes: Buffer; readonly from: number; readonly to: number } {
  const { before, content, after } = framesOf(dialect, WORDS);
  const frame = way === 'clean_end' ? (text: string): string => text : chunked;
  const head = streamHead(way === 'clean_end' ? 'to_the_end' : 'chunked');
  const text = [head, ...[...before, ...content, ...after].map(frame)].join('');
  const from = [head, ...[...before, content[0] ?? ''].map(frame)].join('').length;
  // Anthropic's last event is message_stop; an OpenAI answer that gave its finish reason and then closed well counts as whole.
  const lastly = dialect === 'anthropic' ? after.length - 1 : 0;
  const to = [head, ...[...before, ...content, ...after.slice(0, lastly)].map(frame)].join('').length;
  return { bytes: Buffer.from(text), from, to };
}

/** Every byte, each in one of the three ways, all ways taking turns. */
function cutsOf(dialect: ReplicaDialect, draw: number): readonly Cut[] {
  const ranges = new Map(BREAKS.map((way) => [way, wire(dialect, way)]));
  const { from, to } = ranges.get('reset') ?? { from: 0, to: 0 };
  const turn = Math.floor(draw * BREAKS.length);
  return Array.from({ length: to - from + 1 }, (_, index): Cut => {
    const way = BREAKS[(index + turn) % BREAKS.length] ?? 'reset';
    const range = ranges.get(way) ?? { from, to };
    return { dialect, way, at: Math.min(range.from + index, range.to) };
  }).filter((cut, index, all) => all.findIndex(({ way, at }) => way === cut.way && at === cut.at) === index);
}

/** One error event, last; a beginning that is the answer's own; HTTP that ends as it should, so that the event is sure to be read. */
function isHonest(dialect: ReplicaDialect, { status, body, end }: ClientAnswer): boolean {
  const { events, rest } = readEvents(body);
  const errors = events.filter(({ data }) => /"error":\s*\{/.test(data));
  const last = events.at(-1);
  const isError =
    last !== undefined && errors.length === 1 && errors[0] === last && (dialect === 'openai' || last.event === 'error');
  const starts = events.filter(
    ({ event, data }) => event === 'message_start' || data.includes('"role":"assistant","content":""'),
  ).length;
  const isPrefix = WORDS.join('').startsWith(textOf(body)) && textOf(body) !== '';
  return status === 200 && end === 'whole' && rest === '' && isError && starts === 1 && isPrefix && !body.includes('[DONE]');
}

const describe = ({ end, body }: ClientAnswer): string => `${end}: …${JSON.stringify(body.slice(-80))}`;
