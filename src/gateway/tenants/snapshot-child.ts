// Run by snapshot.test.ts in a process of its own, to be killed: changes tenants and writes them for ever, from where it finds
// itself. Prints the number of each commit that is on the disk.
import { writeSync } from 'node:fs';
import { sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { openSnapshot } from './snapshot.ts';
import { createTenantDirectory } from './tenant-directory.ts';

const [dataDirectory = ''] = process.argv.slice(2);
const pepper = Buffer.alloc(32, 3);
const directory = createTenantDirectory({ pepper, wallMs: () => 2_000 });
const onEvent = ({ message }: { readonly message: string }): void => void writeSync(2, `${message}\n`);
const snapshot = await openSnapshot({ dataDirectory, pepper, directory, wallMs: () => 2_000, onEvent, changeBytesMin: 2_000 });
const key = (n: number, name: string) =>
  sampleKey({ id: `key_${n}`, name, hash: { kind: 'hmac_sha256', hex: n.toString(16).padStart(64, '0') } });
directory.apply([sampleOrganization(), sampleWorkspace(), ...Array.from({ length: 400 }, (_, n) => key(n, 'x'.repeat(200)))]);

for (let commit = (snapshot.loaded?.position.commit ?? 0) + 1; ; commit++) {
  const put = [key(0, `name ${commit}`), ...Array.from({ length: 20 }, (_, n) => key(n + 1, 'y'.repeat(200)))];
  directory.apply(put);
  snapshot.changed({ put, drop: [], position: { origin: 'first', commit, hash: `hash ${commit}` }, hasMore: false });
  await snapshot.flush();
  writeSync(1, `${snapshot.status().commit}\n`);
}
