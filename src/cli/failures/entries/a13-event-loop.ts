import { monitorEventLoopDelay } from 'node:perf_hooks';
import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, chunked, CLIENT_PATHS, framesOf, requestOf, streamHead } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { pause, startStopwatch } from '../kit/stopwatch.ts';

const PACE_MS = 10;
/** The longest pause that a stream may show while giant bodies come in, ms: a human does not see it. */
const GAP_MS_MAX = 300;
const REFUSED_MS_MAX = 3_000;
const MEBIBYTE = 1024 * 1024;

export const eventLoop: FailureEntry = {
  id: 'A13',
  component: 'gateway',
  failure: 'A giant body keeps the event loop busy',
  effect: 'All streams stutter while one body is parsed; the process takes a gigabyte for it, or dies',
  signal: 'plimsoll_event_loop_delay_seconds; plimsoll_requests_total{outcome="refused"}',
  response:
    'Bytes are scanned as they come, and what is too deep or has too many values is refused with a 400 before anything is parsed; large sound bodies are not parsed on the loop',
  severity: 2,
  injection:
    'Beside a stream with a word every 10 ms: 30 MB of empty arrays, a million open brackets, a body over the bound, and 16 MiB of sound text, passed through and translated',
  async provoke(lab) {
    const frames = framesOf('anthropic', ['tick']);
    let isOver = false;
    const replica = await lab.replica(async (call) => {
      if (!call.body.includes('paced')) return answer(call, ['done']);
      call.write(streamHead() + frames.before.map(chunked).join(''));
      while (!isOver && call.write(chunked(frames.content.join('')))) await pause(PACE_MS);
      call.end();
    });
    const gateway = await lab.gateway({
      pools: {
        harbor: { dialect: 'anthropic', replicas: [replica.url] },
        other: { dialect: 'openai', replicas: [replica.openaiUrl] },
      },
    });
    const paced = askGateway(gateway, {
      path: CLIENT_PATHS.anthropic,
      body: requestOf('harbor', 'paced', { stream: true }),
      boundMs: 20_000,
    });
    await pause(200);
    if (paced.arrivals.length < 5) throw new NotProvoked('the stream beside it did not run');
    const startedMs = paced.arrivals.at(-1) ?? 0;
    await gateway.metrics(); // begins a new window of the delay

    const giant = (inside: string): Buffer => Buffer.from(`{"model":"harbor","max_tokens":8,"messages":${inside}}`);
    const own = monitorEventLoopDelay({ resolution: 10 });
    own.enable();
    const elapsed = startStopwatch();
    const send = (body: Buffer | object) => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body, boundMs: 8_000 }).answer;
    const arrays = await send(giant(`[${'[],'.repeat(10 * MEBIBYTE)}[]]`));
    const deep = await send(giant('['.repeat(1_000_000)));
    const over = await send(Buffer.alloc(33 * MEBIBYTE, 0x20));
    const text = 'All is well. '.repeat((16 * MEBIBYTE) / 13);
    const passed = await send(requestOf('harbor', text));
    const translated = await send(requestOf('other', text));
    const tookMs = elapsed();
    const scrape = await gateway.metrics();
    const scrapedMs = elapsed() - tookMs;
    own.disable();
    isOver = true;
    await paced.answer;
    const times = paced.arrivals.filter((at) => at >= startedMs);
    const gapMs = Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)));
    // Client and replica run here, and this process makes and reads the same giant bodies: what it loses is not the gateway's.
    const ownMs = Math.round(own.max / 1e6);
    const delayS = scrape.sum('plimsoll_event_loop_delay_seconds', { quantile: '1' });
    const refused = scrape.sum('plimsoll_requests_total', { outcome: 'refused' });
    return [
      response(
        'what cannot be sound is refused before it is parsed',
        arrays.status === 400 && deep.status === 400 && over.status === 413,
        {
          saw: `arrays ${arrays.status} in ${arrays.totalMs} ms, brackets ${deep.status} in ${deep.totalMs} ms, over the bound ${over.status}`,
          afterMs: Math.max(arrays.totalMs, deep.totalMs, over.totalMs),
        },
      ),
      response('…at once', Math.max(arrays.totalMs, deep.totalMs, over.totalMs) < REFUSED_MS_MAX, {
        saw: `within ${REFUSED_MS_MAX} ms`,
      }),
      response('large sound bodies are served', passed.status === 200 && translated.status === 200, {
        saw: `16 MiB passed through ${passed.status} in ${passed.totalMs} ms, translated ${translated.status} in ${translated.totalMs} ms`,
      }),
      response('the stream beside them goes on', gapMs <= GAP_MS_MAX + ownMs, {
        saw: `${times.length} words, the longest pause ${gapMs} ms, of which at most ${ownMs} ms here (sent every ${PACE_MS} ms)`,
      }),
      signal('the delay of the event loop is told', scrape.has('plimsoll_event_loop_delay_seconds') && delayS > 0, {
        saw: `longest ${Math.round(delayS * 1000)} ms`,
        afterMs: scrapedMs,
      }),
      signal('the metric counts the refused', refused === 3, { saw: `refused 0 → ${refused}` }),
    ];
  },
};
