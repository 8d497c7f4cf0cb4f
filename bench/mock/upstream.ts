import { createServer, type Server, type Socket } from 'node:net';
import { nowNs } from '../wire/monotonic.ts';
import { createMessageParser } from '../wire/message-parser.ts';
import { prepareAnswer, type PreparedAnswer } from './answers.ts';
import { readScript, type WireDialect } from './script.ts';

/** What the mock saw of a request that carried a tag (`bench-tag-17` anywhere in its body). */
export interface TaggedRequest {
  readonly tag: number;
  /** When the other side closed before the answer ended, in ns of the machine's monotonic clock; null while it has not. */
  readonly closedEarlyNs: number | null;
  readonly isFinished: boolean;
  readonly eventsSent: number;
}

export interface MockReport {
  readonly openAnswers: number;
  readonly openSockets: number;
  readonly tagged: readonly TaggedRequest[];
}

export interface MockUpstream {
  readonly server: Server;
  report(): MockReport;
  /** Forgets tagged requests, and closes the connections of answers that are still open, which some gateways never do. */
  forget(): void;
}

interface Answering {
  readonly socket: Socket;
  readonly tag: number | null;
  closedEarlyNs: number | null;
  isFinished: boolean;
  eventsSent: number;
  timer: NodeJS.Timeout | null;
}

const MODEL_KEY = Buffer.from('"model":');
const TAG = Buffer.from('bench-tag-');
const NOT_FOUND = smallAnswer('404 Not Found', {
  type: 'error',
  error: { type: 'not_found_error', message: 'the mock upstream has no such model or path' },
});
const PROBED = smallAnswer('200 OK', {});
const TAGS_MAX = 4096;
/** A name and its key are shorter than this, so a name that two pieces share is found when the second is joined to so much of the first. */
const CARRY_BYTES = 256;

/** A model server that answers from memory, in both dialects: raw sockets and prepared bytes, so that it is never the bottleneck. */
export function createMockUpstream(): MockUpstream {
  const prepared = new Map<string, PreparedAnswer>();
  const open = new Set<Answering>();
  const sockets = new Set<Socket>();
  let tagged: Answering[] = [];

  const answerFor = (dialect: WireDialect, model: string): PreparedAnswer | null => {
    const key = `${dialect} ${model}`;
    const known = prepared.get(key);
    if (known !== undefined) return known;
    const script = readScript(model);
    if (script === null || prepared.size >= 1000) return null;
    const made = prepareAnswer(script, dialect, model);
    prepared.set(key, made);
    return made;
  };

  const begin = (socket: Socket, answer: PreparedAnswer, tag: number | null): Answering | null => {
    if (answer.kind === 'whole') {
      socket.write(answer.bytes);
      return null;
    }
    const answering: Answering = { socket, tag, closedEarlyNs: null, isFinished: false, eventsSent: 0, timer: null };
    open.add(answering);
    if (tag !== null && tagged.length < TAGS_MAX) tagged.push(answering);
    if (answer.kind === 'paced') pace(socket, answer, answering, () => open.delete(answering));
    return answering;
  };

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let dialect: WireDialect | null = null;
    let isProbe = false;
    let model: string | null = null;
    let carry: Buffer | null = null;
    let tag: number | null = null;
    let answering: Answering | null = null;
    const parser = createMessageParser('request', {
      head(head) {
        dialect = head.startLine.includes('/messages')
          ? 'anthropic'
          : head.startLine.includes('/chat/completions')
            ? 'openai'
            : null;
        isProbe = !head.startLine.startsWith('POST');
        model = null;
        carry = null;
        tag = null;
      },
      body(buffer, start, end) {
        const piece = buffer.subarray(start, end);
        tag ??= readTag(piece);
        if (model !== null) return;
        const joined: Buffer = carry === null ? piece : Buffer.concat([carry, piece]);
        model = readModel(joined);
        carry = model === null ? Buffer.from(joined.subarray(-CARRY_BYTES)) : null;
      },
      end() {
        const answer = dialect === null || model === null ? null : answerFor(dialect, model);
        if (answer === null) socket.write(isProbe ? PROBED : NOT_FOUND);
        else answering = begin(socket, answer, tag);
      },
    });
    socket.on('data', (data: Buffer) => {
      try {
        parser.feed(data, 0, data.length);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    // Half-close is off, so a client that ends its side is gone: the same moment for a FIN and for a reset.
    socket.on('close', () => {
      sockets.delete(socket);
      if (answering === null || answering.isFinished) return;
      answering.closedEarlyNs = nowNs();
      if (answering.timer !== null) clearTimeout(answering.timer);
      open.delete(answering);
    });
  });

  return {
    server,
    report: () => ({
      openAnswers: open.size,
      openSockets: sockets.size,
      tagged: tagged.map(({ tag, closedEarlyNs, isFinished, eventsSent }) => ({
        tag: tag ?? -1,
        closedEarlyNs,
        isFinished,
        eventsSent,
      })),
    }),
    forget() {
      tagged = [];
      for (const answering of open) answering.socket.destroy();
    },
  };
}

/** Writes the first content event at once, in a write of its own, and the n-th at n × pace after it by the clock: no drift. */
function pace(socket: Socket, answer: PreparedAnswer & { readonly kind: 'paced' }, answering: Answering, done: () => void): void {
  socket.write(answer.prologue);
  const startedMs = performance.now();
  const step = (): void => {
    answering.eventsSent += 1;
    if (answering.eventsSent < answer.events) {
      socket.write(answer.event);
      answering.timer = setTimeout(step, Math.max(1, startedMs + answering.eventsSent * answer.paceMs - performance.now()));
      return;
    }
    answering.isFinished = true;
    answering.timer = null;
    socket.cork();
    socket.write(answer.event);
    socket.write(answer.epilogue);
    socket.uncork();
    done();
  };
  step();
}

function smallAnswer(status: string, body: object): Buffer {
  const text = JSON.stringify(body);
  return Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
}

function readModel(piece: Buffer): string | null {
  const at = piece.indexOf(MODEL_KEY);
  if (at < 0) return null;
  const text = piece.toString('latin1', at + MODEL_KEY.length, Math.min(piece.length, at + MODEL_KEY.length + 200));
  return /^\s*"([^"]*)"/.exec(text)?.[1] ?? null;
}

function readTag(piece: Buffer): number | null {
  const at = piece.indexOf(TAG);
  if (at < 0) return null;
  const digits = /^\d+/.exec(piece.toString('latin1', at + TAG.length, Math.min(piece.length, at + TAG.length + 12)))?.[0];
  return digits === undefined ? null : Number(digits);
}
