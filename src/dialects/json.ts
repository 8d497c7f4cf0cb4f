import type { Json, JsonObject } from '#contracts/prompt';

/** Deepest nesting that text from outside may have before we parse it; the gateway bounds request bodies the same way. */
const DEPTH_MAX = 128;

/** Is this a JSON object (not a list, not null)? */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Is this a JSON list? `Array.isArray` alone does not narrow a readonly one. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/**
 * Parses JSON text that came from outside.
 * @param text - at most what the caller's own bound allows
 * @returns the value, or undefined when it is not JSON or is nested deeper than 128: `JSON.parse` would take such a text and a
 * later `JSON.stringify` of it would overflow the stack
 */
export function parseJson(text: string): Json | undefined {
  if (isDeeperThan(text, DEPTH_MAX)) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function isDeeperThan(text: string, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (inString) {
      if (unit === 0x5c) index += 1;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth -= 1;
  }
  return false;
}

/** The fields of `T` that may be undefined, made optional instead: an absent key means "not said". */
export type Present<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Leaves out the fields that are undefined, so that what was not said stays absent. */
export function present<T extends object>(fields: T): Present<T> {
  // The type says what the filter does; the compiler cannot follow it through entries.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** The value of `key` in a table, never one inherited from `Object.prototype`. */
export function lookUp<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** A string, or the empty one when the value is anything else. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** A count of tokens from outside: a whole number of 0 or more; anything else was not said. */
export function tokensOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
