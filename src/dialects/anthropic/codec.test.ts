import type { Sayable } from '../sayable.conformance.ts';
import { describeCodec } from '../codec.conformance.ts';
import { anthropicCodec } from './codec.ts';

const can: Sayable = {
  cacheMarks: true,
  thinkingInHistory: 'signed',
  refusalInHistory: false,
  documents: ['base64', 'url', 'text'],
  documentNotes: true,
  imageDetail: false,
  imagesInToolResults: true,
  toolErrors: true,
  anyOrder: true,
  systemTurns: true,
  capRequired: true,
  topK: true,
  penaltiesAndSeed: false,
  parallelWithoutChoice: false,
  parallelWithNone: false,
  stopSequencesMax: 6,
  thinking: [
    { kind: 'disabled' },
    { kind: 'disabled', effort: 'low' },
    { kind: 'enabled', budgetTokens: 2048 },
    { kind: 'enabled', budgetTokens: 2048, display: 'omitted', effort: 'max' },
    { kind: 'adaptive', display: 'summarized' },
    { kind: 'adaptive', effort: 'xhigh' },
    { kind: 'effort', effort: 'high' },
  ],
  formats: [{ kind: 'json_schema', name: 'output', schema: { type: 'object', properties: {} }, strict: true }],
  serviceTiers: ['auto', 'default'],
  includeUsage: false,
  answer: {
    anyOrder: true,
    signatures: true,
    redacted: true,
    refusalBlocks: false,
    stops: ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'pause_turn', 'refusal', 'context_window'],
    stopSequence: true,
    refusalDetails: true,
    usage: { required: ['input', 'cacheRead', 'cacheWrite', 'output'], optional: ['thinking'] },
  },
};

describeCodec(anthropicCodec, can);
