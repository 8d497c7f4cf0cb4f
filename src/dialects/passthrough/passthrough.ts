import type { Dialect } from '#contracts/record';
import { createFrameSplitter, readData, readFrame } from '../sse/frame-splitter.ts';
import { newProgress, type AnswerProgress } from './progress.ts';
import { createSideReader } from './side-reader.ts';

/**
 * A stream whose client and engine speak the same dialect: the bytes go through as they came, in whole events, except that the
 * engine's name for the model is replaced by the public one, and a usage chunk that the client did not ask for is left out.
 */
export interface Passthrough {
  /**
   * Takes the next bytes and returns what to send, in order; often a single piece, the very bytes that came in. The answer's own
   * last event, or the engine's error event, is the last that is handed on: what an engine sends after it belongs to no answer.
   */
  push(chunk: Uint8Array): readonly Uint8Array[];
  readonly progress: AnswerProgress;
}

export interface PassthroughOptions {
  readonly dialect: Dialect;
  /** The model's public name; null when the engine's name for it is the same. */
  readonly model: string | null;
  readonly dropUsage: boolean;
  readonly frameBytesMax: number;
}

declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}

/** Creates the passthrough of one answer. */
export function createPassthrough({ dialect, model, dropUsage, frameBytesMax }: PassthroughOptions): Passthrough {
  const splitter = createFrameSplitter({ frameBytesMax });
  const progress = newProgress();
  const read = createSideReader(dialect, { findModel: model !== null, dropUsage });
  const name = new TextEncoder().encode(JSON.stringify(model));
  const decoder = new TextDecoder();

  return {
    progress,
    push(chunk) {
      if (isOver(progress)) return [];
      const frames = splitter.push(chunk);
      if (frames === null) return [];
      const { bytes, ends } = frames;
      const pieces: Uint8Array[] = [];
      let sent = 0; // everything before it is in `pieces` or dropped
      let start = 0;
      for (const end of ends) {
        const frame = readFrame(bytes, start, end);
        const data = frame.isMultiline
          ? new TextEncoder().encode(readData(bytes, start, end, (part) => decoder.decode(part)))
          : frame.dataStart === -1
            ? bytes.subarray(start, start)
            : bytes.subarray(frame.dataStart, frame.dataEnd);
        const action = read({ name: frame.name, data }, progress);
        if (action.kind === 'drop') {
          if (start > sent) pieces.push(bytes.subarray(sent, start));
          sent = end;
        } else if (action.kind === 'rename' && !frame.isMultiline) {
          pieces.push(bytes.subarray(sent, frame.dataStart + action.start), name);
          sent = frame.dataStart + action.end;
        }
        start = end;
        if (isOver(progress)) break;
      }
      if (sent < start) pieces.push(bytes.subarray(sent, start));
      return pieces;
    },
  };
}

const isOver = ({ isComplete, error }: AnswerProgress): boolean => isComplete || error !== null;
