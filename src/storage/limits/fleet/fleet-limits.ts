import type { Clock, Random } from '#contracts/clock';
import { BEAT_MS, countMeters, RATE_KINDS, type MeterGroup, type Rule } from '#core/limits';
import type { LimitAnswer, LimitStatus, LimitStore, Settlement, TakeRequest } from '../../limits-port.ts';
import { advance, heldBy, type Held } from '../held.ts';
import type { SharedLimits, SharedOperation, SharedReply } from '../shared-limits.ts';
import { createDecideApart, eachMeter, type DecideApart } from './decide-apart.ts';
import { createDeadlines, type Deadlines } from './deadlines.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { BACKGROUND_MS, createStoreLink, isReachable, type StoreLink } from './store-link.ts';
import { SubjectRow, type Leases, type Refusal } from './subject-row.ts';

export interface FleetLimitsOptions {
  readonly shared: SharedLimits;
  readonly clock: Clock;
  readonly random: Random;
  /** For how long a share may be spent after it was taken; 0 for none: every request then asks the store. */
  readonly leaseMs?: number;
  /** For how long the store keeps places of a gateway that is not heard of any more. */
  readonly placesLeaseMs?: number;
  /** What a request may wait for the store. */
  readonly budgetMs?: number;
  /** Most subjects that are kept in mind; those in use or owing are among them. */
  readonly subjectsMax?: number;
  /** Most subjects with something to tell the store while it is away. */
  readonly owingMax?: number;
}

/** What `limit explain` and the bounds of a rule assume, where nothing else is said. */
export const FLEET_DEFAULTS = { leaseMs: 2_000, placesLeaseMs: 10_000, budgetMs: 5 } as const;

/** A refusal by the store is repeated here for so long without asking again: a key far over its limit costs the store little. */
const REFUSAL_US_MAX = 100_000;
/** A beat counts for so long; the number of gateways falls only after it has been lower for as long as this. */
const BEAT_LIFE_MS = 3_000;
const FEWER_GATEWAYS_US = 10_000_000;
/** How long closing waits for what is owed to arrive. */
const CLOSE_MS = 500;

type Done = Extract<SharedReply, { kind: 'done' }>;

/**
 * Limits that a fleet of gateways shares: decided here from shares taken in advance where there are any, by the shared store where
 * not, and by each rule's own mode while the store is away.
 */
export function createFleetLimits(options: FleetLimitsOptions): LimitStore {
  return new FleetLimits(options);
}

class FleetLimits implements LimitStore {
  readonly #shared: SharedLimits;
  readonly #clock: Clock;
  readonly #gateway: string;
  readonly #beats: Deadlines;
  readonly #leaseMs: number;
  readonly #placesLeaseMs: number;
  readonly #leases: Leases;
  readonly #subjectsMax: number;
  readonly #link: StoreLink;
  readonly #outbox: Outbox;
  readonly #apart: DecideApart;
  readonly #rows = new Map<number, SubjectRow>();
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<LimitAnswer>>();
  readonly #wouldHaveRefused = new Map<string, number>();
  readonly #timers = new Map<string, ReturnType<Clock['after']>>();
  #gateways = 1;
  #gatewaysAtUs: number;
  #isHeardOf = false;
  #storeForgot = 0;

  constructor({ shared, clock, random, ...more }: FleetLimitsOptions) {
    const options = { ...FLEET_DEFAULTS, subjectsMax: 500_000, owingMax: 50_000, ...more };
    this.#shared = shared;
    this.#clock = clock;
    this.#gateway = random.hex(8);
    this.#beats = createDeadlines(clock, BACKGROUND_MS);
    this.#leaseMs = options.leaseMs;
    this.#placesLeaseMs = options.placesLeaseMs;
    this.#leases = { leaseUs: options.leaseMs * 1000, placesLeaseUs: options.placesLeaseMs * 1000 };
    this.#subjectsMax = options.subjectsMax;
    this.#gatewaysAtUs = clock.nowUs();
    this.#link = createStoreLink({
      shared,
      clock,
      random,
      gateway: this.#gateway,
      budgetMs: options.budgetMs,
      onBack: () => this.#tellAll(),
    });
    this.#outbox = createOutbox({
      link: this.#link,
      clock,
      gateway: this.#gateway,
      frame: (part) => this.#operation(part),
      subjectsMax: options.owingMax,
    });
    this.#apart = createDecideApart((rule) => this.#countDry(rule));
    this.#every('beat', BEAT_MS, () => this.#beat());
    this.#every('renew', options.placesLeaseMs / 3, () => this.#renew());
    this.#every('sweep', Math.max(BEAT_MS, options.leaseMs), () => this.#sweep());
    void this.#beat();
  }

  take(request: TakeRequest): LimitAnswer | Promise<LimitAnswer> {
    if (this.#held.has(request.id)) return this.#stateOf(request.groups);
    const asked = this.#asking.get(request.id);
    if (asked !== undefined) return asked;
    const nowUs = this.#clock.nowUs();
    const rows = this.#rowsOf(request.groups, nowUs);
    if (rows === null) return refusedForRoom(request);
    let from = 0;
    for (const row of rows) {
      row.countAsk(request.costs, from, nowUs);
      from += row.group.rates.length;
    }
    const here = this.#takeHere(request, rows, nowUs);
    if (here !== null) return here;
    const { breaker } = this.#link;
    if (breaker.kind !== 'closed') return this.#takeApart(request, rows, breaker.sinceUs, nowUs);
    const asking = this.#ask(request, rows, nowUs);
    this.#asking.set(request.id, asking);
    return asking;
  }

  settle(settlement: Settlement): LimitAnswer {
    const { id, groups, isLast } = settlement;
    const held = this.#held.get(id);
    // Only this gateway settles what it admitted: a request not known here has ended, or never was.
    const deltas = held && advance(held, settlement);
    const nowUs = this.#clock.nowUs();
    const rows = held && deltas ? this.#rowsOf(groups, nowUs) : null;
    if (!held || !deltas || rows === null) return this.#stateOf(groups);
    if (isLast) this.#held.delete(id);
    eachMeter(rows, (row, of, place) => {
      const units = deltas[place] as number;
      if (units !== 0) this.#settleMeter(row, of, units, held.takenAtUs, nowUs);
    });
    return this.#stateOf(groups);
  }

  peek(groups: readonly MeterGroup[]): LimitAnswer | Promise<LimitAnswer> {
    const nowUs = this.#clock.nowUs();
    const rows = this.#rowsOf(groups, nowUs);
    if (rows === null || this.#link.breaker.kind !== 'closed') return this.#stateOf(groups);
    return this.#peekAtStore(groups, rows);
  }

  status(): LimitStatus {
    const { breaker } = this.#link;
    const isAway = breaker.kind !== 'closed';
    const { exact, away } = this.#link.secondsIn();
    return {
      kind: 'shared',
      awayBecause: isAway ? breaker.because : null,
      awaySinceMs: isAway ? this.#clock.wallMs() - Math.round((this.#clock.nowUs() - breaker.sinceUs) / 1000) : null,
      gateways: this.#gateways,
      operations: this.#shared.operations,
      secondsIn: { exact, away },
      wouldHaveRefused: this.#wouldHaveRefused,
      settlementsDropped: this.#outbox.dropped,
      storeForgot: this.#storeForgot,
    };
  }

  async close(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    const nowUs = this.#clock.nowUs();
    for (const row of this.#rows.values()) this.#giveBack(row, nowUs);
    this.#outbox.flushAll();
    await createDeadlines(this.#clock, CLOSE_MS).within(this.#outbox.emptied(), () => undefined);
    this.#outbox.close();
    this.#link.close();
    await this.#shared.close();
  }

  // Taking: here, at the store, or apart from it.

  /** Decides from shares alone; null unless every meter can be. */
  #takeHere(request: TakeRequest, rows: readonly SubjectRow[], nowUs: number): LimitAnswer | null {
    const { costs } = request;
    for (const { refusal } of rows)
      if (refusal !== null && nowUs < refusal.untilUs && isSame(refusal, rows, costs)) {
        const waitUs = refusal.takenAtUs - nowUs;
        return { refusedBy: refusal.refusedBy, waitUs, ahead: this.#aheadOf(rows, costs.length, nowUs), by: 'exact' };
      }
    let place = 0;
    for (const row of rows)
      for (let of = 0; of < row.group.rates.length; of++, place++) {
        const cost = costs[place] as number;
        const need = row.rule(of).isMetered && cost < 1 ? 1 : cost;
        if (row.rate(of).kind !== RATE_KINDS.unlimited && need > 0 && !row.covers(of, need, nowUs)) return null;
      }
    place = 0;
    for (const row of rows)
      for (let of = 0; of < row.group.rates.length; of++, place++) {
        const cost = costs[place] as number;
        if (cost === 0 || row.rate(of).kind === RATE_KINDS.unlimited) continue;
        if (row.isPlaces(of)) row.inUse[of] = (row.inUse[of] as number) + cost;
        else row.spend(of, cost, nowUs);
      }
    this.#held.set(
      request.id,
      heldBy(request, nowUs, () => true),
    );
    return { refusedBy: -1, waitUs: 0, ahead: this.#aheadOf(rows, costs.length, nowUs), by: 'leased' };
  }

  async #ask(request: TakeRequest, rows: readonly SubjectRow[], sentAtUs: number): Promise<LimitAnswer> {
    for (const row of rows) {
      row.returnShares('over', sentAtUs);
      this.#outbox.flushRow(row);
    }
    const { costs } = request;
    const wishes = this.#wishes(rows, costs.length, sentAtUs);
    eachMeter(rows, (row, of, place) => {
      if (row.isPlaces(of)) row.asking[of] = (row.asking[of] as number) + (costs[place] as number) + (wishes?.[place] ?? 0);
    });
    const answered = (): void => {
      if (wishes !== null) for (const row of rows) row.isWishing = false;
      eachMeter(rows, (row, of, place) => {
        if (row.isPlaces(of)) row.asking[of] = (row.asking[of] as number) - (costs[place] as number) - (wishes?.[place] ?? 0);
      });
    };
    const operation = this.#operation({ what: 'take', groups: request.groups, units: costs, wishes });
    const reply = await this.#link.ask(operation, 'request', (late) => {
      answered();
      this.#hearLate(late, rows, costs, sentAtUs);
    });
    this.#asking.delete(request.id);
    const nowUs = this.#clock.nowUs();
    if (reply === null) {
      const { breaker } = this.#link;
      return this.#takeApart(request, rows, breaker.kind === 'closed' ? sentAtUs : breaker.sinceUs, nowUs);
    }
    answered();
    this.#hear(reply, rows, nowUs);
    if (reply.refusedBy !== -1) this.#remember(reply, rows, costs, sentAtUs);
    else {
      eachMeter(rows, (row, of, place) => {
        const granted = reply.granted[place] as number;
        if (granted === -1) return this.#countDry(row.rule(of));
        if (row.isPlaces(of)) {
          row.inUse[of] = (row.inUse[of] as number) + (costs[place] as number);
          row.allotted[of] = (row.allotted[of] as number) + (costs[place] as number) + granted;
          if ((costs[place] as number) + granted > 0) row.holdUntil(sentAtUs);
        } else row.receive(of, granted, sentAtUs, nowUs);
      });
      this.#held.set(
        request.id,
        heldBy(request, nowUs, (place) => reply.granted[place] !== -1),
      );
    }
    return { refusedBy: reply.refusedBy, waitUs: reply.waitUs, ahead: this.#aheadOf(rows, costs.length, nowUs), by: 'exact' };
  }

  #takeApart(request: TakeRequest, rows: readonly SubjectRow[], sinceUs: number, nowUs: number): LimitAnswer {
    const answer = this.#apart.take(request, rows, sinceUs, nowUs, this.#gateways);
    if (answer.refusedBy !== -1) return answer;
    this.#held.set(
      request.id,
      heldBy(request, nowUs, () => true),
    );
    for (const row of rows) if (row.isOwing || row.arePlacesStale) this.#outbox.note(row, 'soon');
    return answer;
  }

  /** An answer after the budget: what it took for a request that was decided without it is a share now, or goes back. */
  #hearLate(reply: Done | null, rows: readonly SubjectRow[], costs: Float64Array, sentAtUs: number): void {
    const nowUs = this.#clock.nowUs();
    if (reply !== null) this.#hear(reply, rows, nowUs);
    eachMeter(rows, (row, of, place) => {
      if (row.isPlaces(of)) row.arePlacesStale = true;
      if (reply === null || reply.refusedBy !== -1 || row.isPlaces(of)) return;
      const granted = reply.granted[place] as number;
      if (granted === -1) return;
      const cost = costs[place] as number;
      if (row.rule(of).isLeased && nowUs < sentAtUs + this.#leases.leaseUs) row.receive(of, cost + granted, sentAtUs, nowUs);
      else if (cost > 0) row.owe(of, -cost, sentAtUs);
    });
    for (const row of rows) if (row.isOwing || row.arePlacesStale) this.#outbox.note(row, 'soon');
  }

  #hear(reply: Done, rows: readonly SubjectRow[], nowUs: number): void {
    let from = 0;
    for (const row of rows) {
      row.hear(reply.ahead, from, nowUs);
      from += row.group.rates.length;
    }
  }

  #remember({ refusedBy, waitUs }: Done, rows: readonly SubjectRow[], costs: Float64Array, sentAtUs: number): void {
    eachMeter(rows, (row, of, place) => {
      // When a place comes free nobody knows.
      if (place !== refusedBy || row.isPlaces(of)) return;
      const takenAtUs = sentAtUs + waitUs;
      const untilUs = Math.min(takenAtUs, this.#clock.nowUs() + REFUSAL_US_MAX);
      row.refusal = { rows, costs: costs.slice(), refusedBy, takenAtUs, untilUs };
    });
  }

  #wishes(rows: readonly SubjectRow[], count: number, nowUs: number): Float64Array | null {
    if (this.#leaseMs === 0) return null;
    let wishes: Float64Array | null = null;
    const wishing = rows.filter((row) => !row.isWishing);
    eachMeter(rows, (row, of, place) => {
      const units = wishing.includes(row) ? row.wish(of, nowUs) : 0;
      if (units === 0) return;
      wishes ??= new Float64Array(count);
      wishes[place] = units;
    });
    if (wishes === null) return null;
    // Others may ask about the same subject meanwhile; one share at a time is enough.
    for (const row of rows) row.isWishing = true;
    return wishes;
  }

  // Settling.

  #settleMeter(row: SubjectRow, of: number, units: number, takenAtUs: number, nowUs: number): void {
    const { breaker } = this.#link;
    if (row.isPlaces(of)) {
      row.inUse[of] = Math.max(0, (row.inUse[of] as number) + units);
      row.trimPlaces(of, this.#gateways, nowUs);
      if (row.arePlacesStale) this.#outbox.note(row, 'soon');
      return;
    }
    if (units > 0) row.countUnits(of, units);
    if (breaker.kind !== 'closed') this.#apart.settle(row, of, units, breaker.sinceUs, nowUs, this.#gateways);
    const fromShare = units > 0 ? Math.min(units, row.unspent(of, nowUs)) : 0;
    if (fromShare > 0) row.spend(of, fromShare, nowUs);
    if (units === fromShare) return;
    row.owe(of, units - fromShare, units > 0 ? nowUs : takenAtUs);
    this.#outbox.note(row, units > 0 ? 'now' : 'later');
  }

  async #peekAtStore(groups: readonly MeterGroup[], rows: readonly SubjectRow[]): Promise<LimitAnswer> {
    for (const row of rows) this.#outbox.flushRow(row);
    const operation = this.#operation({ what: 'peek', groups, units: new Float64Array(countMeters(groups)) });
    const reply = await this.#link.ask(operation, 'request', () => undefined);
    if (reply !== null) this.#hear(reply, rows, this.#clock.nowUs());
    return this.#stateOf(groups);
  }

  // What goes on beside requests.

  async #beat(): Promise<void> {
    if (!isReachable(this.#link.breaker)) return;
    const reply = await this.#beats.within(this.#shared.beat(this.#gateway, BEAT_LIFE_MS), () => undefined);
    const nowUs = this.#clock.nowUs();
    if (reply?.kind !== 'heard') {
      this.#isHeardOf = false;
      return this.#link.failed(reply?.because ?? `no answer within ${BACKGROUND_MS} ms`);
    }
    if (reply.gateways >= this.#gateways || nowUs - this.#gatewaysAtUs > FEWER_GATEWAYS_US) {
      this.#gateways = reply.gateways;
      this.#gatewaysAtUs = nowUs;
    }
    if (this.#isHeardOf && !reply.isKnown) {
      // It has lost its memory since the last beat: at least of the places it is told at once.
      this.#storeForgot += 1;
      this.#tellAll();
    }
    this.#isHeardOf = true;
  }

  /** Tells the store all that it should know of this gateway. */
  #tellAll(): void {
    for (const row of this.#rows.values()) this.#markPlaces(row);
    this.#outbox.flushAll();
  }

  #renew(): void {
    if (isReachable(this.#link.breaker)) this.#tellAll();
  }

  #markPlaces(row: SubjectRow): void {
    const isHolding = (counts: readonly number[]): boolean => counts.some((count) => count > 0);
    if (!isHolding(row.allotted) && !isHolding(row.inUse) && !row.arePlacesStale && !row.isOwing) return;
    row.arePlacesStale ||= isHolding(row.allotted) || isHolding(row.inUse);
    this.#outbox.note(row, 'soon');
  }

  #sweep(): void {
    const nowUs = this.#clock.nowUs();
    for (const [hash, row] of this.#rows) {
      if (nowUs - row.usedAtUs > this.#leases.leaseUs) this.#giveBack(row, nowUs);
      if (row.isIdle(nowUs)) this.#rows.delete(hash);
    }
  }

  /** Returns shares and places that are not used. */
  #giveBack(row: SubjectRow, nowUs: number): void {
    row.returnShares('all', nowUs);
    for (let of = 0; of < row.group.rates.length; of++) {
      if (!row.isPlaces(of) || row.allotted[of] === row.inUse[of]) continue;
      row.allotted[of] = row.inUse[of] as number;
      row.arePlacesStale = true;
    }
    if (row.isOwing || row.arePlacesStale) this.#outbox.note(row, 'soon');
  }

  #every(name: string, ms: number, task: () => void | Promise<void>): void {
    const next = (): void => {
      this.#timers.set(
        name,
        this.#clock.after(ms, () => {
          next();
          // A task handles what fails in it: store operations do not reject.
          void task();
        }),
      );
    };
    next();
  }

  // Rows and answers.

  #rowsOf(groups: readonly MeterGroup[], nowUs: number): readonly SubjectRow[] | null {
    const rows: SubjectRow[] = [];
    for (const group of groups) {
      // 52 of its 64 bits; which subject it is, is looked at.
      const hash = (group.hashHigh >>> 0) * 2 ** 20 + (group.hashLow >>> 12);
      let row = this.#rows.get(hash);
      if (row === undefined || !row.is(group)) {
        if (row !== undefined && !row.isIdle(nowUs + 4 * this.#leases.leaseUs)) return null;
        if (this.#rows.size >= this.#subjectsMax) this.#sweep();
        if (this.#rows.size >= this.#subjectsMax) return null;
        row = new SubjectRow(group, this.#leases, nowUs);
        this.#rows.set(hash, row);
      }
      row.group = group;
      rows.push(row);
    }
    return rows;
  }

  #aheadOf(rows: readonly SubjectRow[], count: number, nowUs: number): Float64Array {
    const ahead = new Float64Array(count);
    let place = 0;
    for (const row of rows) for (let of = 0; of < row.group.rates.length; of++) ahead[place++] = row.ahead(of, nowUs);
    return ahead;
  }

  #stateOf(groups: readonly MeterGroup[]): LimitAnswer {
    const nowUs = this.#clock.nowUs();
    const rows = this.#rowsOf(groups, nowUs);
    const count = countMeters(groups);
    const isAway = this.#link.breaker.kind !== 'closed';
    const ahead = rows === null ? new Float64Array(count) : this.#aheadOf(rows, count, nowUs);
    return { refusedBy: -1, waitUs: 0, ahead, by: isAway ? 'local_share' : this.#leaseMs === 0 ? 'exact' : 'leased' };
  }

  #operation(part: Pick<SharedOperation, 'what' | 'groups' | 'units'> & Partial<SharedOperation>): SharedOperation {
    return {
      wishes: null,
      gateway: this.#gateway,
      gateways: this.#gateways,
      leaseMs: this.#leaseMs,
      placesLeaseMs: this.#placesLeaseMs,
      id: '',
      step: 0,
      ageUs: 0,
      ...part,
    };
  }

  #countDry(rule: Rule): void {
    this.#wouldHaveRefused.set(rule.id, (this.#wouldHaveRefused.get(rule.id) ?? 0) + 1);
  }
}

function isSame(refusal: Refusal, rows: readonly SubjectRow[], costs: Float64Array): boolean {
  return (
    refusal.rows.length === rows.length &&
    refusal.costs.length === costs.length &&
    rows.every((row, at) => refusal.rows[at] === row) &&
    costs.every((cost, at) => refusal.costs[at] === cost)
  );
}

/** More subjects are in use at once than can be kept in mind: a guard that cannot run refuses. */
function refusedForRoom({ costs }: TakeRequest): LimitAnswer {
  return { refusedBy: 0, waitUs: 1_000_000, ahead: new Float64Array(costs.length), by: 'closed' };
}
