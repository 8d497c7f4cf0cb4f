import { open, rename } from 'node:fs/promises';
import path from 'node:path';

/** Writes a file that only its owner may read, whole or not at all, and for good. */
export async function writePrivately(file: string, content: string | Uint8Array): Promise<void> {
  const draft = `${file}.new`;
  await writeDraft(draft, content);
  await rename(draft, file);
  await syncDirectory(file);
}

/** Writes what `rename` may later make of a file. */
export async function writeDraft(draft: string, content: string | Uint8Array): Promise<void> {
  await using handle = await open(draft, 'w', 0o600);
  // The mode above is for a file that is new; one that a killed process left keeps its own.
  await handle.chmod(0o600);
  await handle.writeFile(content);
  await handle.sync();
}

/** Makes a rename survive a power cut. */
export async function syncDirectory(file: string): Promise<void> {
  await using directory = await open(path.dirname(file), 'r');
  await directory.sync();
}
