import { readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type IpBlocks, type ListProblem, parseCidrList, parseCidrPlaces, parseMailDomains } from '#core/addresses';
import { err, ok, type Result } from '#core/kernel';

/** What a list is of, by its name in the configuration. */
export type ListKind = 'places' | 'datacenters' | 'vpns' | 'disposable_domains';

export type ListContent =
  | { readonly kind: 'blocks'; readonly blocks: IpBlocks }
  | { readonly kind: 'domains'; readonly domains: ReadonlySet<string> };

/** Bytes of a list, packed or not. */
const FILE_BYTES_MAX = 256 * 2 ** 20;
/** Gzip files begin so; their name does not matter. */
const GZIP = [0x1f, 0x8b];

/** Reads one list from its file, whole. @returns what is wrong, with its line where it has one (0 where it has not) */
export function readList(path: string, kind: ListKind): Result<ListContent, ListProblem> {
  const text = readText(path);
  if (!text.ok) return text;
  if (kind === 'disposable_domains') {
    const domains = parseMailDomains(text.value);
    return domains.ok ? ok({ kind: 'domains', domains: domains.value }) : domains;
  }
  const blocks = kind === 'places' ? parseCidrPlaces(text.value) : parseCidrList(text.value);
  return blocks.ok ? ok({ kind: 'blocks', blocks: blocks.value }) : blocks;
}

function readText(path: string): Result<string, ListProblem> {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) return err({ line: 0, message: `is larger than ${FILE_BYTES_MAX} bytes` });
    const bytes = readFileSync(path);
    const isPacked = GZIP.every((byte, at) => bytes[at] === byte);
    return ok((isPacked ? gunzipSync(bytes, { maxOutputLength: FILE_BYTES_MAX }) : bytes).toString('utf8'));
  } catch (error) {
    return err({
      line: 0,
      message: `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`,
    });
  }
}
