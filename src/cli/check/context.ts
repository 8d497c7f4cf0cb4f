import type { Behind, Context } from './check.ts';
import { beginHearing, type ClientDialect, type Heard, type Question } from './clients/client-dialect.ts';
import { parseJson } from './json-value.ts';
import type { Probe, Reply } from './probe.ts';
import { parseSse } from './sse.ts';

export interface ContextOptions {
  readonly client: ClientDialect;
  readonly model: string;
  readonly key: string | null;
  readonly probe: Probe;
  readonly behind: Behind | null;
  readonly watchMs: number;
}

export function createContext(options: ContextOptions): Context {
  const { client, model, key, probe } = options;
  const ask: Context['ask'] = (question = {}, more = {}) => {
    const asked: Question = { model, text: 'Say hello.', stream: false, maxTokens: 64, tools: [], ...question };
    const headers = { ...client.headers(key), ...more.headers };
    return probe.send({
      method: 'POST',
      path: client.path,
      headers: Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)),
      body: JSON.stringify({ ...client.body(asked), ...more.body }),
      ...(more.leave === undefined ? {} : { leave: more.leave }),
      ...(more.onText === undefined ? {} : { onText: more.onText }),
      ...(more.timeoutMs === undefined ? {} : { timeoutMs: more.timeoutMs }),
    });
  };
  return {
    ...options,
    ask,
    async hear(question = {}, more = {}) {
      const reply = await ask(question, more);
      return { reply, heard: hearReply(client, reply) };
    },
  };
}

/** What a client of the dialect makes of a reply; an empty answer when there is none. */
function hearReply(client: ClientDialect, reply: Reply): Heard {
  if (reply.kind === 'nothing' || reply.status !== 200) return beginHearing();
  const text = reply.body.toString('utf8');
  if (!isEventStream(reply)) return client.hearWhole(parseJson(text));
  const { events, rest } = parseSse(text);
  const heard = client.hearStream(events);
  return rest === '' || reply.end !== 'clean'
    ? heard
    : { ...heard, problems: [...heard.problems, 'the stream ends inside an event'] };
}

export function isEventStream(reply: Reply): boolean {
  return reply.kind === 'answer' && (reply.headers['content-type'] ?? '').startsWith('text/event-stream');
}

/** A reply in a few words. */
export function describeReply(reply: Reply): string {
  if (reply.kind === 'nothing')
    return reply.because === 'timeout' ? 'nothing came in time' : `no answer: the connection broke (${reply.message})`;
  const end = reply.end === 'clean' ? '' : `, then ${reply.end === 'broken' ? 'the connection broke' : reply.end}`;
  return `status ${reply.status}${end}`;
}
