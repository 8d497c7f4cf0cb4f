import { err, ok, type Result } from '../kernel/index.ts';
import type { ListProblem } from './ip-table.ts';

/** Domains that a list may have. */
const DOMAINS_MAX = 1_000_000;
const DOMAIN = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)+$/;

/**
 * Reads a list of mail domains.
 * @param text - one domain a line, in ASCII; what follows `#` and empty lines do not count
 * @returns the domains in lower case, or the first line that is none
 */
export function parseMailDomains(text: string): Result<ReadonlySet<string>, ListProblem> {
  const domains = new Set<string>();
  for (const [at, line] of text.split('\n').entries()) {
    const domain = line.replace(/#.*/, '').trim().toLowerCase();
    if (domain === '') continue;
    if (domain.length > 253 || !DOMAIN.test(domain))
      return err({ line: at + 1, message: `"${domain.slice(0, 60)}" is not a domain` });
    if (domains.add(domain).size > DOMAINS_MAX) return err({ line: at + 1, message: `more than ${DOMAINS_MAX} domains` });
  }
  return ok(domains);
}
