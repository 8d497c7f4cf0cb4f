// The model's own process: started by `create-llama-generator.ts`, spoken to over its IPC channel, gone when that closes.
import process from 'node:process';
import type { AnswerError } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import { err, ok, unreachable, type Result } from '#core/kernel';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createBatchLoop, type BatchLoop } from './batch-loop.ts';
import { loadModel } from './load-model.ts';
import type { FromModel, LoadOptions, ToModel } from './protocol.ts';
import { invalidRequest, readPrompt } from './read-prompt.ts';
import type { TokenModel } from './token-model.ts';

/**
 * A prompt with more characters for each token of the context than this is refused before it is tokenized: it will not fit, and
 * tokenizing holds up everyone else (300,000 characters take a fifth of a second).
 */
const CHARACTERS_PER_TOKEN_MAX = 32;

interface Loaded {
  readonly model: TokenModel;
  readonly loop: BatchLoop;
  readonly aborts: Map<number, () => void>;
}

main();

function main(): void {
  let loaded: Loaded | null = null;
  process.on('message', (message: ToModel) => {
    if (message.kind === 'load') void load(message.options).then((model) => (loaded = model));
    else if (loaded !== null) obey(loaded, message);
  });
  // The gateway is gone. An ordinary exit would wait for the batch that is being computed.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

async function load(options: LoadOptions): Promise<Loaded | null> {
  const model = await loadModel(options);
  if (!model.ok) {
    send({ kind: 'unloadable', failure: model.error });
    return null;
  }
  const { stepTokens, defaults } = options;
  const world = { random: createSystemRandom(), clock: createSystemClock() };
  const loop = createBatchLoop({ model: model.value, stepTokens, defaults, ...world });
  send({ kind: 'ready', contextTokens: model.value.contextTokens });
  return { model: model.value, loop, aborts: new Map() };
}

function obey(loaded: Loaded, message: Exclude<ToModel, { kind: 'load' }>): void {
  switch (message.kind) {
    case 'generate':
      return generate(loaded, message);
    case 'count': {
      const { id } = message;
      const read = tokenize(loaded.model, message.prompt);
      return send(
        read.ok ? { kind: 'counted', id, tokens: read.value.tokens.length } : { kind: 'uncountable', id, error: read.error },
      );
    }
    case 'abort':
      return loaded.aborts.get(message.id)?.();
    default:
      return unreachable(message);
  }
}

function generate({ model, loop, aborts }: Loaded, request: ToModel & { kind: 'generate' }): void {
  const { id, prompt, isolation, conversation } = request;
  const read = tokenize(model, prompt);
  const error = read.ok ? tooLong(read.value.tokens.length, model) : read.error;
  if (!read.ok || error !== null) {
    if (error !== null) send({ kind: 'event', id, event: { kind: 'error', error } });
    return send({ kind: 'closed', id });
  }
  const abort = loop.add({
    prompt,
    ...read.value,
    isolation,
    conversation,
    emit: (event) => send({ kind: 'event', id, event }),
    closed() {
      aborts.delete(id);
      send({ kind: 'closed', id });
    },
  });
  aborts.set(id, abort);
}

interface TokenizedPrompt {
  readonly tokens: readonly number[];
  readonly grammar: string | null;
}

function tokenize(model: TokenModel, prompt: Prompt): Result<TokenizedPrompt, AnswerError> {
  const read = readPrompt(prompt);
  if (!read.ok) return read;
  const { messages, grammar } = read.value;
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  const most = model.contextTokens * CHARACTERS_PER_TOKEN_MAX;
  if (characters > most) {
    const because = `the most that is read for a context of ${model.contextTokens} tokens`;
    return err(invalidRequest(`prompt is too long: ${characters} characters > ${most} maximum, ${because}`));
  }
  const tokens = model.tokenize(messages);
  return tokens.ok ? ok({ tokens: tokens.value, grammar }) : err(invalidRequest(tokens.error));
}

/** At least one token of the context must be left for an answer. */
function tooLong(tokens: number, { contextTokens }: TokenModel): AnswerError | null {
  if (tokens < contextTokens) return null;
  return invalidRequest(`prompt is too long: ${tokens} tokens > ${contextTokens - 1} maximum`);
}

function send(message: FromModel): void {
  // Without a channel the gateway is gone, and so will this process be.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
