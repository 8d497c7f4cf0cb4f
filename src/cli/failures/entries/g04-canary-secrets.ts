import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, chunked, CLIENT_PATHS, errorBody, framesOf, requestOf, sendJson, streamHead } from '../kit/answers.ts';
import type { ClientAnswer } from '../kit/client.ts';
import { askGateway, configOf } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { startStopwatch } from '../kit/stopwatch.ts';

const PROMPT = 'canary-prompt-5f1c';
const COMPLETION = 'canary-completion-90ab';
const CLIENT_SECRET = 'canary-client-secret-77de';
const UPSTREAM_SECRET = 'canary-upstream-secret-31fe';
const CANARIES = [PROMPT, COMPLETION, CLIENT_SECRET, UPSTREAM_SECRET];

export const canarySecrets: FailureEntry = {
  id: 'G4',
  component: 'logs',
  failure: 'Prompts, completions or keys are written where operators and machines read',
  effect: 'A leak: whoever reads logs, metrics or records reads what users said, or can call as them',
  signal:
    'A scan for canaries in everything that was written, which is shown to find one; every request of the run has its record',
  response:
    'Nothing of it is ever written: logs, metrics, records and our own error messages hold ids, numbers and words of ours; client credentials do not reach replicas',
  severity: 1,
  injection:
    'Canaries as prompt, completion, client key, cookie and replica key, through answers, streams, translations, refusals, upstream failures, broken streams and unreadable bodies, with log.level debug',
  async provoke(lab) {
    const frames = framesOf('anthropic', [COMPLETION]);
    const replica = await lab.replica((call: ReplicaCall) => {
      if (call.body.includes('fail-500')) return sendJson(call, 500, errorBody('api_error', `${COMPLETION} ${UPSTREAM_SECRET}`));
      if (call.body.includes('fail-401')) return sendJson(call, 401, errorBody('authentication_error', UPSTREAM_SECRET));
      if (call.body.includes('break')) {
        call.write(streamHead() + [...frames.before, ...frames.content].map(chunked).join(''));
        return void setImmediate(call.reset);
      }
      if (call.body.includes('garbage')) {
        call.write(`HTTP/1.1 ${COMPLETION}\r\n\r\n`);
        return call.end();
      }
      answer(call, [COMPLETION]);
    });
    const started = await lab.tryGateway({
      config: configWithKeys(replica.url, replica.openaiUrl),
      environment: { CANARY_UPSTREAM_KEY: UPSTREAM_SECRET },
    });
    if (started.kind === 'refused') throw new NotProvoked(`no start: ${started.said.slice(-300)}`);
    const { gateway } = started;

    const headers = { cookie: `session=${CLIENT_SECRET}`, authorization: `Bearer ${CLIENT_SECRET}`, 'x-other': CLIENT_SECRET };
    const send = (model: string, more: object = {}, text = '') =>
      askGateway(gateway, {
        path: CLIENT_PATHS[model === 'gpt' ? 'openai' : 'anthropic'],
        headers: { cookie: headers.cookie, 'x-other': CLIENT_SECRET },
        body: requestOf(model, `${PROMPT} ${text}`, { ...(model === 'gpt' ? {} : { system: PROMPT }), ...more }),
      }).answer;
    const elapsed = startStopwatch();
    const served = [await send('claude'), await send('claude', { stream: true }), await send('gpt'), await send('crossed')];
    const failures: ClientAnswer[] = [];
    for (const text of ['fail-500', 'fail-401', 'garbage']) failures.push(await send('claude', {}, text));
    await send('claude', { stream: true }, 'break');
    failures.push(await send('crossed', { top_k: 5 }), await send('nowhere'), await send('claude', { max_tokens: PROMPT }));
    const raw = (body: string, more: object = {}) => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body, ...more }).answer;
    failures.push(
      await raw(`{"model":"claude","messages":[{"role":"user","content":"${PROMPT}"`),
      await raw(`not json ${PROMPT}`),
    );
    failures.push(await raw('{}', { key: CLIENT_SECRET }), await raw('{}', { key: '', headers }));
    const tookMs = elapsed();
    if (served.some(({ status, body }) => status !== 200 || !body.includes(COMPLETION)))
      throw new NotProvoked(`not every route answered: ${served.map(({ status }) => status).join(', ')}`);

    const scrape = await gateway.metrics();
    const ended = scrape.sum('plimsoll_requests_total');
    const records = await lab.records(gateway, served.length + 6);
    const status = await gateway.operator('/admin/v1/status');
    await gateway.stop();
    const places = {
      log: gateway.log(),
      metrics: scrape.text,
      records: JSON.stringify(records),
      'data directory': readAll(gateway.dataDirectory),
      'our error messages': failures.map(({ body, headers: told }) => body + JSON.stringify(told)).join('\n'),
      status: status.body,
    };
    const secrets = [...CANARIES, gateway.key];
    const found = Object.entries(places).flatMap(([place, text]) =>
      secrets
        .filter((canary) => text.includes(canary) && !(place === 'data directory' && canary === gateway.key))
        .map((canary) => `${canary === gateway.key ? 'the client key' : canary} in ${place}`),
    );
    const crossed = replica.calls.filter(({ head }) => head.includes(CLIENT_SECRET) || head.includes(gateway.key)).length;
    const bytes = Object.values(places).reduce((sum, text) => sum + text.length, 0);
    return [
      response('no canary is written anywhere', found.length === 0, {
        saw: found.length === 0 ? `${bytes} bytes in ${Object.keys(places).length} places` : found.join(', '),
        afterMs: tookMs,
      }),
      response('client credentials and cookies reach no replica', crossed === 0 && replica.calls.length > 0, {
        saw: `${crossed} of ${replica.calls.length} calls carried one`,
      }),
      signal(
        'the scan would find one: the replica got the prompt and its own key',
        replica.calls.some(({ body, head }) => body.includes(PROMPT) && head.includes(UPSTREAM_SECRET)),
        {
          saw: 'canaries found in what the replica was sent',
        },
      ),
      signal(
        'what was scanned is of this traffic',
        records.length >= served.length + 4 && ended >= served.length + failures.length && places.log.length > 0,
        {
          saw: `${records.length} records, ${ended} requests in the metrics, ${places.log.length} characters of log`,
        },
      ),
    ];
  },
};

function configWithKeys(anthropicUrl: string, openaiUrl: string): object {
  const config = configOf(
    {
      claude: { dialect: 'anthropic', replicas: [anthropicUrl] },
      gpt: { dialect: 'openai', replicas: [openaiUrl] },
      crossed: { dialect: 'openai', replicas: [openaiUrl] },
    },
    { log: { level: 'debug' } },
  ) as { readonly pools: readonly { readonly replicas: readonly object[] }[] };
  return {
    ...config,
    pools: config.pools.map((pool) => ({
      ...pool,
      replicas: pool.replicas.map((one) => ({ ...one, key: 'env:CANARY_UPSTREAM_KEY' })),
    })),
  };
}

/** All that was written below a directory, but for the file that is there to hand out the first keys. */
function readAll(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(directory, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1').replaceAll('\0', ''))
    .join('\n');
}
