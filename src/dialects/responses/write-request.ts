import type { Refusal } from '#contracts/errors';
import type { JsonObject, OutputFormat, Prompt, Thinking, Tool, ToolChoice } from '#contracts/prompt';
import { unreachable, type Result } from '#core/kernel';
import { present } from '../json.ts';
import { createProblems, type Problems } from '../problems.ts';
import { writeInput } from './write-input.ts';

/**
 * Our words to a `POST /v1/responses` body. Always `store: false`: nothing that passes here is left behind at a vendor.
 * Stop sequences, top-k, seeds, penalties and thinking budgets have no place in this API and are refused by name. Marks to
 * cache are advice about cost, not about the answer, and are left out: engines behind this API place their own.
 */
export function writeRequest(prompt: Prompt): Result<JsonObject, Refusal> {
  const problems = createProblems();
  refuseUnsayable(problems, prompt);
  const reasoning = prompt.thinking && writeReasoning(problems, prompt.thinking);
  const body = present({
    model: prompt.model,
    ...writeSettings(prompt),
    input: writeInput(problems, prompt),
    reasoning,
    // Without it a vendor that stores nothing gives reasoning that cannot be sent back with the next turn.
    include: reasoning === undefined || reasoning.effort === 'none' ? undefined : ['reasoning.encrypted_content'],
    store: false,
    stream: prompt.stream,
  });
  return problems.result(body);
}

/** The settings that a request says and an answer echoes. */
export function writeSettings(prompt: Prompt): JsonObject {
  return present({
    instructions: prompt.system[0]?.text,
    tools: prompt.tools.length === 0 ? undefined : prompt.tools.map(writeTool),
    tool_choice: prompt.toolChoice && writeToolChoice(prompt.toolChoice),
    parallel_tool_calls: prompt.parallelToolCalls,
    max_output_tokens: prompt.maxOutputTokens,
    temperature: prompt.temperature,
    top_p: prompt.topP,
    text: prompt.outputFormat && { format: writeFormat(prompt.outputFormat) },
    safety_identifier: prompt.endUser,
    service_tier: prompt.serviceTier,
  });
}

function refuseUnsayable(problems: Problems, prompt: Prompt): void {
  const unsayable = {
    stop_sequences: prompt.stopSequences.length > 0,
    top_k: prompt.topK !== undefined,
    seed: prompt.seed !== undefined,
    presence_penalty: prompt.presencePenalty !== undefined,
    frequency_penalty: prompt.frequencyPenalty !== undefined,
  };
  for (const [field, isSaid] of Object.entries(unsayable)) if (isSaid) problems.unsupported(field, NO_PLACE);
}

const NO_PLACE = 'This engine speaks OpenAI Responses, which has no such parameter';

/** `strict` that was not said is null, which leaves it to the engine; some servers of this API require the key. */
function writeTool(tool: Tool): JsonObject {
  return present({
    type: 'function',
    name: tool.name,
    description: tool.description,
    parameters: tool.schema,
    strict: tool.strict ?? null,
  });
}

function writeToolChoice(choice: ToolChoice): JsonObject | string {
  switch (choice.kind) {
    case 'auto':
    case 'none':
      return choice.kind;
    case 'any':
      return 'required';
    case 'tool':
      return { type: 'function', name: choice.name };
    default:
      return unreachable(choice);
  }
}

function writeReasoning(problems: Problems, thinking: Thinking): JsonObject {
  switch (thinking.kind) {
    case 'effort':
      return { effort: thinking.effort };
    case 'disabled':
      if (thinking.effort !== undefined)
        problems.unsupported('output_config.effort', 'For this engine effort is the effort of thinking, which is disabled');
      return { effort: 'none' };
    case 'adaptive':
      // No summary is this dialect's own default, which is what `omitted` asks for.
      return present({ effort: thinking.effort, summary: thinking.display === 'summarized' ? 'auto' : undefined });
    case 'enabled':
      problems.unsupported('thinking.budget_tokens', 'This engine takes no budget of thinking tokens; use output_config.effort');
      return {};
    default:
      return unreachable(thinking);
  }
}

function writeFormat(format: OutputFormat): JsonObject {
  if (format.kind !== 'json_schema') return { type: format.kind };
  const { name, schema, strict, description } = format;
  return present({ type: format.kind, name, schema, strict, description });
}
