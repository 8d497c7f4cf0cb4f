import { Readable } from 'node:stream';
import { Command } from 'commander';
import { vi } from 'vitest';

export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number;
}

/** Runs one command of the program in this process, and gives what it printed and its exit code. */
export async function runCommand(
  register: (program: Command) => void,
  words: readonly string[],
  { stdin = '' }: { readonly stdin?: string } = {},
): Promise<Ran> {
  const out = vi.spyOn(console, 'log').mockReturnValue(undefined).mockClear();
  const err = vi.spyOn(console, 'error').mockReturnValue(undefined).mockClear();
  const input = vi.spyOn(process, 'stdin', 'get').mockReturnValue(Readable.from([stdin]) as typeof process.stdin);
  try {
    const program = new Command('plimsoll');
    register(program);
    await program.parseAsync([...words], { from: 'user' });
    return {
      out: out.mock.calls.flat().join('\n'),
      err: err.mock.calls.flat().join('\n'),
      exitCode: Number(process.exitCode ?? 0),
    };
  } finally {
    process.exitCode = 0;
    for (const spy of [out, err, input]) spy.mockRestore();
  }
}
