import { existsSync } from 'node:fs';
import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, chunked, CLIENT_PATHS, framesOf, LAST_CHUNK, requestOf, streamHead } from '../kit/answers.ts';
import { readEvents } from '../kit/client.ts';
import { askGateway, configOf } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { pause, startStopwatch, until } from '../kit/stopwatch.ts';

const DRAIN_MS = 700;
const LATE_MS = 2_500;
const PACE_MS = 20;
const SYNCED_MS = 500;

export const stopInStream: FailureEntry = {
  id: 'A14',
  component: 'gateway',
  failure: 'The gateway is stopped (a deploy), or killed, while answers stream',
  effect: 'Answers are cut in a way that looks whole, usage is lost, or the next start fails',
  signal:
    'The exit code; the log says what was waited for and what was cut; records `answered` and `shut_down`; after a kill the client sees a broken connection',
  response:
    'On SIGTERM it stops accepting, lets answers end for timeouts.drain_ms, ends the rest with an error event and exits with 0; after SIGKILL the next start serves, with every record that was on the disk',
  severity: 3,
  injection: `SIGTERM with a stream that ends in time and one that does not (drain_ms ${DRAIN_MS}); then SIGKILL in the middle of a stream, and a start on the same data`,
  obstacle: () => (process.platform === 'win32' ? 'this system has no signals that a process can answer' : null),
  async provoke(lab) {
    const frames = framesOf('anthropic', ['tick ']);
    const replica = await lab.replica(async (call: ReplicaCall) => {
      if (call.body.includes('whole')) return answer(call, ['whole']);
      const isShort = call.body.includes('short');
      call.write(streamHead() + frames.before.map(chunked).join(''));
      for (let sent = 0; !(isShort && sent * PACE_MS > DRAIN_MS / 2) && !call.isClosed(); sent++) {
        call.write(chunked(frames.content.join('')));
        await pause(PACE_MS);
      }
      call.write(frames.after.map(chunked).join('') + LAST_CHUNK);
      call.done();
    });
    const config = configOf({ harbor: { dialect: 'anthropic', replicas: [replica.url] } }, { timeouts: { drain_ms: DRAIN_MS } });
    const gateway = await start();
    const stream = (text: string) =>
      askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', text, { stream: true }) });
    const short = stream('short');
    const long = stream('long');
    if ((await until(() => short.bytes() > 0 && long.bytes() > 0, 3_000)) === null) throw new NotProvoked('no stream began');
    const elapsed = startStopwatch();
    gateway.kill('SIGTERM');
    const isDraining = await until(() => gateway.log().includes('shutting down'), 2_000);
    const loggedMs = elapsed();
    const late = await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'whole'), boundMs: 2_000 })
      .answer;
    const [shortEnd, longEnd, exit] = [await short.answer, await long.answer, await gateway.exit];
    const exitMs = elapsed();
    const outcomes = (await gateway.records()).map(({ outcome }) => outcome);
    const last = (body: string): string => readEvents(body).events.at(-1)?.event ?? 'nothing';

    const killed = await start();
    const kept = await askGateway(killed, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'whole') }).answer;
    await pause(SYNCED_MS);
    const torn = askGateway(killed, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'long', { stream: true }) });
    if ((await until(() => torn.bytes() > 0, 3_000)) === null) throw new NotProvoked('no stream began before the kill');
    const sinceKill = startStopwatch();
    killed.kill('SIGKILL');
    const tornEnd = await torn.answer;
    const seenMs = sinceKill();
    const killedExit = await killed.exit;
    const after = await start();
    const again = await askGateway(after, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'whole') }).answer;
    const againMs = sinceKill();
    const ready = await after.operator('/readyz');
    const ids = (await lab.records(after, 4)).map(({ id }) => id);
    const isKept = ids.includes(String(kept.headers['request-id']));
    return [
      response('an answer that ends in time ends whole', shortEnd.end === 'whole' && last(shortEnd.body) === 'message_stop', {
        saw: `${shortEnd.end}, last event ${last(shortEnd.body)}`,
      }),
      response('one that does not ends in an error event', longEnd.end === 'whole' && last(longEnd.body) === 'error', {
        saw: `${longEnd.end}, last event ${last(longEnd.body)}`,
      }),
      response(
        'no new request is taken, and the process ends with 0',
        late.status !== 200 && exit.code === 0 && exitMs < DRAIN_MS + LATE_MS,
        {
          saw: `a late request got ${late.status === 0 ? 'no connection' : late.status}; exit ${exit.code ?? exit.signal} after ${exitMs} ms`,
          afterMs: exitMs,
        },
      ),
      response('after a kill no answer looks whole', tornEnd.end === 'broken' && last(tornEnd.body) !== 'message_stop', {
        saw: `${tornEnd.end}, last event ${last(tornEnd.body)}`,
      }),
      response('the next start serves on the same data', again.status === 200 && ready.status === 200 && isKept, {
        saw: `status ${again.status} ${againMs} ms after the kill, ready ${ready.status}, earlier record ${isKept ? 'kept' : 'lost'}`,
        afterMs: againMs,
      }),
      signal(
        'the log says that it shuts down and what was cut',
        isDraining !== null && gateway.log().includes('cutting requests'),
        {
          saw: isDraining === null ? 'nothing' : 'both lines',
          afterMs: loggedMs,
        },
      ),
      signal('records and exit codes tell one from the other', outcomes.includes('answered') && outcomes.includes('shut_down'), {
        saw: `${outcomes.join(', ')}; exits ${exit.code} and ${killedExit.signal}`,
      }),
      signal('the kill is seen by the client', tornEnd.end === 'broken' && killedExit.signal === 'SIGKILL', {
        saw: `connection ${tornEnd.end}`,
        afterMs: seenMs,
      }),
    ];

    async function start() {
      const started = await lab.tryGateway({ config });
      if (started.kind === 'refused') throw new NotProvoked(`no start: ${started.said.slice(-300)}`);
      if (!existsSync(started.gateway.dataDirectory)) throw new NotProvoked('a gateway without data');
      return started.gateway;
    }
  },
};
