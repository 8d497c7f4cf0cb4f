import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Target } from './load/order.ts';
import { requestBytes } from './load/request-bytes.ts';

/** Runs wrk against a target; null when it is not installed. A second opinion on the load generator, named as such in the report. */
export async function runWrk(options: {
  readonly target: Target;
  readonly connections: number;
  readonly seconds: number;
  readonly core: number;
  readonly folder: string;
}): Promise<number | null> {
  const { target, core, connections, seconds } = options;
  const script = path.join(options.folder, 'request.lua');
  const body = requestBytes(target).toString('utf8').split('\r\n\r\n')[1] ?? '';
  const headers = Object.entries({ 'content-type': 'application/json', ...target.headers });
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = ${JSON.stringify(body)}\n${headers
      .map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}\n`)
      .join('')}`,
  );
  const url = `http://127.0.0.1:${target.port}${target.path}`;
  const args = ['-c', String(core), 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url];
  try {
    const { stdout } = await promisify(execFile)('taskset', args);
    const rate = /Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1];
    const isClean = !/Non-2xx|Socket errors/.test(stdout);
    return rate === undefined || !isClean ? Number.NaN : Number(rate);
  } catch {
    return null;
  }
}
