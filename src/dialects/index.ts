export { anthropicCodec } from './anthropic/codec.ts';
export { readCountTokensRequest } from './anthropic/read-request.ts';
export { checkVersion, WRITTEN_VERSION } from './anthropic/version.ts';
export type { Codec, EventReader, EventWriter, WriterOptions } from './codec.ts';
export { responsesCodec } from './responses/responses-codec.ts';
