import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** What figures are worth nothing without. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly date: string;
  readonly commit: string;
}

export function describeMachine(now: Date): Machine {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    node: process.version,
    date: now.toISOString(),
    commit: readCommit(),
  };
}

function readCommit(): string {
  try {
    const git = (args: readonly string[]): string =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return `${git(['rev-parse', '--short', 'HEAD'])}${git(['status', '--porcelain', 'src']) === '' ? '' : ' with changes in src'}`;
  } catch {
    return 'unknown';
  }
}
