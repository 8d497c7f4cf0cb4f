import { behindCheck, play, type Behind, type Check, type Context, type Played } from '../check.ts';
import { DIALECT_NAMES } from '../clients/client-dialect.ts';
import { describeReply } from '../context.ts';
import { say } from '../replica/script.ts';
import type { SeenRequest } from '../replica/replica.ts';
import { fail, judge, pass, quote, unknown, type Verdict } from '../verdict.ts';

const theme = 'What crosses the gateway';
const BETAS = 'plimsoll-check-2026-01-01,other-beta-2025-02-02';
/** Fields that no gateway knows; the number is one that a reader of doubles would change. */
const UNKNOWN_FIELDS = '"plimsoll_check":{"kept":true,"big":12345678901234567890,"text":"\\u00e9\\/"}';

/** What must reach the replica as the client said it, and what must not. */
export const forwardChecks: readonly Check[] = [
  behindCheck({
    id: 'crosses.unknown-fields',
    theme,
    title: 'fields that the gateway does not know reach the replica',
    dialects: DIALECT_NAMES,
    run: (context) =>
      sameDialect(context, async () => {
        const { seen, reply } = await play(context, { answer: say('Ok.') }, {}, { body: { plimsoll_check: { kept: true } } });
        if (seen === null) return fail(describeReply(reply));
        const kept = JSON.stringify(seen.body['plimsoll_check']);
        return kept === '{"kept":true}' ? pass('kept') : fail(`arrived as ${kept ?? 'nothing'}`);
      }),
  }),
  behindCheck({
    id: 'crosses.exact-json',
    theme,
    title: 'numbers and text of a body are not rewritten on the way',
    dialects: DIALECT_NAMES,
    run: (context) =>
      sameDialect(context, async () => {
        const { client, key, probe, model, behind } = context;
        const turn = behind.replica.play({ answer: say('Ok.') });
        const plain = JSON.stringify(client.body({ model, text: turn.marker, stream: false, maxTokens: 64, tools: [] }));
        const reply = await probe.send({
          method: 'POST',
          path: client.path,
          headers: client.headers(key),
          body: `${plain.slice(0, -1)},${UNKNOWN_FIELDS}}`,
        });
        turn.end();
        const seen = turn.seen[0];
        if (seen === undefined) return fail(`the replica was not reached: ${describeReply(reply)}`);
        if (seen.rawBody.includes(UNKNOWN_FIELDS)) return pass('byte for byte');
        if (!seen.rawBody.includes('plimsoll_check')) return fail('the field was dropped');
        return seen.rawBody.includes('12345678901234567890')
          ? pass('rewritten, with the same meaning')
          : fail('a number of 20 digits was changed');
      }),
  }),
  behindCheck({
    id: 'crosses.beta-headers',
    theme,
    title: 'anthropic-beta reaches the replica as the client sent it, and none is made up',
    dialects: ['anthropic'],
    run: (context) =>
      sameDialect(context, async () => {
        const sent = await seenWith(context, { 'anthropic-beta': BETAS });
        const silent = await seenWith(context, {});
        if (sent === null || silent === null) return fail('the replica was not reached');
        const problems = [];
        if (sent.headers['anthropic-beta'] !== BETAS) problems.push(`arrived as ${String(sent.headers['anthropic-beta'])}`);
        if (silent.headers['anthropic-beta'] !== undefined)
          problems.push(`not sent, yet ${String(silent.headers['anthropic-beta'])} arrived`);
        return judge(problems, 'unchanged');
      }),
  }),
  behindCheck({
    id: 'crosses.version',
    theme,
    title: 'anthropic-version reaches the replica as the client sent it',
    dialects: ['anthropic'],
    run: (context) =>
      sameDialect(context, async () => {
        const problems = [];
        for (const version of ['2023-06-01', '2026-10-21']) {
          const seen = await seenWith(context, { 'anthropic-version': version });
          const arrived = seen?.headers['anthropic-version'];
          if (arrived !== version) problems.push(`${version} arrived as ${String(arrived ?? 'nothing')}`);
        }
        return judge(problems, 'both versions unchanged');
      }),
  }),
  behindCheck({
    id: 'crosses.credentials',
    theme,
    title: 'the client’s key and cookies end at the gateway',
    dialects: DIALECT_NAMES,
    async run(context) {
      const { key, behind } = context;
      const seen = await seenWith(context, { cookie: 'plimsoll_check=1' });
      if (seen === null) return fail('the replica was not reached');
      const problems = [];
      if (JSON.stringify(seen.headers).includes('plimsoll_check=1')) problems.push('a cookie reached the replica');
      const hasKey = key !== null && JSON.stringify(seen.headers).includes(key);
      if (hasKey && key !== behind.upstreamKey) problems.push('the client’s key reached the replica');
      if (problems.length > 0) return fail(problems.join('; '));
      if (key === null || key === behind.upstreamKey)
        return unknown(
          'no cookie crossed; the key could not be told',
          'a key of the gateway’s own (--key), other than the replica’s',
        );
      return pass('neither crossed');
    },
  }),
  behindCheck({
    id: 'crosses.upstream-account',
    theme,
    title: 'cookies and account names of the replica’s owner do not reach the client',
    dialects: DIALECT_NAMES,
    async run(context) {
      const { reply, seen } = await play(context, { answer: say('Ok.') });
      if (seen === null || reply.kind === 'nothing') return fail(describeReply(reply));
      if (context.key !== null && context.key === context.behind.upstreamKey)
        return unknown(
          'the client’s key is the replica’s, so the account is the client’s own',
          'a key of the gateway’s own (--key)',
        );
      const crossed = Object.entries(reply.headers).filter(([, value]) => value.includes('of_the_replica'));
      return judge(
        crossed.map(([name]) => `${name} of the replica reached the client`),
        'none crossed',
      );
    },
  }),
  behindCheck({
    id: 'crosses.model-name',
    theme,
    title: 'the client sees the model’s public name, whole and streamed, and the replica its own',
    dialects: DIALECT_NAMES,
    async run(context) {
      const problems: string[] = [];
      let upstream = '';
      for (const stream of [false, true]) {
        const played: Played = await play(context, { answer: say('Ok.') }, { stream });
        if (played.seen === null) return fail(`the replica was not reached: ${describeReply(played.reply)}`);
        upstream = String(played.seen.body['model']);
        if (played.heard.model !== context.model)
          problems.push(`${stream ? 'streamed' : 'whole'}: the client was told ${quote(played.heard.model)}`);
      }
      if (problems.length > 0) return fail(problems.join('; '));
      return upstream === context.model
        ? unknown('both sides use one name', 'a model whose name at the replica is another (upstream_model, in Plimsoll)')
        : pass(`${quote(context.model)} outside, ${quote(upstream)} inside`);
    },
  }),
];

async function seenWith(
  context: Context & { readonly behind: Behind },
  headers: Readonly<Record<string, string>>,
): Promise<SeenRequest | null> {
  return (await play(context, { answer: say('Ok.') }, {}, { headers })).seen;
}

/** Some things can only be kept where the gateway speaks one dialect on both sides. */
function sameDialect({ client, behind }: Context & { readonly behind: Behind }, run: () => Promise<Verdict>): Promise<Verdict> {
  return behind.upstreamDialect === client.name
    ? run()
    : Promise.resolve(
        unknown(
          `the gateway translates ${client.name} to ${behind.upstreamDialect}`,
          `a model behind which it speaks ${client.name} to the replica`,
        ),
      );
}
