import type { Refusal } from '#contracts/errors';
import type { JsonObject, OutputFormat, Prompt, Tool, ToolChoice } from '#contracts/prompt';
import { unreachable, type Result } from '#core/kernel';
import { present } from '../json.ts';
import { createProblems, type Problems } from '../problems.ts';
import { writeMessages } from './write-messages.ts';

/** Most stop sequences that the API takes. */
const STOPS_MAX = 4;

/**
 * Writes a request body for `POST /v1/chat/completions`. The cap is `max_tokens`, the name that every server of this dialect
 * knows: one that does not know the name would generate without a cap. (OpenAI's own reasoning models refuse it loudly; see
 * `translateRequest` for the other name.)
 */
export function writeRequest(prompt: Prompt): Result<JsonObject, Refusal> {
  const problems = createProblems();
  if (prompt.topK !== undefined) problems.unsupported('top_k', 'This engine takes no top_k');
  if (prompt.stopSequences.length > STOPS_MAX)
    problems.unsupported(
      'stop_sequences',
      `This engine takes at most ${STOPS_MAX} stop sequences, got ${prompt.stopSequences.length}`,
    );
  const hasTools = prompt.tools.length > 0;
  const body = present({
    model: prompt.model,
    messages: writeMessages(prompt, problems),
    max_tokens: prompt.maxOutputTokens,
    temperature: prompt.temperature,
    top_p: prompt.topP,
    presence_penalty: prompt.presencePenalty,
    frequency_penalty: prompt.frequencyPenalty,
    seed: prompt.seed,
    stop: prompt.stopSequences.length === 0 ? undefined : prompt.stopSequences,
    tools: hasTools ? prompt.tools.map(writeTool) : undefined,
    tool_choice: prompt.toolChoice === undefined ? undefined : writeToolChoice(prompt.toolChoice),
    // Servers refuse the field when there are no tools to call.
    parallel_tool_calls: hasTools ? prompt.parallelToolCalls : undefined,
    response_format: prompt.outputFormat === undefined ? undefined : writeFormat(prompt.outputFormat),
    reasoning_effort: writeEffort(prompt, problems),
    safety_identifier: prompt.endUser,
    service_tier: prompt.serviceTier,
    stream: prompt.stream ? true : undefined,
    stream_options: prompt.stream && prompt.includeUsage !== undefined ? { include_usage: prompt.includeUsage } : undefined,
  });
  return problems.result(body);
}

function writeTool({ name, description, schema, strict }: Tool): JsonObject {
  return { type: 'function', function: present({ name, description, parameters: schema, strict }) };
}

function writeToolChoice(choice: ToolChoice): string | JsonObject {
  if (choice.kind === 'tool') return { type: 'function', function: { name: choice.name } };
  return choice.kind === 'any' ? 'required' : choice.kind;
}

function writeFormat(format: OutputFormat): JsonObject {
  if (format.kind !== 'json_schema') return { type: format.kind };
  const { name, schema, strict, description } = format;
  return { type: 'json_schema', json_schema: present({ name, schema, strict, description }) };
}

/** How much to think is one word here. A budget in tokens is not one, and the word that is nearest would be our guess. */
function writeEffort({ thinking }: Prompt, problems: Problems): string | undefined {
  if (thinking === undefined) return undefined;
  switch (thinking.kind) {
    case 'disabled':
      if (thinking.effort !== undefined)
        problems.unsupported('output_config.effort', 'For this engine effort is the effort of thinking, which is disabled');
      return 'none';
    case 'enabled':
      problems.unsupported('thinking.budget_tokens', 'This engine takes no budget of thinking tokens; use output_config.effort');
      return undefined;
    case 'adaptive':
      if (thinking.display === 'omitted')
        problems.unsupported('thinking.display', 'This engine cannot be asked to keep its thinking back');
      return thinking.effort;
    case 'effort':
      return thinking.effort;
    default:
      return unreachable(thinking);
  }
}
