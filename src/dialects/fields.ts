import type { Json, JsonObject } from '#contracts/prompt';
import { isList, isObject } from './json.ts';
import type { Problems } from './problems.ts';

/**
 * Reads fields of a request body. Each reader returns a value of its type whatever it was given, and notes a problem when that
 * is not what the client sent; so the code that reads a body has no branches for errors. Messages name the field and the kind
 * of value seen, never the value: it may be part of a prompt.
 */
export interface Fields {
  readonly problems: Problems;
  object(value: Json | undefined, path: string): JsonObject;
  list(value: Json | undefined, path: string): readonly Json[];
  text(value: Json | undefined, path: string): string;
  /** A string that is one of `words`; the first of them when it is not. */
  word<const T extends string>(value: Json | undefined, path: string, words: readonly [T, ...T[]]): T;
  number(value: Json | undefined, path: string): number;
  integer(value: Json | undefined, path: string, min: number): number;
  boolean(value: Json | undefined, path: string): boolean;
  /** Refuses every key that is not in `keys` and not null: what we do not know, we cannot carry over. */
  known(object: JsonObject, path: string, keys: ReadonlySet<string>): void;
}

/** Field readers that note into `problems`. */
export function createFields(problems: Problems): Fields {
  const wrong = (value: Json | undefined, path: string, expected: string) =>
    problems.invalid(path, value === undefined ? 'Field required' : `Expected ${expected}, got ${kindOf(value)}`);
  return {
    problems,
    object(value, path) {
      if (isObject(value)) return value;
      wrong(value, path, 'an object');
      return {};
    },
    list(value, path) {
      if (isList(value)) return value;
      wrong(value, path, 'a list');
      return [];
    },
    text(value, path) {
      if (typeof value === 'string') return value;
      wrong(value, path, 'a string');
      return '';
    },
    word(value, path, words) {
      const word = words.find((candidate) => candidate === value);
      if (word === undefined) wrong(value, path, words.map((candidate) => `"${candidate}"`).join(' or '));
      return word ?? words[0];
    },
    number(value, path) {
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      wrong(value, path, 'a number');
      return 0;
    },
    integer(value, path, min) {
      if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value;
      wrong(value, path, `an integer of at least ${min}`);
      return min;
    },
    boolean(value, path) {
      if (typeof value === 'boolean') return value;
      wrong(value, path, 'a boolean');
      return false;
    },
    known(object, path, keys) {
      for (const key of Object.keys(object))
        if (!keys.has(key) && object[key] !== null)
          problems.unsupported(
            join(path, shown(key)),
            'This field has no equal in the dialect of the engine that serves this model',
          );
    },
  };
}

/** Reads an optional field: null and absent both mean that the client did not say. */
export function maybe<T>(value: Json | undefined, read: (value: Json) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value);
}

/** `path.key`, or `key` at the top. */
export function join(path: string, key: string | number): string {
  return path === '' ? String(key) : `${path}.${key}`;
}

/** A name a client sent (a field, a block's type), short enough for a message. */
export function shown(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64)}…`;
}

function kindOf(value: Json): string {
  if (value === null) return 'null';
  if (isList(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'another string';
  return typeof value === 'number' ? 'another number' : `a ${typeof value}`;
}
