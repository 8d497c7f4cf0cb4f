import { describeCodec } from '../codec.conformance.ts';
import { anthropicCodec } from './codec.ts';
import { anthropicSayable } from './sayable.conformance.ts';

describeCodec(anthropicCodec, anthropicSayable);
