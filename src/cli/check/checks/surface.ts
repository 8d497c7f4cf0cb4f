import type { Check, Context } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { countOf, listOf, objectOf, parseJson, textOf } from '../json-value.ts';
import type { Reply } from '../probe.ts';
import { fail, judge, pass, unknown, type Verdict } from '../verdict.ts';
import { errorProblems } from './envelope.ts';

/** The rest of what clients use: request ids, both ways to authenticate, both API versions, models, token counts. */
export const surfaceChecks: readonly Check[] = [
  {
    id: 'ids.every-response',
    theme: 'Request ids',
    title: 'every response, errors too, has a request id of its own where clients look for it',
    dialects: DIALECT_NAMES,
    async run({ client, ask }) {
      const replies: readonly (readonly [string, Reply])[] = [
        ['an answer', await ask()],
        ['a stream', await ask({ stream: true })],
        ['a 400', await ask({}, { body: { model: undefined } })],
        ['a second answer', await ask()],
      ];
      const ids = replies.map(([, reply]) => (reply.kind === 'answer' ? (reply.headers[client.requestIdHeader] ?? '') : ''));
      const problems = replies.flatMap(([what], index) =>
        ids[index] === '' ? [`${what} has no ${client.requestIdHeader}`] : [],
      );
      if (problems.length === 0 && new Set(ids).size < ids.length) problems.push('two responses have the same id');
      return judge(problems, client.requestIdHeader);
    },
  },
  {
    id: 'auth.x-api-key',
    theme: 'Authentication',
    title: 'x-api-key is taken, as older Anthropic clients send it',
    dialects: ['anthropic'],
    needs: ['key'],
    run: async ({ key, ask }) => answered(await ask({}, { headers: { 'x-api-key': key ?? '', authorization: undefined } })),
  },
  {
    id: 'auth.bearer',
    theme: 'Authentication',
    title: 'Authorization: Bearer is taken, as clients of both families send it',
    dialects: ['anthropic', 'openai-chat'],
    needs: ['key'],
    run: async ({ key, ask }) =>
      answered(await ask({}, { headers: { 'x-api-key': undefined, authorization: `Bearer ${key ?? ''}` } })),
  },
  version('versions.2023-06-01', 'version 2023-06-01 takes sampling parameters', '2023-06-01', { temperature: 1 }, 200),
  version('versions.2026-10-21', 'version 2026-10-21 is served', '2026-10-21', {}, 200),
  version(
    'versions.2026-10-21-sampling',
    'version 2026-10-21 refuses sampling parameters',
    '2026-10-21',
    { temperature: 1 },
    400,
  ),
  version('versions.missing', 'a request without a version is a 400', undefined, {}, 400),
  version('versions.unknown', 'a version that does not exist is a 400', '1999-01-01', {}, 400),
  {
    id: 'tokens.count',
    theme: 'Models and tokens',
    title: 'count_tokens answers with input_tokens',
    dialects: ['anthropic'],
    async run(context) {
      const { client, key, model, probe } = context;
      const reply = await probe.send({
        method: 'POST',
        path: '/v1/messages/count_tokens',
        headers: client.headers(key),
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Say hello.' }] }),
      });
      if (reply.kind === 'answer' && reply.status === 200) {
        const tokens = countOf(objectOf(parseJson(reply.body.toString('utf8')))['input_tokens']);
        return tokens !== null && tokens > 0 ? pass(`${tokens} tokens`) : fail('no input_tokens in the answer');
      }
      const problems = errorProblems(context, reply, { statuses: [400, 404] });
      return problems.length > 0
        ? fail(problems.join('; '))
        : unknown(`it is not offered (${describeReply(reply)}), which clients are prepared for`, 'a model that can count');
    },
  },
  {
    id: 'models.list',
    theme: 'Models and tokens',
    title: 'the list of models has the dialect’s shape',
    dialects: ['anthropic', 'openai-chat'],
    async run(context) {
      const reply = await getModels(context, '');
      if (reply.kind === 'nothing' || reply.status !== 200) return fail(describeReply(reply));
      const list = objectOf(parseJson(reply.body.toString('utf8')));
      const first = objectOf(listOf(list['data'])[0]);
      const problems = Array.isArray(list['data']) ? [] : ['data is not a list'];
      const [fields, own] = context.client.name === 'anthropic' ? ANTHROPIC_LIST : OPENAI_LIST;
      for (const field of own) if (!(field in list)) problems.push(`${field} is missing`);
      for (const field of fields)
        if (listOf(list['data']).length > 0 && !(field in first)) problems.push(`data[0].${field} is missing`);
      return judge(problems, `${listOf(list['data']).length} models`);
    },
  },
  {
    id: 'models.pages',
    theme: 'Models and tokens',
    title: 'pages of models follow one another: every model once, and an end',
    dialects: ['anthropic'],
    run: pages,
  },
  {
    id: 'models.one',
    theme: 'Models and tokens',
    title: 'one model can be asked for by its id, and an unknown one is a 404',
    dialects: ['anthropic', 'openai-chat'],
    async run(context) {
      const found = await getModels(context, `/${encodeURIComponent(context.model)}`);
      const missing = await getModels(context, '/plimsoll-check-no-such-model');
      const id = found.kind === 'answer' ? textOf(objectOf(parseJson(found.body.toString('utf8')))['id']) : '';
      return judge(
        [
          ...(id === context.model ? [] : [`${context.model}: ${describeReply(found)}, id ${JSON.stringify(id)}`]),
          ...errorProblems(context, missing, { statuses: [404] }),
        ],
        'found by its id',
      );
    },
  },
  {
    id: 'surface.head-root',
    theme: 'Models and tokens',
    title: 'HEAD / is answered, as some clients probe with it',
    dialects: ['anthropic'],
    async run({ probe }) {
      const reply = await probe.send({ method: 'HEAD', path: '/', headers: {} });
      return reply.kind === 'answer' && reply.status < 500 ? pass(describeReply(reply)) : fail(describeReply(reply));
    },
  },
];

const ANTHROPIC_LIST = [
  ['id', 'type', 'display_name', 'created_at'],
  ['has_more', 'first_id', 'last_id'],
] as const;
const OPENAI_LIST = [['id', 'object', 'created', 'owned_by'], ['object']] as const;

function answered(reply: Reply): Verdict {
  return reply.kind === 'answer' && reply.status === 200 ? pass('answered') : fail(describeReply(reply));
}

function version(id: string, title: string, value: string | undefined, body: Record<string, unknown>, status: 200 | 400): Check {
  return {
    id,
    theme: 'API versions',
    title,
    dialects: ['anthropic'],
    async run(context) {
      const reply = await context.ask({}, { headers: { 'anthropic-version': value }, body });
      return status === 200
        ? answered(reply)
        : judge(errorProblems(context, reply, { statuses: [status] }), describeReply(reply));
    },
  };
}

function getModels({ client, key, probe }: Context, rest: string): Promise<Reply> {
  return probe.send({ method: 'GET', path: `/v1/models${rest}`, headers: client.headers(key) });
}

const PAGES_MAX = 200;

async function pages(context: Context): Promise<Verdict> {
  const ids: string[] = [];
  let after = '';
  for (let page = 0; page < PAGES_MAX; page++) {
    const reply = await getModels(context, `?limit=1${after}`);
    if (reply.kind === 'nothing' || reply.status !== 200) return fail(`page ${page + 1}: ${describeReply(reply)}`);
    const list = objectOf(parseJson(reply.body.toString('utf8')));
    const found = listOf(list['data']).map((model) => textOf(objectOf(model)['id']));
    if (found.length > 1) return fail(`a page of 1 has ${found.length} models`);
    if (found.some((id) => ids.includes(id))) return fail(`${found[0]} is on two pages`);
    ids.push(...found);
    if (list['has_more'] !== true)
      return ids.length > 1
        ? pass(`${ids.length} models on ${page + 1} pages`)
        : unknown('there is one model only', 'a gateway that serves two models or more');
    if (found.length === 0) return fail('an empty page says that there is more');
    after = `&after_id=${encodeURIComponent(String(list['last_id']))}`;
  }
  return unknown(`there are more than ${PAGES_MAX} models`, 'a gateway with fewer models');
}
