import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What people get wrong in gateways, one at a time. */
export type Mistake =
  | 'swallows breaks'
  | 'leaks aborts'
  | 'rewrites errors'
  | 'gathers streams'
  | 'drops unknown fields'
  | 'loses tool arguments'
  | 'starts twice'
  | 'passes cookies on'
  | 'makes up betas';

/** Not for a replica's eyes, or true of one connection only. */
const NOT_FORWARDED = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'cookie']);
const KNOWN_FIELDS = new Set(['model', 'max_tokens', 'messages', 'stream', 'tools', 'temperature']);

/** A gateway of a hundred lines for one dialect, Anthropic's: it passes the suite, until it is given a mistake to make. */
export async function startSmallGateway(replicaUrl: string, mistake: Mistake | null): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => forward(Buffer.concat(chunks), { incoming, outgoing, replicaUrl, mistake }));
    incoming.on('error', () => undefined);
    outgoing.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly replicaUrl: string;
  readonly mistake: Mistake | null;
}

function forward(received: Buffer, { incoming, outgoing, replicaUrl, mistake }: Exchange): void {
  const body = mistake === 'drops unknown fields' ? withKnownFields(received) : received;
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(
      ([name]) => !NOT_FORWARDED.has(name) || (name === 'cookie' && mistake === 'passes cookies on'),
    ),
  );
  if (mistake === 'makes up betas') headers['anthropic-beta'] ??= 'messages-2023-12-15';
  const upstream = request(replicaUrl + String(incoming.url), {
    method: incoming.method ?? 'GET',
    headers: { ...headers, ...(body.length > 0 ? { 'content-length': String(body.length) } : {}) },
    agent: false,
  });
  if (mistake !== 'leaks aborts') outgoing.on('close', () => upstream.destroy());
  upstream.on('error', () => {
    if (outgoing.headersSent) broken(outgoing, mistake);
    else refuse(outgoing, 502, 'The replica could not be reached.');
  });
  upstream.on('response', (answer) => {
    if (answer.statusCode === 200 && answer.headers['content-type'] === 'text/html') {
      refuse(outgoing, 502, 'The replica did not answer.');
      return;
    }
    relay(answer, outgoing, mistake);
  });
  upstream.end(body);
}

function relay(answer: IncomingMessage, outgoing: ServerResponse, mistake: Mistake | null): void {
  const status = answer.statusCode ?? 502;
  const isStream = String(answer.headers['content-type']).startsWith('text/event-stream');
  const { 'content-length': _, ...headers } = answer.headers;
  const gathered: Buffer[] = [];
  outgoing.writeHead(status, headers).flushHeaders();
  let said = '';
  let passed = 0;
  answer.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
    const change = isStream ? CHANGES.get(mistake) : undefined;
    if (mistake === 'gathers streams' || (mistake === 'rewrites errors' && status >= 400)) gathered.push(chunk);
    else if (change === undefined) outgoing.write(chunk);
    else {
      // Changed event by event, so that the change is its only mistake.
      const events = said.slice(passed).split(/(?<=\n\n)/);
      const whole = said.endsWith('\n\n') ? events : events.slice(0, -1);
      for (const event of whole) {
        passed += event.length;
        outgoing.write(Buffer.from(change(event), 'latin1'));
      }
    }
  });
  answer.on('end', () => {
    if (mistake === 'rewrites errors' && status >= 400) outgoing.end('{"status":"failure","message":"something went wrong"}');
    else if (isStream && !/message_stop|event: error/.test(said)) broken(outgoing, mistake);
    else outgoing.end(Buffer.concat(gathered));
  });
  answer.on('error', () => broken(outgoing, mistake));
}

const CHANGES: ReadonlyMap<Mistake | null, (text: string) => string> = new Map([
  ['loses tool arguments', (text: string) => text.replace(/"partial_json":"(?:[^"\\]|\\.)*"/g, '"partial_json":""')],
  ['starts twice', (text: string) => text.replace(/event: message_start\n.*\n\n/, '$&$&')],
]);

function broken(outgoing: ServerResponse, mistake: Mistake | null): void {
  if (mistake === 'swallows breaks') outgoing.end();
  else outgoing.destroy();
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_small' });
  outgoing.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message } }));
}

function withKnownFields(body: Buffer): Buffer {
  try {
    const fields = Object.entries(JSON.parse(body.toString('utf8')) as object).filter(([name]) => KNOWN_FIELDS.has(name));
    return Buffer.from(JSON.stringify(Object.fromEntries(fields)));
  } catch {
    return body;
  }
}
