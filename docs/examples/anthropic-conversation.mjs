// A conversation of three turns with SmolLM2 through the official Anthropic SDK, streamed. Prints what each turn cost.
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.env.PLIMSOLL_URL ?? 'http://127.0.0.1:8787', apiKey: process.env.PLIMSOLL_API_KEY });
const system = 'You are a friendly assistant who answers in one or two short sentences. '.repeat(8);
const messages = [];

for (const question of ['Give me three tips for sleeping well.', 'Which one should I try first?', 'Thank you. Good night!']) {
  messages.push({ role: 'user', content: question });
  const started = performance.now();
  let firstTokenMs = 0;
  process.stdout.write(`\n> ${question}\n`);
  const stream = client.messages.stream(
    { model: 'smollm2', max_tokens: 60, system, messages },
    { headers: { 'x-session-id': 'transcript-1' } },
  );
  stream.on('text', (text) => {
    if (firstTokenMs === 0) firstTokenMs = performance.now() - started;
    process.stdout.write(text);
  });
  const message = await stream.finalMessage();
  messages.push({ role: 'assistant', content: message.content });
  const { input_tokens: input, cache_read_input_tokens: cached, output_tokens: output } = message.usage;
  console.log(`\n  [${message.stop_reason}; first token ${firstTokenMs.toFixed(0)} ms; computed ${input} input tokens, read ${cached} from the cache, wrote ${output}]`);
}
