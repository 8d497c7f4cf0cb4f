import { gzipSync } from 'node:zlib';
import type { Check, Context } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { NO_SUCH_MODEL } from '../no-such-model.ts';
import type { Reply } from '../probe.ts';
import { fail, judge, pass, unknown, type Verdict } from '../verdict.ts';
import { errorProblems } from './envelope.ts';

const theme = 'Errors';

/** Refusals that any gateway can be brought to, without harm, from outside. */
export const errorChecks: readonly Check[] = [
  {
    id: 'errors.malformed-json',
    theme,
    title: 'a body that is not JSON is a 400 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    run: async (context) => refusedWith(context, await sendBody(context, '{"model": "x", "messages": [')),
  },
  {
    id: 'errors.missing-field',
    theme,
    title: 'a body without a required field is a 400 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    run: async (context) =>
      refusedWith(context, await context.ask({}, { body: { messages: undefined, input: undefined } }), [400, 422]),
  },
  {
    id: 'errors.missing-model',
    theme,
    title: 'a body without a model is a 400 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    run: async (context) => refusedWith(context, await context.ask({}, { body: { model: undefined } }), [400, 422]),
  },
  {
    id: 'errors.unknown-model',
    theme,
    title: 'a model that nobody serves is a 404 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    run: async (context) => refusedWith(context, await context.ask({ model: NO_SUCH_MODEL }), [404]),
  },
  {
    id: 'errors.unknown-path',
    theme,
    title: 'a path that does not exist is a 404 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    run: async (context) =>
      refusedWith(
        context,
        await context.probe.send({
          method: 'POST',
          path: '/v1/plimsoll-check/no-such-path',
          headers: context.client.headers(context.key),
          body: '{}',
        }),
        [404],
      ),
  },
  {
    id: 'errors.wrong-key',
    theme,
    title: 'a wrong key is a 401 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    needs: ['key'],
    run: async (context) =>
      refusedWith(context, await context.ask({}, { headers: context.client.headers('plimsoll-check-wrong-key') }), [401]),
  },
  {
    id: 'errors.no-key',
    theme,
    title: 'no key is a 401 in the dialect’s envelope',
    dialects: DIALECT_NAMES,
    needs: ['key'],
    run: async (context) =>
      refusedWith(context, await context.ask({}, { headers: { 'x-api-key': undefined, authorization: undefined } }), [401]),
  },
  {
    id: 'errors.compressed-body',
    theme,
    title: 'a compressed body is refused in the dialect’s envelope, and never read as something else',
    dialects: DIALECT_NAMES,
    async run(context) {
      const reply = await sendBody(context, gzipSync(JSON.stringify(context.client.body(plainQuestion(context)))), {
        'content-encoding': 'gzip',
      });
      if (reply.kind === 'answer' && reply.status === 200)
        return unknown('it was answered', 'whether there is a bound on what a small body may unpack to: ask its maker');
      return refusedWith(context, reply, [400, 415]);
    },
  },
  {
    id: 'errors.too-large',
    theme,
    title: 'a body beyond 32 MB is a 413, or the connection is closed',
    dialects: ['anthropic'],
    run: tooLarge,
  },
  {
    id: 'errors.two-lengths',
    theme,
    title: 'a request with two different lengths is refused and its connection closed',
    dialects: ['anthropic'],
    run(context) {
      const body = JSON.stringify(context.client.body(plainQuestion(context)));
      return ambiguous(context, [`content-length: ${body.length}`, `content-length: ${body.length + 1}`], body);
    },
  },
  {
    id: 'errors.length-and-chunks',
    theme,
    title: 'a request with both a length and chunks is refused and its connection closed',
    dialects: ['anthropic'],
    run(context) {
      const body = JSON.stringify(context.client.body(plainQuestion(context)));
      const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
      return ambiguous(context, [`content-length: ${chunked.length}`, 'transfer-encoding: chunked'], chunked);
    },
  },
];

const plainQuestion = ({ model }: Context) => ({ model, text: 'Say hello.', stream: false, maxTokens: 16, tools: [] });

function sendBody(
  { client, key, probe }: Context,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return probe.send({ method: 'POST', path: client.path, headers: { ...client.headers(key), ...headers }, body });
}

function refusedWith(context: Context, reply: Reply, statuses: readonly number[] = [400]): Verdict {
  return judge(errorProblems(context, reply, { statuses }), describeReply(reply));
}

const DECLARED_BYTES = 33 * 1024 * 1024 + 1;

/** The length is declared first and the body follows in pieces, so that a gateway that looks at the head is spared the rest. */
async function tooLarge({ client, key, probe, model }: Context): Promise<Verdict> {
  if (!probe.isLoopback)
    return unknown('33 MB were not sent to a gateway on another machine', 'run the check where the gateway runs');
  const start = `{"model":${JSON.stringify(model)},"max_tokens":1,"messages":[{"role":"user","content":"`;
  const end = '"}]}';
  function* parts(): Iterable<string> {
    yield `${head({ client, key, probe }, [`content-length: ${DECLARED_BYTES}`])}${start}`;
    const middle = DECLARED_BYTES - start.length - end.length;
    for (let sent = 0; sent < middle; sent += 65_536) yield 'x'.repeat(Math.min(65_536, middle - sent));
    yield end;
  }
  const { text, isClosed } = await probe.raw(parts(), 10_000);
  const status = statusOf(text);
  if (status === 413) return text.includes('request_too_large') ? pass('413') : fail('413, but not request_too_large');
  if (status === null) return isClosed ? pass('closed without an answer') : fail('no answer in 10 s');
  return fail(`status ${status}`);
}

/** The question is a good one, so that an answer to it says that the framing was taken. Nothing is hidden behind it. */
async function ambiguous(context: Context, framing: readonly string[], body: string): Promise<Verdict> {
  const { text, isClosed } = await context.probe.raw([`${head(context, framing)}${body}`], 3_000);
  const status = statusOf(text);
  if (status === null) return isClosed ? pass('closed without an answer') : fail('no answer in 3 s, and the connection is open');
  if (status !== 400 && status !== 501) return fail(`status ${status}: it was read as a request`);
  return isClosed ? pass(`status ${status}, closed`) : fail(`status ${status}, but the connection stays open`);
}

function head({ client, key, probe }: Pick<Context, 'client' | 'key' | 'probe'>, framing: readonly string[]): string {
  const headers = Object.entries({ ...probe.headers, ...client.headers(key) }).map(([name, value]) => `${name}: ${value}`);
  return [`POST ${probe.rawPath(client.path)} HTTP/1.1`, `host: ${probe.host}`, ...headers, ...framing, '', ''].join('\r\n');
}

function statusOf(text: string): number | null {
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
  return status === undefined ? null : Number(status);
}
