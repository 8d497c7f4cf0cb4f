import { describeCodec } from '../codec.conformance.ts';
import { openaiChatCodec } from './codec.ts';
import { chatSayable } from './sayable.conformance.ts';

describeCodec(openaiChatCodec, chatSayable);
