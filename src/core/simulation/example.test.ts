import { expect, test } from 'vitest';
import { z } from 'zod';
import type { JsonObject } from '#contracts/prompt';
import { exampleOf } from './example.ts';
import { createDraw } from './seeded.ts';

const SCHEMAS = [
  z.object({ city: z.string(), unit: z.enum(['c', 'f']), days: z.int().min(1).max(7) }),
  z.object({ tags: z.array(z.string().min(3).max(5)).min(2).max(4), note: z.string().optional(), exact: z.literal(42) }),
  z.object({ where: z.union([z.object({ lat: z.number().min(-90).max(90) }), z.null()]), on: z.boolean() }),
  z.object({
    share: z.number().min(0.2).max(0.3),
    nested: z.object({ deep: z.object({ deeper: z.array(z.int().min(5).max(6)) }) }),
  }),
] as const;

test.each(SCHEMAS.map((schema, index) => [index, schema] as const))('a made-up value fits its schema (%i)', (_, schema) => {
  const json = z.toJSONSchema(schema) as JsonObject;
  for (let seed = 0; seed < 50; seed += 1) expect(schema.parse(exampleOf(json, createDraw(seed)))).toBeDefined();
});

test('a schema that refers to itself comes to an end', () => {
  const tree: JsonObject = {
    $defs: { node: { type: 'object', properties: { child: { $ref: '#/$defs/node' } }, required: ['child'] } },
    $ref: '#/$defs/node',
  };
  expect(JSON.stringify(exampleOf(tree, createDraw(1))).length).toBeLessThan(200);
});

test.each([[{}], [{ type: 'object' }], [{ $ref: '#/nowhere' }], [{ $ref: '#/__proto__/x' }]])(
  'a schema that says nothing makes an object (%j)',
  (schema) => {
    expect(exampleOf(schema as JsonObject, createDraw(1))).toEqual({});
  },
);

test('a property named like a hidden one is a property like any other', () => {
  const schema = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"integer"}},"required":["__proto__"]}',
  ) as JsonObject;
  const value = exampleOf(schema, createDraw(1));
  expect(Object.keys(value as object)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});
