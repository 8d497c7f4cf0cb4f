import type { ListsConfig } from '#contracts/abuse';
import type { Clock, Timer } from '#contracts/clock';
import type { Whereabouts } from '#core/abuse';
import { createReferenceLists, type ReferenceLists } from '#runtime';

/** The operator's lists, looked at again and again. */
export interface WatchedLists extends Whereabouts {
  isDisposable(domain: string): boolean | null;
  /** Takes other files, or another pace; what the same files said is kept. */
  replace(config: ListsConfig): void;
  /** Resolves when the look that is going on, if any, is over. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export function createWatchedLists({
  config: first,
  clock,
  onEvent,
}: {
  readonly config: ListsConfig;
  readonly clock: Clock;
  readonly onEvent: (event: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;
}): WatchedLists {
  const ending = new AbortController();
  let config = first;
  let lists: ReferenceLists = createReferenceLists(config);
  let timer: Timer | null = null;
  let looking: Promise<void> = Promise.resolve();

  const look = async (): Promise<void> => {
    try {
      for (const change of await lists.refresh(ending.signal)) {
        if (change.kind === 'loaded') onEvent({ level: 'info', message: `${change.path}: ${change.entries} entries are in use` });
        else {
          const { line, message } = change.problem;
          const where = line === 0 ? change.path : `${change.path}:${line}`;
          onEvent({ level: 'warn', message: `${where}: ${message}; what the list said before still holds` });
        }
      }
    } catch (error) {
      if (!ending.signal.aborted) onEvent({ level: 'error', message: `lists could not be looked at: ${String(error)}` });
    }
  };
  const again = (): void => {
    timer?.cancel();
    if (ending.signal.aborted || countOf(config) === 0) return;
    // `look` handles every failure itself.
    looking = look();
    timer = clock.after(config.refresh_seconds * 1_000, again);
  };
  again();

  return {
    place: (address) => lists.place(address),
    isDatacenter: (address) => lists.isDatacenter(address),
    isVpn: (address) => lists.isVpn(address),
    isDisposable: (domain) => lists.isDisposable(domain),
    replace(next) {
      const isSame = filesOf(next) === filesOf(config);
      config = next;
      if (!isSame) lists = createReferenceLists(config);
      again();
    },
    settled: () => looking,
    async close() {
      timer?.cancel();
      ending.abort();
      await looking;
    },
  };
}

const filesOf = ({ places, datacenters, vpns, disposable_domains }: ListsConfig): string =>
  JSON.stringify([places, datacenters, vpns, disposable_domains]);
const countOf = ({ places, datacenters, vpns, disposable_domains }: ListsConfig): number =>
  places.length + datacenters.length + vpns.length + disposable_domains.length;
