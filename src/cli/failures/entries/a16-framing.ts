import { response, signal, type Check, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import { exchangeBytes } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';

const BOUND_MS = 1_500;

export const framing: FailureEntry = {
  id: 'A16',
  component: 'gateway',
  failure: 'Two parsers disagree where a request ends (request smuggling)',
  effect: "A request hidden inside another reaches a replica under somebody else's name",
  signal: 'plimsoll_malformed_requests_total',
  response:
    'Bytes that are not one unambiguous request are answered with a 400 and the connection is closed; what follows them is never read',
  severity: 1,
  injection:
    'A corpus of ambiguous requests as raw bytes, each followed by a second request on the same connection; and two sound ones, which both have to be answered',
  async provoke(lab) {
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const gateway = await lab.gateway({ pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } } });
    const hidden = `GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: ${gateway.key}\r\n\r\n`;
    const elapsed = startStopwatch();
    const results = await each(Object.entries(CORPUS), 4, async ([name, write]) => {
      const got = await exchangeBytes(gateway.port, write(headOf(gateway.key), BODY, hidden), BOUND_MS);
      return { name, ...got, statuses: [...got.text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status)) };
    });
    const tookMs = elapsed();
    const wrong = results.filter(({ statuses, isClosed }) => !(statuses.length <= 1 && (statuses[0] ?? 400) >= 400 && isClosed));
    const smuggled = replica.calls.length;
    const counted = (await gateway.metrics()).sum('plimsoll_malformed_requests_total');
    const scrapedMs = elapsed() - tookMs;

    const length = `content-length: ${BODY.length}\r\n`;
    const sound = `${headOf(gateway.key)}${length}\r\n${BODY}`;
    const last = `${headOf(gateway.key)}${length}connection: close\r\n\r\n${BODY}`;
    const pair = await exchangeBytes(gateway.port, sound + last, BOUND_MS);
    const answers = [...pair.text.matchAll(/HTTP\/1\.1 200/g)].length;
    const plain = await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') }).answer;
    return [
      response('ambiguous requests are refused and their connection closed', wrong.length === 0, {
        saw: `${results.length - wrong.length} of ${results.length}${wrong.map(({ name, statuses, isClosed }) => `; ${name}: ${statuses.join(' and ') || 'no answer'}, ${isClosed ? 'closed' : 'left open'}`).join('')}`,
        afterMs: tookMs,
      }),
      response('nothing of them reaches a replica', smuggled === 0, { saw: `${smuggled} calls` }),
      response('sound requests are answered, also two on one connection', answers === 2 && plain.status === 200, {
        saw: `${answers} of 2, and ${plain.status}`,
      }),
      signal('the metric counts them', counted > 0 && counted >= results.length, {
        saw: `malformed 0 → ${counted} of ${results.length}`,
        afterMs: scrapedMs,
      }),
    ] satisfies readonly Check[];
  },
};

const BODY = JSON.stringify(requestOf('harbor', 'smuggled'));

const headOf = (key: string): string =>
  `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${key}\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n`;

type Write = (head: string, body: string, hidden: string) => string;
const chunksOf = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** Each makes the end of the request a matter of opinion. Sources: RFC 9112 section 6.3; the cases of HTTP Garden and of CVE-2026-1525. */
const CORPUS: Readonly<Record<string, Write>> = {
  'a length and chunks': (head, body, hidden) =>
    `${head}content-length: ${body.length}\r\ntransfer-encoding: chunked\r\n\r\n${chunksOf(body)}${hidden}`,
  'chunks and a length': (head, body, hidden) =>
    `${head}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n${chunksOf(body)}${hidden}`,
  'two lengths that differ': (head, body, hidden) =>
    `${head}content-length: ${body.length}\r\ncontent-length: 0\r\n\r\n${body}${hidden}`,
  'a list of lengths': (head, body, hidden) => `${head}content-length: ${body.length}, 0\r\n\r\n${body}${hidden}`,
  'a length with a sign': (head, body, hidden) => `${head}content-length: +${body.length}\r\n\r\n${body}${hidden}`,
  'a negative length': (head, body, hidden) => `${head}content-length: -1\r\n\r\n${body}${hidden}`,
  'a length in hexadecimal': (head, body, hidden) =>
    `${head}content-length: 0x${body.length.toString(16)}\r\n\r\n${body}${hidden}`,
  'a length beyond 64 bits': (head, body, hidden) => `${head}content-length: 18446744073709551617\r\n\r\n${body}${hidden}`,
  'a space before the colon': (head, body, hidden) => `${head}content-length : ${body.length}\r\n\r\n${body}${hidden}`,
  'an encoding nobody knows': (head, body, hidden) => `${head}transfer-encoding: xchunked\r\n\r\n${chunksOf(body)}${hidden}`,
  'chunked twice': (head, body, hidden) => `${head}transfer-encoding: chunked, chunked\r\n\r\n${chunksOf(body)}${hidden}`,
  'chunked, but not last': (head, body, hidden) =>
    `${head}transfer-encoding: chunked, identity\r\n\r\n${chunksOf(body)}${hidden}`,
  'a folded header': (head, body, hidden) =>
    `${head}transfer-encoding:\r\n chunked\r\n content-length: 0\r\n\r\n${chunksOf(body)}${hidden}`,
  'a bare line feed in the head': (head, body, hidden) => `${head}x: y\ncontent-length: ${body.length}\r\n\r\n${body}${hidden}`,
  'a bare carriage return': (head, body, hidden) => `${head}x: y\rcontent-length: ${body.length}\r\n\r\n${body}${hidden}`,
  'a zero byte in a value': (head, body, hidden) => `${head}x: a\0b\r\ncontent-length: ${body.length}\r\n\r\n${body}${hidden}`,
  'a chunk size that is none': (head, _, hidden) => `${head}transfer-encoding: chunked\r\n\r\nzz\r\n\r\n0\r\n\r\n${hidden}`,
  'a chunk size beyond 64 bits': (head, _, hidden) =>
    `${head}transfer-encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n${hidden}`,
  'a chunk longer than it says': (head, body, hidden) =>
    `${head}transfer-encoding: chunked\r\n\r\n5\r\n${body}\r\n0\r\n\r\n${hidden}`,
  'a header without a name': (head, body, hidden) => `${head}: x\r\ncontent-length: ${body.length}\r\n\r\n${body}${hidden}`,
  'a version from elsewhere': (head, body, hidden) =>
    `${head.replace('HTTP/1.1', 'HTTP/9.9')}content-length: ${body.length}\r\n\r\n${body}${hidden}`,
};
