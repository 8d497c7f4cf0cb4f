import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '..', '..');
/** What holds the house, as it is. */
const LOCKS = [
  'package.json',
  'tsconfig.base.json',
  '.oxlintrc.json',
  'vitest.config.ts',
  'scripts/lint',
  'scripts/closing-line.mjs',
];

/** A room and the rooms it may import: the direction of DESIGN.md, written a second time so that neither lock is its own judge. */
export const HOUSE = {
  contracts: [],
  core: ['contracts'],
  dialects: ['contracts', 'core'],
  storage: ['contracts', 'core'],
  runtime: ['contracts', 'core'],
  engines: ['contracts', 'core', 'dialects', 'storage', 'runtime'],
  gateway: ['contracts', 'core', 'dialects', 'storage', 'runtime', 'engines'],
  control: ['contracts', 'core', 'storage', 'runtime'],
  worker: ['contracts', 'core', 'storage', 'runtime'],
  cli: ['contracts', 'core', 'dialects', 'storage', 'runtime', 'engines', 'gateway', 'control', 'worker'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export interface PlantedHouse {
  readonly root: string;
  /** Runs one of the project's tools in the house; its exit code is part of the answer, not a failure. */
  readonly run: (tool: string, ...args: readonly string[]) => Promise<{ readonly code: number; readonly output: string }>;
  readonly remove: () => void;
}

/** A small house with our locks, one sound file a room, and the planted files on top. */
export function plantHouse(planted: Readonly<Record<string, string>>): PlantedHouse {
  const root = mkdtempSync(path.join(tmpdir(), 'plimsoll-planted-'));
  for (const lock of LOCKS) cpSync(path.join(ROOT, lock), path.join(root, lock), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(root, 'node_modules'));
  const rooms = Object.keys(HOUSE);
  for (const room of rooms) cpSync(path.join(ROOT, 'src', room, 'tsconfig.json'), path.join(root, 'src', room, 'tsconfig.json'));
  const references = rooms.map((room) => ({ path: `src/${room}` }));
  const files = { ...sound(), 'tsconfig.json': JSON.stringify({ files: [], references }), ...planted };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  const run: PlantedHouse['run'] = (tool, ...args) =>
    new Promise((resolve) => {
      execFile(
        path.join(ROOT, 'node_modules/.bin', tool),
        [...args],
        { cwd: root, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' }, maxBuffer: 16_000_000 },
        (error, stdout, stderr) =>
          resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, output: stdout + stderr }),
      );
    });
  return { root, run, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** What a room's edge is called from outside it. */
export function edgeOf(room: string): string {
  if (room === 'contracts') return '#contracts/word';
  return room === 'core' ? '#core/kernel' : `#${room}`;
}

/** Each room's edge, which imports nothing; a file that imports every room that its room may import; one file past an edge. */
function sound(): Record<string, string> {
  const files: Record<string, string> = { 'src/core/kernel/inner.ts': 'export const inner = 1;\n' };
  for (const [room, allowed] of Object.entries(HOUSE)) {
    const folder = room === 'core' ? 'src/core/kernel' : `src/${room}`;
    const imports = allowed.map((other) => `import { word as ${other} } from '${edgeOf(other)}';\n`).join('');
    files[`${folder}/${room === 'contracts' ? 'word' : 'index'}.ts`] = "export const word: string = '';\n";
    files[`${folder}/right-way.ts`] = `${imports}export const words: readonly string[] = [${allowed.join(', ')}];\n`;
  }
  return files;
}
