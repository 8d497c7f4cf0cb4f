import { fail, pass, quote, type Verdict } from '../verdict.ts';

export interface SdkName {
  readonly packageName: string;
  readonly version: string;
}

export const sdkTheme = ({ packageName, version }: SdkName): string => `Official client ${packageName} ${version}`;

/** What a call of a client threw, as a value; null when it did not throw. */
export async function thrownBy(call: () => PromiseLike<unknown>): Promise<Error | null> {
  try {
    await call();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Runs a check's calls; what the client throws is what the check found. */
export async function orThrown(run: () => Promise<Verdict>): Promise<Verdict> {
  try {
    return await run();
  } catch (error) {
    return fail(`the client threw ${describeError(error)}`);
  }
}

/** Whether a call was refused with the exception class that the client's users catch. */
export function threw(error: Error | null, expected: Function, name: string): Verdict {
  if (error === null) return fail(`nothing was thrown where ${name} was due`);
  return error instanceof expected ? pass(name) : fail(`${describeError(error)} where ${name} was due`);
}

export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name}: ${quote(error.message)}` : 'something that is no Error';
}
