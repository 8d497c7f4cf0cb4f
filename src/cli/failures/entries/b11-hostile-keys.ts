import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { askAdmin, createFleet, make } from '../kit/admin.ts';
import { answer, requestOf } from '../kit/answers.ts';
import { exchangeBytes } from '../kit/client.ts';
import { noPostgres, startPostgres } from '../kit/servers.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';

/** In every hostile value, so that it can be looked for where it must not be. */
const MARK = 'hostile-4c1d';
/** In what an operator may write, whatever else is in it: the store has it, and as a value. */
const NAME_MARK = 'named-92be';
const MUTANTS = 200;
const BOUND_MS = 4_000;

export const hostileKeys: FailureEntry = {
  id: 'B11',
  component: 'keys',
  failure: 'What stands in the header of a key is taken for something else: injection, a parser that trips',
  effect: 'Whoever can send a header reads or changes the vault of keys, or ends the process',
  signal:
    'plimsoll_requests_total{outcome="refused"} and plimsoll_malformed_requests_total count every one; the log of the store, with every statement in it, holds nothing that a stranger sent, and what an operator wrote only as a parameter',
  response:
    'A key is looked up in memory by its digest: no byte of a header reaches the store. Whatever is no key in good order is refused with the same 401, bytes that are no header with 400 or 431, and the key in good order is served on. What operators write is stored as it is, and an id that cannot be one is nobody’s',
  severity: 1,
  injection: `SQL, templates, paths, NULs, control characters, 20 KB and 60 KB, text of all kinds, and ${MUTANTS} keys with one byte changed, as Authorization and as x-api-key, on the paths of clients and operators; then the same as names and ids of the admin API with a good key. A PostgreSQL behind logs every statement`,
  obstacle: noPostgres,
  boundMs: 40_000,
  async provoke(lab) {
    const postgres = await lab.keep(startPostgres());
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const start = createFleet(lab, {
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      // Guessing is slowed down by address; here all of it is to be looked at.
      config: { limits: { unknown_keys_per_minute: 1_000_000 }, log: { level: 'debug' } },
    });
    const gateway = await start('gateway', postgres.url);
    const good = [
      ...PATHS.map((path) => ({ path, header: `authorization: Bearer ${keyFor(path, gateway)}` })),
      ...PATHS.map((path) => ({ path, header: `x-api-key: ${keyFor(path, gateway)}` })),
    ];
    const statusOf = async ({ path, header }: Attempt): Promise<number> => {
      const { text } = await exchangeBytes(gateway.port, requestBytes(path, header), BOUND_MS);
      return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
    };
    const before = await each(good, 4, statusOf);
    if (before.some((status) => status !== 200)) throw new NotProvoked(`sound requests were answered ${before.join(', ')}`);
    const logged = postgres.log().length;
    const baseline = await countsOf(gateway);

    const values = [...CORPUS, ...mutantsOf(gateway.key, lab.draw), ...mutantsOf(gateway.adminKey, lab.draw)];
    const attempts = values.flatMap((value) =>
      PATHS.flatMap((path) => HEADERS.map((header) => ({ path, header: header(value) }))),
    );
    const elapsed = startStopwatch();
    const statuses = await each(attempts, 8, statusOf);
    const tookMs = elapsed();
    const counts = await countsOf(gateway);
    const seenMs = elapsed();
    const wrong = attempts.filter((_, at) => !REFUSALS.has(statuses[at] ?? 0));
    const after = await each(good, 4, statusOf);
    const calls = replica.calls.length;

    const { stored, failed } = await writeHostileNames(gateway);
    const audit = await askAdmin(gateway, 'GET', 'audit/verify');
    const statements = postgres.log().slice(logged).split('\n');
    const crossed = statements.filter((line) => line.includes(MARK)).length;
    const named = statements.filter((line) => line.includes(NAME_MARK));
    const inlined = named.filter((line) => !/DETAIL:\s+parameters:/.test(line)).length;
    const toldInLog = gateway.log().includes(MARK);

    const parsed = attempts.filter(({ path }, at) => path === '/v1/messages' && statuses[at] === 401).length;
    const unparsed = statuses.filter((status) => status === 400 || status === 431).length;
    const refused = counts.refused - baseline.refused;
    const malformed = counts.malformed - baseline.malformed;
    return [
      response('everything hostile is refused, and nothing of it is served or fails inside', wrong.length === 0, {
        saw: `${attempts.length - wrong.length} of ${attempts.length}: ${tally(statuses)}${wrong
          .slice(0, 3)
          .map(({ path, header }) => `; ${path} ${JSON.stringify(header.slice(0, 60))}`)
          .join('')}`,
        afterMs: Math.round(tookMs / Math.max(1, attempts.length)),
      }),
      response('no byte of it reaches the store, or our own log', crossed === 0 && statements.length > 1 && !toldInLog, {
        saw: `${crossed} of ${statements.length} lines of the log of the store; ours ${toldInLog ? 'repeats some' : 'repeats none'}`,
      }),
      response(
        'keys in good order are served as before',
        after.every((status) => status === 200) && calls === 4 && audit.said.broken_at === null,
        { saw: `${tally(after)}; ${calls} of 4 calls reached the replica; audit log whole: ${audit.said.broken_at === null}` },
      ),
      response(
        'what operators write is stored as it is, and nothing fails inside',
        stored === NAMES.length && failed.length === 0,
        {
          saw: `${stored} of ${NAMES.length} names came back as they were${failed.map((one) => `; ${one}`).join('')}`,
        },
      ),
      signal('every one is counted', refused === parsed && malformed === unparsed && parsed > 0 && unparsed > 0, {
        saw: `refused 0 → ${refused} of ${parsed} (plimsoll_requests_total), malformed 0 → ${malformed} of ${unparsed}`,
        afterMs: seenMs - tookMs,
      }),
      signal('the log of the store shows names as parameters alone, and would show more', named.length > 0 && inlined === 0, {
        saw: `${named.length} lines with a name, ${inlined} of them in a statement`,
      }),
    ];
  },
};

interface Attempt {
  readonly path: string;
  readonly header: string;
}

const PATHS = ['/v1/messages', '/v1/models', '/admin/v1/me'];
const HEADERS: readonly ((value: string) => string)[] = [
  (value) => `authorization: Bearer ${value}`,
  (value) => `authorization: ${value}`,
  (value) => `x-api-key: ${value}`,
];
const REFUSALS = new Set([400, 401, 431]);

const keyFor = (path: string, { key, adminKey }: { readonly key: string; readonly adminKey: string }): string =>
  path.startsWith('/admin') ? adminKey : key;

/** Each is sent as bytes, one character one byte. */
const CORPUS: readonly string[] = [
  `${MARK}' or '1'='1`,
  `${MARK}'; drop table control_object; --`,
  `${MARK}" or ""="`,
  `${MARK}') union select body from control_object --`,
  `${MARK}'; select pg_sleep(10); --`,
  `${MARK}\\'; copy (select 1) to program 'true'; --`,
  `${MARK}$$; delete from control_head; $$`,
  `${MARK} %s %n %x {{7*7}} \${7*7} #{7*7} $(id) \`id\``,
  `${MARK}*)(uid=*))(|(uid=*`,
  `${MARK}/../../../../etc/passwd`,
  `${MARK}%00%0d%0ax-api-key:%20x`,
  `__proto__ constructor ${MARK}`,
  `{"$ne": "${MARK}"}`,
  `plimsoll_api_${MARK}${'A'.repeat(49)}`,
  `plimsoll_admin_${'%'.repeat(49)}${MARK}`,
  `${MARK}\0`,
  `\0${MARK}`,
  `${MARK}\u0001\u0008\u001b[2J`,
  `${MARK}\u007f`,
  `${MARK}\r`,
  // UTF-8 of many kinds, overlong and cut short.
  Buffer.from(`${MARK} ключ 鍵 🔑 \u202e\u200b\ufeff`).toString('latin1'),
  `${MARK}\xc0\xaf\xed\xa0\x80\xff\xfe`,
  `${MARK}${'k'.repeat(20_000)}`,
  `${MARK}${'k'.repeat(60_000)}`,
  '',
  ' ',
  ','.repeat(200),
];

/** A key with one byte changed, at random; none of them breaks the line. */
function mutantsOf(key: string, draw: () => number): readonly string[] {
  return Array.from({ length: MUTANTS / 2 }, () => {
    const at = Math.floor(draw() * key.length);
    let byte = key.charCodeAt(at);
    while (byte === key.charCodeAt(at) || byte === 0x0a || byte === 0x0d) byte = Math.floor(draw() * 256);
    return key.slice(0, at) + String.fromCodePoint(byte) + key.slice(at + 1);
  });
}

function requestBytes(path: string, header: string): string {
  const body = path === '/v1/messages' ? JSON.stringify(requestOf('harbor', 'hello')) : '';
  return [
    `${body === '' ? 'GET' : 'POST'} ${path} HTTP/1.1`,
    'host: x',
    'connection: close',
    'anthropic-version: 2023-06-01',
    'content-type: application/json',
    ...(body === '' ? [] : [`content-length: ${body.length}`]),
    header,
    '',
    body,
  ].join('\r\n');
}

type Gateway = Parameters<typeof askAdmin>[0];

async function countsOf(gateway: Gateway): Promise<{ readonly refused: number; readonly malformed: number }> {
  const scrape = await gateway.metrics();
  return {
    refused: scrape.sum('plimsoll_requests_total', { outcome: 'refused' }),
    malformed: scrape.sum('plimsoll_malformed_requests_total'),
  };
}

const NAMES = [
  `${NAME_MARK}'); drop table control_object; --`,
  `${NAME_MARK} $1 $$ %s {} \\' \\u0000`,
  `${NAME_MARK} \0 \u0001 \u202e 🔑`,
];
const HOSTILE_PATHS = [
  "keys/'%3B--",
  'keys/%00',
  'keys/%ff',
  'keys?after=%00',
  "keys?organization='%20or%20'1'='1",
  'keys/..%2f',
];

async function writeHostileNames(gateway: Gateway): Promise<{ readonly stored: number; readonly failed: readonly string[] }> {
  let stored = 0;
  for (const name of NAMES) {
    const { id } = await make(gateway, 'workspaces', { name });
    const { text } = await askAdmin(gateway, 'GET', `workspaces/${id}`);
    if (text.includes(JSON.stringify(name).slice(1, -1))) stored++;
  }
  const failed: string[] = [];
  for (const path of HOSTILE_PATHS) {
    const { status } = await askAdmin(gateway, 'GET', path);
    if (status !== 200 && status !== 400 && status !== 404) failed.push(`${path}: ${status}`);
  }
  return { stored, failed };
}

/** How often each status came: `401 × 12, 431 × 3`. */
function tally(statuses: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status} × ${count}`).join(', ');
}
