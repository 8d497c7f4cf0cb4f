import type { Codec } from '../codec.ts';
import { readAnswer, writeAnswer } from './answer.ts';
import { createEventReader } from './event-reader.ts';
import { createEventWriter } from './event-writer.ts';
import { readRequest } from './read-request.ts';
import { writeRequest } from './write-request.ts';

/** Anthropic Messages, to and from our words. */
export const anthropicCodec: Codec = {
  dialect: 'anthropic',
  readRequest,
  writeRequest,
  createEventReader,
  createEventWriter,
  readAnswer,
  writeAnswer,
};
