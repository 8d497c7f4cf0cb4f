import type { Refusal } from '#contracts/errors';
import type {
  Effort,
  Json,
  JsonObject,
  OutputFormat,
  Prompt,
  Thinking,
  ThinkingDisplay,
  Tool,
  ToolChoice,
  Turn,
} from '#contracts/prompt';
import type { Result } from '#core/kernel';
import { createFields, join, maybe, shown, type Fields } from '../fields.ts';
import { isList, present } from '../json.ts';
import { createProblems } from '../problems.ts';
import { readCacheMark, readContent, readTextBlocks } from './read-parts.ts';

const REQUEST_FIELDS = new Set([
  'model',
  'max_tokens',
  'messages',
  'system',
  'stream',
  'stop_sequences',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'metadata',
  'service_tier',
  'speed',
  'cache_control',
  'temperature',
  'top_p',
  'top_k',
  // Asks only why a cache was missed; changes nothing about the answer.
  'diagnostics',
]);
const TOOL_FIELDS = new Set([
  'type',
  'name',
  'description',
  'input_schema',
  'strict',
  'cache_control',
  // How arguments are cut into events, a hint.
  'eager_input_streaming',
  'defer_loading',
  'allowed_callers',
]);
const MESSAGE_FIELDS = new Set(['role', 'content']);
const METADATA_FIELDS = new Set(['user_id']);
const OUTPUT_CONFIG_FIELDS = new Set(['effort', 'format']);
const THINKING_FIELDS = new Set(['type', 'budget_tokens', 'display']);

/** Anthropic's JSON formats have no name; other dialects require one. */
const FORMAT_NAME = 'output';

/**
 * Reads the body of `POST /v1/messages` into our words. Version rules are not applied here; see `checkVersion`.
 * Source: the request types of @anthropic-ai/sdk 1.12.
 */
export function readRequest(body: Json): Result<Prompt, Refusal> {
  return readBody(body, true);
}

/** Reads the body of `POST /v1/messages/count_tokens`: the same, without a required `max_tokens`. */
export function readCountTokensRequest(body: Json): Result<Prompt, Refusal> {
  return readBody(body, false);
}

function readBody(body: Json, isCapRequired: boolean): Result<Prompt, Refusal> {
  const problems = createProblems();
  const fields = createFields(problems);
  const request = fields.object(body, '');
  const prompt: Prompt = present({
    model: readModel(fields, request.model),
    system: maybe(request.system, (system) => readTextBlocks(fields, system, 'system')) ?? [],
    turns: readTurns(fields, request.messages),
    tools: maybe(request.tools, (tools) => fields.list(tools, 'tools').map((tool, index) => readTool(fields, tool, index))) ?? [],
    ...readToolChoice(fields, request.tool_choice),
    maxOutputTokens:
      isCapRequired || (request.max_tokens ?? null) !== null ? fields.integer(request.max_tokens, 'max_tokens', 1) : undefined,
    stopSequences: maybe(request.stop_sequences, (stops) => readStops(fields, stops)) ?? [],
    temperature: maybe(request.temperature, (value) => fields.number(value, 'temperature')),
    topP: maybe(request.top_p, (value) => fields.number(value, 'top_p')),
    topK: maybe(request.top_k, (value) => fields.integer(value, 'top_k', 0)),
    ...readThinkingAndFormat(fields, request),
    endUser: maybe(request.metadata, (metadata) => readEndUser(fields, metadata)),
    serviceTier: maybe(request.service_tier, (tier) =>
      fields.word(tier, 'service_tier', ['auto', 'standard_only']) === 'auto' ? 'auto' : 'default',
    ),
    cache: readCacheMark(fields, request.cache_control, 'cache_control'),
    stream: maybe(request.stream, (stream) => fields.boolean(stream, 'stream')) ?? false,
  });
  if ((request.speed ?? 'standard') !== 'standard') problems.unsupported('speed', 'This engine has one speed only');
  fields.known(request, '', REQUEST_FIELDS);
  return problems.result(prompt);
}

function readModel(fields: Fields, value: Json | undefined): string {
  const model = fields.text(value, 'model');
  if (value === '') fields.problems.invalid('model', 'Must not be empty');
  return model;
}

function readTurns(fields: Fields, value: Json | undefined): readonly Turn[] {
  const messages = fields.list(value, 'messages');
  if (isList(value) && value.length === 0) fields.problems.invalid('messages', 'At least one message is required');
  return messages.map((entry, index) => {
    const path = join('messages', index);
    const message = fields.object(entry, path);
    fields.known(message, path, MESSAGE_FIELDS);
    const role = fields.word(message.role, join(path, 'role'), ['user', 'assistant', 'system']);
    return { role, parts: readContent(fields, message.content, join(path, 'content'), role) };
  });
}

function readTool(fields: Fields, value: Json, index: number): Tool {
  const path = join('tools', index);
  const tool = fields.object(value, path);
  if (tool.type !== undefined && tool.type !== null && tool.type !== 'custom') {
    const type = shown(fields.text(tool.type, join(path, 'type')));
    fields.problems.unsupported(join(path, 'type'), `Tools of type "${type}" run at Anthropic only`);
  }
  fields.known(tool, path, TOOL_FIELDS);
  if ((tool.defer_loading ?? false) !== false)
    fields.problems.unsupported(join(path, 'defer_loading'), 'This engine is told of every tool at once');
  const callers = tool.allowed_callers ?? null;
  if (callers !== null && !(isList(callers) && callers.length === 1 && callers[0] === 'direct'))
    fields.problems.unsupported(join(path, 'allowed_callers'), 'In this engine only the model itself calls tools');
  return present({
    name: fields.text(tool.name, join(path, 'name')),
    description: maybe(tool.description, (text) => fields.text(text, join(path, 'description'))),
    schema: fields.object(tool.input_schema, join(path, 'input_schema')),
    strict: maybe(tool.strict, (strict) => fields.boolean(strict, join(path, 'strict'))),
    cache: readCacheMark(fields, tool.cache_control, join(path, 'cache_control')),
  });
}

function readToolChoice(
  fields: Fields,
  value: Json | undefined,
): { readonly toolChoice?: ToolChoice; readonly parallelToolCalls?: boolean } {
  if (value === undefined || value === null) return {};
  const choice = fields.object(value, 'tool_choice');
  const kind = fields.word(choice.type, 'tool_choice.type', ['auto', 'any', 'none', 'tool']);
  return present({
    toolChoice: kind === 'tool' ? { kind, name: fields.text(choice.name, 'tool_choice.name') } : { kind },
    parallelToolCalls: maybe(
      choice.disable_parallel_tool_use,
      (isDisabled) => !fields.boolean(isDisabled, 'tool_choice.disable_parallel_tool_use'),
    ),
  });
}

function readStops(fields: Fields, value: Json): readonly string[] {
  return fields.list(value, 'stop_sequences').map((stop, index) => fields.text(stop, join('stop_sequences', index)));
}

function readEndUser(fields: Fields, value: Json): string | undefined {
  const metadata = fields.object(value, 'metadata');
  fields.known(metadata, 'metadata', METADATA_FIELDS);
  return maybe(metadata.user_id, (id) => fields.text(id, 'metadata.user_id'));
}

function readThinkingAndFormat(
  fields: Fields,
  request: JsonObject,
): { readonly thinking?: Thinking; readonly outputFormat?: OutputFormat } {
  const config = maybe(request.output_config, (value) => fields.object(value, 'output_config')) ?? {};
  fields.known(config, 'output_config', OUTPUT_CONFIG_FIELDS);
  const effort = maybe(config.effort, (value) =>
    fields.word<Effort>(value, 'output_config.effort', ['low', 'medium', 'high', 'xhigh', 'max']),
  );
  return present({
    thinking:
      maybe(request.thinking, (value) => readThinking(fields, value, effort)) ?? (effort && { kind: 'effort' as const, effort }),
    outputFormat: maybe(config.format, (value): OutputFormat => {
      const format = fields.object(value, 'output_config.format');
      fields.word(format.type, 'output_config.format.type', ['json_schema']);
      const schema = fields.object(format.schema, 'output_config.format.schema');
      // Always enforced here, so it must be asked for where it is a choice.
      return { kind: 'json_schema', name: FORMAT_NAME, schema, strict: true };
    }),
  });
}

function readThinking(fields: Fields, value: Json, effort: Effort | undefined): Thinking | undefined {
  const thinking = fields.object(value, 'thinking');
  if (thinking.type === 'between_tools') {
    fields.problems.unsupported('thinking.type', 'This engine cannot be asked to think between tool calls only');
    return undefined;
  }
  fields.known(thinking, 'thinking', THINKING_FIELDS);
  const kind = fields.word(thinking.type, 'thinking.type', ['disabled', 'enabled', 'adaptive']);
  if (kind === 'disabled') return present({ kind, effort });
  const display = maybe(thinking.display, (word) =>
    fields.word<ThinkingDisplay>(word, 'thinking.display', ['summarized', 'omitted']),
  );
  if (kind === 'adaptive') return present({ kind, display, effort });
  return present({ kind, budgetTokens: fields.integer(thinking.budget_tokens, 'thinking.budget_tokens', 1), display, effort });
}
