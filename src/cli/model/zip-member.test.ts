import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';
import { zipOf } from './write-zip.fixture.ts';
import { useZipMember } from './zip-member.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-zip-'));
afterAll(() => rmSync(folder, { recursive: true }));

const large = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));
const members = { 'first.txt': Buffer.from('one'), 'model/large.gguf': large, 'empty.txt': Buffer.alloc(0) };

function archive(name: string, bytes: Buffer): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

test.each([
  ['deflated', zipOf(members)],
  ['stored', zipOf(members, { isDeflated: false })],
  ['followed by a comment', zipOf(members, { comment: 'PK\u0005 is not the end' })],
])('every member of an archive comes out as it went in, %s', async (name, bytes) => {
  const file = archive(name, bytes);
  for (const [member, content] of Object.entries(members))
    expect((await useZipMember(file, member, (stream) => buffer(stream))).equals(content)).toBe(true);
});

test.each([
  ['not an archive', Buffer.from('hello'), 'not a ZIP'],
  ['cut short', zipOf(members).subarray(0, -40), 'not a ZIP'],
  ['without the member', zipOf({ other: large }), 'no member model/large.gguf'],
])('an archive that is %s is refused by name', async (name, bytes, message) => {
  await expect(useZipMember(archive(name, bytes), 'model/large.gguf', (stream) => buffer(stream))).rejects.toThrow(message);
});
