import type { JsonObject } from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';

/** Refuses what this API can do and a stateless front door cannot, by name, and fields that nobody knows. */
export function refuseFeatures(fields: Fields, request: JsonObject): void {
  for (const [field, why] of REFUSED_WHEN_SAID)
    if ((request[field] ?? null) !== null) fields.problems.unsupported(field, `Not supported: ${why}`);
  for (const [field, why] of REFUSED_WHEN_TRUE)
    if (maybe(request[field], (flag) => fields.boolean(flag, field)))
      fields.problems.unsupported(field, `Not supported when true: ${why}`);

  if (maybe(request.truncation, (word) => fields.word(word, 'truncation', ['disabled', 'auto'])) === 'auto')
    fields.problems.unsupported('truncation', 'Not supported when "auto": input is never cut in silence');
  if (maybe(request.top_logprobs, (count) => fields.integer(count, 'top_logprobs', 0)))
    fields.problems.unsupported('top_logprobs', 'Log probabilities are not given');
  // A bound on calls of built-in tools holds by itself, since none are run; metadata and cache keys are read by the gateway.
  maybe(request.max_tool_calls, (count) => fields.integer(count, 'max_tool_calls', 1));
  maybe(request.metadata, (metadata) => fields.object(metadata, 'metadata'));
  maybe(request.prompt_cache_key, (key) => fields.text(key, 'prompt_cache_key'));
  maybe(request.prompt_cache_options, (options) =>
    fields.known(fields.object(options, 'prompt_cache_options'), 'prompt_cache_options', CACHE_FIELDS),
  );
  refuseInclude(fields, request);
  refuseStreamOptions(fields, request);
  fields.known(request, '', REQUEST_FIELDS);
}

const REFUSED_WHEN_SAID: ReadonlyMap<string, string> = new Map([
  ['previous_response_id', 'no responses are kept here; send the whole conversation as input'],
  ['conversation', 'no conversations are kept here; send the whole conversation as input'],
  ['prompt', 'no prompt templates are kept here; send instructions and input'],
  ['moderation', 'moderation is not chosen by the request here'],
  ['context_management', 'input is never compacted here'],
  ['access_programs', 'there are no access programs here'],
  ['image', 'images are passed on as they are'],
]);

const REFUSED_WHEN_TRUE: ReadonlyMap<string, string> = new Map([
  ['store', 'no responses are kept here; send store: false or leave it out'],
  ['background', 'every response is answered while the client waits'],
]);

const REQUEST_FIELDS: ReadonlySet<string> = new Set([
  'model',
  'input',
  'instructions',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'text',
  'reasoning',
  'stream',
  'max_output_tokens',
  'temperature',
  'top_p',
  'user',
  'safety_identifier',
  'service_tier',
  'include',
  'stream_options',
  'truncation',
  'top_logprobs',
  'max_tool_calls',
  'metadata',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prompt_cache_options',
  ...REFUSED_WHEN_SAID.keys(),
  ...REFUSED_WHEN_TRUE.keys(),
]);

const CACHE_FIELDS = new Set(['mode', 'ttl']);
const STREAM_OPTION_FIELDS = new Set(['include_obfuscation']);

/** Encrypted reasoning comes whenever the engine gives it, asked for or not; nothing else can be included. */
function refuseInclude(fields: Fields, request: JsonObject): void {
  const include = maybe(request.include, (value) => fields.list(value, 'include')) ?? [];
  include.forEach((value, index) => {
    const path = join('include', index);
    const name = fields.text(value, path);
    if (name !== 'reasoning.encrypted_content') fields.problems.unsupported(path, `"${shown(name)}" cannot be included here`);
  });
}

/** Padding against traffic analysis: whoever asks for it must not believe that they have it. */
function refuseStreamOptions(fields: Fields, request: JsonObject): void {
  const options = maybe(request.stream_options, (value) => fields.object(value, 'stream_options')) ?? {};
  fields.known(options, 'stream_options', STREAM_OPTION_FIELDS);
  const path = 'stream_options.include_obfuscation';
  if (maybe(options.include_obfuscation, (flag) => fields.boolean(flag, path)))
    fields.problems.unsupported(path, 'Streams are not padded here');
}
