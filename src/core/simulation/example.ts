import type { Json, JsonObject } from '#contracts/prompt';
import { type Draw, pick } from './seeded.ts';
import { simulatedPhrase } from './text.ts';

/** Deeper values than this are cut short, so that a schema that refers to itself ends. */
const DEPTH_MAX = 8;
const LENGTH_MAX = 64;

/**
 * A value that fits a JSON Schema, as far as the common keywords go: `type`, `properties`, `required`, `items`, `enum`, `const`,
 * `anyOf`, `oneOf`, `allOf`, local `$ref`, and bounds on numbers, lengths and counts. `pattern`, `format` and the conditional
 * keywords are not looked at.
 * @param schema - as a tool or an output format gives it
 * @param draw - decides among what fits
 * @returns an object whenever the schema's type is `object` or not said
 */
export function exampleOf(schema: JsonObject, draw: Draw): Json {
  return make(schema, { root: schema, draw }, 0);
}

interface Setting {
  readonly root: JsonObject;
  readonly draw: Draw;
}

function make(given: Json | undefined, setting: Setting, depth: number): Json {
  if (!isObject(given)) return simulatedPhrase(setting.draw);
  const schema = resolve(given, setting.root);
  const { draw } = setting;
  if ('const' in schema) return schema['const'] ?? null;
  const choices = list(schema['enum']);
  if (choices !== null) return pick(draw, choices);
  const options = list(schema['anyOf']) ?? list(schema['oneOf']);
  if (options !== null) return depth >= DEPTH_MAX ? null : make(pick(draw, options), setting, depth + 1);
  const parts = list(schema['allOf']);
  if (parts !== null) return depth >= DEPTH_MAX ? {} : merge(parts.map((part) => make(part, setting, depth + 1)));
  const named = list(schema['type']);
  const type = named === null ? schema['type'] : (named.find((one) => one !== 'null') ?? 'null');
  switch (type) {
    case 'string':
      return text(schema, draw);
    case 'integer':
    case 'number':
      return number(schema, type === 'integer', draw);
    case 'boolean':
      return draw() < 0.5;
    case 'null':
      return null;
    case 'array':
      return array(schema, setting, depth);
    default:
      return object(schema, setting, depth);
  }
}

function object(schema: JsonObject, setting: Setting, depth: number): JsonObject {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = new Set<string>();
  for (const name of list(schema['required']) ?? []) if (typeof name === 'string') required.add(name);
  for (const name of Object.keys(properties)) if (depth < 2 && setting.draw() < 0.5) required.add(name);
  if (depth >= DEPTH_MAX) return {};
  // Rebuilt through entries, so that a property named `__proto__` is a property like any other.
  return Object.fromEntries([...required].map((name) => [name, make(own(properties, name), setting, depth + 1)]));
}

function array(schema: JsonObject, setting: Setting, depth: number): readonly Json[] {
  const least = count(schema['minItems'], 1);
  const most = Math.max(least, count(schema['maxItems'], 2));
  const length =
    depth >= DEPTH_MAX ? 0 : Math.min(LENGTH_MAX, least + Math.floor(setting.draw() * (Math.min(most, least + 1) - least + 1)));
  return Array.from({ length: Math.min(length, most) }, () => make(schema['items'], setting, depth + 1));
}

function text(schema: JsonObject, draw: Draw): string {
  const least = count(schema['minLength'], 0);
  const most = count(schema['maxLength'], Number.MAX_SAFE_INTEGER);
  let phrase = simulatedPhrase(draw);
  while (phrase.length < least) phrase += ` ${simulatedPhrase(draw)}`;
  return phrase.slice(0, Math.max(least, Math.min(most, 4096)));
}

function number(schema: JsonObject, isInteger: boolean, draw: Draw): number {
  const step = isInteger ? 1 : 0.5;
  const above = typeof schema['exclusiveMinimum'] === 'number' ? schema['exclusiveMinimum'] + step : undefined;
  const below = typeof schema['exclusiveMaximum'] === 'number' ? schema['exclusiveMaximum'] - step : undefined;
  const asked = typeof schema['minimum'] === 'number' ? schema['minimum'] : above;
  const top = typeof schema['maximum'] === 'number' ? schema['maximum'] : below;
  const low = asked ?? (top === undefined ? 0 : Math.min(0, top));
  const high = top ?? low + 100;
  const value = low + draw() * (high - low);
  return isInteger ? Math.max(Math.ceil(low), Math.min(Math.round(value), Math.floor(high))) : Math.round(value * 100) / 100;
}

/** Follows a local reference; one that leads nowhere means anything goes. */
function resolve(schema: JsonObject, root: JsonObject): JsonObject {
  let current = schema;
  for (let hop = 0; hop < DEPTH_MAX && typeof current['$ref'] === 'string'; hop += 1) {
    let target: Json | undefined = root;
    for (const step of current['$ref'].replace(/^#\/?/, '').split('/').filter(Boolean))
      target = isObject(target) ? own(target, step.replaceAll('~1', '/').replaceAll('~0', '~')) : undefined;
    current = isObject(target) ? target : {};
  }
  return current;
}

function merge(values: readonly Json[]): Json {
  const objects = values.filter(isObject);
  return objects.length === values.length ? Object.assign({}, ...objects) : (values[0] ?? null);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function list(value: Json | undefined): readonly [Json, ...Json[]] | null {
  if (!Array.isArray(value)) return null;
  const [first, ...rest] = value as readonly Json[];
  return first === undefined ? null : [first, ...rest];
}

function count(value: Json | undefined, otherwise: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : otherwise;
}
