// The same model through the official OpenAI SDK: Chat Completions, streamed, and Responses.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.PLIMSOLL_URL ?? 'http://127.0.0.1:8787'}/v1`, apiKey: process.env.PLIMSOLL_API_KEY });
const question = 'Give me three tips for sleeping well.';

console.log(`> ${question}   (chat.completions, streamed)`);
const chat = await client.chat.completions.create({
  model: 'smollm2',
  max_tokens: 60,
  messages: [{ role: 'user', content: question }],
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of chat) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
  if (chunk.usage) console.log(`\n  [${JSON.stringify(chunk.usage)}]`);
}

console.log(`\n> ${question}   (responses)`);
const response = await client.responses.create({ model: 'smollm2', max_output_tokens: 60, input: question, store: false });
console.log(`${response.output_text}\n  [${response.status}; ${JSON.stringify(response.usage)}]`);
