// Runs before `npm start` and `npm test`, on whatever Node the machine has: installs only when something is missing or stale.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const marker = join(root, 'node_modules', '.package-lock.json');
const isCurrent = existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;

if (!isCurrent) {
  console.error('plimsoll: installing dependencies (npm ci); the first time takes a minute.');
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] });
  } catch (error) {
    console.error('plimsoll: npm ci failed. Is the npm registry reachable? Run `npm ci` by hand to see the whole message.');
    process.exit(typeof error.status === 'number' ? error.status : 1);
  }
}
