import type { AnswerError } from '#contracts/answer';
import type { Part, Prompt } from '#contracts/prompt';
import { err, ok, type Result } from '#core/kernel';
import { grammarFor } from './output-grammar.ts';

/** One message of a conversation, as a chat template takes it. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

const STOP_SEQUENCES_MAX = 64;
const STOP_SEQUENCE_CHARACTERS_MAX = 1024;

/** What a part is called in the message that refuses it; null for those that are text. */
const REFUSED_PARTS = {
  text: null,
  refusal: null,
  image: 'images',
  document: 'documents',
  tool_call: 'tool calls',
  tool_result: 'tool results',
  thinking: 'thinking blocks',
  redacted_thinking: 'thinking blocks',
} as const satisfies Record<Part['kind'], string | null>;

/** What is to be answered, and in which form. */
export interface ReadPrompt {
  readonly messages: readonly ChatMessage[];
  /** The GBNF grammar of the answer; null for free text. */
  readonly grammar: string | null;
}

/**
 * The messages of a prompt, or the 400 that says what this engine cannot do with it. Whatever is not text is refused: a text
 * model that silently skipped an image or a tool would answer another question than the one that was asked.
 * Text parts of one turn are joined by a line break, as vLLM and llama.cpp's own server join them.
 */
export function readPrompt(prompt: Prompt): Result<ReadPrompt, AnswerError> {
  const because = unsupported(prompt) ?? invalid(prompt);
  if (because !== null) return err(invalidRequest(because));
  const grammar = grammarFor(prompt.outputFormat);
  if (!grammar.ok) return err(invalidRequest(`output format: ${grammar.error}`));
  const messages: ChatMessage[] = [];
  if (prompt.system.length > 0) messages.push({ role: 'system', content: prompt.system.map(({ text }) => text).join('\n') });
  for (const [at, turn] of prompt.turns.entries()) {
    const texts: string[] = [];
    for (const part of turn.parts) {
      if (part.kind === 'text' || part.kind === 'refusal') texts.push(part.text);
      else return err(invalidRequest(`messages.${at}.content: this model takes text only, not ${REFUSED_PARTS[part.kind]}`));
    }
    messages.push({ role: turn.role, content: texts.join('\n') });
  }
  return ok({ messages, grammar: grammar.value });
}

/** The error that an Anthropic client knows as its own fault. */
export function invalidRequest(message: string): AnswerError {
  return { status: 400, type: 'invalid_request_error', message };
}

function unsupported({ tools, thinking }: Prompt): string | null {
  if (tools.length > 0) return 'tools: this model cannot call tools';
  if (thinking !== undefined && thinking.kind !== 'disabled' && !(thinking.kind === 'effort' && thinking.effort === 'none'))
    return 'thinking: this model has no extended thinking';
  return null;
}

function invalid({ turns, stopSequences, temperature, topP, maxOutputTokens }: Prompt): string | null {
  if (turns.length === 0) return 'messages: at least one message is needed';
  if (stopSequences.length > STOP_SEQUENCES_MAX)
    return `stop_sequences: ${stopSequences.length} are more than the ${STOP_SEQUENCES_MAX} that this engine looks for`;
  for (const [at, sequence] of stopSequences.entries()) {
    if (sequence === '' || !sequence.isWellFormed()) return `stop_sequences.${at}: must be non-empty, well-formed text`;
    if (sequence.length > STOP_SEQUENCE_CHARACTERS_MAX)
      return `stop_sequences.${at}: ${sequence.length} characters are more than ${STOP_SEQUENCE_CHARACTERS_MAX}`;
  }
  if (temperature !== undefined && !(temperature >= 0)) return `temperature: must be 0 or more, not ${temperature}`;
  if (topP !== undefined && !(topP >= 0 && topP <= 1)) return `top_p: must be between 0 and 1, not ${topP}`;
  if (maxOutputTokens !== undefined && !(maxOutputTokens >= 1)) return `max_tokens: must be 1 or more, not ${maxOutputTokens}`;
  return null;
}
