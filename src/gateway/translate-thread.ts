import { parentPort } from 'node:worker_threads';
import { workOnBody, type BodyWork } from './translate-body.ts';

// A thread of its own for large bodies: what would hold up every other request for tens of milliseconds holds up nobody here.
parentPort?.on('message', ({ id, work }: { readonly id: number; readonly work: BodyWork }) => {
  parentPort?.postMessage({ id, result: workOnBody(work) });
});
