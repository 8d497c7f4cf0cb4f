import { parentPort } from 'node:worker_threads';
import { type ListKind, readList } from './read-list.ts';

// A long list takes a second to read, which would hold up every request; here it holds up nobody.
parentPort?.on('message', ({ path, kind }: { readonly path: string; readonly kind: ListKind }) => {
  parentPort?.postMessage(readList(path, kind));
});
