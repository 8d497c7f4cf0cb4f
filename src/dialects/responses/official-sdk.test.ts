import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Json, Prompt } from '#contracts/prompt';
import { responsesCodec } from './responses-codec.ts';

/**
 * The official client against our writer, on a real socket: a server that reads each request with the codec and answers by the
 * first word of what it was asked.
 */
const scripts: Readonly<Record<string, readonly AnswerEvent[]>> = {
  text: [
    { kind: 'start', id: 'msg_text', model: 'org/harbor-70b', usage: { input: 8, cacheRead: 64 } },
    { kind: 'ping' },
    { kind: 'block_start', index: 0, block: { kind: 'text' } },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: 'High tide ' } },
    { kind: 'ping' },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: 'at six — 満潮.' } },
    { kind: 'block_end', index: 0 },
    { kind: 'usage', usage: { output: 7 } },
    { kind: 'stop', reason: 'end_turn' },
    { kind: 'end' },
  ],
  tools: [
    { kind: 'start', id: 'msg_tools', model: 'org/harbor-70b', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'thinking' } },
    { kind: 'delta', index: 0, delta: { kind: 'thinking', text: 'Two ports.' } },
    { kind: 'delta', index: 0, delta: { kind: 'signature', signature: 'c2ln' } },
    { kind: 'block_end', index: 0 },
    { kind: 'block_start', index: 1, block: { kind: 'redacted_thinking', data: 'b3BhcXVl' } },
    { kind: 'block_end', index: 1 },
    { kind: 'block_start', index: 2, block: { kind: 'text' } },
    { kind: 'delta', index: 2, delta: { kind: 'text', text: 'A moment.' } },
    { kind: 'block_end', index: 2 },
    { kind: 'block_start', index: 3, block: { kind: 'tool_call', id: 'toolu_1', name: 'tide' } },
    { kind: 'delta', index: 3, delta: { kind: 'arguments', json: '{"port":' } },
    { kind: 'delta', index: 3, delta: { kind: 'arguments', json: '"Hull"}' } },
    { kind: 'block_end', index: 3 },
    { kind: 'block_start', index: 4, block: { kind: 'tool_call', id: 'toolu_2', name: 'now' } },
    { kind: 'block_end', index: 4 },
    { kind: 'usage', usage: { input: 40, output: 20, thinking: 4 } },
    { kind: 'stop', reason: 'tool_use' },
    { kind: 'end' },
  ],
  refusal: [
    { kind: 'start', id: 'msg_refusal', model: 'org/harbor-70b', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'refusal' } },
    { kind: 'delta', index: 0, delta: { kind: 'refusal', text: 'Not that.' } },
    { kind: 'block_end', index: 0 },
    { kind: 'stop', reason: 'refusal' },
    { kind: 'end' },
  ],
  short: [
    { kind: 'start', id: 'msg_short', model: 'org/harbor-70b', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'text' } },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: 'High' } },
    { kind: 'block_end', index: 0 },
    { kind: 'stop', reason: 'max_tokens' },
    { kind: 'end' },
  ],
  json: [
    { kind: 'start', id: 'msg_json', model: 'org/harbor-70b', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'text' } },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: '{"metres":5}' } },
    { kind: 'block_end', index: 0 },
    { kind: 'stop', reason: 'end_turn' },
    { kind: 'end' },
  ],
  broken: [
    { kind: 'start', id: 'msg_broken', model: 'org/harbor-70b', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'text' } },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: 'High ti' } },
    { kind: 'error', error: { status: 529, type: 'overloaded_error', message: 'The engine is busy.' } },
  ],
};

let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const read = responsesCodec.readRequest(JSON.parse(Buffer.concat(chunks).toString()) as Json);
      if (!read.ok) {
        response.writeHead(400, { 'content-type': 'application/json' });
        const { message, param } = read.error;
        response.end(JSON.stringify({ error: { message, param, type: 'invalid_request_error', code: read.error.code } }));
        return;
      }
      const events = scripts[lastText(read.value)] ?? [];
      const options = { model: read.value.model, includeUsage: true, createdAtS: 1_700_000_000, request: read.value };
      if (!read.value.stream) {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(responsesCodec.writeAnswer(events, options)));
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const writer = responsesCodec.createEventWriter(options);
      for (const event of events) response.write(writer.write(event));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  client = new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function lastText({ turns }: Prompt): string {
  const texts = turns.flatMap((turn) => turn.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])));
  return texts.at(-1) ?? '';
}

test('the official OpenAI client takes a whole answer', async () => {
  const response = await client.responses.create({ model: 'harbor-1', input: 'text', instructions: 'Be brief.' });
  expect(response.output_text).toBe('High tide at six — 満潮.');
  expect(response).toMatchObject({
    id: 'resp_text',
    model: 'harbor-1',
    status: 'completed',
    instructions: 'Be brief.',
    store: false,
    usage: { input_tokens: 72, input_tokens_details: { cached_tokens: 64 }, output_tokens: 7, total_tokens: 79 },
  });
});

test('the official OpenAI client takes a stream, event by event', async () => {
  const stream = await client.responses.create({ model: 'harbor-1', input: 'text', stream: true });
  const types: string[] = [];
  let text = '';
  for await (const event of stream) {
    expect(event.sequence_number).toBe(types.length);
    types.push(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  expect(text).toBe('High tide at six — 満潮.');
  expect([types[0], types.at(-1)]).toEqual(['response.created', 'response.completed']);
});

test.each(Object.keys(scripts).filter((name) => name !== 'broken'))(
  'the stream helper of the official OpenAI client puts the %s answer together as if it had come whole',
  async (input) => {
    const request = { model: 'harbor-1', input };
    const whole = await client.responses.create(request);
    const streamed = await client.responses.stream(request).finalResponse();
    expect(JSON.parse(JSON.stringify(streamed))).toMatchObject({
      ...JSON.parse(JSON.stringify(whole)),
      output: [...whole.output],
    });
    expect(streamed.output_text).toBe(whole.output_text);
  },
);

test('the official OpenAI client runs a conversation with tools and thinking, statelessly', async () => {
  const tools: OpenAI.Responses.Tool[] = [
    {
      type: 'function',
      name: 'tide',
      strict: true,
      parameters: { type: 'object', properties: { port: { type: 'string' } }, required: ['port'], additionalProperties: false },
    },
  ];
  const snapshots: string[] = [];
  const stream = client.responses
    .stream({ model: 'harbor-1', input: 'tools', tools, include: ['reasoning.encrypted_content'], store: false })
    .on('response.function_call_arguments.delta', (event) => snapshots.push(event.snapshot));
  const first = await stream.finalResponse();
  expect(snapshots).toEqual(['{"port":', '{"port":"Hull"}', '{}']);
  expect(first.output.map((item) => item.type)).toEqual(['reasoning', 'reasoning', 'message', 'function_call', 'function_call']);
  expect(first.output[3]).toMatchObject({ call_id: 'toolu_1', name: 'tide', parsed_arguments: { port: 'Hull' } });
  expect(new Set(first.output.map((item) => item.id)).size).toBe(5);

  // What the client was given, with what it added of its own, it sends back; the codec reads the same parts out of it.
  const body = {
    model: 'harbor-1',
    input: [
      { role: 'user', content: 'tools' },
      ...(JSON.parse(JSON.stringify(first.output)) as Json[]),
      { type: 'function_call_output', call_id: 'toolu_1', output: '5 m' },
    ],
  };
  const read = responsesCodec.readRequest(body);
  expect(read.ok && read.value.turns).toEqual([
    { role: 'user', parts: [{ kind: 'text', text: 'tools' }] },
    {
      role: 'assistant',
      parts: [
        { kind: 'thinking', text: 'Two ports.', signature: 'c2ln' },
        { kind: 'redacted_thinking', data: 'b3BhcXVl' },
        { kind: 'text', text: 'A moment.' },
        { kind: 'tool_call', id: 'toolu_1', name: 'tide', arguments: '{"port":"Hull"}' },
        { kind: 'tool_call', id: 'toolu_2', name: 'now', arguments: '{}' },
      ],
    },
    { role: 'user', parts: [{ kind: 'tool_result', callId: 'toolu_1', parts: [{ kind: 'text', text: '5 m' }] }] },
  ]);
});

test('the official OpenAI client parses a structured answer', async () => {
  const format = { type: 'json_schema' as const, name: 'tide', strict: true, schema: { type: 'object' } };
  const response = await client.responses.parse({ model: 'harbor-1', input: 'json', text: { format } });
  expect([response.output_parsed, response.text?.format]).toEqual([{ metres: 5 }, format]);
});

test('the official OpenAI client raises an APIError where a stream breaks, and never sees it end clean', async () => {
  const texts: string[] = [];
  const broken = async (): Promise<void> => {
    const stream = await client.responses.create({ model: 'harbor-1', input: 'broken', stream: true });
    for await (const event of stream) if (event.type === 'response.output_text.delta') texts.push(event.delta);
  };
  await expect(broken()).rejects.toSatisfy(
    (error) =>
      error instanceof APIError && error.code === 'server_is_overloaded' && error.message.includes('The engine is busy.'),
  );
  expect(texts).toEqual(['High ti']);
  await expect(client.responses.stream({ model: 'harbor-1', input: 'broken' }).finalResponse()).rejects.toBeInstanceOf(APIError);
});

test('the official OpenAI client is told which field is refused', async () => {
  await expect(
    client.responses.create({ model: 'harbor-1', input: 'text', previous_response_id: 'resp_1' }),
  ).rejects.toMatchObject({
    status: 400,
    param: 'previous_response_id',
    code: 'unsupported_by_engine',
  });
});
