import type { Clock, Timer } from '#contracts/clock';
import type { Subject, TenantObject } from '#contracts/tenancy';
import { type ControlStore, StoreAway, type Versioned } from '#storage';
import type { CaseLedger } from './case-ledger.ts';
import { fileCase, type Filed, type Firing } from './file-case.ts';

/** Brings firings into the store one after another, and waits for a store that is away within bounds. */
export interface CaseFiler {
  /** Takes a firing, or passes over it: one like it waits or was filed within the rule's window, or too many wait. */
  add(firing: Firing): void;
  /** Drops what waits and what was remembered: rules have changed. */
  forget(): void;
  status(): FilerStatus;
  /** Ends after the firing that is being filed; those that wait are given up. */
  close(): Promise<void>;
}

export interface FilerStatus {
  /** Firings that wait to be filed. */
  readonly waiting: number;
  /** Since when the store has not answered, wall ms; null while it does. Nothing new is done about anybody meanwhile. */
  readonly awaySinceMs: number | null;
  readonly casesOpened: number;
  readonly casesUpdated: number;
  readonly actionsTaken: number;
  /** Firings that found no room, waited too long for the store, met others' changes each time, or met a defect. */
  readonly lost: { readonly full: number; readonly late: number; readonly contended: number; readonly defect: number };
}

export interface CaseFilerOptions {
  readonly clock: Clock;
  readonly store: Pick<ControlStore, 'list' | 'commit'>;
  readonly ledger: CaseLedger;
  readonly onCommitted: (objects: readonly Versioned<TenantObject>[]) => void;
  /** Told of a subject that has an open case. */
  readonly onOpen: (subject: Subject) => void;
  readonly onEvent: (event: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;
}

const WAITING_MAX = 256;
/** Firings that are remembered as filed; a forgotten one costs a look into the store. */
const REMEMBERED_MAX = 16_384;
/** What waited longer says nothing of now. */
const KEEP_MS = 3_600_000;
const RETRY_MS = { first: 1_000, max: 30_000 } as const;

export function createCaseFiler({ clock, store, ledger, onCommitted, onOpen, onEvent }: CaseFilerOptions): CaseFiler {
  const waiting = new Map<string, Firing>();
  /** Until when nothing new can come of a rule about a subject, by the monotonic clock: one that is set back silences nobody. */
  const quietUntilUs = new Map<string, number>();
  const counts = { casesOpened: 0, casesUpdated: 0, actionsTaken: 0 };
  const lost = { full: 0, late: 0, contended: 0, defect: 0 };
  let running: Promise<void> | null = null;
  let retry: Timer | null = null;
  let retryMs: number = RETRY_MS.first;
  let awaySinceMs: number | null = null;
  let isClosed = false;

  const remember = (key: string, untilMs: number): void => {
    quietUntilUs.delete(key);
    quietUntilUs.set(key, clock.nowUs() + (untilMs - clock.wallMs()) * 1_000);
    if (quietUntilUs.size > REMEMBERED_MAX) quietUntilUs.delete(quietUntilUs.keys().next().value as string);
  };
  const settle = (key: string, { subject }: Firing, filed: Filed): void => {
    if (filed.kind === 'contended') {
      lost.contended++;
      return;
    }
    remember(key, filed.untilMs);
    if (filed.kind === 'filed' || filed.isOpen) onOpen(subject);
    if (filed.kind === 'quiet') return;
    counts[filed.isNew ? 'casesOpened' : 'casesUpdated']++;
    if (filed.action) counts.actionsTaken++;
    onCommitted(filed.objects);
  };
  const fileAll = async (): Promise<void> => {
    for (const [key, firing] of waiting) {
      if (isClosed) return;
      if (clock.wallMs() - firing.atMs > KEEP_MS) lost.late++;
      else {
        try {
          // A decision is made with the reviews that there are, not with those of a while ago.
          await ledger.refresh();
          const reviews = ledger.reviewsOf(firing.rule.rule) ?? { confirmed: 0, notConfirmed: 0 };
          settle(key, firing, await fileCase(firing, { store, reviews }));
          isBack();
        } catch (error) {
          if (error instanceof StoreAway) return isAway(error);
          lost.defect++;
          onEvent({ level: 'error', message: `a case could not be filed: ${String(error)}` });
        }
      }
      waiting.delete(key);
    }
  };
  const isBack = (): void => {
    if (awaySinceMs !== null) onEvent({ level: 'info', message: 'the control store is back: abuse rules open cases again' });
    [awaySinceMs, retryMs] = [null, RETRY_MS.first];
  };
  const isAway = (error: StoreAway): void => {
    if (awaySinceMs === null) {
      awaySinceMs = clock.wallMs();
      const message = `abuse rules can open no cases and take no actions while the control store is away (${error.message}); requests are served`;
      onEvent({ level: 'warn', message });
    }
    if (isClosed) return;
    retry = clock.after(retryMs, run);
    retryMs = Math.min(2 * retryMs, RETRY_MS.max);
  };
  const run = (): void => {
    retry = null;
    // `fileAll` handles every failure itself.
    running ??= fileAll().finally(() => {
      running = null;
      if (waiting.size > 0 && retry === null && !isClosed) run();
    });
  };

  return {
    add(firing) {
      if (isClosed) return;
      const { rule, subject } = firing;
      const key = `${rule.rule.id} ${subject.kind} ${subject.id}`;
      if ((quietUntilUs.get(key) ?? -Infinity) > clock.nowUs() || waiting.has(key)) return;
      if (waiting.size >= WAITING_MAX) {
        lost.full++;
        return;
      }
      waiting.set(key, firing);
      if (retry === null) run();
    },
    forget() {
      waiting.clear();
      quietUntilUs.clear();
    },
    status: () => ({ waiting: waiting.size, awaySinceMs, ...counts, lost: { ...lost } }),
    async close() {
      isClosed = true;
      retry?.cancel();
      await running;
    },
  };
}
