import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { abuseSchema, type AbuseRule } from '#contracts/abuse';
import { CannotStart } from '../create-engines.ts';

/**
 * Reads a file of rules: YAML or JSON, a list as under `abuse.rules`.
 * @throws CannotStart with everything that is wrong with it
 */
export function readRules(file: string): readonly AbuseRule[] {
  let list: unknown;
  try {
    list = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0 });
  } catch (error) {
    const [because] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new CannotStart(`${file} cannot be read: ${because}`);
  }
  const parsed = abuseSchema.shape.rules.safeParse(list);
  if (parsed.success && parsed.data.length > 0) return parsed.data;
  if (parsed.success) throw new CannotStart(`${file} holds no rules: it must be a list, as under abuse.rules`);
  const issues = parsed.error.issues.map(({ path, message }) => `  ${path.length === 0 ? '' : `${path.join('.')}: `}${message}`);
  throw new CannotStart([`${file} is no list of rules, as under abuse.rules:`, ...issues].join('\n'));
}
