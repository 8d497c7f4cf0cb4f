import type { Clock } from '#contracts/clock';
import { countMeters, createMeterBook, newDecisionSlot, type MeterBookOptions, type MeterGroup } from '#core/limits';
import type { LimitAnswer, LimitStore, TakeRequest } from '../limits-port.ts';
import { advance, hasDryPlaces, heldBy, type Held } from './held.ts';

export interface MemoryLimitsOptions extends MeterBookOptions {
  readonly clock: Clock;
}

const SWEEP_MS = 100;
/** Rows looked at in a sweep, of each scope: some tens of µs. */
const SWEEP_ROWS = 1_000;

type Slot = { -readonly [Field in keyof LimitAnswer]: LimitAnswer[Field] };

/** Limits counted in this process: the meter book of the core, with a clock and the requests under way. Answers at once. */
export function createMemoryLimits({ clock, subjectsMax }: MemoryLimitsOptions): LimitStore {
  const book = createMeterBook({ subjectsMax });
  const held = new Map<string, Held>();
  const startedAtUs = clock.nowUs();

  const peek = (groups: readonly MeterGroup[]): LimitAnswer => {
    const answer = newAnswer(groups);
    book.peek(groups, clock.nowUs(), clock.wallMs(), answer);
    return answer;
  };
  /** Was a place in dry run taken? Its count says so. */
  const chargesOf = (request: TakeRequest, answer: LimitAnswer, before: Float64Array | null) => (place: number) =>
    before === null || answer.ahead[place] !== before[place];

  let sweeping = clock.after(SWEEP_MS, sweep);
  function sweep(): void {
    book.sweep(SWEEP_ROWS, clock.nowUs(), clock.wallMs());
    sweeping = clock.after(SWEEP_MS, sweep);
  }
  return {
    take(request) {
      if (held.has(request.id)) return peek(request.groups);
      const before = hasDryPlaces(request.groups) ? peek(request.groups).ahead : null;
      const answer = newAnswer(request.groups);
      const nowUs = clock.nowUs();
      book.take(request, nowUs, clock.wallMs(), answer);
      if (answer.refusedBy === -1) held.set(request.id, heldBy(request, nowUs, chargesOf(request, answer, before)));
      return answer;
    },
    settle(settlement) {
      const request = held.get(settlement.id);
      const deltas = request && advance(request, settlement);
      if (deltas) {
        book.settle(settlement.groups, deltas, clock.nowUs(), clock.wallMs());
        if (settlement.isLast) held.delete(settlement.id);
      }
      return peek(settlement.groups);
    },
    peek,
    status: () => ({
      kind: 'memory',
      awayBecause: null,
      awaySinceMs: null,
      gateways: 1,
      operations: 0,
      secondsIn: { exact: (clock.nowUs() - startedAtUs) / 1e6, away: 0 },
      wouldHaveRefused: book.wouldHaveRefused,
      settlementsDropped: 0,
      storeForgot: 0,
    }),
    close() {
      sweeping.cancel();
      return Promise.resolve();
    },
  };
}

function newAnswer(groups: readonly MeterGroup[]): Slot {
  const { refusedBy, waitUs, ahead } = newDecisionSlot(countMeters(groups));
  return { refusedBy, waitUs, ahead, by: 'exact' };
}
