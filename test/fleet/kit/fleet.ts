import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { LimitStatus } from '#storage';
import { realClock } from '../../../src/storage/limits/limits-kit.fixture.ts';
import type { FleetEvent } from '../history-checker.ts';
import type { Load } from './load.ts';

/** Short leases, so that tests need not wait; a long budget, because a loaded machine is not a store that is away. */
export const LIMITS = { leaseMs: 400, placesLeaseMs: 900, budgetMs: 250 };

/** A few gateways in processes of their own. */
export interface Fleet {
  readonly names: readonly string[];
  tell(message: 'pause' | 'go'): void;
  /** Ends one at once, and notes when. */
  kill(name: string): Promise<void>;
  status(name: string): Promise<LimitStatus>;
  /** Everything seen so far, by all, the killed ones included. */
  events(): FleetEvent[];
  /** Lets all end in order. @returns their last status, by name */
  end(): Promise<ReadonlyMap<string, LimitStatus>>;
}

export async function startFleet(count: number, url: string, load: Load, limits = LIMITS): Promise<Fleet> {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-fleet-'));
  const children = new Map<string, ChildProcess>();
  const killed: FleetEvent[] = [];
  const names = Array.from({ length: count }, (_, at) => `g${at}`);
  onTestFinished(() => {
    for (const child of children.values()) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const fileOf = (name: string): string => path.join(folder, `${name}.jsonl`);
  await Promise.all(
    names.map(async (name) => {
      const config = JSON.stringify({ url, file: fileOf(name), name, load, limits });
      const child = fork(path.join(import.meta.dirname, '../gateway-child.ts'), [config], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      children.set(name, child);
      await new Promise<void>((resolve, reject) => {
        child.once('message', () => resolve());
        child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
      });
    }),
  );
  const statusFrom = (child: ChildProcess): Promise<LimitStatus> =>
    new Promise((resolve, reject) => {
      const gone = (code: number | null): void => reject(new Error(`ended with ${code}`));
      child.once('exit', gone);
      child.once('message', (message) => {
        child.off('exit', gone);
        resolve((message as { readonly status: LimitStatus }).status);
      });
    });
  return {
    names,
    tell: (message) => {
      for (const child of children.values()) child.send(message);
    },
    async kill(name) {
      const child = children.get(name) as ChildProcess;
      children.delete(name);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      // Before the signal: what it held was held until now at least.
      killed.push({ kind: 'killed', gateway: name, fromUs: realClock.nowUs() });
      child.kill('SIGKILL');
      await gone;
    },
    status(name) {
      const child = children.get(name) as ChildProcess;
      const answer = statusFrom(child);
      child.send('status');
      return answer;
    },
    events: () => [
      ...names.flatMap((name) =>
        existsSync(fileOf(name))
          ? readFileSync(fileOf(name), 'utf8')
              .split('\n')
              .flatMap((line) => readEvent(line))
          : [],
      ),
      ...killed,
    ],
    async end() {
      const last = await Promise.all(
        [...children].map(async ([name, child]) => {
          const status = statusFrom(child);
          child.send('end');
          return [name, await status] as const;
        }),
      );
      children.clear();
      return new Map(last);
    },
  };
}

/** The last line of a killed process may be half a line. */
function readEvent(line: string): FleetEvent[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as FleetEvent];
  } catch {
    return [];
  }
}
