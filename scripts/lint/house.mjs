// The second lock of the house: which room may import which, no module state, and no clock or chance in the pure rooms.
// The compiler (tsconfig references) is the first lock, the test runner without isolation the third; test/house/locks.test.ts
// plants one violation for each rule below and sees it caught.
import path from 'node:path';

const ROOMS = {
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
};
const PURE = new Set(['contracts', 'core', 'dialects']);

/** `src/<room>/<feature>/…` of a file, or null outside the house (tests of the whole, bench, scripts). */
function place(file) {
  const match = /(?:^|\/)src\/([^/]+)\/(?:([^/]+)\/)?/.exec(file.replaceAll('\\', '/'));
  return match && match[1] in ROOMS ? { room: match[1], feature: match[2] ?? null } : null;
}
const isTest = (file) => /\.(test|conformance)\.ts$/.test(file);

const walls = {
  create(context) {
    const from = place(context.filename);
    if (!from) return {};
    const check = (node) => {
      const specifier = node.source?.value;
      if (typeof specifier !== 'string') return;
      if (specifier.startsWith('#')) {
        const [room] = specifier.slice(1).split('/');
        if (room === from.room) context.report({ node, message: `Inside ${room}, import relatively, not through ${specifier}.` });
        else if (!ROOMS[from.room].includes(room))
          context.report({ node, message: `Wall: ${from.room} may not import ${room}.` });
        return;
      }
      if (specifier.startsWith('.')) {
        const target = place(path.resolve(path.dirname(context.filename), specifier));
        if (target?.room !== from.room)
          context.report({ node, message: `Wall: a relative import leaves ${from.room}; use a #room path.` });
        // Core's features meet only at their edges, so that each can be read, and published, alone.
        else if (
          from.room === 'core' &&
          !isTest(context.filename) &&
          target.feature !== from.feature &&
          !specifier.endsWith('/index.ts')
        )
          context.report({ node, message: `Wall: import core/${target.feature} through its index.ts.` });
        return;
      }
      if (PURE.has(from.room) && !isTest(context.filename) && specifier.startsWith('node:'))
        context.report({ node, message: `Wall: ${from.room} is pure; it may not import ${specifier}.` });
    };
    return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check, ImportExpression: check };
  },
};

const noModuleState = {
  create(context) {
    if (!place(context.filename) || isTest(context.filename)) return {};
    const isState = (init) =>
      init?.type === 'NewExpression' &&
      ['Map', 'Set', 'WeakMap', 'WeakSet', 'Array'].includes(init.callee.name) &&
      init.arguments.length === 0;
    const check = (declaration) => {
      if (declaration?.type !== 'VariableDeclaration') return;
      if (declaration.kind === 'let' || declaration.kind === 'var')
        context.report({
          node: declaration,
          message: 'Module state: a module-level `let` is shared by every caller and every test.',
        });
      for (const { init } of declaration.declarations)
        if (isState(init))
          context.report({ node: declaration, message: 'Module state: an empty collection at module level is a hidden cache.' });
    };
    return {
      Program(program) {
        for (const statement of program.body)
          check(statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement);
      },
    };
  },
};

const pureCore = {
  create(context) {
    const from = place(context.filename);
    if (!from || !PURE.has(from.room) || isTest(context.filename)) return {};
    return {
      Identifier(node) {
        const parent = node.parent;
        const isProperty =
          (parent?.type === 'MemberExpression' && parent.property === node && !parent.computed) ||
          (parent?.type === 'Property' && parent.key === node && !parent.shorthand) ||
          parent?.type?.startsWith('TS');
        if (isProperty) return;
        if (node.name === 'Date' || node.name === 'globalThis')
          context.report({
            node,
            message: `${from.room} takes the time and the world as arguments; ${node.name} does not exist here.`,
          });
      },
      MemberExpression(node) {
        if (node.object.name === 'Math' && node.property.name === 'random')
          context.report({ node, message: `${from.room} takes chance as an argument; Math.random does not exist here.` });
      },
    };
  },
};

export default {
  meta: { name: 'house' },
  rules: { walls, 'no-module-state': noModuleState, 'pure-core': pureCore },
};
