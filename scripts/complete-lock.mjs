// `npm run lock:complete`, after a change of dependencies. npm leaves builds for other platforms out of the lock when the
// registry at hand does not carry them, and then its own `npm ci` refuses the lock. This adds what is missing: the version
// that the parent names exactly, and the platform from the package's name, so that nobody else tries to fetch it.
// With --check it changes nothing and fails when something is missing.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const LINUX_LIBC = { gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' };

const file = path.join(import.meta.dirname, '..', 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const missing = missingBuilds(lock.packages);

if (process.argv.includes('--check')) {
  for (const { name, version, parent } of missing) console.error(`package-lock.json lacks ${name}@${version} of ${parent}`);
  if (missing.length > 0) console.error('npm run lock:complete adds them');
  process.exit(missing.length > 0 ? 1 : 0);
}
for (const { name, version, parent } of missing)
  lock.packages[`node_modules/${name}`] = { version, ...sorted({ ...platformOf(name), ...reach(parent), optional: true }) };
// In npm's own order, or its next run would be a diff.
lock.packages = sorted(lock.packages);
if (missing.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`added ${missing.length} builds for other platforms to package-lock.json`);

function missingBuilds(packages) {
  return Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !packages[`${parent}/node_modules/${name}`] && !packages[`node_modules/${name}`])
      .map(([name, version]) => ({ name, version, parent })),
  );
}

/** Why the package is here at all, as its parent's entry says it. */
function reach(parent) {
  const { dev, peer } = lock.packages[parent];
  return { ...(dev ? { dev } : {}), ...(peer ? { peer } : {}) };
}

function sorted(entries) {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => a.localeCompare(b, 'en')));
}

function platformOf(name) {
  const [, os, cpu, abi] = new RegExp(`(${SYSTEMS.join('|')})-([a-z0-9]+)(?:-([a-z]+))?$`).exec(name) ?? [];
  if (os === undefined) throw new Error(`${name}: no platform in its name; add it to package-lock.json by hand`);
  const libc = os === 'linux' ? LINUX_LIBC[abi] : undefined;
  return { cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }), os: [os] };
}
