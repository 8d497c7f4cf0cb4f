import type { AnswerError, AnswerEvent } from '#contracts/answer';
import type { Clock } from '#contracts/clock';
import type { Prompt } from '#contracts/prompt';
import type { GenerationContext, Generator } from '../generator.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { superviseModelProcess, type ModelStatus } from './model-process.ts';
import type { LoadFailure, LoadOptions } from './protocol.ts';
import { createSeats, type Place } from './seats.ts';
import { createTokenCounts, UncountablePrompt } from './token-counts.ts';

export interface ProcessGeneratorOptions {
  /** The program to run; it speaks `protocol.ts`. */
  readonly entry: URL;
  readonly load: LoadOptions;
  readonly clock: Clock;
  readonly queueMax: number;
  readonly onStatus: (status: ModelStatus) => void;
}

export interface LlamaGenerator extends Generator {
  status(): ModelStatus;
  /** How many requests hold one of the `parallel` places, and how many wait for one. */
  occupancy(): { readonly running: number; readonly waiting: number };
}

interface Request {
  readonly inbox: Inbox<AnswerEvent>;
  place: Place | null;
  /** Whether the model's process knows of it. */
  isSeated: boolean;
}

/** Requests on this side of a model process: who is seated there, who waits, and what becomes of them when it ends. */
export function createProcessGenerator({ entry, load, clock, queueMax, onStatus }: ProcessGeneratorOptions): LlamaGenerator {
  const seats = createSeats({ seats: load.parallel, queue: queueMax });
  const requests = new Map<number, Request>();
  const counts = createTokenCounts((message) => model.send(message));
  let ids = 0;

  const model = superviseModelProcess({
    entry,
    load,
    clock,
    onMessage(message) {
      if (message.kind === 'event') requests.get(message.id)?.inbox.put(message.event);
      else if (message.kind === 'closed') leave(message.id);
      else counts.hear(message);
    },
    onStatus(status) {
      // Closed before anyone leaves: a freed seat must not be given away at a process that is gone.
      seats.setOpen(false);
      if (status.kind === 'restarting') fail(CRASHED, ({ isSeated }) => isSeated);
      else if (status.kind === 'unloadable' || status.kind === 'closed') {
        fail(unavailable(status), () => true);
        counts.failAll(unavailable(status));
      } else if (status.kind === 'ready') {
        counts.askAgain();
        seats.setOpen(true);
      }
      onStatus(status);
    },
  });
  function fail(error: AnswerError, isMeant: (request: Request) => boolean): void {
    for (const [id, request] of requests) {
      if (!isMeant(request)) continue;
      request.inbox.put({ kind: 'error', error });
      leave(id);
    }
  }

  function leave(id: number): void {
    const request = requests.get(id);
    requests.delete(id);
    request?.inbox.end();
    request?.place?.leave();
  }

  /** Does nothing for a request that is over. One that is seated keeps its seat until the process has let go of it. */
  function abort(id: number): void {
    const request = requests.get(id);
    request?.inbox.discard();
    if (request?.isSeated === true) model.send({ kind: 'abort', id });
    else leave(id);
  }

  async function* generate(prompt: Prompt, context: GenerationContext, signal: AbortSignal): AsyncGenerator<AnswerEvent, void> {
    const refused = refusalNow(model.status());
    if (refused !== null) return yield { kind: 'error', error: refused };
    if (signal.aborted) return;
    const id = ++ids;
    const request: Request = { inbox: createInbox(), place: null, isSeated: false };
    requests.set(id, request);
    request.place = seats.enter(() => {
      request.isSeated = true;
      const { isolation, conversation } = context;
      model.send({ kind: 'generate', id, prompt, isolation, conversation });
    });
    if (request.place === null) {
      leave(id);
      return yield { kind: 'error', error: OVERLOADED };
    }
    const onAbort = (): void => abort(id);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        const event = await request.inbox.take();
        if (event === null) return;
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      abort(id);
    }
  }

  return {
    generate,
    async countTokens(prompt, signal) {
      const refused = refusalNow(model.status());
      if (refused !== null) throw new UncountablePrompt(refused);
      return counts.count(prompt, signal);
    },
    close: () => model.close(),
    status: () => model.status(),
    occupancy: () => ({ running: seats.seated, waiting: seats.waiting }),
  };
}

/** What the operator can do about it; in words safe for clients too. */
const REMEDIES = {
  model_missing: 'its file is missing; for SmolLM2 the command that gets it is `plimsoll model pull smollm2`',
  library_missing:
    'llama.cpp is not installed; the command that installs it is `npm install --omit=optional node-llama-cpp@3.21.1 @node-llama-cpp/linux-x64@3.21.1`',
  load_failed: 'its file could not be loaded; the log says why',
} as const satisfies Record<LoadFailure['kind'], string>;

const OVERLOADED: AnswerError = {
  status: 529,
  type: 'overloaded_error',
  message: 'every place at the embedded model, and its queue, is taken',
};
const CRASHED: AnswerError = {
  status: 500,
  type: 'api_error',
  message: 'the embedded model’s process ended; it is being started again',
};

function refusalNow(status: ModelStatus): AnswerError | null {
  return status.kind === 'unloadable' || status.kind === 'closed' ? unavailable(status) : null;
}

function unavailable(status: Extract<ModelStatus, { kind: 'unloadable' | 'closed' }>): AnswerError {
  const because = status.kind === 'closed' ? 'it is shutting down' : REMEDIES[status.failure.kind];
  return { status: 503, type: 'api_error', message: `the embedded model is not available: ${because}` };
}
