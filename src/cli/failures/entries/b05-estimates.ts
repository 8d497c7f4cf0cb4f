import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, LAST_CHUNK, requestOf, sendJson, streamHead, wholeOf } from '../kit/answers.ts';
import { readEvents, textOf } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { pause, startStopwatch, until } from '../kit/stopwatch.ts';

/** What is reserved: the client's cap. What comes: the cap is not kept. */
const RESERVED = 64;
const ACTUAL = 20 * RESERVED;
/** Of output tokens: so many in two seconds, all of them at once. */
const LIMIT = 2_000;
const WINDOW_S = 2;
const PER_MS = LIMIT / WINDOW_S / 1000;
const TOGETHER = 8;
/** The other way round: a large cap, and seven tokens. */
const GENEROUS = 1_900;
const FEW = 7;
/** Of a stream that is charged as it comes, and ends when the limit is used up. */
const STREAM_LIMIT = 300;
const STREAM_WORDS = 3_000;
const CHARGE_STEP = 64;
const LATE_MS = 300;

export const estimates: FailureEntry = {
  id: 'B5',
  component: 'limits',
  failure: 'Answers are far from what was reserved for them: twenty times as long, or hardly anything',
  effect: 'A limit on tokens that does not limit, or callers who are held to tokens that they never got',
  signal:
    'The record and plimsoll_tokens_total have the tokens that came; the rate limit headers of the next answer have what they left; a stream that was ended is `broken`, `rate_limited` in its record',
  response: `What came is charged when it is known and what did not come is given back; debt is at most one window of the limit, the caller waits it out and is served again; output that streams is charged every ${CHARGE_STEP} tokens, and with hard_stop the stream ends there in an error event`,
  severity: 3,
  injection: `${TOGETHER} requests at once for ${RESERVED} tokens each, to which the replica answers with ${ACTUAL}; one for ${GENEROUS}, answered with ${FEW}; and a stream of ${STREAM_WORDS} words under a limit of ${STREAM_LIMIT}`,
  async provoke(lab) {
    let isTogether = false;
    const waiting: ReplicaCall[] = [];
    const replica = await lab.replica(async (call) => {
      if (call.body.includes('"stream":true')) return streamWords(call);
      if (!isTogether) return sendTokens(call, call.body.includes('generous') ? FEW : ACTUAL);
      // None is answered, and so none settled, before all are here.
      waiting.push(call);
      if (waiting.length === TOGETHER) for (const one of waiting) sendTokens(one, ACTUAL);
    });
    const pool = { dialect: 'anthropic', replicas: [replica.url] } as const;
    const gateway = await lab.gateway({ pools: { reserved: pool, streamed: pool }, config: { limits: LIMITS } });
    const send = (text: string, more: object = {}) =>
      askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('reserved', text, { max_tokens: RESERVED, ...more }) })
        .answer;

    // One answer that is longer, and what the next request is told is left; then the other way round, with time to refill.
    const first = startStopwatch();
    const one = await send('short');
    const afterLong = await send('generous');
    const longMs = first();
    await pause((WINDOW_S + 1) * 1000);
    const second = startStopwatch();
    const generous = await send('generous', { max_tokens: GENEROUS });
    const afterShort = await send('generous');
    const shortMs = second();
    if ([one, afterLong, generous, afterShort].some(({ status }) => status !== 200))
      throw new NotProvoked(`not all answered: ${[one, afterLong, generous, afterShort].map(({ status }) => status).join(', ')}`);
    const leftAfterLong = leftOf(afterLong.headers);
    const leftAfterShort = leftOf(afterShort.headers);
    const settled = {
      long: isNear(leftAfterLong, LIMIT - ACTUAL - RESERVED, longMs),
      short: isNear(leftAfterShort, LIMIT - FEW - RESERVED, shortMs),
    };

    // Many at once: all are let in on what they reserve.
    await pause((WINDOW_S + 1) * 1000);
    isTogether = true;
    const together = await Promise.all(Array.from({ length: TOGETHER }, () => send('short')));
    isTogether = false;
    const elapsed = startStopwatch();
    const refused = await send('generous');
    const toldMs = Number(refused.headers['retry-after-ms'] ?? Number(refused.headers['retry-after']) * 1000);
    const again = await until(async () => {
      const { status } = await send('generous');
      if (status !== 200) await pause(50);
      return status === 200;
    }, 8_000);
    const againMs = elapsed();
    const owedMs = (LIMIT + RESERVED) / PER_MS;
    const unboundedMs = (TOGETHER * ACTUAL - LIMIT) / PER_MS;

    const stopped = startStopwatch();
    const streamed = await askGateway(gateway, {
      path: CLIENT_PATHS.anthropic,
      body: requestOf('streamed', 'long', { stream: true }),
    }).answer;
    const stopMs = stopped();
    const words = textOf(streamed.body).split(' ').length - 1;
    const lastEvent = readEvents(streamed.body).events.at(-1);
    const isCut = await until(() => replica.calls.at(-1)?.isClosed() === true, 1_000);

    await until(async () => (await gateway.records()).some(({ model }) => model === 'streamed'), 2_000);
    const seenMs = stopped();
    const records = await gateway.records();
    const long = records.filter(({ model, tokens }) => model === 'reserved' && tokens.output === ACTUAL && !tokens.estimated);
    const brokenRecord = records.find(({ model }) => model === 'streamed');
    const counted = (await gateway.metrics()).sum('plimsoll_tokens_total', { kind: 'output', model: 'reserved' });
    const expected = records.filter(({ model }) => model === 'reserved').reduce((sum, { tokens }) => sum + tokens.output, 0);
    return [
      response('what came is charged, and what did not come is given back', settled.long && settled.short, {
        saw: `${leftAfterLong} left of ${LIMIT} after ${ACTUAL} tokens on ${RESERVED} reserved (and ${RESERVED} more reserved, ${longMs} ms to refill); ${leftAfterShort} after ${FEW} on ${GENEROUS}`,
      }),
      response(
        'debt is at most one window: refused, told when to come back, and served then',
        together.every(({ status }) => status === 200) &&
          refused.status === 429 &&
          again !== null &&
          isDebtBounded(againMs, owedMs),
        {
          saw: `${together.filter(({ status }) => status === 200).length} of ${TOGETHER} let in at once, ${TOGETHER * ACTUAL} tokens; then status ${refused.status}, retry-after ${refused.headers['retry-after']}, served again after ${againMs} ms; a window of debt is ${Math.round(owedMs)} ms, all of it would be ${Math.round(unboundedMs)}`,
          afterMs: refused.totalMs,
        },
      ),
      response('the time told is true', Math.abs(toldMs - againMs) < 1_000 + LATE_MS, {
        saw: `told ${toldMs} ms, served again after ${againMs} ms`,
      }),
      response(
        'a stream ends where the limit does',
        lastEvent?.event === 'error' &&
          words >= STREAM_LIMIT - CHARGE_STEP &&
          words <= STREAM_LIMIT + 2 * CHARGE_STEP &&
          isCut !== null,
        {
          saw: `${words} of ${STREAM_WORDS} words came, the limit is ${STREAM_LIMIT}; the last event is ${lastEvent?.event}; the replica was ${isCut === null ? 'not ' : ''}told to stop`,
          afterMs: stopMs,
        },
      ),
      signal('records and metric have what came', long.length === 1 + TOGETHER && counted === expected && counted > 0, {
        saw: `${long.length} of ${1 + TOGETHER} records with ${ACTUAL} tokens; plimsoll_tokens_total 0 → ${counted}, the records have ${expected}`,
      }),
      signal(
        'the record of the stream says why it ended',
        brokenRecord?.outcome === 'broken' && brokenRecord.code === 'rate_limited',
        {
          saw:
            brokenRecord === undefined
              ? 'no record'
              : `${brokenRecord.outcome}, ${brokenRecord.code}, ${brokenRecord.tokens.output} tokens${brokenRecord.tokens.estimated ? ', estimated' : ''}`,
          afterMs: seenMs,
        },
      ),
    ];
  },
};

const LIMITS = {
  model_classes: ['reserved', 'streamed'].map((id) => ({ id, models: [id] })),
  rules: [
    { id: 'reserved', limit: LIMIT, window: `${WINDOW_S}s`, output: 'quantile', model_classes: ['reserved'] },
    { id: 'streamed', limit: STREAM_LIMIT, window: '1h', output: 'metered', hard_stop: true, model_classes: ['streamed'] },
  ].map((rule) => ({ ...rule, per: ['key', 'model_class'], of: 'output_tokens' })),
};

const leftOf = (headers: Readonly<Record<string, unknown>>): number =>
  Number(headers['anthropic-ratelimit-output-tokens-remaining']);

/** What is left, but for what time has refilled since. */
const isNear = (left: number, exact: number, passedMs: number): boolean => left >= exact && left <= exact + passedMs * PER_MS + 1;

const isDebtBounded = (againMs: number, owedMs: number): boolean => againMs > owedMs / 2 && againMs < owedMs + LATE_MS;

function sendTokens(call: ReplicaCall, tokens: number): void {
  const body = wholeOf('anthropic', 'fine');
  sendJson(call, 200, { ...body, usage: { input_tokens: 11, output_tokens: tokens } });
}

async function streamWords(call: ReplicaCall): Promise<void> {
  const { before, content, after } = framesOf('anthropic', Array<string>(STREAM_WORDS).fill('word '));
  call.write(streamHead() + before.map(chunked).join(''));
  for (const [at, frame] of content.entries()) {
    if (call.isClosed()) return;
    call.write(chunked(frame));
    if (at % 8 === 0) await pause(2);
  }
  call.write(after.map(chunked).join('') + LAST_CHUNK);
  call.done();
}
