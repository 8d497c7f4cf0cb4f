import type { Refusal } from '#contracts/errors';
import type {
  CacheMark,
  Json,
  JsonObject,
  OutputFormat,
  Part,
  Prompt,
  TextPart,
  Tool,
  ToolCallPart,
  ToolResultPart,
} from '#contracts/prompt';
import { unreachable, type Result } from '#core/kernel';
import { join } from '../fields.ts';
import { isObject, parseJson, present } from '../json.ts';
import { createProblems, type Problems } from '../problems.ts';

/** Written as `max_tokens`, which Anthropic requires, when the client set no cap. */
const DEFAULT_OUTPUT_TOKENS = 4096;

/**
 * Writes a request body for `POST /v1/messages`. It is one for `anthropic-version: 2023-06-01`, the version that knows sampling
 * parameters. Refuses what Messages cannot say; docs/dialects.md lists the decisions.
 */
export function writeRequest(prompt: Prompt): Result<JsonObject, Refusal> {
  const problems = createProblems();
  refuseForeign(prompt, problems);
  const body = present({
    model: prompt.model,
    max_tokens: prompt.maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS,
    system: prompt.system.length === 0 ? undefined : writeTexts(prompt.system),
    messages: prompt.turns.map((turn, index) => ({
      role: turn.role,
      content: writeContent(turn.parts, join(join('messages', index), 'content'), problems),
    })),
    tools: prompt.tools.length === 0 ? undefined : prompt.tools.map(writeTool),
    tool_choice: writeToolChoice(prompt),
    stop_sequences: prompt.stopSequences.length === 0 ? undefined : prompt.stopSequences,
    temperature: prompt.temperature,
    top_p: prompt.topP,
    top_k: prompt.topK,
    thinking: writeThinking(prompt),
    output_config: writeOutputConfig(prompt, problems),
    metadata: prompt.endUser === undefined ? undefined : { user_id: prompt.endUser },
    service_tier: writeServiceTier(prompt, problems),
    cache_control: writeCacheMark(prompt.cache),
    stream: prompt.stream ? true : undefined,
  });
  return problems.result(body);
}

function refuseForeign(prompt: Prompt, problems: Problems): void {
  if (prompt.temperature !== undefined && prompt.temperature > 1)
    problems.unsupported('temperature', 'This engine takes 0 to 1; a higher value would be a different request');
  if (prompt.seed !== undefined) problems.unsupported('seed', 'This engine takes no seed');
  if ((prompt.presencePenalty ?? 0) !== 0) problems.unsupported('presence_penalty', 'This engine takes no presence penalty');
  if ((prompt.frequencyPenalty ?? 0) !== 0) problems.unsupported('frequency_penalty', 'This engine takes no frequency penalty');
}

/** One plain text is a string, as most clients send it; anything else a list of blocks. */
function writeTexts(parts: readonly TextPart[]): Json {
  const [first] = parts;
  return parts.length === 1 && first !== undefined && first.cache === undefined ? first.text : parts.map(writeText);
}

function writeText(part: TextPart): JsonObject {
  return present({ type: 'text', text: part.text, cache_control: writeCacheMark(part.cache) });
}

function writeCacheMark(mark: CacheMark | undefined): JsonObject | undefined {
  if (mark === undefined) return undefined;
  // Five minutes is the default, and older servers do not know the field.
  return mark.ttl === '5m' ? { type: 'ephemeral' } : { type: 'ephemeral', ttl: mark.ttl };
}

function writeContent(parts: readonly Part[], path: string, problems: Problems): Json {
  const [first] = parts;
  if (parts.length === 1 && first?.kind === 'text' && first.cache === undefined) return first.text;
  return parts.map((part, index) => writePart(part, join(path, index), problems));
}

function writePart(part: Part, path: string, problems: Problems): JsonObject {
  switch (part.kind) {
    case 'text':
      return writeText(part);
    case 'image':
      return present({ type: 'image', source: writeSource(part.source), cache_control: writeCacheMark(part.cache) });
    case 'document':
      return present({
        type: 'document',
        source:
          part.source.kind === 'text'
            ? { type: 'text', media_type: 'text/plain', data: part.source.text }
            : writeSource(part.source),
        title: part.title,
        context: part.context,
        cache_control: writeCacheMark(part.cache),
      });
    case 'tool_call':
      return writeToolUse(part, path, problems);
    case 'tool_result':
      return writeToolResult(part);
    case 'thinking':
      return { type: 'thinking', thinking: part.text, signature: part.signature ?? '' };
    case 'redacted_thinking':
      return { type: 'redacted_thinking', data: part.data };
    case 'refusal':
      // Anthropic's models refuse in plain text, so what was said then is carried as that.
      return { type: 'text', text: part.text };
    default:
      return unreachable(part);
  }
}

function writeSource(
  source:
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string },
): JsonObject {
  return source.kind === 'url'
    ? { type: 'url', url: source.url }
    : { type: 'base64', media_type: source.mediaType, data: source.data };
}

function writeToolUse(part: ToolCallPart, path: string, problems: Problems): JsonObject {
  // Servers of OpenAI's dialect send nothing at all for a call without arguments.
  const input = part.arguments.trim() === '' ? {} : parseJson(part.arguments);
  if (!isObject(input))
    problems.unsupported(path, 'The arguments of a tool call must be the JSON text of an object for this engine');
  return present({
    type: 'tool_use',
    id: part.id,
    name: part.name,
    input: input ?? {},
    cache_control: writeCacheMark(part.cache),
  });
}

function writeToolResult(part: ToolResultPart): JsonObject {
  const [first] = part.parts;
  const isPlain = part.parts.length === 1 && first?.kind === 'text' && first.cache === undefined;
  return present({
    type: 'tool_result',
    tool_use_id: part.callId,
    content: isPlain ? first.text : part.parts.length === 0 ? undefined : part.parts.map(writeResultPart),
    is_error: part.isError,
    cache_control: writeCacheMark(part.cache),
  });
}

function writeResultPart(part: ToolResultPart['parts'][number]): JsonObject {
  return part.kind === 'text'
    ? writeText(part)
    : present({ type: 'image', source: writeSource(part.source), cache_control: writeCacheMark(part.cache) });
}

function writeTool(tool: Tool): JsonObject {
  return present({
    name: tool.name,
    description: tool.description,
    input_schema: tool.schema,
    strict: tool.strict,
    cache_control: writeCacheMark(tool.cache),
  });
}

/** Whether calls may be parallel is a part of the choice here, so a client that only said that gets `auto`, the default. */
function writeToolChoice(prompt: Prompt): JsonObject | undefined {
  const { toolChoice, parallelToolCalls } = prompt;
  if (toolChoice === undefined && (parallelToolCalls === undefined || prompt.tools.length === 0)) return undefined;
  const choice = toolChoice ?? { kind: 'auto' as const };
  if (choice.kind === 'none') return { type: 'none' };
  return present({
    type: choice.kind,
    name: choice.kind === 'tool' ? choice.name : undefined,
    disable_parallel_tool_use: parallelToolCalls === undefined ? undefined : !parallelToolCalls,
  });
}

function writeThinking({ thinking }: Prompt): JsonObject | undefined {
  if (thinking === undefined) return undefined;
  switch (thinking.kind) {
    case 'disabled':
      return { type: 'disabled' };
    case 'enabled':
      return present({ type: 'enabled', budget_tokens: thinking.budgetTokens, display: thinking.display });
    case 'adaptive':
      return present({ type: 'adaptive', display: thinking.display });
    case 'effort':
      return thinking.effort === 'none' ? { type: 'disabled' } : undefined;
    default:
      return unreachable(thinking);
  }
}

function writeOutputConfig({ thinking, outputFormat }: Prompt, problems: Problems): JsonObject | undefined {
  const effort = thinking?.effort === 'none' ? undefined : thinking?.effort;
  if (effort === 'minimal') problems.unsupported('reasoning_effort', 'This engine takes low, medium, high, xhigh or max');
  const format = writeFormat(outputFormat, problems);
  return effort === undefined && format === undefined ? undefined : present({ effort, format });
}

function writeFormat(format: OutputFormat | undefined, problems: Problems): JsonObject | undefined {
  if (format === undefined || format.kind === 'text') return undefined;
  if (format.kind === 'json_object') {
    problems.unsupported('response_format', 'This engine writes JSON by a schema only: use json_schema');
    return undefined;
  }
  // The format itself has no description here, its schema has.
  const isDescribed = format.description !== undefined && !Object.hasOwn(format.schema, 'description');
  return { type: 'json_schema', schema: isDescribed ? { ...format.schema, description: format.description } : format.schema };
}

function writeServiceTier({ serviceTier }: Prompt, problems: Problems): string | undefined {
  if (serviceTier === undefined || serviceTier === 'auto') return serviceTier;
  if (serviceTier !== 'default') problems.unsupported('service_tier', 'This engine offers auto and default');
  return 'standard_only';
}
