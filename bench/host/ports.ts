import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PinnedProcess } from './pinned.ts';

/** A loopback port that was free a moment ago. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Waits until `isUp` holds; rejects with what the process printed when it ended, or did not come up in time. */
export async function waitUntilUp(started: PinnedProcess, isUp: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await isUp())) {
    const why = started.hasExited() ? 'it ended' : performance.now() > deadlineMs ? `not up after ${timeoutMs / 1000} s` : null;
    if (why !== null) throw new Error(`${why}: ${started.output().trim().slice(-300)}`);
    await sleep(50);
  }
}

/** Whether a GET is answered with anything below 500. */
export async function answersGet(port: number, path: string): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.status < 500;
  } catch {
    return false;
  }
}
