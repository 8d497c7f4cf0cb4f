import { CLIENT_PATHS, requestOf } from './answers.ts';
import type { ClientAnswer } from './client.ts';
import type { GatewayUnderTest } from './gateway-process.ts';
import { askGateway } from './lab.ts';
import { pause } from './stopwatch.ts';

/** One request and its answer, ms of this process: what was decided about it was decided in between. */
export interface Pressed {
  readonly fromMs: number;
  readonly toMs: number;
  readonly answer: ClientAnswer;
}

export interface Pressing {
  readonly answers: readonly Pressed[];
  stop(): Promise<readonly Pressed[]>;
}

/** Asks over and over, `clients` at a time, each resting `restMs` between two requests. */
export function press(
  gateway: GatewayUnderTest,
  { model, clients, restMs }: { readonly model: string; readonly clients: number; readonly restMs: number },
): Pressing {
  const answers: Pressed[] = [];
  let isOver = false;
  const pressing = Promise.all(
    Array.from({ length: clients }, async () => {
      while (!isOver) {
        const fromMs = performance.now();
        const answer = await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf(model, 'more') }).answer;
        answers.push({ fromMs, toMs: performance.now(), answer });
        await pause(restMs);
      }
    }),
  );
  return {
    answers,
    async stop() {
      isOver = true;
      await pressing;
      return answers;
    },
  };
}

export const wasServed = ({ answer }: Pressed): boolean => answer.status === 200;

/**
 * By how many requests a history is over a limit, seen from outside: 0 when every stretch of time has at most what the limit
 * lets pass in it, counting only what lies wholly inside.
 */
export function excessOf(served: readonly Pressed[], limit: { readonly perSecond: number; readonly burst: number }): number {
  const byEnd = served.toSorted((a, b) => a.toMs - b.toMs);
  let most = 0;
  for (const { fromMs } of served) {
    let inside = 0;
    for (const one of byEnd) {
      if (one.fromMs < fromMs) continue;
      inside++;
      most = Math.max(most, inside - limit.burst - (limit.perSecond * (one.toMs - fromMs)) / 1000);
    }
  }
  return Math.ceil(most - 1e-6);
}
