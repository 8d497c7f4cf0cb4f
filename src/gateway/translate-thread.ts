import { parentPort } from 'node:worker_threads';
import { translateBody, type BodyTranslation } from './translate-body.ts';

// A thread of its own for large bodies: what would hold up every other request for tens of milliseconds holds up nobody here.
parentPort?.on('message', ({ id, asked }: { readonly id: number; readonly asked: BodyTranslation }) => {
  parentPort?.postMessage({ id, result: translateBody(asked) });
});
