import type { TokenUsage } from '#contracts/answer';
import type { Json } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { scanJson, wantedFields, type Span } from '../scan/json-scanner.ts';
import { readUsage as readAnthropicUsage } from '../anthropic/usage.ts';
import { readUsage as readChatUsage } from '../openai-chat/usage.ts';
import { readUsage as readResponsesUsage } from '../responses/token-usage.ts';

/** What metering needs of an answer that came whole, and where the model's name stands in it. */
export interface WholeAnswer {
  readonly usage: TokenUsage;
  readonly stopReason: string | null;
  /** Where the model's name stands; null when it is not there. */
  readonly model: Span | null;
}

const WANTED = wantedFields('model', 'usage', 'stop_reason', 'choices', 'status');
/** Chat's `choices` hold the whole text; above this many bytes the stop reason is not worth parsing them for. */
const CHOICES_BYTES_MAX = 65_536;

/**
 * Reads a whole answer beside its way to the client.
 * @param textOf - the text of a span of the body
 * @returns null when the bytes are not a JSON object, so that a broken answer is not passed on as a good one
 */
export function readWholeAnswer(dialect: Dialect, body: Uint8Array, textOf: (span: Span) => string): WholeAnswer | null {
  const outcome = scanJson(body, { depthMax: 512, valuesMax: 10_000_000, wanted: WANTED });
  if (outcome.kind !== 'fields') return null;
  const { fields } = outcome;
  const valueOf = (span: Span | undefined): Json | undefined => (span ? (JSON.parse(textOf(span)) as Json) : undefined);
  const model = fields.get('model');
  const found = { model: model?.type === 'string' ? model : null };
  switch (dialect) {
    case 'anthropic':
      return {
        ...found,
        usage: readAnthropicUsage(valueOf(fields.get('usage'))),
        stopReason: asString(valueOf(fields.get('stop_reason'))),
      };
    case 'openai_chat': {
      const choices = fields.get('choices');
      const isSmall = choices !== undefined && choices.end - choices.start <= CHOICES_BYTES_MAX;
      return {
        ...found,
        usage: readChatUsage(valueOf(fields.get('usage'))),
        stopReason: isSmall ? finishReason(valueOf(choices)) : null,
      };
    }
    case 'openai_responses':
      return {
        ...found,
        usage: readResponsesUsage(valueOf(fields.get('usage'))),
        stopReason: asString(valueOf(fields.get('status'))),
      };
  }
}

const asString = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function finishReason(choices: unknown): string | null {
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return typeof first === 'object' && first !== null && 'finish_reason' in first ? asString(first.finish_reason) : null;
}
