import { stat } from 'node:fs/promises';
import type { ListsConfig } from '#contracts/abuse';
import type { Whereabouts } from '#core/abuse';
import { createIpTable, type IpTable, type ListProblem } from '#core/addresses';
import { createListReader, type ListReader } from './list-reader.ts';
import type { ListKind } from './read-list.ts';

/** What became of one file when it was looked at. Files that did not change are not mentioned. */
export type ListChange =
  | { readonly kind: 'loaded'; readonly path: string; readonly entries: number }
  /** It could not be read; what it said before still holds, if it ever said anything. `line` is 0 when it is not about a line. */
  | { readonly kind: 'kept'; readonly path: string; readonly problem: ListProblem };

/**
 * What lists of the operator say of addresses and mail domains. Questions are answered from memory; `null` is "could not tell": no
 * list of that kind, or one that holds nothing of it while another could not be read yet.
 */
export interface ReferenceLists extends Whereabouts {
  isDisposable(domain: string): boolean | null;
  /** Looks at the files, and reads those that changed since, in a thread. One look at a time: a second is part of the first. */
  refresh(signal: AbortSignal): Promise<readonly ListChange[]>;
}

interface Source {
  readonly kind: ListKind;
  readonly path: string;
  /** Size and time of change when it was read last, whatever came of it. */
  seen: string | null;
  table: IpTable | null;
  domains: ReadonlySet<string> | null;
}

/** @param config - files; none is read before the first `refresh` */
export function createReferenceLists(config: Omit<ListsConfig, 'refresh_seconds'>): ReferenceLists {
  const kinds = ['places', 'datacenters', 'vpns', 'disposable_domains'] as const satisfies readonly ListKind[];
  const sources = kinds.flatMap((kind) =>
    config[kind].map((path): Source => ({ kind, path, seen: null, table: null, domains: null })),
  );
  const of = (kind: ListKind): readonly Source[] => sources.filter((source) => source.kind === kind);
  const [places, datacenters, vpns, domains] = [of('places'), of('datacenters'), of('vpns'), of('disposable_domains')];
  let looking: Promise<readonly ListChange[]> | null = null;

  const look = async (signal: AbortSignal): Promise<readonly ListChange[]> => {
    const changes: ListChange[] = [];
    const reader = createListReader();
    try {
      for (const source of sources) {
        const change = await lookAt(source, reader, signal);
        if (change) changes.push(change);
      }
    } finally {
      await reader.close();
    }
    return changes;
  };
  return {
    place(address) {
      for (const { table } of places) {
        const place = table?.place(address);
        if (place) return place;
      }
      return null;
    },
    isDatacenter: (address) => isListed(datacenters, ({ table }) => table?.has(address)),
    isVpn: (address) => isListed(vpns, ({ table }) => table?.has(address)),
    isDisposable: (domain) => isListed(domains, (source) => source.domains?.has(domain.toLowerCase())),
    refresh(signal) {
      looking ??= look(signal).finally(() => (looking = null));
      return looking;
    },
  };
}

/** True as soon as one list says so; false only when all of them were read and none does. */
function isListed(sources: readonly Source[], ask: (source: Source) => boolean | undefined): boolean | null {
  let answer: boolean | null = sources.length === 0 ? null : false;
  for (const source of sources) {
    const said = ask(source);
    if (said === true) return true;
    if (said === undefined) answer = null;
  }
  return answer;
}

async function lookAt(source: Source, reader: ListReader, signal: AbortSignal): Promise<ListChange | null> {
  const { path, kind } = source;
  let seen: string;
  try {
    const { mtimeMs, size, ino } = await stat(path);
    seen = `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    seen = 'absent';
    if (source.seen === seen) return null;
    source.seen = seen;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return { kind: 'kept', path, problem: { line: 0, message: `cannot be read (${code})` } };
  }
  if (source.seen === seen) return null;
  const read = await reader.read(path, kind, signal);
  // A bad file is complained of once, and looked at again when it changes.
  source.seen = seen;
  if (!read.ok) return { kind: 'kept', path, problem: read.error };
  if (read.value.kind === 'domains') {
    source.domains = read.value.domains;
    return { kind: 'loaded', path, entries: source.domains.size };
  }
  source.table = createIpTable(read.value.blocks);
  return { kind: 'loaded', path, entries: source.table.blockCount };
}
