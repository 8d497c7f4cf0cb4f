// Runs before `npm start` and `npm test`, on whatever Node the machine has: installs only when something is missing or stale.
// It is part of each script's own line, since .npmrc turns `pre…` scripts off with all others; and what follows it is started
// through `env`, since a shell that has run the machine's Node would run it again, and not the pinned one.
// What npm has installed is compared with the lock entry by entry (a few ms): file times say nothing after a checkout.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (!isCurrent()) {
  console.error('plimsoll: installing dependencies (npm ci); the first time takes a minute.');
  try {
    // On Node 20 npm warns of every package that wants a newer one; they all run on the pinned Node that comes with them.
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] });
  } catch (error) {
    console.error('plimsoll: npm ci failed. Is the package registry reachable? Run `npm ci` by hand to see the whole message.');
    process.exit(typeof error.status === 'number' ? error.status : 1);
  }
}
if (!existsSync(join(root, 'node_modules', '.bin', 'node')) && Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  console.error(`plimsoll: no pinned Node for ${process.platform} ${process.arch}; install Node ${NODE_MAJOR_MIN} or later.`);
  process.exit(1);
}

function isCurrent() {
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  const wanted = packagesOf(join(root, 'package-lock.json'));
  if (installed === null || wanted === null) return false;
  // Optional packages may be absent: they are builds for other platforms.
  return Object.entries(wanted).every(
    ([at, { version, optional }]) => at === '' || (installed[at] === undefined ? optional : installed[at].version === version),
  );
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return null;
  }
}
