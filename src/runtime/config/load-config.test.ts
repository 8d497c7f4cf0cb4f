import { describe, expect, test } from 'vitest';
import { parseConfig } from './load-config.ts';
import { readSecret } from './secrets.ts';

const problems = (text: string) => {
  const parsed = parseConfig(text);
  return parsed.ok ? [] : parsed.error;
};

const EXAMPLE = `
listen: { host: 127.0.0.1, port: 8787 }
data: ./.plimsoll
stores:
  control: embedded
  limits: memory
regions:
  - { id: eu-west, jurisdiction: eu }
  - { id: us-east, jurisdiction: us }
pools:
  - id: harbor-eu
    region: eu-west
    dialect: anthropic
    prompt_cache: { block_tokens: 64, capacity_tokens: 2000000 }
    replicas:
      - { id: eu-1, url: "http://127.0.0.1:9101", key: "env:UPSTREAM_KEY" }
      - { id: eu-2, url: "http://127.0.0.1:9102" }
models:
  - id: harbor-1
    serve: [ { pool: harbor-eu, upstream_model: "org/harbor-70b" } ]
limits:
  defaults: { rpm: 600, itpm: 400000, otpm: 80000, concurrency: 64 }
`;

describe('the configuration file', () => {
  test('no file at all is a whole configuration', () => {
    const parsed = parseConfig('');
    expect(parsed.ok && parsed.value.listen).toEqual({ host: '127.0.0.1', port: 8787, trusted_proxies: [] });
    expect(parsed.ok && parsed.value.timeouts.total_ms).toBe(600_000);
  });

  test('the example of the design loads as it is', () => {
    const parsed = parseConfig(EXAMPLE);
    expect(parsed.ok ? parsed.value.models[0]?.serve[0]?.upstream_model : parsed.error).toBe('org/harbor-70b');
  });

  test('an unknown key is named with its line and the nearest known one', () => {
    expect(problems('listen:\n  host: 127.0.0.1\n  prot: 8787\n')).toEqual([
      { line: 3, path: 'listen.prot', message: 'unknown key "prot"; did you mean "port"?' },
    ]);
    expect(problems('pools:\n  - id: a\n    dialect: openai\n    replcias: []\n')[0]).toMatchObject({
      line: 4,
      path: 'pools.0.replcias',
    });
    expect(problems('zebra: 1\n')[0]?.message).toMatch(/known here: listen, data/);
  });

  test('a bad value is shown with its line, and every problem at once', () => {
    const found = problems('listen:\n  port: eighty\ntimeouts:\n  idle_ms: 0\n');
    expect(found.map(({ line, path }) => [line, path])).toEqual([
      [2, 'listen.port'],
      [4, 'timeouts.idle_ms'],
    ]);
    expect(found[0]?.message).toContain('"eighty"');
  });

  test.each([
    ['pools:\n  - { id: a, dialect: openai, replicas: [{ id: r, url: "ftp://x" }] }', /http/],
    ['pools:\n  - { id: a, dialect: openai, replicas: [{ id: r, url: "http://user:pass@x/v1" }] }', /without credentials/],
    ['pools:\n  - { id: a }', /either dialect/],
    ['models:\n  - { id: m, serve: [{ pool: nowhere }] }', /no pool is called nowhere/],
    ['pools:\n  - { id: a, engine: simulated }\n  - { id: a, engine: simulated }', /used twice/],
    ['stores: { limits: "memcached://x" }', /memory, redis:/],
    ['listen: { trusted_proxies: ["10.0.0.1"] }', /an address block/],
    ['limits: { rules: [{ id: a, per: [key], of: requests, limit: 5, window: fortnight }] }', /a time such as/],
    ['listen: [', /./],
    ['a: 1\na: 2', /unique/],
  ])('%j is refused', (text, message) => {
    expect(problems(text)[0]?.message).toMatch(message);
  });

  test('a secret written into the file is refused, and not repeated in the message', () => {
    const found = problems(
      'pools:\n  - { id: a, dialect: openai, replicas: [{ id: r, url: "http://x/v1", key: "sk-live-123" }] }',
    );
    expect(found[0]?.message).toMatch(/env:NAME or file:/);
    expect(JSON.stringify(found)).not.toContain('sk-live-123');
  });

  test('secrets are read by reference; what is missing is named by its reference', () => {
    expect(readSecret('env:A', { A: 'x' })).toEqual({ ok: true, value: 'x' });
    expect(readSecret('env:B', {})).toEqual({ ok: false, error: 'env:B is not set or empty' });
    expect(readSecret('file:/nonexistent', {})).toEqual({ ok: false, error: 'file:/nonexistent cannot be read (ENOENT)' });
  });
});
