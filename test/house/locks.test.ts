import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { edgeOf, HOUSE, plantHouse, type PlantedHouse } from './planted-house.ts';

interface Violation {
  readonly file: string;
  readonly text: string;
  /** What the compiler says, or null where only the linter can tell. */
  readonly compiler: RegExp | null;
  /** The lint rule that catches it, or null where only the compiler can tell. */
  readonly linter: string | null;
}

const rooms = Object.entries(HOUSE);
const wrongWays: readonly (Violation & { readonly from: string; readonly to: string })[] = rooms.flatMap(([from, allowed]) =>
  rooms
    .map(([to]) => to)
    .filter((to) => to !== from && !(allowed as readonly string[]).includes(to))
    .map((to) => ({
      from,
      to,
      file: `src/${from}/${from === 'core' ? 'kernel/' : ''}to-${to}.ts`,
      text: `export { word } from '${edgeOf(to)}';\n`,
      // The command's room has no name that another could import it by.
      compiler: to === 'cli' ? /TS2307/ : /TS6307/,
      linter: 'house(walls)',
    })),
);

const pureRooms = ['contracts', 'core/kernel', 'dialects'];
const worldly = ['process', 'fetch', 'setTimeout', 'performance', 'crypto', 'console', 'Buffer'];
const named: readonly (Violation & { readonly name: string })[] = [
  ...pureRooms.flatMap((room) =>
    worldly.map((name) => ({
      name: `${name} in ${room}`,
      file: `src/${room}/uses-${name}.ts`,
      text: `export const used = (): unknown => ${name};\n`,
      compiler: /TS(2304|2580|2584|2591)/,
      linter: null,
    })),
  ),
  ...pureRooms.flatMap((room) => [
    lintOnly(`Date in ${room}`, `src/${room}/uses-date.ts`, 'export const at = (): number => Date.now();', 'house(pure-core)'),
    lintOnly(
      `chance in ${room}`,
      `src/${room}/uses-chance.ts`,
      'export const at = (): number => Math.random();',
      'house(pure-core)',
    ),
    lintOnly(
      `globalThis in ${room}`,
      `src/${room}/uses-global.ts`,
      'export const all: unknown = globalThis;',
      'house(pure-core)',
    ),
    {
      name: `node:fs in ${room}`,
      file: `src/${room}/imports-node.ts`,
      text: "export { readFileSync } from 'node:fs';\n",
      compiler: /TS(2307|2591)/,
      linter: 'house(walls)',
    },
  ]),
  lintOnly(
    'a deep relative import of a room that may be imported',
    'src/gateway/deep.ts',
    "export { word } from '../core/kernel/index.ts';",
    'house(walls)',
  ),
  lintOnly(
    'a core feature entered past its edge',
    'src/core/limits/past-the-edge.ts',
    "export { inner } from '../kernel/inner.ts';",
    'house(walls)',
  ),
  lintOnly('a room that imports itself from outside', 'src/gateway/self.ts', "export { word } from '#gateway';", 'house(walls)'),
  lintOnly(
    'a wall climbed with import()',
    'src/gateway/dynamic.ts',
    "export const late = (): Promise<unknown> => import('../core/kernel/index.ts');",
    'house(walls)',
  ),
  lintOnly('a cycle', 'src/runtime/a.ts', "import { b } from './b.ts';\nexport const a = (): unknown => b;", 'import(no-cycle)'),
  lintOnly(
    'a cycle, seen from its other end',
    'src/runtime/b.ts',
    "import { a } from './a.ts';\nexport const b = (): unknown => a;",
    'import(no-cycle)',
  ),
  lintOnly(
    'a module-level let',
    'src/gateway/counter.ts',
    'let count = 0;\nexport const next = (): number => (count += 1);',
    'house(no-module-state)',
  ),
  ...['Map<string, string>', 'Set<string>'].map((type) =>
    lintOnly(
      `an empty module-level ${type}`,
      `src/runtime/cache-${type.slice(0, 3).toLowerCase()}.ts`,
      `export const cache = new ${type}();`,
      'house(no-module-state)',
    ),
  ),
  lintOnly(
    'any',
    'src/gateway/loose.ts',
    'export const loose = (value: any): void => void value;',
    'typescript(no-explicit-any)',
  ),
  lintOnly(
    'a non-null assertion',
    'src/gateway/sure.ts',
    'export const sure = (value: string | null): string => value!;',
    'typescript(no-non-null-assertion)',
  ),
  lintOnly('a default export', 'src/gateway/default.ts', 'export default 1;', 'import(no-default-export)'),
  lintOnly(
    'a floating promise',
    'src/gateway/floating.ts',
    'export function floating(): void {\n  Promise.resolve(1);\n}',
    'typescript(no-floating-promises)',
  ),
  {
    name: 'an enum',
    file: 'src/gateway/color.ts',
    text: 'export enum Color {\n  red,\n}\n',
    compiler: /TS1294/,
    linter: null,
  },
  {
    name: 'a parameter property',
    file: 'src/gateway/point.ts',
    text: 'export class Point {\n  constructor(readonly x: number) {}\n}\n',
    compiler: /TS1294/,
    linter: null,
  },
];

function lintOnly(name: string, file: string, text: string, linter: string): Violation & { readonly name: string } {
  return { name, file, text: `${text}\n`, compiler: null, linter };
}

/** The complaints of a tool, by the file they are about. */
type Complaints = ReadonlyMap<string, readonly string[]>;

describe('the compiler and the linter', () => {
  let house: PlantedHouse;
  let compiler: Complaints;
  let linter: Complaints;

  beforeAll(async () => {
    house = plantHouse(Object.fromEntries([...wrongWays, ...named].map(({ file, text }) => [file, text])));
    const [types, lint] = await Promise.all([
      house.run('tsc', '-b', '--pretty', 'false'),
      house.run('oxlint', '--type-aware', '--deny-warnings', '-f', 'json', 'src'),
    ]);
    compiler = byFile(
      [...types.output.matchAll(/^(src\/[^(]+)\([\d,]+\): error (TS\d+)/gm)].map(([, file = '', code = '']) => [file, code]),
    );
    const Report = z.object({ diagnostics: z.array(z.object({ filename: z.string(), code: z.string() })) });
    linter = byFile(Report.parse(JSON.parse(lint.output)).diagnostics.map(({ filename, code }) => [filename, code]));
  });
  afterAll(() => house.remove());

  test.each(wrongWays)('$from may not import $to', (violation) => expectCaught(violation));
  test.each(named)('they catch $name', (violation) => expectCaught(violation));

  test('they say nothing about imports that run the right way', () => {
    const planted = new Set([...wrongWays, ...named].map(({ file }) => file));
    expect([...compiler.keys(), ...linter.keys()].filter((file) => !planted.has(file))).toEqual([]);
  });

  function expectCaught({ file, compiler: said, linter: rule }: Violation): void {
    if (said !== null) expect(compiler.get(file)?.join(' ') ?? '').toMatch(said);
    if (rule !== null) expect(linter.get(file) ?? []).toContain(rule);
  }
});

describe('the test runner', () => {
  const keeps = 'export const kept: string[] = [];\n';
  const leaky = (name: string): string => `
    import { expect, test } from 'vitest';
    import { kept } from '../src/core/kept.ts';
    test('nobody was here before ${name}', () => {
      expect(kept).toEqual([]);
      kept.push('${name}');
    });\n`;
  const ordered = `
    import { expect, test } from 'vitest';
    const seen: number[] = [];
    for (const index of [0, 1, 2, 3, 4, 5, 6, 7])
      test('test ' + index + ' runs in its written place', () => {
        seen.push(index);
        expect(seen.length).toBe(index + 1);
      });\n`;

  test('state that one file leaves behind fails another, and the order of tests is shuffled', async () => {
    const house = plantHouse({
      'src/core/kept.ts': keeps,
      'test/first.test.ts': leaky('first'),
      'test/second.test.ts': leaky('second'),
      'test/ordered.test.ts': ordered,
    });
    try {
      // One worker, since that is what shares a module graph; a seed, so that this test has one outcome.
      const flags = ['--reporter=json', '--outputFile=report.json', '--maxWorkers=1', '--sequence.seed=7'];
      const { code } = await house.run('vitest', 'run', ...flags);
      const Report = z.object({
        testResults: z.array(z.object({ name: z.string(), assertionResults: z.array(z.object({ status: z.string() })) })),
      });
      const { testResults } = Report.parse(JSON.parse(readFileSync(path.join(house.root, 'report.json'), 'utf8')));
      const failuresIn = (part: string): number =>
        testResults
          .filter(({ name }) => name.includes(part))
          .flatMap(({ assertionResults }) => assertionResults)
          .filter(({ status }) => status === 'failed').length;
      expect(code).not.toBe(0);
      expect(failuresIn('first') + failuresIn('second')).toBe(1);
      expect(failuresIn('ordered')).toBeGreaterThan(0);
    } finally {
      house.remove();
    }
  });
});

function byFile(complaints: Iterable<readonly [string, string]>): Complaints {
  const grouped = new Map<string, string[]>();
  for (const [file, complaint] of complaints) grouped.set(file, [...(grouped.get(file) ?? []), complaint]);
  return grouped;
}
