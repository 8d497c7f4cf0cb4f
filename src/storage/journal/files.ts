import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** What the journal asks of a file system; the tests bring one that loses unsynced writes. Failures reject with `code`. */
export interface JournalFiles {
  makeDirectory(directory: string): Promise<void>;
  list(directory: string): Promise<readonly string[]>;
  /** Opens for reading and writing; with `create`, makes the file or empties it. */
  open(file: string, options: { readonly create: boolean }): Promise<JournalFile>;
  size(file: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Makes names durable: files made, renamed and removed in this directory. */
  syncDirectory(directory: string): Promise<void>;
}

export interface JournalFile {
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Fills `into` as far as the file goes, and says how far. */
  read(into: Uint8Array, at: number): Promise<number>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** The machine's own files. */
export function createDiskFiles(): JournalFiles {
  return {
    makeDirectory: async (directory) => void (await mkdir(directory, { recursive: true, mode: 0o700 })),
    list: (directory) => readdir(directory),
    open: openDiskFile,
    size: async (file) => (await stat(file)).size,
    rename,
    remove: (file) => rm(file, { force: true }),
    async syncDirectory(directory) {
      await using handle = await open(path.resolve(directory), 'r');
      await handle.sync();
    },
  };
}

async function openDiskFile(file: string, options: { readonly create: boolean }): Promise<JournalFile> {
  // Usage records name tenants: for the owner's eyes only.
  const handle = await open(file, options.create ? 'w+' : 'r+', 0o600);
  return {
    async write(bytes, at) {
      for (let done = 0; done < bytes.length;) {
        done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
    },
    async read(into, at) {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    datasync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
