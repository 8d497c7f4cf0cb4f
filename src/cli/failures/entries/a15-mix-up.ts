import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, LAST_CHUNK, requestOf, sendJson, streamHead, wholeOf } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { each, pause, startStopwatch, until } from '../kit/stopwatch.ts';

const REQUESTS = 600;
const WIDTH = 16;
const POISONED = 40;
const MARKER = /mark-\d+-mark/g;

export const mixUp: FailureEntry = {
  id: 'A15',
  component: 'gateway',
  failure: 'A reused connection carries what is left of another answer',
  effect: "A user gets another user's answer",
  signal:
    "The record ties the client's request-id to the replica's own (attempts[].upstreamRequestId); canary clients look for foreign markers",
  response:
    'A connection on which anything was cancelled, or on which bytes came that nobody asked for, is closed and never reused',
  severity: 1,
  injection: `${REQUESTS} requests, each with a marker that its answer repeats, ${WIDTH} at a time over shared connections, a third of them cancelled at random moments; then a replica that appends a second answer to each of its own`,
  async provoke(lab) {
    const replica = await lab.replica(async (call: ReplicaCall) => {
      const marker = call.body.match(MARKER)?.[0] ?? 'none';
      if (call.body.includes('poisoned')) {
        sendJson(call, 200, wholeOf('anthropic', marker), { 'request-id': marker });
        sendJson(call, 200, wholeOf('anthropic', `foreign ${marker}`), { 'request-id': 'foreign' });
        return;
      }
      if (!call.body.includes('"stream":true'))
        return sendJson(call, 200, wholeOf('anthropic', marker), { 'request-id': marker });
      const { before, content, after } = framesOf('anthropic', [marker, ' and ', marker], marker);
      call.write(streamHead('chunked', `request-id: ${marker}\r\n`) + before.map(chunked).join(''));
      for (const frame of content) {
        await pause(1);
        call.write(chunked(frame));
      }
      call.write(after.map(chunked).join('') + LAST_CHUNK);
      call.done();
    });
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      config: { bounds: { replica_connections: WIDTH } },
    });
    const elapsed = startStopwatch();
    const plans = Array.from({ length: REQUESTS }, (_, index) => ({
      marker: `mark-${index}-mark`,
      isStream: lab.draw() < 0.5,
      leaveMs: lab.draw() < 1 / 3 ? Math.floor(lab.draw() * 10) : null,
    }));
    const results = await each(plans, WIDTH, async ({ marker, isStream, leaveMs }) => {
      const asking = askGateway(gateway, {
        path: CLIENT_PATHS.anthropic,
        body: requestOf('harbor', marker, isStream ? { stream: true } : {}),
      });
      if (leaveMs !== null) {
        await pause(leaveMs);
        asking.leave();
      }
      return { marker, answer: await asking.answer };
    });
    const reused = replica.calls.length - replica.connections();
    const poisoned = await each([...Array(POISONED).keys()], 2, async (index) => {
      const marker = `mark-${REQUESTS + index}-mark`;
      const asking = askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', `poisoned ${marker}`) });
      return { marker, answer: await asking.answer };
    });
    const tookMs = elapsed();
    const left = results.filter(({ answer: { end } }) => end === 'broken').length;
    if (left < 10 || reused < 10) throw new NotProvoked(`${left} cancelled and ${reused} reused connections are too few`);
    const all = [...results, ...poisoned];
    const foreign = all.filter(
      ({ marker, answer: { body } }) => body.includes('foreign') || (body.match(MARKER) ?? []).some((found) => found !== marker),
    ).length;
    const own = all.filter(({ marker, answer: { status, body } }) => status === 200 && body.includes(marker)).length;
    const unharmed = results.filter(({ answer: { end, status } }) => end === 'whole' && status !== 200).length;

    const finished = all.filter(({ answer: { end, status } }) => end === 'whole' && status === 200);
    const idOf = (headers: (typeof finished)[number]['answer']['headers']): string => String(headers['request-id']);
    const byId = await until(async () => {
      const found = new Map((await gateway.records()).map((record) => [record.id, record]));
      return finished.every(({ answer: { headers } }) => found.has(idOf(headers))) ? found : null;
    }, 2_000);
    const tied = finished.filter(
      ({ marker, answer: { headers } }) => byId?.get(idOf(headers))?.attempts.at(-1)?.upstreamRequestId === marker,
    ).length;
    return [
      response("nobody gets another's answer", foreign === 0 && own > 0, {
        saw: `${foreign} foreign markers in ${all.length} answers, ${left} cancelled, ${reused} times a connection was reused`,
        afterMs: tookMs,
      }),
      response('those beside a cancelled request are answered', unharmed === 0, { saw: `${unharmed} others failed` }),
      signal("each record ties the client's request to the replica's", tied === finished.length, {
        saw: `${tied} of ${finished.length} answers`,
        afterMs: elapsed() - tookMs,
      }),
    ];
  },
};
