import { createMeterBook, newDecisionSlot, RATE_KINDS } from '#core/limits';
import type { SharedLimits, SharedOperation, SharedReply } from './shared-limits.ts';
import type { TestClock } from './limits-kit.fixture.ts';

/** Shared counters inside a test: what came is kept, and answers wait, fail or come as the test says. */
export interface ScriptedShared extends SharedLimits {
  readonly seen: readonly SharedOperation[];
  /** `answer`: at once. `freeze`: nothing until `thaw`. `lose`: it is done, and the answer never comes. `break`: it fails. */
  mode: 'answer' | 'freeze' | 'lose' | 'break';
  thaw(): Promise<void>;
  gateways: number;
  isKnown: boolean;
  /** Does it refuse, as it must, a request over its limit? */
  refuses: boolean;
}

/** Counts as the core does; every wish of a leased rule is granted while the meters have room. */
export function createScriptedShared(clock: TestClock): ScriptedShared {
  const book = createMeterBook({ subjectsMax: 1_000 });
  const applied = new Set<string>();
  const seen: SharedOperation[] = [];
  const frozen: (() => void)[] = [];
  let probed = 0;

  const perform = (operation: SharedOperation): SharedReply => {
    const { what, groups, units, wishes, id } = operation;
    const slot = newDecisionSlot(units.length);
    const granted = new Float64Array(units.length);
    const [nowUs, wallMs] = [clock.nowUs(), clock.wallMs()];
    if (what === 'take') book.take({ groups, costs: units }, nowUs, wallMs, slot);
    if (what === 'take' && slot.refusedBy === -1 && wishes !== null) {
      granted.set(wishes);
      book.settle(groups, wishes, nowUs, wallMs);
    }
    if (what === 'settle' && !applied.has(id)) {
      applied.add(id);
      book.settle(groups, units, nowUs, wallMs);
    }
    const { refusedBy, waitUs } = slot;
    if (what === 'hold') {
      book.peek(groups, nowUs, wallMs, slot);
      const kinds = groups.flatMap(({ rates }) => rates.map(({ kind }) => kind));
      book.settle(
        groups,
        units.map((count, place) => (kinds[place] === RATE_KINDS.places ? count - (slot.ahead[place] as number) : 0)),
        nowUs,
        wallMs,
      );
    }
    book.peek(groups, nowUs, wallMs, slot);
    return { kind: 'done', refusedBy, waitUs, ahead: slot.ahead, granted };
  };
  const shared: ScriptedShared = {
    seen,
    mode: 'answer',
    gateways: 1,
    isKnown: true,
    refuses: true,
    place: 'scripted',
    get operations() {
      return seen.length;
    },
    send(operation) {
      if (operation.gateway === 'probe') {
        if (shared.mode !== 'answer') return shared.mode === 'break' ? Promise.resolve(BROKEN) : new Promise(() => undefined);
        const isRefused = shared.refuses && (probed += 1) > 1;
        return Promise.resolve({ ...NOTHING, refusedBy: isRefused ? 0 : -1, waitUs: isRefused ? 1_000_000 : 0 });
      }
      seen.push(operation);
      if (shared.mode === 'break') return Promise.resolve(BROKEN);
      if (shared.mode === 'answer') return Promise.resolve(perform(operation));
      const isLost = shared.mode === 'lose';
      if (isLost) perform(operation);
      return new Promise((resolve) => frozen.push(() => resolve(isLost ? BROKEN : perform(operation))));
    },
    beat: () =>
      shared.mode === 'answer'
        ? Promise.resolve({ kind: 'heard', gateways: shared.gateways, isKnown: shared.isKnown })
        : shared.mode === 'break'
          ? Promise.resolve(BROKEN)
          : new Promise(() => undefined),
    async thaw() {
      shared.mode = 'answer';
      for (const answer of frozen.splice(0)) answer();
      await settled();
    },
    reconnect: () => undefined,
    close: () => Promise.resolve(),
  };
  return shared;
}

const BROKEN = { kind: 'failed', because: 'ECONNREFUSED' } as const;
const NOTHING = { kind: 'done', ahead: new Float64Array(1), granted: new Float64Array(1) } as const;

/** Lets every chain of promises run out. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
