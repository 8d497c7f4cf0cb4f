import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument, isMap, isNode, type Document } from 'yaml';
import type { z } from 'zod';
import { configSchema, type Config } from '#contracts/config';
import { err, ok, type Result } from '#core/kernel';
import { nearest } from './nearest.ts';

export interface ConfigProblem {
  /** Line of the file, from 1; null where there is no file or no place in it. */
  readonly line: number | null;
  /** Where, as a path: `pools.0.region`. Empty for the whole document. */
  readonly path: string;
  readonly message: string;
}

/**
 * Reads a configuration file. Everything that is wrong with it is reported at once, each with its line.
 * @param path - the file; when it does not exist and `isOptional`, the defaults
 */
export function loadConfig(
  path: string,
  { isOptional }: { readonly isOptional: boolean },
): Result<Config, readonly ConfigProblem[]> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing && isOptional) return parseConfig('');
    return err([
      { line: null, path: '', message: isMissing ? `there is no file ${path}` : `${path} cannot be read: ${String(error)}` },
    ]);
  }
  return parseConfig(text);
}

/** Parses the text of a configuration file. */
export function parseConfig(text: string): Result<Config, readonly ConfigProblem[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, maxAliasCount: 0 } as Parameters<
    typeof parseDocument
  >[1]);
  if (document.errors.length > 0)
    return err(
      document.errors.map((error) => ({
        line: error.linePos?.[0].line ?? null,
        path: '',
        message: error.message.split('\n')[0] ?? error.message,
      })),
    );
  let plain: unknown;
  try {
    plain = document.toJS({ maxAliasCount: 0 }) ?? {};
  } catch (error) {
    return err([{ line: null, path: '', message: error instanceof Error ? error.message : String(error) }]);
  }
  const parsed = configSchema.safeParse(plain);
  if (parsed.success) return ok(parsed.data);
  return err(parsed.error.issues.flatMap((issue) => describe(issue, { document, lines, plain })));
}

interface Place {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly plain: unknown;
}

function describe(issue: z.core.$ZodIssue, place: Place): ConfigProblem[] {
  if (issue.code !== 'unrecognized_keys')
    return [
      { line: lineOf(issue.path, place), path: issue.path.join('.'), message: withValue(issue.message, issue.path, place.plain) },
    ];
  const known = knownKeys(issue.path);
  return issue.keys.map((key) => {
    const suggestion = nearest(key, known);
    return {
      line: lineOf([...issue.path, key], place),
      path: [...issue.path, key].join('.'),
      message: `unknown key "${key}"${suggestion === null ? `; known here: ${known.join(', ')}` : `; did you mean "${suggestion}"?`}`,
    };
  });
}

function lineOf(path: readonly PropertyKey[], { document, lines }: Place): number | null {
  // The innermost part of the path that exists in the file.
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const pair = isMap(parent) ? parent.items.find((item) => String(item.key) === String(path[depth - 1])) : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return null;
}

/** Values that may be shown: numbers, booleans and short words. A string under a key that holds secrets is not among them. */
function withValue(message: string, path: readonly PropertyKey[], plain: unknown): string {
  if (path.at(-1) === 'key') return message;
  let value: unknown = plain;
  for (const key of path)
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  const isShort = typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && value.length <= 80);
  return isShort ? `${message} (found ${JSON.stringify(value)})` : message;
}

/** The keys that the schema knows at a path. */
function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = configSchema;
  for (const key of path) {
    schema = unwrap(schema);
    if (typeof key === 'number') schema = member(schema, 'element');
    else schema = member(member(schema, 'shape'), key);
  }
  const shape = member(unwrap(schema), 'shape');
  return typeof shape === 'object' && shape !== null ? Object.keys(shape) : [];
}

/** Through optional, default and prefault to the object or array inside. */
function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (member(inner, 'shape') === undefined && member(inner, 'element') === undefined) {
    const next = member(member(inner, 'def'), 'innerType');
    if (next === undefined) return inner;
    inner = next;
  }
  return inner;
}

const member = (value: unknown, key: PropertyKey): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
