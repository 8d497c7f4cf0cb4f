// Preloaded into a system under soak (`--import`): writes what V8 says of its own memory, a JSON line every few seconds.
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.BENCH_HEAP_FILE;
const intervalMs = Number(process.env.BENCH_HEAP_INTERVAL_MS ?? 5000);
if (file !== undefined && isMainThread)
  setInterval(() => appendFileSync(file, `${JSON.stringify(process.memoryUsage())}\n`), intervalMs).unref();
