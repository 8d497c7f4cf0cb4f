import type { Refusal } from '#contracts/errors';
import type { Effort, Json, JsonObject, OutputFormat, Prompt, Thinking, Tool, ToolChoice } from '#contracts/prompt';
import type { Result } from '#core/kernel';
import { createFields, join, maybe, type Fields } from '../fields.ts';
import { isList, isObject, present } from '../json.ts';
import { createProblems } from '../problems.ts';
import { readMessages } from './read-messages.ts';

const REQUEST_FIELDS = new Set([
  'model',
  'messages',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'seed',
  'stop',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'user',
  'safety_identifier',
  'service_tier',
  'stream',
  'stream_options',
  // Hints: they change cost and speed, never the answer.
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'prediction',
  // Tags for what the vendor stores; no model sees them.
  'metadata',
]);

/** Fields that have no equal elsewhere, and the value of each that asks for nothing. */
const NEUTRAL: readonly (readonly [field: string, isNeutral: (value: Json) => boolean])[] = [
  ['n', (value) => value === 1],
  ['logprobs', (value) => value === false],
  ['top_logprobs', (value) => value === 0],
  ['logit_bias', (value) => isObject(value) && Object.keys(value).length === 0],
  ['store', (value) => value === false],
  ['verbosity', (value) => value === 'medium'],
  ['modalities', (value) => isList(value) && value.length === 1 && value[0] === 'text'],
];
const KNOWN_FIELDS = new Set([...REQUEST_FIELDS, ...NEUTRAL.map(([field]) => field)]);
const STREAM_OPTIONS = new Set(['include_usage', 'include_obfuscation']);
const TOOL_FIELDS = new Set(['type', 'function']);
const FUNCTION_FIELDS = new Set(['name', 'description', 'parameters', 'strict']);

/**
 * Reads the body of `POST /v1/chat/completions` into our words.
 * Source: the request types of openai 7.57; reasoning fields as vLLM and DeepSeek have them.
 */
export function readRequest(body: Json): Result<Prompt, Refusal> {
  const problems = createProblems();
  const fields = createFields(problems);
  const request = fields.object(body, '');
  const prompt: Prompt = present({
    model: readModel(fields, request.model),
    ...readMessages(fields, request.messages),
    tools: maybe(request.tools, (tools) => fields.list(tools, 'tools').map((tool, index) => readTool(fields, tool, index))) ?? [],
    toolChoice: maybe(request.tool_choice, (choice) => readToolChoice(fields, choice)),
    parallelToolCalls: maybe(request.parallel_tool_calls, (value) => fields.boolean(value, 'parallel_tool_calls')),
    maxOutputTokens: readCap(fields, request),
    stopSequences: maybe(request.stop, (stop) => readStop(fields, stop)) ?? [],
    temperature: maybe(request.temperature, (value) => fields.number(value, 'temperature')),
    topP: maybe(request.top_p, (value) => fields.number(value, 'top_p')),
    seed: maybe(request.seed, (value) => fields.integer(value, 'seed', Number.MIN_SAFE_INTEGER)),
    presencePenalty: maybe(request.presence_penalty, (value) => fields.number(value, 'presence_penalty')),
    frequencyPenalty: maybe(request.frequency_penalty, (value) => fields.number(value, 'frequency_penalty')),
    thinking: maybe(request.reasoning_effort, (effort) => readEffort(fields, effort)),
    outputFormat: maybe(request.response_format, (format) => readFormat(fields, format)),
    // OpenAI replaced the one by the other; clients in between send both.
    endUser: maybe(request.safety_identifier ?? request.user, (user) => fields.text(user, 'safety_identifier')),
    serviceTier: maybe(request.service_tier, (tier) => fields.text(tier, 'service_tier')),
    stream: maybe(request.stream, (stream) => fields.boolean(stream, 'stream')) ?? false,
    includeUsage: maybe(request.stream_options, (options) => readStreamOptions(fields, options)),
  });
  for (const [field, isNeutral] of NEUTRAL) {
    const value = request[field] ?? null;
    if (value !== null && !isNeutral(value))
      problems.unsupported(field, 'This has no equal in the dialect of the engine that serves this model');
  }
  fields.known(request, '', KNOWN_FIELDS);
  return problems.result(prompt);
}

function readModel(fields: Fields, value: Json | undefined): string {
  const model = fields.text(value, 'model');
  if (value === '') fields.problems.invalid('model', 'Must not be empty');
  return model;
}

function readCap(fields: Fields, request: JsonObject): number | undefined {
  const [old, cap] = ['max_tokens', 'max_completion_tokens'].map((field) =>
    maybe(request[field], (value) => fields.integer(value, field, 1)),
  );
  if (old !== undefined && cap !== undefined && old !== cap)
    fields.problems.invalid('max_tokens', 'max_tokens and max_completion_tokens differ; send one of them');
  return cap ?? old;
}

function readStop(fields: Fields, value: Json): readonly string[] {
  if (typeof value === 'string') return [value];
  return fields.list(value, 'stop').map((stop, index) => fields.text(stop, join('stop', index)));
}

function readTool(fields: Fields, value: Json, index: number): Tool {
  const path = join('tools', index);
  const tool = fields.object(value, path);
  if (tool.type === 'custom')
    fields.problems.unsupported(join(path, 'type'), 'Only tools of type function can be sent to this engine');
  else fields.word(tool.type, join(path, 'type'), ['function']);
  fields.known(tool, path, TOOL_FIELDS);
  const at = join(path, 'function');
  const described = fields.object(tool.function, at);
  fields.known(described, at, FUNCTION_FIELDS);
  return present({
    name: fields.text(described.name, join(at, 'name')),
    description: maybe(described.description, (text) => fields.text(text, join(at, 'description'))),
    // "Omitting parameters defines a function with an empty parameter list."
    schema: maybe(described.parameters, (schema) => fields.object(schema, join(at, 'parameters'))) ?? {
      type: 'object',
      properties: {},
    },
    strict: maybe(described.strict, (strict) => fields.boolean(strict, join(at, 'strict'))),
  });
}

function readToolChoice(fields: Fields, value: Json): ToolChoice {
  if (typeof value === 'string') {
    const kind = fields.word(value, 'tool_choice', ['none', 'auto', 'required']);
    return { kind: kind === 'required' ? 'any' : kind };
  }
  const choice = fields.object(value, 'tool_choice');
  if (choice.type === 'allowed_tools' || choice.type === 'custom') {
    fields.problems.unsupported(
      'tool_choice.type',
      'Only a choice of one function, none, auto or required can be sent to this engine',
    );
    return { kind: 'auto' };
  }
  fields.word(choice.type, 'tool_choice.type', ['function']);
  return {
    kind: 'tool',
    name: fields.text(fields.object(choice.function, 'tool_choice.function').name, 'tool_choice.function.name'),
  };
}

function readEffort(fields: Fields, value: Json): Thinking {
  const effort = fields.word<Effort>(value, 'reasoning_effort', ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);
  return effort === 'none' ? { kind: 'disabled' } : { kind: 'effort', effort };
}

function readFormat(fields: Fields, value: Json): OutputFormat {
  const format = fields.object(value, 'response_format');
  const kind = fields.word(format.type, 'response_format.type', ['text', 'json_object', 'json_schema']);
  if (kind !== 'json_schema') return { kind };
  const at = 'response_format.json_schema';
  const described = fields.object(format.json_schema, at);
  return present({
    kind,
    name: fields.text(described.name, join(at, 'name')),
    schema: maybe(described.schema, (schema) => fields.object(schema, join(at, 'schema'))) ?? {},
    strict: maybe(described.strict, (strict) => fields.boolean(strict, join(at, 'strict'))),
    description: maybe(described.description, (text) => fields.text(text, join(at, 'description'))),
  });
}

function readStreamOptions(fields: Fields, value: Json): boolean | undefined {
  const options = fields.object(value, 'stream_options');
  fields.known(options, 'stream_options', STREAM_OPTIONS);
  // It hides token lengths from who watches the line: a defense that is not there must not be thought on.
  if ((options.include_obfuscation ?? false) !== false)
    fields.problems.unsupported('stream_options.include_obfuscation', 'Streams of this engine are not padded');
  return maybe(options.include_usage, (isIncluded) => fields.boolean(isIncluded, 'stream_options.include_usage'));
}
