import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '#contracts/clock';
import type { Log } from '../log.ts';
import type { Counter } from '../metrics.ts';

export type Signal = 'traces' | 'metrics';

/** Hands what was made to a collector, one export at a time, and says whether it was taken. It never fails and always answers in time. */
export interface Sender<T> {
  send(make: () => T): Promise<boolean>;
  /** Whether the last export was taken; null before the first. */
  isUp(): boolean | null;
  /** Cuts what is still open. */
  close(): void;
}

export interface SenderOptions<T> {
  readonly signal: Signal;
  readonly endpoint: string;
  readonly timeoutMs: number;
  readonly createExporter: (url: string, agent: HttpAgent) => Exporter<T>;
  readonly clock: Clock;
  readonly log: Log;
  readonly exports: Counter;
}

/** The part of OpenTelemetry's exporters that is used. */
interface Exporter<T> {
  export(items: T, onResult: (result: { readonly code: number; readonly error?: Error }) => void): void;
}
/** `ExportResultCode.SUCCESS` */
const SUCCESS = 0;

export function createSender<T>(options: SenderOptions<T>): Sender<T> {
  const { signal, endpoint, timeoutMs, clock, log, exports } = options;
  const url = `${endpoint.replace(/\/+$/, '')}/v1/${signal}`;
  // An agent of our own: destroying it is the only way to end an export that the collector keeps open.
  const agent = new (url.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 2, maxFreeSockets: 1 });
  const exporter = options.createExporter(url, agent);
  let isUp: boolean | null = null;

  const note = (problem: string | null): void => {
    exports.add(1, signal, problem === null ? 'taken' : 'failed');
    const was = isUp;
    isUp = problem === null;
    // One line a change: what happens between is in the metrics.
    if (problem !== null && was !== false)
      log.warn('the telemetry collector does not take what it is sent', { signal, collector: new URL(url).origin, problem });
    if (problem === null && was === false)
      log.info('the telemetry collector is back', { signal, collector: new URL(url).origin });
  };

  return {
    send: (make) =>
      new Promise((resolve) => {
        let isSettled = false;
        const settle = (problem: string | null): void => {
          if (isSettled) return;
          isSettled = true;
          watchdog.cancel();
          note(problem);
          resolve(problem === null);
        };
        // The exporter's own limit is on silence: a collector that sends a byte a second would hold it for ever.
        const watchdog = clock.after(timeoutMs, () => {
          settle(`no answer within ${timeoutMs} ms`);
          agent.destroy();
        });
        try {
          exporter.export(make(), ({ code, error }) => settle(code === SUCCESS ? null : problemOf(error)));
        } catch (error) {
          settle(problemOf(error));
        }
      }),
    isUp: () => isUp,
    close: () => agent.destroy(),
  };
}

/** A code or a short name. Messages of errors may repeat what a collector said, and that is not ours to log. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? String(code) : error.message.slice(0, 100);
}
