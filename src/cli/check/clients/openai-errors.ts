import { objectOf, textOf } from '../json-value.ts';

/** What is wrong with an error body in OpenAI's envelope. Source: the `openai` client, which reads error.message, type, param and code. */
export function openaiErrorProblems(body: unknown): readonly string[] {
  const error = objectOf(objectOf(body)['error']);
  return [
    Object.keys(error).length === 0 ? 'the body has no error object' : '',
    textOf(error['message']) === '' ? 'error.message is missing' : '',
    typeof error['type'] === 'string' ? '' : 'error.type is not a string',
    'code' in error ? '' : 'error.code is missing',
  ].filter((problem) => problem !== '');
}

/** OpenAI's count of input includes what was read from a cache. */
export function openaiUsage(
  value: unknown,
  names: { readonly input: string; readonly details: string; readonly output: string },
): { readonly input: number; readonly cacheRead: number; readonly output: number } | null {
  const usage = objectOf(value);
  const input = usage[names.input];
  const output = usage[names.output];
  if (typeof input !== 'number' || typeof output !== 'number') return null;
  const cached = objectOf(usage[names.details])['cached_tokens'];
  const cacheRead = typeof cached === 'number' ? cached : 0;
  return { input: input - cacheRead, cacheRead, output };
}
