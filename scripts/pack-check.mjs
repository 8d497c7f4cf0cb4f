// `npm run pack:check`: what a user does with the package, on what a user would get. Builds it, packs it, installs the
// tarball in an empty folder, imports its small entries where nothing else is installed, starts it and gets an answer.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const START_MS_MAX = 30_000;
const ANSWER_MS_MAX = 30_000;
const STOP_MS_MAX = 20_000;
const TARBALL_BYTES_MAX = 2_000_000;

const root = path.join(import.meta.dirname, '..');
const work = mkdtempSync(path.join(tmpdir(), 'plimsoll-pack-'));
// The installed command starts the first `node` on the path; users bring 24, and so do we.
const env = { ...process.env, PATH: [path.dirname(process.execPath), process.env.PATH].join(path.delimiter) };
// What `npm run` says of the clone is not for a folder elsewhere; what it says of the registry is.
for (const name of Object.keys(env))
  if (/^(npm_(package|lifecycle)_|npm_config_local_prefix$|PLIMSOLL_)/.test(name)) delete env[name];
const run = async (command, args, options = {}) =>
  (await promisify(execFile)(command, args, { cwd: work, env, timeout: 180_000, ...options })).stdout;
const app = path.join(work, 'app');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

const count = { passed: 0, failed: 0 };
try {
  const tarball = await check('the package builds and packs', pack);
  if (tarball !== undefined) {
    await check('it holds the code, the license and the readme, and no source or test', () => inspect(tarball));
    await check('its small entries load where no other package is installed', () => importAlone(tarball));
    const isInstalled = await check('its tarball installs in an empty folder', () => install(tarball));
    if (isInstalled) {
      await check('the types of its small entries check in a strict project', checkTypes);
      await check('npx plimsoll --version says the version', sayVersion);
      await check('npx plimsoll serve answers, whole and streamed, and Ctrl-C ends all of it', () =>
        serveAndAsk(['npx', '--no-install', 'plimsoll'], async (child, ended) => {
          // A terminal signals everyone in the foreground. npx passes no SIGTERM on, which is why supervisors start the command.
          signalAll(child, 'SIGINT');
          await ended;
        }),
      );
      await check('the installed command answers, and exits with 0 on SIGTERM', () =>
        serveAndAsk(['node_modules/.bin/plimsoll'], async (child, ended) => {
          child.kill('SIGTERM');
          const { code, signal } = await ended;
          assert(code === 0, `it ended with ${signal ?? code}`);
        }),
      );
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`\n${count.passed} passed, ${count.failed} failed, 0 skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;

async function check(name, step) {
  const startedMs = performance.now();
  try {
    const value = await step();
    count.passed += 1;
    console.log(`✓ ${name} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
    return value ?? true;
  } catch (error) {
    count.failed += 1;
    console.log(`✗ ${name}\n${error.stdout ?? ''}${error.stderr ?? ''}${error.stack}`);
    return undefined;
  }
}

async function pack() {
  await run(process.execPath, ['scripts/build.mjs'], { cwd: root });
  const [{ filename }] = JSON.parse(await run('npm', ['pack', path.join(root, 'dist'), '--json', '--ignore-scripts']));
  return path.join(work, filename);
}

async function inspect(tarball) {
  const files = (await run('tar', ['-tzf', tarball])).trim().split('\n');
  for (const file of ['package.json', 'README.md', 'LICENSE', 'cli/main.js'])
    assert(files.includes(`package/${file}`), `the package lacks ${file}`);
  const strays = files.filter((file) => /(?<!\.d)\.ts$|\.(test|conformance|fixture)\.|tsconfig|\.map$/.test(file));
  assert(strays.length === 0, `the package holds ${strays.join(', ')}`);
  const { size } = statSync(tarball);
  assert(size <= TARBALL_BYTES_MAX, `the tarball has ${size} bytes, more than ${TARBALL_BYTES_MAX}`);
}

async function importAlone(tarball) {
  const alone = path.join(work, 'alone', 'node_modules', 'plimsoll');
  mkdirSync(alone, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', alone, '--strip-components=1']);
  const script = `for (const entry of ${JSON.stringify(entries(alone))}) {
    const names = Object.keys(await import(entry));
    if (names.length === 0) throw new Error(entry + ' exports nothing');
  }`;
  await run(process.execPath, ['--input-type=module', '-e', script], { cwd: path.join(work, 'alone') });
}

async function install(tarball) {
  mkdirSync(app);
  writeFileSync(path.join(app, 'package.json'), '{ "private": true, "type": "module" }\n');
  await run('npm', ['install', tarball, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: app });
  const installed = readdirSync(path.join(app, 'node_modules'));
  assert(!installed.includes('node-llama-cpp'), 'the embedded engine is installed without being asked for');
}

async function checkTypes() {
  const imports = entries(path.join(app, 'node_modules/plimsoll')).map(
    (entry, index) => `import * as e${index} from '${entry}';`,
  );
  const uses = imports.map((_, index) => `e${index}`).join(', ');
  writeFileSync(path.join(app, 'use.ts'), `${imports.join('\n')}\nexport const entries = [${uses}];\n`);
  const compilerOptions = { module: 'NodeNext', target: 'ES2024', lib: ['ES2024'], strict: true, noEmit: true, types: [] };
  writeFileSync(path.join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
  await run(path.join(root, 'node_modules/.bin/tsc'), ['-p', app]);
}

async function sayVersion() {
  const said = (await run('npx', ['--no-install', 'plimsoll', '--version'], { cwd: app })).trim();
  assert(said === version, `it says ${said}, package.json says ${version}`);
}

async function serveAndAsk([command, ...args], stop) {
  const child = spawn(command, [...args, 'serve', '--json'], {
    cwd: app,
    env: { ...env, PLIMSOLL_PORT: '0', PLIMSOLL_DATA: path.join(app, 'data') },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that nothing is left when the check gives up.
    detached: true,
  });
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  let errors = '';
  child.stderr.on('data', (data) => (errors += data));
  try {
    const { url, models, first_keys: keysFile } = await within(START_MS_MAX, Promise.race([serving(child), exited(ended)]));
    const { api_key: key } = JSON.parse(readFileSync(path.resolve(app, keysFile), 'utf8'));
    for (const stream of [false, true]) {
      const response = await fetch(`${url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'x-api-key': key },
        body: JSON.stringify({ model: models[0], max_tokens: 16, stream, messages: [{ role: 'user', content: 'Hello' }] }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const text = await response.text();
      assert(response.status === 200, `${models[0]} answered ${response.status}: ${text}`);
      if (stream) assert(text.includes('event: message_stop'), `the stream did not end well: ${text}`);
      else assert(JSON.parse(text).content[0]?.text?.length > 0, `the answer has no text: ${text}`);
    }
    await within(STOP_MS_MAX, stop(child, ended));
  } catch (error) {
    throw new Error(`${error.message}\n${errors}`, { cause: error });
  } finally {
    signalAll(child, 'SIGKILL');
  }
}

/** Signals the child and all that it started; those that have ended already, as they should, are no failure. */
function signalAll(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** The one line of JSON that `serve --json` prints when it takes requests; log lines may stand around it. */
async function serving(child) {
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('"first_keys"')) return JSON.parse(line);
  throw new Error('it ended without saying that it serves');
}

async function exited(ended) {
  const { code, signal } = await ended;
  throw new Error(`it ended with ${signal ?? code} before it served`);
}

async function within(limitMs, promise) {
  const { promise: late, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Error(`nothing within ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function entries(folder) {
  const { name, exports } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return Object.keys(exports)
    .filter((entry) => entry !== './package.json')
    .map((entry) => entry.replace('.', name));
}

function assert(claim, message) {
  if (!claim) throw new Error(message);
}
