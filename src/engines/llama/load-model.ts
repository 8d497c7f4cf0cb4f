import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type {
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from 'node-llama-cpp';
import { err, ok, type Result } from '#core/kernel';
import { layOut, type RenderTemplate } from './chat-template.ts';
import type { LoadFailure, LoadOptions } from './protocol.ts';
import type { Sampler } from './sampler.ts';
import type { TokenModel, TokenSequence } from './token-model.ts';

type Library = typeof import('node-llama-cpp');
interface TemplateModule {
  readonly Template: new (text: string) => { render(variables: Record<string, unknown>): string };
}

/** Loads a GGUF file under llama.cpp on the processor, with `parallel` sequences of `contextTokens` each. */
export async function loadModel(options: LoadOptions): Promise<Result<TokenModel, LoadFailure>> {
  if (!existsSync(options.modelPath)) {
    const message = `there is no file ${options.modelPath}; for SmolLM2: plimsoll model pull smollm2`;
    return err({ kind: 'model_missing', message });
  }
  const library = await importLibrary();
  if (library === null)
    return err({
      kind: 'library_missing',
      message: 'llama.cpp is not installed: npm install --omit=optional node-llama-cpp@3.21.1 @node-llama-cpp/linux-x64@3.21.1',
    });
  try {
    return ok(await openModel(library, options));
  } catch (error) {
    return err({ kind: 'load_failed', message: error instanceof Error ? error.message : String(error) });
  }
}

/** An optional peer: only those who serve an embedded model need its 85 MB. */
async function importLibrary(): Promise<Library | null> {
  try {
    return await import('node-llama-cpp');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

async function openModel(library: Library, options: LoadOptions): Promise<TokenModel> {
  const { modelPath, parallel, threads, stepTokens } = options;
  // Never built, never downloaded: what runs is the prebuilt library that npm checked.
  const llama = await library.getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: library.LlamaLogLevel.error,
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath });
  const contextTokens = Math.min(options.contextTokens, model.trainContextSize);
  const context = await model.createContext({
    sequences: parallel,
    contextSize: contextTokens,
    batchSize: stepTokens,
    failedCreationRemedy: false,
    threads,
  });
  const render = await templateOf(model);
  const controls = controlsOf(model);
  return {
    contextTokens,
    sequences: Array.from({ length: parallel }, () => sequenceOf(library, context.getSequence(), contextTokens)),
    tokenize(messages) {
      const pieces = layOut(messages, render, [...controls.keys()]);
      if (!pieces.ok) return pieces;
      const tokens = pieces.value.flatMap(({ kind, text }) => {
        const control = kind === 'control' ? controls.get(text) : undefined;
        return control === undefined ? model.tokenize(text, false) : [control];
      });
      const { bos, shouldPrependBosToken } = model.tokens;
      return ok(shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens);
    },
    detokenize: (tokens, before) => model.detokenize(tokens.map(asToken), false, before.map(asToken)),
  };
}

/**
 * The template in the model's own file, rendered by the Jinja that node-llama-cpp brings along: resolved from there, so that the
 * two always match and users install one package.
 */
async function templateOf(model: LlamaModel): Promise<RenderTemplate> {
  const text = model.fileInfo.metadata.tokenizer.chat_template;
  if (typeof text !== 'string') throw new Error('the model file has no chat template (tokenizer.chat_template)');
  const resolve = createRequire(import.meta.resolve('node-llama-cpp')).resolve;
  const { Template }: TemplateModule = await import(pathToFileURL(resolve('@huggingface/jinja')).href);
  const template = new Template(text);
  const { bosString, eosString } = model.tokens;
  return (variables) => template.render({ ...variables, bos_token: bosString ?? '', eos_token: eosString ?? '' });
}

function controlsOf(model: LlamaModel): ReadonlyMap<string, Token> {
  const controls = new Map<string, Token>();
  for (const token of model.iterateAllTokens()) {
    if (model.isSpecialToken(token)) controls.set(model.detokenize([token], true), token);
  }
  return controls;
}

function sequenceOf(library: Library, sequence: LlamaContextSequence, contextTokens: number): TokenSequence {
  return {
    tokens: () => sequence.contextTokens,
    computedTokens: () => sequence.tokenMeter.usedInputTokens + sequence.tokenMeter.usedOutputTokens,
    async truncate(length) {
      if (length < sequence.nextTokenIndex)
        await sequence.eraseContextTokenRanges([{ start: length, end: sequence.nextTokenIndex }]);
    },
    read: (tokens) => sequence.evaluateWithoutGeneratingNewTokens(tokens.map(asToken)),
    write(tokens, sampler, grammar) {
      const written: Token[] = [];
      let generation: AsyncGenerator<Token, void> | null = null;
      return {
        async next() {
          generation ??= sequence.evaluate(tokens.map(asToken), {
            ...evaluateOptions(sampler, written, contextTokens),
            ...(grammar !== null && { grammarEvaluationState: await grammarState(library, sequence.model, grammar) }),
          });
          const { value, done } = await generation.next();
          if (done === true) return null;
          written.push(value);
          return value;
        },
        async end() {
          await generation?.return();
        },
      };
    },
  };
}

async function grammarState(library: Library, model: LlamaModel, grammar: string): Promise<LlamaGrammarEvaluationState> {
  return new library.LlamaGrammarEvaluationState({ model, grammar: await model.llama.createGrammar({ grammar }) });
}

function evaluateOptions(sampler: Sampler, written: readonly Token[], contextTokens: number): SequenceEvaluateOptions {
  const { temperature, topP, topK, seed, presencePenalty, frequencyPenalty } = sampler;
  const isPenalized = presencePenalty !== 0 || frequencyPenalty !== 0;
  return {
    temperature,
    topP,
    topK,
    seed,
    ...(isPenalized && {
      // 1 turns off llama.cpp's own multiplicative penalty, which no API knows; the penalties look at the answer only.
      repeatPenalty: {
        penalty: 1,
        presencePenalty,
        frequencyPenalty,
        punishTokens: () => [...written],
        maxPunishTokens: contextTokens,
      },
    }),
  };
}

/** node-llama-cpp brands its tokens; ours are the same integers. */
function asToken(token: number): Token {
  return token as Token;
}
