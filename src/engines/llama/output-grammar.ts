import type { Json, JsonObject, OutputFormat } from '#contracts/prompt';
import { err, ok, type Result } from '#core/kernel';

const DEPTH_MAX = 16;
const RULES_MAX = 500;
const GRAMMAR_CHARACTERS_MAX = 65_536;

/** One optional blank between the parts: enough to be readable, and no room in which a small model could go round in circles. */
const JSON_RULES = [
  String.raw`ws ::= [ \n]?`,
  String.raw`string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\""`,
  'integer ::= "-"? ("0" | [1-9] [0-9]{0,15})',
  'number ::= integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,3})?',
  'boolean ::= "true" | "false"',
  'null ::= "null"',
  'value ::= object | array | string | number | boolean | null',
  'object ::= "{" ws (string ws ":" ws value ws ("," ws string ws ":" ws value ws)*)? "}"',
  'array ::= "[" ws (value ws ("," ws value ws)*)? "]"',
];

/** Say something about a value and demand nothing of it. */
const ANNOTATIONS = new Set(['$schema', '$id', '$comment', 'title', 'description', 'default', 'examples', 'deprecated']);
const KEYWORDS = new Set(['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'const', 'anyOf']);
const PRIMITIVES = new Set(['string', 'integer', 'number', 'boolean', 'null']);

/**
 * The grammar (GBNF, llama.cpp's) that every complete answer in this format follows, null for free text. Of JSON Schema it knows
 * what a grammar can hold: types, properties, items, enum, const and anyOf. Any other keyword is refused by name, because an
 * answer that was constrained only in part would pass for one that was checked. All properties are written, in their order,
 * required or not, and no others: a schema that allows more is still met.
 */
export function grammarFor(format: OutputFormat | undefined): Result<string | null, string> {
  if (format === undefined || format.kind === 'text') return ok(null);
  if (format.kind === 'json_object') return ok(['root ::= object', ...JSON_RULES].join('\n'));
  const rules: string[] = [];
  try {
    const root = ruleFor(format.schema, { rules, path: 'schema', depth: 0 });
    const grammar = [`root ::= ${root}`, ...rules, ...JSON_RULES].join('\n');
    if (grammar.length > GRAMMAR_CHARACTERS_MAX) return err('schema: it is too large for the embedded engine');
    return ok(grammar);
  } catch (error) {
    if (error instanceof SchemaRefused) return err(error.message);
    throw error;
  }
}

/** Never leaves this file: it ends the descent into a schema that cannot be honored. */
class SchemaRefused extends Error {}

interface Place {
  readonly rules: string[];
  /** Where in the schema, for messages. */
  readonly path: string;
  readonly depth: number;
}

/** Adds what `schema` needs to the rules, and returns the expression for a value that follows it. */
function ruleFor(schema: Json | undefined, place: Place): string {
  const { path, depth, rules } = place;
  if (schema === true) return 'value';
  if (!isObject(schema)) throw new SchemaRefused(`${path}: must be an object or true`);
  if (depth > DEPTH_MAX || rules.length > RULES_MAX) throw new SchemaRefused(`${path}: the schema is too deep or too large`);
  for (const keyword of Object.keys(schema)) {
    if (!KEYWORDS.has(keyword) && !ANNOTATIONS.has(keyword))
      throw new SchemaRefused(`${path}.${keyword}: the embedded engine cannot hold an answer to this keyword`);
  }
  const constraints = ['const', 'enum', 'anyOf', 'type'].filter((keyword) => schema[keyword] !== undefined);
  const isTypedEnum = constraints.length === 2 && typeof schema.type === 'string' && (schema.enum ?? schema.const) !== undefined;
  if (constraints.length > 1 && !isTypedEnum)
    throw new SchemaRefused(`${path}: only one of ${constraints.join(', ')} can be held to`);
  if (isTypedEnum) return choice(ofType(schema, path).map(literal), rules);
  if (schema.const !== undefined) return literal(schema.const);
  if (schema.enum !== undefined) return choice(list(schema.enum, `${path}.enum`).map(literal), rules);
  if (schema.anyOf !== undefined)
    return choice(
      list(schema.anyOf, `${path}.anyOf`).map((each, at) => ruleFor(each, inside(place, `anyOf.${at}`))),
      rules,
    );
  if (Array.isArray(schema.type))
    return choice(
      schema.type.map((type) => typeRule(type, schema, place)),
      rules,
    );
  if (schema.type === undefined && (schema.properties ?? schema.items) !== undefined)
    throw new SchemaRefused(`${path}.type: must be said where there are properties or items`);
  return schema.type === undefined ? 'value' : typeRule(schema.type, schema, place);
}

/** The values that both `type` and `enum` (or `const`) allow. */
function ofType({ type, enum: values, const: only }: JsonObject, path: string): readonly Json[] {
  const allowed = (values === undefined ? [only ?? null] : list(values, `${path}.enum`)).filter((value) =>
    type === 'integer' ? Number.isInteger(value) : (value === null ? 'null' : typeof value) === type,
  );
  if (allowed.length === 0) throw new SchemaRefused(`${path}: no value in it is of type ${JSON.stringify(type)}`);
  return allowed;
}

function typeRule(type: Json | undefined, schema: JsonObject, place: Place): string {
  if (typeof type === 'string' && PRIMITIVES.has(type)) return type;
  if (type === 'array') {
    if (schema.items === undefined) return 'array';
    const item = ruleFor(schema.items, inside(place, 'items'));
    return named(`"[" ws (${item} ws ("," ws ${item} ws)*)? "]"`, place.rules);
  }
  if (type !== 'object') throw new SchemaRefused(`${place.path}.type: ${JSON.stringify(type)} is not a JSON type`);
  return objectRule(schema, place);
}

function objectRule(schema: JsonObject, place: Place): string {
  const { properties = {}, required = [], additionalProperties } = schema;
  if (!isObject(properties)) throw new SchemaRefused(`${place.path}.properties: must be an object`);
  if (isObject(additionalProperties)) throw new SchemaRefused(`${place.path}.additionalProperties: must be true or false`);
  const missing = list(required, `${place.path}.required`, 0).find(
    (name) => typeof name !== 'string' || !Object.hasOwn(properties, name),
  );
  if (missing !== undefined) throw new SchemaRefused(`${place.path}.required: a name in it has no schema in properties`);
  if (Object.keys(properties).length === 0) return additionalProperties === false ? named('"{" ws "}"', place.rules) : 'object';
  const members = Object.entries(properties).map(
    ([name, schemaOf]) => `${literal(name)} ws ":" ws ${ruleFor(schemaOf, inside(place, `properties.${name}`))} ws`,
  );
  return named(`"{" ws ${members.join(' "," ws ')} "}"`, place.rules);
}

function choice(expressions: readonly string[], rules: string[]): string {
  return named(expressions.join(' | '), rules);
}

function named(expression: string, rules: string[]): string {
  const name = `rule-${rules.length}`;
  rules.push(`${name} ::= ${expression}`);
  return name;
}

function inside(place: Place, step: string): Place {
  return { ...place, path: `${place.path}.${step}`, depth: place.depth + 1 };
}

/** The JSON text of a value, as a GBNF string: the same escapes serve for both. */
function literal(value: Json): string {
  return JSON.stringify(JSON.stringify(value));
}

function list(value: Json, path: string, least = 1): readonly Json[] {
  if (!Array.isArray(value) || value.length < least) throw new SchemaRefused(`${path}: must be a list of at least ${least}`);
  if (value.length > RULES_MAX) throw new SchemaRefused(`${path}: must have at most ${RULES_MAX} members`);
  return value;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
