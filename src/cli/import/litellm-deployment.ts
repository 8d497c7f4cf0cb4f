import type { Leftovers } from './leftovers.ts';

export interface Deployment {
  readonly dialect: 'anthropic' | 'openai';
  readonly upstreamModel: string;
  readonly url: string;
  /** A reference such as `env:NAME`; null where there is no key. */
  readonly key: string | null;
  /** What a model says of itself in our configuration: price, bounds. */
  readonly facts: Readonly<Record<string, unknown>>;
}

interface Entry {
  readonly model_name: string;
  readonly litellm_params: Readonly<Record<string, unknown>> & { readonly model: string };
  readonly model_info: Readonly<Record<string, unknown>>;
}

/** One element of LiteLLM's `model_list`, or null where no engine of ours speaks its provider's dialect. */
export function readDeployment(entry: Entry, leftovers: Leftovers): Deployment | null {
  const { model_name: name, litellm_params: params } = entry;
  const label = `model ${name}`;
  const { provider, model } = splitModel(params);
  const dialect = provider === 'anthropic' ? 'anthropic' : OPENAI_LIKE.includes(provider) ? 'openai' : null;
  const base = readBase(params, provider);
  const reason = name.includes('*')
    ? 'a pattern of models: list each model that clients ask for'
    : dialect === null
      ? `provider ${provider}: no engine speaks its dialect; where it has an address that speaks OpenAI's, make a pool of it`
      : base === null
        ? `provider ${provider} without an api_base that is a URL: name the address`
        : params.model.includes('*')
          ? 'a pattern of models: list each model that clients ask for'
          : isPrompted(entry)
            ? 'it is not a model that chats'
            : null;
  if (reason !== null || dialect === null || base === null) {
    leftovers.left(label, reason ?? 'it cannot be read');
    return null;
  }
  for (const field of Object.keys(params))
    if (!UNDERSTOOD.includes(field))
      leftovers.left(label, `litellm_params.${field}: ${REASONS[field] ?? 'it has no counterpart'}`);
  return { dialect, upstreamModel: model, url: base, key: readKey(params, { label, name }, leftovers), facts: readFacts(entry) };
}

/** Providers whose address, once named, speaks Chat Completions. */
const OPENAI_LIKE = [
  'openai',
  'hosted_vllm',
  'openai_like',
  'custom_openai',
  'litellm_proxy',
  'lm_studio',
  'llamafile',
  'nvidia_nim',
  'groq',
  'mistral',
  'deepseek',
  'openrouter',
  'together_ai',
  'fireworks_ai',
  'xai',
  'perplexity',
  'deepinfra',
  'cerebras',
  'sambanova',
  'baseten',
];
/** Where LiteLLM goes when no address is said, for the two families whose own servers we speak to. */
const BASES: Readonly<Record<string, string>> = { openai: 'https://api.openai.com/v1', anthropic: 'https://api.anthropic.com' };
const UNDERSTOOD: readonly string[] = [
  'model',
  'api_base',
  'base_url',
  'api_key',
  'custom_llm_provider',
  'input_cost_per_token',
  'output_cost_per_token',
  'cache_read_input_token_cost',
  'cache_creation_input_token_cost',
  'max_retries',
  'drop_params',
  'stream',
];
const REASONS: Readonly<Record<string, string>> = {
  rpm: 'limits of a single replica are not held; it is paused when it answers 429',
  tpm: 'limits of a single replica are not held; it is paused when it answers 429',
  weight: 'the replica with the least open work is chosen',
  order: 'the replica with the least open work is chosen',
  tags: 'requests are not routed by tags',
  timeout: 'timeouts are said once for all models, under timeouts',
  stream_timeout: 'timeouts are said once for all models, under timeouts',
  extra_headers: 'no headers are added',
  headers: 'no headers are added',
  litellm_credential_name: 'credentials in the database are not read; name the key with env: or file:',
};

/** `provider/model`; a name without a provider is OpenAI's, or Anthropic's where it says so. */
function splitModel({ model, custom_llm_provider: said }: Entry['litellm_params']): {
  readonly provider: string;
  readonly model: string;
} {
  if (typeof said === 'string')
    return { provider: said, model: model.startsWith(`${said}/`) ? model.slice(said.length + 1) : model };
  const slash = model.indexOf('/');
  if (slash > 0) return { provider: model.slice(0, slash), model: model.slice(slash + 1) };
  return { provider: model.startsWith('claude-') ? 'anthropic' : 'openai', model };
}

function readBase(params: Entry['litellm_params'], provider: string): string | null {
  const said = params['api_base'] ?? params['base_url'];
  if (said === undefined || said === null) return BASES[provider] ?? null;
  if (typeof said !== 'string' || !URL.canParse(said)) return null;
  const url = new URL(said);
  return ['http:', 'https:'].includes(url.protocol) && url.username === '' ? said.replace(/\/+$/, '') : null;
}

/** `os.environ/NAME` is a reference already; a literal key is not copied: our file never holds one. */
function readKey(
  { api_key: said, model: _ }: Entry['litellm_params'],
  { label, name }: { readonly label: string; readonly name: string },
  leftovers: Leftovers,
): string | null {
  if (typeof said !== 'string' || said === '' || ['none', 'fake-key', 'EMPTY'].includes(said)) return null;
  const reference = /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/.exec(said)?.[1];
  if (reference !== undefined) return `env:${reference}`;
  const variable = `${name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, '_')
    .replace(/^(\d)/, '_$1')}_KEY`;
  leftovers.changed(
    label,
    'api_key stands in the file itself: put it into the environment under the name that the fragment gives',
  );
  return `env:${variable}`;
}

function isPrompted({ model_info: { mode } }: Entry): boolean {
  return typeof mode === 'string' && !['chat', 'responses'].includes(mode);
}

/** Dollars for a token are micro-dollars for a million of them, times 10^12. */
function readFacts({ litellm_params: params, model_info: info }: Entry): Deployment['facts'] {
  const cost = (name: string): number | null => {
    const value = Number(params[name] ?? info[name] ?? Number.NaN);
    return Number.isFinite(value) && value >= 0 && value <= 1 ? Math.round(value * 1e12) : null;
  };
  const [input, output] = [cost('input_cost_per_token'), cost('output_cost_per_token')];
  const [read, write] = [cost('cache_read_input_token_cost'), cost('cache_creation_input_token_cost')];
  const bound = (name: string): Record<string, number> => {
    const value = info[name];
    return typeof value === 'number' && Number.isInteger(value) && value > 0 ? { [name]: value } : {};
  };
  return {
    ...bound('max_input_tokens'),
    ...bound('max_output_tokens'),
    ...(input === null || output === null
      ? {}
      : {
          price: {
            input,
            output,
            ...(read === null ? {} : { cache_read: read }),
            ...(write === null ? {} : { cache_write: write }),
          },
        }),
  };
}
