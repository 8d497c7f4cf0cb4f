import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, LAST_CHUNK, requestOf, streamHead } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { pause, startStopwatch, until } from '../kit/stopwatch.ts';

const MEBIBYTE = 1024 * 1024;
const READERS = 6;
const ANSWER_BYTES = 24 * MEBIBYTE;
/** What a gateway may grow by while it holds six answers of 24 MiB: far less than the answers. */
const GROWTH_BYTES_MAX = 64 * MEBIBYTE;
const TOTAL_MS = 6_000;
const STILL_MS = 250;

export const slowReader: FailureEntry = {
  id: 'A12',
  component: 'client',
  failure: 'A client reads slowly or not at all while the replica sends fast',
  effect: 'What is not read piles up in the memory of the gateway, until all its clients suffer',
  signal:
    'process_resident_memory_bytes stays flat while plimsoll_open_requests stands; a reader that never reads ends as `broken`, `deadline_exceeded`',
  response:
    'The replica is made to wait for the client; who reads again gets every byte; who never reads is cut at timeouts.total_ms',
  severity: 2,
  injection: `${READERS} clients stop reading, each of an answer of ${ANSWER_BYTES / MEBIBYTE} MiB; five read on later, one never does (total_ms ${TOTAL_MS})`,
  async provoke(lab) {
    const sent: number[] = [];
    const replica = await lab.replica((call) => {
      const at = sent.length;
      sent.push(0);
      pour(call, (bytes) => (sent[at] = (sent[at] ?? 0) + bytes));
    });
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      config: { timeouts: { total_ms: TOTAL_MS } },
    });
    const readAll = () =>
      askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'much', { stream: true }), isCounted: true })
        .answer;
    // What a gateway at work needs for itself is not what a slow reader costs: two answers that are read as they come, first.
    await Promise.all([readAll(), readAll()]);
    const warmed = replica.calls.length;
    sent.length = 0;
    const restingBytes = (await gateway.metrics()).sum('process_resident_memory_bytes');
    const elapsed = startStopwatch();
    const readers = Array.from({ length: READERS }, () =>
      askGateway(gateway, {
        path: CLIENT_PATHS.anthropic,
        body: requestOf('harbor', 'much', { stream: true }),
        isPaused: true,
        isCounted: true,
        boundMs: 15_000,
      }),
    );
    const total = (): number => sent.reduce((sum, bytes) => sum + bytes, 0);
    let before = -1;
    const stillMs = await until(async () => {
      const isStill = total() === before && sent.length === READERS;
      before = total();
      if (!isStill) await pause(STILL_MS);
      return isStill ? elapsed() : null;
    }, TOTAL_MS - 2_000);
    if (sent.length < READERS) throw new NotProvoked(`only ${sent.length} of ${READERS} answers began`);
    const heldBytes = total();
    const scrape = await gateway.metrics();
    const seenMs = elapsed();
    const growthBytes = scrape.sum('process_resident_memory_bytes') - restingBytes;
    const open = scrape.sum('plimsoll_open_requests');
    const [never, ...later] = readers;
    for (const reader of later) reader.resume();
    const answers = await Promise.all(later.map((reader) => reader.answer));
    const whole = later.filter((reader, index) => answers[index]?.end === 'whole' && reader.bytes() >= ANSWER_BYTES).length;
    const cut = await until(
      async () => (await gateway.metrics()).sum('plimsoll_requests_total', { outcome: 'broken' }) === 1,
      TOTAL_MS + 1_000,
    );
    const cutMs = elapsed();
    const hasEnded = await until(() => replica.calls.slice(warmed).some((call) => call.isClosed()), 1_000);
    never?.leave();
    const records = await lab.records(gateway, warmed + READERS);
    const codes = records.filter(({ outcome, code }) => outcome === 'broken' && code === 'deadline_exceeded').length;
    return [
      response('the replicas are made to wait', stillMs !== null && heldBytes < READERS * ANSWER_BYTES, {
        saw: `stood still at ${mebibytes(heldBytes)} of ${mebibytes(READERS * ANSWER_BYTES)}`,
        afterMs: stillMs,
      }),
      response('the memory of the gateway stays flat', growthBytes < GROWTH_BYTES_MAX, {
        saw: `grew by ${mebibytes(growthBytes)} with ${mebibytes(heldBytes)} on the way`,
      }),
      response('who reads again gets every byte', whole === later.length, { saw: `${whole} of ${later.length} answers whole` }),
      response('who never reads is cut, and its replica freed', cut !== null && hasEnded !== null, {
        saw: cut === null ? 'still open' : `cut after ${cutMs} ms, the replica ${hasEnded === null ? 'still busy' : 'free'}`,
      }),
      signal('open requests and memory can be seen meanwhile', open === READERS && restingBytes > 0, {
        saw: `plimsoll_open_requests ${open}, resident ${mebibytes(restingBytes)} → ${mebibytes(restingBytes + growthBytes)}`,
        afterMs: seenMs,
      }),
      signal('the record of the one that was cut says why', codes === 1, { saw: `${codes} with deadline_exceeded` }),
    ];
  },
};

const FRAMES = framesOf('anthropic', ['x'.repeat(16_384)]);

/** Writes an answer as fast as it is taken. */
function pour(call: ReplicaCall, onTaken: (bytes: number) => void): void {
  const piece = chunked(FRAMES.content.join('').repeat(8));
  let left = ANSWER_BYTES;
  call.write(streamHead() + FRAMES.before.map(chunked).join(''));
  const go = (): void => {
    while (left > 0) {
      left -= piece.length;
      onTaken(piece.length);
      if (!call.write(piece)) return void (call.isClosed() || call.socket.once('drain', go));
    }
    call.write(FRAMES.after.map(chunked).join('') + LAST_CHUNK);
    call.done();
  };
  go();
}

const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
