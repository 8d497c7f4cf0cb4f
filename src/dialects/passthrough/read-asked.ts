import { refusal, type Refusal } from '#contracts/errors';
import type { Dialect, Operation } from '#contracts/record';
import { err, ok, type Result } from '#core/kernel';
import { wantedFields, type ScannedFields, type Span } from '../scan/json-scanner.ts';

/** What the gateway itself reads of a request body; the rest is between the client and the engine. */
export interface Asked {
  readonly model: string;
  readonly isStream: boolean;
  /** The client's name for its end user; null when it said none. */
  readonly endUser: string | null;
  /** Every conversation id in the body, by the field it was in. */
  readonly conversations: readonly { readonly field: string; readonly id: string }[];
  /** Chat Completions: the client's own `stream_options`; undefined when absent. */
  readonly streamOptions: Readonly<Record<string, unknown>> | undefined;
  /** The client's cap on output tokens, as its dialect calls it; null when it set none. */
  readonly maxOutputTokens: number | null;
  /** Does it bring tools? */
  readonly usesTools: boolean;
  /** Sampling parameters present at the top level (Anthropic's newer version refuses them). */
  readonly sampling: readonly string[];
}

/** The top-level fields that {@link readAsked} looks at: what a body is scanned for. */
export const ASKED_FIELDS = wantedFields(
  'model',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'tools',
  'messages',
  'input',
  'metadata',
  'stream_options',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'conversation',
  'temperature',
  'top_p',
  'top_k',
);

/** A field that is read whole may be this large; what is larger is refused rather than read. */
const SMALL_FIELD_BYTES_MAX = 65_536;
const MODEL_CHARACTERS_MAX = 256;
const ID_CHARACTERS_MAX = 256;

/**
 * Reads and checks the few fields on which the gateway itself acts.
 * @param fields - where the fields of {@link ASKED_FIELDS} stand
 * @param textOf - the text of a span of the body
 */
export function readAsked(
  dialect: Dialect,
  operation: Operation,
  fields: ScannedFields,
  textOf: (span: Span) => string,
): Result<Asked, Refusal> {
  const bad = (param: string, message: string): Result<Asked, Refusal> =>
    err(refusal('invalid_request', `${param}: ${message}`, { param }));
  for (const [field, types] of REQUIRED_TYPES) {
    const span = fields.get(field);
    if (span && span.type !== 'null' && !types.includes(span.type)) return bad(field, `Input should be ${types.join(' or ')}`);
    if (span && types[0] === 'object' && span.end - span.start > SMALL_FIELD_BYTES_MAX)
      return bad(field, `Input should be at most ${SMALL_FIELD_BYTES_MAX} bytes`);
  }
  const read = (field: string): unknown => {
    const span = fields.get(field);
    return span && span.type !== 'null' && span.end - span.start <= SMALL_FIELD_BYTES_MAX ? JSON.parse(textOf(span)) : undefined;
  };

  const model = read('model');
  if (typeof model !== 'string' || model === '') return bad('model', 'Field required');
  if (model.length > MODEL_CHARACTERS_MAX) return bad('model', `at most ${MODEL_CHARACTERS_MAX} characters`);
  for (const field of required(dialect, operation)) if (!fields.has(field)) return bad(field, 'Field required');
  if (fields.has('max_tokens') && operation === 'messages') {
    const maxTokens = read('max_tokens');
    if (typeof maxTokens !== 'number' || !Number.isInteger(maxTokens) || maxTokens < 0)
      return bad('max_tokens', 'Input should be a whole number, 0 or more');
  }

  const metadata = asObject(read('metadata'));
  const conversation = read('conversation');
  const conversations = [
    { field: 'metadata.conversation_id', id: metadata?.['conversation_id'] },
    { field: 'prompt_cache_key', id: dialect === 'anthropic' ? undefined : read('prompt_cache_key') },
    { field: 'conversation', id: typeof conversation === 'string' ? conversation : asObject(conversation)?.['id'] },
  ].filter((found): found is { field: string; id: string } => typeof found.id === 'string' && found.id !== '');
  for (const { field, id } of conversations)
    if (id.length > ID_CHARACTERS_MAX) return bad(field, `at most ${ID_CHARACTERS_MAX} characters`);
  const endUser = dialect === 'anthropic' ? metadata?.['user_id'] : (read('safety_identifier') ?? read('user'));

  return ok({
    model,
    isStream: fields.get('stream')?.type === 'true' && operation !== 'count_tokens',
    endUser: typeof endUser === 'string' && endUser !== '' ? endUser.slice(0, ID_CHARACTERS_MAX) : null,
    conversations,
    streamOptions: asObject(read('stream_options')),
    maxOutputTokens: capOf(read('max_output_tokens') ?? read('max_completion_tokens') ?? read('max_tokens')),
    usesTools: fields.has('tools'),
    sampling: ['temperature', 'top_p', 'top_k'].filter((field) => fields.has(field)),
  });
}

/** What is no whole number is for the engine to refuse. */
const capOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;

const REQUIRED_TYPES: readonly (readonly [string, readonly Span['type'][]])[] = [
  ['model', ['string']],
  ['stream', ['true', 'false']],
  ['messages', ['array']],
  ['metadata', ['object']],
  ['stream_options', ['object']],
];

function required(dialect: Dialect, operation: Operation): readonly string[] {
  if (dialect === 'openai_responses') return ['input'];
  return operation === 'messages' ? ['max_tokens', 'messages'] : ['messages'];
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
