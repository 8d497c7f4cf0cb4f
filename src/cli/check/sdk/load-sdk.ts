import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { objectOf, parseJson, textOf } from '../json-value.ts';

/** An official client as it is installed where the check runs. */
export interface LoadedSdk {
  readonly packageName: string;
  readonly version: string;
  /** The module's exports: what is in them is the package's business. */
  readonly exports: unknown;
}

/** @returns null when the package is not installed there */
export async function loadSdk(packageName: string, fromDirectory: string): Promise<LoadedSdk | null> {
  let entry: string;
  try {
    entry = createRequire(path.join(fromDirectory, 'package.json')).resolve(packageName);
  } catch {
    return null;
  }
  const loaded = (await import(pathToFileURL(entry).href)) as { readonly default?: unknown };
  return { packageName, version: versionOf(entry), exports: loaded.default ?? loaded };
}

/** From the nearest package.json above the entry that has a version. */
function versionOf(entry: string): string {
  for (let folder = path.dirname(entry); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    const version = existsSync(file) ? textOf(objectOf(parseJson(readFileSync(file, 'utf8')))['version']) : '';
    if (version !== '') return version;
  }
  return 'of unknown version';
}
