export { anthropicCodec } from './anthropic/codec.ts';
export { readCountTokensRequest } from './anthropic/read-request.ts';
export { checkVersion, WRITTEN_VERSION } from './anthropic/version.ts';
export { anthropicErrorType, writeOpenaiError } from './error-types.ts';
export { readErrorBody, writeErrorBody, writeErrorEvent, writeUpstreamErrorBody } from './errors.ts';
export { parseJson } from './json.ts';
export { openaiChatCodec } from './openai-chat/codec.ts';
export {
  createAnswerTranslator,
  translateAnswer,
  translateError,
  translateRequest,
  type AnswerTranslation,
  type AnswerTranslator,
} from './translate.ts';
export type { Codec, EventReader, EventWriter, WriterOptions } from './codec.ts';
export { createPassthrough } from './passthrough/passthrough.ts';
export { estimateOutputTokens, newProgress, type AnswerProgress } from './passthrough/progress.ts';
export { ASKED_FIELDS, readAsked, type Asked } from './passthrough/read-asked.ts';
export { spliceRequest, type Splice } from './passthrough/splice-request.ts';
export { readWholeAnswer } from './passthrough/whole-answer.ts';
export { responsesCodec } from './responses/responses-codec.ts';
export { createJsonScanner, type JsonScanner, type ScannedFields, type ScanProblem, type Span } from './scan/json-scanner.ts';
