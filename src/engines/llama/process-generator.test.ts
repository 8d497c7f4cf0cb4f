import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterEach, expect, test, vi } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import { createSystemClock } from '#runtime';
import { createProcessGenerator, type LlamaGenerator } from './process-generator.ts';
import { SAMPLER_DEFAULTS } from './sampler.ts';
import { promptOf } from './test-prompt.fixture.ts';
import { UncountablePrompt } from './token-counts.ts';

const CONTEXT = { isolation: 'a', conversation: null };
const open: LlamaGenerator[] = [];
const never = new AbortController().signal;

function start(more: { modelPath?: string; parallel?: number; queueMax?: number } = {}): LlamaGenerator {
  const { modelPath = 'scripted', parallel = 2, queueMax = 2 } = more;
  const generator = createProcessGenerator({
    entry: new URL('./scripted-process.fixture.ts', import.meta.url),
    load: { modelPath, contextTokens: 128, parallel, stepTokens: 64, threads: 1, defaults: SAMPLER_DEFAULTS },
    clock: createSystemClock(),
    queueMax,
    onStatus: () => undefined,
  });
  open.push(generator);
  return generator;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((generator) => generator.close()));
});

async function ask(generator: LlamaGenerator, script: string, signal = never): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  for await (const event of generator.generate(promptOf([script]), CONTEXT, signal)) events.push(event);
  return events;
}

function kinds(events: readonly AnswerEvent[]): readonly string[] {
  return events.map((event) => (event.kind === 'error' ? `error ${event.error.status} ${event.error.type}` : event.kind));
}

test('requests that come while the process starts are answered when it is ready', async () => {
  const generator = start();
  expect(generator.status()).toEqual({ kind: 'starting' });
  expect(kinds(await ask(generator, 'answer'))).toEqual(['start', 'end']);
  expect(await generator.countTokens(promptOf(['x']), never)).toBe(7);
  expect(generator.occupancy()).toEqual({ running: 0, waiting: 0 });
});

test('beyond every place and the queue a request is told at once that the engine is overloaded', async () => {
  const generator = start({ parallel: 1, queueMax: 1 });
  const leave = new AbortController();
  const hanging = [ask(generator, 'hang', leave.signal), ask(generator, 'hang', leave.signal)];
  await vi.waitFor(() => expect(generator.occupancy()).toEqual({ running: 1, waiting: 1 }));
  expect(kinds(await ask(generator, 'answer'))).toEqual(['error 529 overloaded_error']);
  leave.abort();
  await Promise.all(hanging);
});

test('an abort in the queue frees the place at once, and one at the model frees it when the model has let go', async () => {
  const generator = start({ parallel: 1, queueMax: 1 });
  const first = new AbortController();
  const second = new AbortController();
  const running = ask(generator, 'hang', first.signal);
  await vi.waitFor(() => expect(generator.occupancy().running).toBe(1));
  const waiting = ask(generator, 'hang', second.signal);
  await vi.waitFor(() => expect(generator.occupancy().waiting).toBe(1));
  second.abort();
  expect(generator.occupancy()).toEqual({ running: 1, waiting: 0 });
  expect(await waiting).toEqual([]);
  const next = ask(generator, 'answer');
  first.abort();
  await running;
  expect(kinds(await next)).toEqual(['start', 'end']);
});

test('a consumer that stops listening aborts the generation', async () => {
  const generator = start({ parallel: 1 });
  for await (const event of generator.generate(promptOf(['hang']), CONTEXT, never)) {
    expect(event.kind).toBe('start');
    break;
  }
  await vi.waitFor(() => expect(generator.occupancy().running).toBe(0));
});

test('when the process is killed, what runs there ends in an error event, and what waits is answered by the next process', async () => {
  const generator = start({ parallel: 1 });
  const running = ask(generator, 'hang');
  await vi.waitFor(() => expect(generator.occupancy().running).toBe(1));
  const waiting = ask(generator, 'answer');
  const status = generator.status();
  process.kill(status.kind === 'ready' ? status.pid : 0, 'SIGKILL');
  expect(kinds(await running).at(-1)).toBe('error 500 api_error');
  expect(kinds(await waiting)).toEqual(['start', 'end']);
});

test('a process that crashes while it loads is started again', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-'));
  const generator = start({ modelPath: path.join(folder, 'crash-once') });
  expect(kinds(await ask(generator, 'answer'))).toEqual(['start', 'end']);
  expect(existsSync(path.join(folder, 'crash-once'))).toBe(true);
  rmSync(folder, { recursive: true });
});

test('a missing model is said, with the command that gets it, to those who wait and to those who come', async () => {
  const generator = start({ modelPath: 'missing' });
  const early = ask(generator, 'answer');
  const events = await early;
  expect(kinds(events)).toEqual(['error 503 api_error']);
  expect(JSON.stringify(events)).toContain('plimsoll model pull smollm2');
  expect(generator.status()).toMatchObject({ kind: 'unloadable', failure: { kind: 'model_missing' } });
  await expect(generator.countTokens(promptOf(['x']), never)).rejects.toBeInstanceOf(UncountablePrompt);
});

test('closing ends the process and what still runs', async () => {
  const generator = start();
  const running = ask(generator, 'hang');
  await vi.waitFor(() => expect(generator.occupancy().running).toBe(1));
  const status = generator.status();
  await generator.close();
  expect(kinds(await running).at(-1)).toBe('error 503 api_error');
  expect(() => process.kill(status.kind === 'ready' ? status.pid : 0, 0)).toThrow('ESRCH');
  expect(kinds(await ask(generator, 'answer'))).toEqual(['error 503 api_error']);
});

test('the model’s process sees nothing of the environment that could be a secret', async () => {
  process.env.UPSTREAM_KEY_FOR_TEST = 'secret';
  const generator = start();
  delete process.env.UPSTREAM_KEY_FOR_TEST;
  const events = JSON.stringify(await ask(generator, 'environment'));
  expect(events).toContain('PATH');
  expect(events).not.toContain('UPSTREAM_KEY_FOR_TEST');
});
