import { expect, test } from 'vitest';
import type { JsonObject } from '#contracts/prompt';
import { grammarFor } from './output-grammar.ts';

function schemaGrammar(schema: JsonObject): ReturnType<typeof grammarFor> {
  return grammarFor({ kind: 'json_schema', name: 'answer', schema });
}

test('free text has no grammar, and any JSON object has one', () => {
  expect(grammarFor(undefined)).toEqual({ ok: true, value: null });
  expect(grammarFor({ kind: 'text' })).toEqual({ ok: true, value: null });
  expect(grammarFor({ kind: 'json_object' })).toMatchObject({ ok: true, value: expect.stringMatching(/^root ::= object\n/) });
});

test('a schema becomes rules: every property, in order, and nothing else', () => {
  const grammar = schemaGrammar({
    type: 'object',
    description: 'a ship',
    properties: { name: { type: 'string' }, flag: { enum: ['red', 'gr"een'] }, tons: { type: ['integer', 'null'] } },
    required: ['name'],
    additionalProperties: false,
  });
  const rules = grammar.ok ? (grammar.value ?? '').split('\n').slice(0, 4) : [];
  expect(rules).toEqual([
    'root ::= rule-2',
    String.raw`rule-0 ::= "\"red\"" | "\"gr\\\"een\""`,
    'rule-1 ::= integer | null',
    String.raw`rule-2 ::= "{" ws "\"name\"" ws ":" ws string ws "," ws "\"flag\"" ws ":" ws rule-0 ws "," ws "\"tons\"" ws ":" ws rule-1 ws "}"`,
  ]);
});

test.each<[string, JsonObject]>([
  ['schema.pattern', { type: 'string', pattern: '^a' }],
  ['schema.properties.a.minimum', { type: 'object', properties: { a: { type: 'integer', minimum: 3 } } }],
  ['schema.$ref', { $ref: '#/$defs/a' }],
  ['schema.oneOf', { oneOf: [{ type: 'string' }] }],
  ['schema.required', { type: 'object', properties: {}, required: ['a'] }],
  ['schema.enum', { enum: [] }],
  ['no value in it is of type "string"', { type: 'string', enum: [1, null] }],
  ['schema.type', { type: 'date' }],
  ['schema.type', { properties: { a: { type: 'string' } } }],
  ['only one of enum, anyOf', { enum: ['a'], anyOf: [{ type: 'string' }] }],
])('what a grammar cannot hold an answer to is refused by its place: %s', (named, schema) => {
  expect(schemaGrammar(schema)).toMatchObject({ ok: false, error: expect.stringContaining(named) });
});

test('of an enum only the values of its type are left', () => {
  const grammar = schemaGrammar({ type: 'integer', enum: [1, 1.5, null, 'a', 2] });
  expect(grammar).toMatchObject({ ok: true, value: expect.stringContaining('rule-0 ::= "1" | "2"\n') });
});

test('a schema without a bottom, or without an end, is refused', () => {
  let deep: JsonObject = { type: 'string' };
  for (let depth = 0; depth < 40; depth++) deep = { type: 'array', items: deep };
  expect(schemaGrammar(deep)).toMatchObject({ ok: false, error: expect.stringContaining('too deep') });
  const long = 'x'.repeat(70_000);
  expect(schemaGrammar({ const: long })).toMatchObject({ ok: false, error: expect.stringContaining('too large') });
});
