import type { Codec } from '../codec.ts';
import { readAnswer } from './read-answer.ts';
import { createEventReader } from './read-events.ts';
import { readRequest } from './read-request.ts';
import { writeAnswer } from './write-answer.ts';
import { createEventWriter } from './write-events.ts';
import { writeRequest } from './write-request.ts';

/** OpenAI Responses, stateless. What it cannot carry is listed in docs/dialects.md. */
export const responsesCodec: Codec = {
  dialect: 'openai_responses',
  readRequest,
  writeRequest,
  createEventReader,
  createEventWriter,
  readAnswer,
  writeAnswer,
};
