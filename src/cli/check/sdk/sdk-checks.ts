import type { Check, Context } from '../check.ts';
import type { DialectName } from '../clients/client-dialect.ts';
import { unknown, type Verdict } from '../verdict.ts';
import { anthropicSdkChecks, type AnthropicClass } from './anthropic-sdk-checks.ts';
import { loadSdk } from './load-sdk.ts';
import { openaiSdkChecks, type OpenaiClass } from './openai-sdk-checks.ts';

/** Checks with the official clients that are installed in a directory; for one that is not, a line that says so. */
export async function loadSdkChecks(packageNames: readonly string[], fromDirectory: string): Promise<readonly Check[]> {
  const lists = await Promise.all(
    packageNames.map(async (packageName): Promise<readonly Check[]> => {
      const isAnthropic = packageName.includes('anthropic');
      const sdk = await loadSdk(packageName, fromDirectory);
      if (sdk === null) return [notInstalled(packageName, isAnthropic ? ['anthropic'] : ['openai-chat'])];
      const name = { packageName, version: sdk.version };
      return isAnthropic
        ? anthropicSdkChecks(sdk.exports as AnthropicClass, name)
        : openaiSdkChecks(sdk.exports as OpenaiClass, name);
    }),
  );
  return lists.flat();
}

function notInstalled(packageName: string, dialects: readonly DialectName[]): Check {
  const run = (_: Context): Promise<Verdict> =>
    Promise.resolve(unknown(`${packageName} is not installed here`, `npm install ${packageName}, and check again from there`));
  return { id: `sdk.${packageName}`, theme: 'Official clients', title: `${packageName} is served`, dialects, run };
}
