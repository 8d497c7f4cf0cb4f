import type { Codec } from '../codec.ts';
import { readAnswer, writeAnswer } from './answer.ts';
import { createEventReader } from './event-reader.ts';
import { createEventWriter } from './event-writer.ts';
import { readRequest } from './read-request.ts';
import { writeRequest } from './write-request.ts';

/** OpenAI Chat Completions, to and from our words. */
export const openaiChatCodec: Codec = {
  dialect: 'openai_chat',
  readRequest,
  writeRequest,
  createEventReader,
  createEventWriter,
  readAnswer,
  writeAnswer,
};
