// `npm run build`: the package that users install, in dist/. Node runs no TypeScript under node_modules, so it is JavaScript
// with types; its package.json is made here, without what only the clone needs.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What others may import, each without any other package. `scripts/pack-check.mjs` holds them to it. */
const ENTRIES = { './dialects': 'dialects/index', './limits': 'core/limits/package-entry' };
const PAGES = ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md'];

const root = path.join(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

try {
  execFileSync(path.join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
} catch {
  process.exit(1);
}
// tsc turns `./x.ts` into `./x.js` in the code; in declarations it leaves it.
for (const file of globSync('**/*.d.ts', { cwd: dist })) {
  const at = path.join(dist, file);
  const text = readFileSync(at, 'utf8');
  writeFileSync(at, text.replaceAll(/((?:from |import\()['"]\.{1,2}\/[^'"]+)\.ts(?=['"])/g, '$1.js'));
}
for (const file of globSync('src/**/*.{json,sql,html,css,gz}', { cwd: root }))
  if (!/tsconfig\.json$|\/fixtures\//.test(file))
    cpSync(path.join(root, file), path.join(dist, path.relative('src', file)), { recursive: true });
for (const page of PAGES) if (existsSync(path.join(root, page))) cpSync(path.join(root, page), path.join(dist, page));
chmodSync(path.join(dist, 'cli/main.js'), 0o755);
writeFileSync(path.join(dist, 'package.json'), `${JSON.stringify(packageJson(), null, 2)}\n`);

function packageJson() {
  const source = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const { name, version, description, license, type, engines, dependencies } = source;
  return {
    name,
    version,
    description,
    license,
    type,
    engines,
    bin: { plimsoll: './cli/main.js' },
    exports: {
      ...Object.fromEntries(
        Object.entries(ENTRIES).map(([entry, file]) => [entry, { types: `./${file}.d.ts`, default: `./${file}.js` }]),
      ),
      './package.json': './package.json',
    },
    imports: Object.fromEntries(
      Object.entries(source.imports).map(([room, file]) => [room, file.replace('./src/', './').replace(/\.ts$/, '.js')]),
    ),
    dependencies,
    // The embedded engine is large, and only those who serve a model from a file need it.
    peerDependencies: { 'node-llama-cpp': source.devDependencies['node-llama-cpp'] },
    peerDependenciesMeta: { 'node-llama-cpp': { optional: true } },
  };
}
