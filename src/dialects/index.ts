export type { Codec, EventReader, EventWriter, WriterOptions } from './codec.ts';
