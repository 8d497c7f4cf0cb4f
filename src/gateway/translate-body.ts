import { refusal, type Refusal } from '#contracts/errors';
import type { Prompt } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { err, ok, type Result } from '#core/kernel';
import { parseJson, translateRequest } from '#dialects';

export interface BodyTranslation {
  readonly from: Dialect;
  readonly to: Dialect;
  readonly body: Uint8Array;
  /** The engine's name for the model. */
  readonly model: string;
  readonly capField: 'max_tokens' | 'max_completion_tokens';
}

export interface TranslatedBody<Bytes extends Uint8Array = Buffer> {
  readonly body: Bytes;
  /** What was asked for, for dialects whose answers repeat it; without the conversation itself, which none repeats. */
  readonly prompt: Prompt;
}

/** The bytes of a request in one dialect to those in another. Runs on the event loop for small bodies, in a thread for large. */
export function translateBody({ from, to, body, model, capField }: BodyTranslation): Result<TranslatedBody, Refusal> {
  const parsed = parseJson(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  if (parsed === undefined) return err(refusal('invalid_request', 'The request body is not valid JSON'));
  const translated = translateRequest({ from, to, body: parsed, model, capField });
  if (!translated.ok) return translated;
  const { prompt } = translated.value;
  return ok({ body: Buffer.from(JSON.stringify(translated.value.body)), prompt: { ...prompt, turns: [] } });
}
