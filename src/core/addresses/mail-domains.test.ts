import { expect, test } from 'vitest';
import { parseMailDomains } from './mail-domains.ts';

test('a list of domains is taken in lower case, with comments and without empty lines', () => {
  expect(parseMailDomains('# throwaway\nTrash.Test\n\nsub.a-b.test # seen often\n')).toEqual({
    ok: true,
    value: new Set(['trash.test', 'sub.a-b.test']),
  });
});

test.each([
  ['a.test\nnot a domain\n', 2],
  ['localhost', 1],
  ['-a.test', 1],
  ['someone@mail.test', 1],
])('a list with a line that is no domain is not taken, and the line is named (%j)', (text, line) => {
  expect(parseMailDomains(text)).toMatchObject({ ok: false, error: { line } });
});
