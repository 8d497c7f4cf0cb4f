import { describeCodec } from '../codec.conformance.ts';
import type { Sayable } from '../sayable.conformance.ts';
import { responsesCodec } from './responses-codec.ts';

const can: Sayable = {
  cacheMarks: false,
  thinkingInHistory: 'signed',
  refusalInHistory: true,
  documents: ['base64', 'url'],
  documentNotes: false,
  imageDetail: false,
  imagesInToolResults: true,
  toolErrors: true,
  anyOrder: true,
  systemTurns: true,
  capRequired: false,
  topK: false,
  penaltiesAndSeed: false,
  parallelWithoutChoice: true,
  parallelWithNone: true,
  stopSequencesMax: 0,
  thinking: [
    { kind: 'effort', effort: 'none' },
    { kind: 'effort', effort: 'xhigh' },
    { kind: 'adaptive' },
    { kind: 'adaptive', display: 'summarized' },
    { kind: 'adaptive', display: 'summarized', effort: 'low' },
  ],
  formats: [
    { kind: 'text' },
    { kind: 'json_object' },
    { kind: 'json_schema', name: 'tide', schema: { type: 'object' } },
    { kind: 'json_schema', name: 'tide', schema: { type: 'object' }, strict: true, description: 'A tide.' },
  ],
  serviceTiers: ['auto', 'default', 'flex'],
  includeUsage: false,
  answer: {
    anyOrder: true,
    signatures: true,
    redacted: true,
    refusalBlocks: true,
    stops: ['end_turn', 'tool_use', 'max_tokens', 'refusal', 'pause_turn'],
    stopSequence: false,
    refusalDetails: true,
    usage: { required: ['input', 'cacheRead', 'cacheWrite', 'output', 'thinking'], optional: [] },
  },
};

describeCodec(responsesCodec, can);
