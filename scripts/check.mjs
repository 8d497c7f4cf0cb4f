// `npm run check`: types, lint, format and dead code, side by side, in seconds. Prints a line a check; the output of those that fail.
import { spawn } from 'node:child_process';

const CHECKS = [
  ['types', 'tsc', ['-b', '--pretty', 'false']],
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts']],
  ['format', 'oxfmt', ['--check', 'src', 'test', 'bench', 'scripts']],
  ['dead code', 'knip', ['--no-progress']],
];

const results = await Promise.all(
  CHECKS.map(
    ([name, command, args]) =>
      new Promise((resolve) => {
        const started = performance.now();
        const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        let output = '';
        child.stdout.on('data', (data) => (output += data));
        child.stderr.on('data', (data) => (output += data));
        child.on('error', (error) => resolve({ name, ok: false, output: String(error), seconds: 0 }));
        child.on('close', (code) => resolve({ name, ok: code === 0, output, seconds: (performance.now() - started) / 1000 }));
      }),
  ),
);
for (const { name, ok, output, seconds } of results) {
  console.log(`${ok ? '✓' : '✗'} ${name} (${seconds.toFixed(1)} s)`);
  if (!ok) console.log(output);
}
const passed = results.filter((result) => result.ok).length;
console.log(`\n${passed} passed, ${results.length - passed} failed, 0 skipped`);
process.exit(results.every((result) => result.ok) ? 0 : 1);
