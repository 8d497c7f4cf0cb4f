import { refusal, type Refusal } from '#contracts/errors';
import type { Json, Prompt } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { err, ok, type Result } from '#core/kernel';
import { checkVersion, parseJson, translateRequest } from '#dialects';

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

/** What is done with a whole body, parsed. */
export type BodyWork =
  | { readonly kind: 'translate'; readonly asked: BodyTranslation }
  /** Anthropic's rules about what stands inside `messages`. */
  | { readonly kind: 'check_version'; readonly version: string | undefined; readonly body: Uint8Array };

/** Does the work: here for a small body, in the thread for a large one. A check that finds nothing is a success without a body. */
export function workOnBody(work: BodyWork): Result<TranslatedBody | null, Refusal> {
  if (work.kind === 'translate') return translateBody(work.asked);
  const parsed = parseBody(work.body);
  const broken = parsed === undefined ? NOT_JSON : checkVersion(work.version, parsed);
  return broken === null ? ok(null) : err(broken);
}

const NOT_JSON = refusal('invalid_request', 'The request body is not valid JSON, or is nested too deeply');

const parseBody = (body: Uint8Array): Json | undefined =>
  parseJson(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));

/** The bytes of a request in one dialect to those in another. */
function translateBody({ from, to, body, model, capField }: BodyTranslation): Result<TranslatedBody, Refusal> {
  const parsed = parseBody(body);
  if (parsed === undefined) return err(NOT_JSON);
  const translated = translateRequest({ from, to, body: parsed, model, capField });
  if (!translated.ok) return translated;
  const { prompt } = translated.value;
  return ok({ body: Buffer.from(JSON.stringify(translated.value.body)), prompt: { ...prompt, turns: [] } });
}
