import type { AnswerEvent } from '#contracts/answer';
import { refusal, type Refusal } from '#contracts/errors';
import type { Json } from '#contracts/prompt';
import { err, ok, type Result } from '#core/kernel';
import { isList, isObject } from '../json.ts';
import { createAnswerAssembler } from './answer-assembler.ts';

/** A whole Response object as the events that would have produced it. A failed one is no answer, and is refused in its own words. */
export function readAnswer(body: Json): Result<readonly AnswerEvent[], Refusal> {
  if (!isObject(body) || typeof body.id !== 'string' || !isList(body.output))
    return err(refusal('upstream_broken', 'The engine answered with something that is not a Response object.'));
  const assembler = createAnswerAssembler();
  // Usage is said once, at the end, as in a stream.
  assembler.start({ ...body, usage: null });
  for (const item of body.output) assembler.addItem(item);
  assembler.conclude(body);
  const events = assembler.take();
  const last = events.at(-1);
  return last?.kind === 'error' ? err(refusal('upstream_broken', last.error.message)) : ok(events);
}
