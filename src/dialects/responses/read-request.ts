import type { Refusal } from '#contracts/errors';
import type { Json, JsonObject, OutputFormat, Prompt, Thinking, Tool, ToolChoice } from '#contracts/prompt';
import type { Result } from '#core/kernel';
import { createFields, join, maybe, shown, type Fields } from '../fields.ts';
import { present } from '../json.ts';
import { createProblems } from '../problems.ts';
import { readInput } from './read-input.ts';
import { refuseFeatures } from './refused-features.ts';

/**
 * Reads the body of `POST /v1/responses` into our words. Stateless: what needs a kept response is refused by name, and an
 * absent `store` (true in the official API) is taken as false, which every answer's echo says.
 * Source: openai 7.57, resources/responses/responses.d.ts, ResponseCreateParamsBase.
 */
export function readRequest(body: Json): Result<Prompt, Refusal> {
  const problems = createProblems();
  const fields = createFields(problems);
  const request = fields.object(body, '');
  // First, so that a request for kept state is told that, and not what else follows from it.
  refuseFeatures(fields, request);
  const { system, turns } = readInput(fields, request.input);
  const instructions = maybe(request.instructions, (text) => fields.text(text, 'instructions')) ?? '';
  const prompt: Prompt = present({
    model: readModel(fields, request.model),
    system: instructions === '' ? system : [{ kind: 'text' as const, text: instructions }, ...system],
    turns,
    tools:
      maybe(request.tools, (tools) => fields.list(tools, 'tools').flatMap((tool, index) => readTool(fields, tool, index))) ?? [],
    toolChoice: maybe(request.tool_choice, (choice) => readToolChoice(fields, choice)),
    parallelToolCalls: maybe(request.parallel_tool_calls, (value) => fields.boolean(value, 'parallel_tool_calls')),
    maxOutputTokens: maybe(request.max_output_tokens, (value) => fields.integer(value, 'max_output_tokens', 1)),
    stopSequences: [],
    temperature: maybe(request.temperature, (value) => fields.number(value, 'temperature')),
    topP: maybe(request.top_p, (value) => fields.number(value, 'top_p')),
    thinking: maybe(request.reasoning, (value) => readThinking(fields, value)),
    outputFormat: maybe(request.text, (value) => readText(fields, value)),
    endUser: readEndUser(fields, request),
    serviceTier: maybe(request.service_tier, (tier) => fields.text(tier, 'service_tier')),
    stream: maybe(request.stream, (value) => fields.boolean(value, 'stream')) ?? false,
  });
  return problems.result(prompt);
}

function readModel(fields: Fields, value: Json | undefined): string {
  const model = fields.text(value, 'model');
  if (value === '') fields.problems.invalid('model', 'Must not be empty');
  return model;
}

function readEndUser(fields: Fields, request: JsonObject): string | undefined {
  const user = maybe(request.user, (name) => fields.text(name, 'user'));
  const safetyIdentifier = maybe(request.safety_identifier, (name) => fields.text(name, 'safety_identifier'));
  if (user !== undefined && safetyIdentifier !== undefined && user !== safetyIdentifier)
    fields.problems.invalid('user', 'Must be the same as safety_identifier when both are sent');
  return safetyIdentifier ?? user;
}

const TOOL_FIELDS = new Set(['type', 'name', 'description', 'parameters', 'strict', 'defer_loading', 'async', 'allowed_callers']);
const NO_PARAMETERS: JsonObject = { type: 'object', properties: {} };

function readTool(fields: Fields, value: Json, index: number): readonly Tool[] {
  const path = join('tools', index);
  const tool = fields.object(value, path);
  const type = fields.text(tool.type, join(path, 'type'));
  if (type !== 'function') {
    fields.problems.unsupported(join(path, 'type'), `Tools of type "${shown(type)}" are not run here; only "function" tools are`);
    return [];
  }
  fields.known(tool, path, TOOL_FIELDS);
  for (const key of ['defer_loading', 'async'])
    if (maybe(tool[key], (flag) => fields.boolean(flag, join(path, key))))
      fields.problems.unsupported(join(path, key), 'This engine is told of every tool at once, and waits for what it calls');
  const callers = maybe(tool.allowed_callers, (value) => fields.list(value, join(path, 'allowed_callers')));
  if (callers?.some((caller) => caller !== 'direct'))
    fields.problems.unsupported(join(path, 'allowed_callers'), 'In this engine only the model itself calls tools');
  return [
    present({
      name: fields.text(tool.name, join(path, 'name')),
      description: maybe(tool.description, (text) => fields.text(text, join(path, 'description'))),
      schema: maybe(tool.parameters, (schema) => fields.object(schema, join(path, 'parameters'))) ?? NO_PARAMETERS,
      strict: maybe(tool.strict, (flag) => fields.boolean(flag, join(path, 'strict'))),
    }),
  ];
}

const CHOICE_FIELDS = new Set(['type', 'name']);

function readToolChoice(fields: Fields, value: Json): ToolChoice | undefined {
  if (typeof value === 'string') {
    const word = fields.word(value, 'tool_choice', ['auto', 'none', 'required']);
    return { kind: word === 'required' ? 'any' : word };
  }
  const choice = fields.object(value, 'tool_choice');
  const type = fields.text(choice.type, 'tool_choice.type');
  if (type !== 'function') {
    fields.problems.unsupported('tool_choice.type', `A choice of type "${shown(type)}" cannot be sent to this engine`);
    return undefined;
  }
  fields.known(choice, 'tool_choice', CHOICE_FIELDS);
  return { kind: 'tool', name: fields.text(choice.name, 'tool_choice.name') };
}

const REASONING_FIELDS = new Set(['effort', 'summary', 'generate_summary']);

/**
 * `effort` alone is an effort. Whoever asks for a summary wants thinking shown, as much as the model sees fit, and so does an
 * object that says nothing at all: both are `adaptive`. How long the summary should be is set aside.
 */
function readThinking(fields: Fields, value: Json): Thinking | undefined {
  const reasoning = fields.object(value, 'reasoning');
  fields.known(reasoning, 'reasoning', REASONING_FIELDS);
  const effort = maybe(reasoning.effort, (word) =>
    fields.word(word, 'reasoning.effort', ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']),
  );
  const [summary, olderSummary] = (['summary', 'generate_summary'] as const).map((key) =>
    maybe(reasoning[key], (word) => fields.word(word, join('reasoning', key), ['auto', 'concise', 'detailed'])),
  );
  const isShown = summary !== undefined || olderSummary !== undefined;
  if (effort !== undefined && (effort === 'none' || !isShown)) return { kind: 'effort', effort };
  if (!isShown && Object.keys(reasoning).length > 0) return undefined;
  return present({ kind: 'adaptive' as const, display: isShown ? ('summarized' as const) : undefined, effort });
}

const TEXT_FIELDS = new Set(['format', 'verbosity']);
const PLAIN_FORMAT_FIELDS = new Set(['type']);
const SCHEMA_FORMAT_FIELDS = new Set(['type', 'name', 'schema', 'strict', 'description']);

function readText(fields: Fields, value: Json): OutputFormat | undefined {
  const text = fields.object(value, 'text');
  fields.known(text, 'text', TEXT_FIELDS);
  const verbosity = maybe(text.verbosity, (word) => fields.word(word, 'text.verbosity', ['medium', 'low', 'high']));
  if (verbosity !== undefined && verbosity !== 'medium')
    fields.problems.unsupported('text.verbosity', 'This engine cannot be told how much to say');
  return maybe(text.format, (format) => readFormat(fields, fields.object(format, 'text.format')));
}

function readFormat(fields: Fields, format: JsonObject): OutputFormat {
  const kind = fields.word(format.type, 'text.format.type', ['text', 'json_object', 'json_schema']);
  fields.known(format, 'text.format', kind === 'json_schema' ? SCHEMA_FORMAT_FIELDS : PLAIN_FORMAT_FIELDS);
  if (kind !== 'json_schema') return { kind };
  return present({
    kind,
    name: fields.text(format.name, 'text.format.name'),
    schema: fields.object(format.schema, 'text.format.schema'),
    strict: maybe(format.strict, (flag) => fields.boolean(flag, 'text.format.strict')),
    description: maybe(format.description, (words) => fields.text(words, 'text.format.description')),
  });
}
