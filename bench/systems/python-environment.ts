import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PIP_TIMEOUT_MS = 600_000;

/** The virtual environment of a peer that pip installs, git-ignored. */
export function pythonEnvironment(peer: string): string {
  return fileURLToPath(new URL(`../peers/.venv/${peer}`, import.meta.url));
}

/** Makes the peer's virtual environment and installs the requirement into it, once. */
export async function ensurePythonPackage(peer: string, requirement: string, proof: string): Promise<void> {
  const folder = pythonEnvironment(peer);
  if (existsSync(path.join(folder, proof))) return;
  try {
    await run('python3', ['-m', 'venv', folder]);
    await run(path.join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', requirement], {
      timeout: PIP_TIMEOUT_MS,
    });
  } catch (error) {
    throw new Error(`pip install ${requirement} failed: ${String(error).slice(-200)}`, { cause: error });
  }
  if (!existsSync(path.join(folder, proof))) throw new Error(`${requirement} installed no ${proof}`);
}
