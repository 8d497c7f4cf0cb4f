import { describeCodec } from '../codec.conformance.ts';
import type { Sayable } from '../sayable.conformance.ts';
import { openaiChatCodec } from './codec.ts';

const can: Sayable = {
  cacheMarks: false,
  thinkingInHistory: 'plain',
  refusalInHistory: true,
  documents: [],
  documentNotes: false,
  imageDetail: true,
  imagesInToolResults: false,
  toolErrors: false,
  anyOrder: false,
  systemTurns: true,
  capRequired: false,
  topK: false,
  penaltiesAndSeed: true,
  parallelWithoutChoice: true,
  parallelWithNone: true,
  stopSequencesMax: 4,
  thinking: [
    { kind: 'disabled' },
    { kind: 'effort', effort: 'minimal' },
    { kind: 'effort', effort: 'high' },
    { kind: 'effort', effort: 'xhigh' },
  ],
  formats: [
    { kind: 'text' },
    { kind: 'json_object' },
    { kind: 'json_schema', name: 'weather', schema: { type: 'object' } },
    { kind: 'json_schema', name: 'weather', schema: {}, strict: true, description: 'How it is outside' },
  ],
  serviceTiers: ['auto', 'default', 'flex', 'priority'],
  includeUsage: true,
  answer: {
    anyOrder: false,
    signatures: false,
    redacted: false,
    refusalBlocks: true,
    stops: ['end_turn', 'max_tokens', 'tool_use', 'refusal'],
    stopSequence: false,
    refusalDetails: false,
    usage: { required: ['input', 'output'], optional: ['cacheRead', 'cacheWrite', 'thinking'] },
  },
};

describeCodec(openaiChatCodec, can);
