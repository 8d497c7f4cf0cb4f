import type { DialectName } from '../clients/client-dialect.ts';
import type { ScriptedAnswer } from './script.ts';

/** One event of a stream as bytes go out; `isContent` where it carries a piece of the answer. */
export interface Frame {
  readonly text: string;
  readonly isContent: boolean;
}

export interface WriterRequest {
  /** What the gateway called the model. */
  readonly model: string;
  /** The parsed body: some dialects answer differently when asked to. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** How the replica speaks one dialect. */
export interface ReplicaWriter {
  readonly dialect: DialectName;
  whole(answer: ScriptedAnswer, request: WriterRequest): object;
  stream(answer: ScriptedAnswer, request: WriterRequest): readonly Frame[];
  error(status: number, message: string): object;
  errorEvent(message: string): string;
}

/** Numbers of a scripted answer that no test depends on. */
export const CREATED_AT_S = 1_760_000_000;
