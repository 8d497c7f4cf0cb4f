import { utcDay, utcMonth, type Period } from './calendar.ts';
import { findRows, newFound, setRow, type Found, type RateSet, type ScopeTable } from './find-rows.ts';
import { MeterTable } from './meter-table.ts';
import { meterAt, type Ask, type Decision, type MeterGroup, type Rule } from './meters.ts';
import { EPOCH_US, RATE_KINDS, UNLIMITED, type Rate } from './rate.ts';

/**
 * All meters of one authority: decides over any number of them at once, all or nothing, in exact integers.
 *
 * The state of a meter is one whole number. For a rate it is ticks ahead of the row's epoch; for a day or month the period and
 * the units counted in it; for places the count held. A subject of which nothing is used takes no memory: its row goes.
 *
 * Time only moves forward here: a clock that steps back refills nothing and locks nobody out for longer.
 * Source: GCRA, ITU-T I.371; several limits at once by computing all before writing any.
 */
export interface MeterBook {
  /**
   * Takes what `ask` costs from all its meters, or nothing. An ask has at most one group of a scope.
   * @param nowUs - monotonic, whole µs, 0 or more
   * @param wallMs - wall time, for days and months
   * @param into - receives the answer; its `ahead` has one place for every meter of the ask
   */
  take(ask: Ask, nowUs: number, wallMs: number, into: DecisionSlot): void;
  /**
   * Corrects meters by signed whole units, without asking; debt is bounded by `Rate.aheadMax`, credit by "full".
   * A meter of places changes by its delta too, and never below none.
   */
  settle(groups: readonly MeterGroup[], deltas: Float64Array, nowUs: number, wallMs: number): void;
  /** The state of meters now; takes nothing. */
  peek(groups: readonly MeterGroup[], nowUs: number, wallMs: number, into: DecisionSlot): void;
  /** Looks at `rowsMax` more rows of each scope, round and round, and forgets those of which nothing is used any more. @returns how many went */
  sweep(rowsMax: number, nowUs: number, wallMs: number): number;
  /** What rules in dry run would have refused, by rule id. */
  readonly wouldHaveRefused: ReadonlyMap<string, number>;
  /** Subjects in memory, over all scopes. */
  readonly subjects: number;
}

/** A decision to be filled in, so that none has to be made. */
export interface DecisionSlot extends Decision {
  refusedBy: number;
  waitUs: number;
  readonly ahead: Float64Array;
}

/** @param meters - how many meters the ask has */
export const newDecisionSlot = (meters: number): DecisionSlot => ({ refusedBy: -1, waitUs: 0, ahead: new Float64Array(meters) });

export interface MeterBookOptions {
  /** Most subjects of one scope; those beyond it share one row, so that strangers neither take the memory nor escape the limit. */
  readonly subjectsMax: number;
}

export const createMeterBook = ({ subjectsMax }: MeterBookOptions): MeterBook => new Book(subjectsMax);

/** When a place may be free again nobody knows; this is when to ask. */
const PLACE_WAIT_US = 1_000_000;
/** A calendar state is `period mod 1024` and a count below 2^43. */
const PERIODS = 1024;
const COUNTS = 2 ** 43;
/** Rows looked at for every new subject: forgetting keeps pace with remembering. */
const SWEPT_PER_INSERT = 4;

/** Numbers of a meter in `RateSet.plain`. */
const PLAIN = 5;
/** An imported constant is looked up in its module each time; this one is part of the code that runs for every request. */
const EPOCH = EPOCH_US;

class Book implements MeterBook {
  readonly wouldHaveRefused = new Map<string, number>();
  readonly #subjectsMax: number;
  readonly #scopes: (ScopeTable | undefined)[] = [];
  readonly #found: Found[] = [];
  /** States of the meters of a settlement while it is made. */
  #ahead = new Float64Array(32);
  /** Nobody reads it: it keeps the reads that it is made of from being left out. */
  // oxlint-disable-next-line no-unused-private-class-members
  #touched = 0;
  #nowUs = 0;
  #wallMs = 0;
  #day: Period = utcDay(0);
  #month: Period = utcMonth(0);

  constructor(subjectsMax: number) {
    this.#subjectsMax = subjectsMax;
  }

  get subjects(): number {
    return this.#scopes.reduce((sum, scope) => sum + (scope ? scope.table.size - 1 : 0), 0);
  }

  take(ask: Ask, nowUs: number, wallMs: number, into: DecisionSlot): void {
    this.#setTime(nowUs, wallMs);
    this.#findRows(ask.groups);
    into.refusedBy = -1;
    into.waitUs = 0;
    if (!this.#takePlainly(ask, into.ahead)) this.#takeAnyhow(ask, into);
  }

  /**
   * The case that is nearly every request: subjects that are known, clocks of 1 µs, nothing refused. It decides as `#takeAnyhow`
   * does, and leaves to it, with nothing written, whatever is not that case.
   */
  #takePlainly({ groups, costs }: Ask, ahead: Float64Array): boolean {
    const found = this.#found;
    const nowUs = this.#nowUs;
    let place = 0;
    for (let at = 0; at < groups.length; at++) {
      const group = found[at] as Found;
      const { row, words, values, offset } = group;
      if (row === -1) return false;
      const { rates, plain } = group.scope.written[words[2 * offset - 2] as number] as RateSet;
      if (rates !== (groups[at] as MeterGroup).rates || plain === null) return false;
      group.plain = plain;
      const sinceEpochUs = nowUs - (words[2 * offset - 1] as number) * EPOCH;
      for (let of = offset, part = 0; part < plain.length; of++, part += PLAIN, place++) {
        const now = (values[of] as number) - (plain[part + 4] as number) - sinceEpochUs * (plain[part + 1] as number);
        const from = now > 0 ? now : 0;
        const ticks = (costs[place] as number) * (plain[part] as number);
        const least = plain[part + 3] as number;
        if (from + (ticks > least ? ticks : least) > (plain[part + 2] as number)) return false;
        ahead[place] = from + ticks;
      }
    }
    const epoch = Math.floor(nowUs / EPOCH);
    const sinceEpochUs = nowUs - epoch * EPOCH;
    place = 0;
    for (let at = 0; at < groups.length; at++) {
      const { words, values, offset, plain } = found[at] as Found;
      words[2 * offset - 1] = epoch;
      for (let of = offset, part = 0; part < plain.length; of++, part += PLAIN, place++)
        values[of] = (ahead[place] as number) + (plain[part + 4] as number) + sinceEpochUs * (plain[part + 1] as number);
    }
    return true;
  }

  #takeAnyhow({ groups, costs }: Ask, into: DecisionSlot): void {
    const { ahead } = into;
    let hasDryRefusal = false;
    let place = 0;
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at] as MeterGroup;
      this.#read(this.#scopeOf(group), group, (this.#found[at] as Found).row, ahead, place);
      for (let of = 0; of < group.rates.length; of++, place++) {
        const rule = group.scope.rules[of] as Rule;
        const waitUs = this.#waitOf(group.rates[of] as Rate, ahead[place] as number, needOf(rule, costs[place] as number));
        if (waitUs === 0) continue;
        if (rule.isDryRun) hasDryRefusal = true;
        else if (waitUs > into.waitUs) {
          into.waitUs = waitUs;
          into.refusedBy = place;
        }
      }
    }
    if (into.refusedBy !== -1) return;
    place = 0;
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at] as MeterGroup;
      for (let of = 0; of < group.rates.length; of++, place++) {
        const cost = costs[place] as number;
        if (!hasDryRefusal || !this.#isDryRefusal(group, of, ahead[place] as number, cost))
          ahead[place] = added(group.rates[of] as Rate, ahead[place] as number, cost);
      }
      this.#write(this.#scopeOf(group), group, (this.#found[at] as Found).row, ahead, place - group.rates.length);
    }
  }

  settle(groups: readonly MeterGroup[], deltas: Float64Array, nowUs: number, wallMs: number): void {
    if (this.#ahead.length < deltas.length) this.#ahead = new Float64Array(2 * deltas.length);
    const ahead = this.#ahead;
    this.#setTime(nowUs, wallMs);
    this.#findRows(groups);
    let place = 0;
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at] as MeterGroup;
      const scope = this.#scopeOf(group);
      this.#read(scope, group, (this.#found[at] as Found).row, ahead, place);
      for (let of = 0; of < group.rates.length; of++)
        ahead[place + of] = added(group.rates[of] as Rate, ahead[place + of] as number, deltas[place + of] as number);
      this.#write(scope, group, (this.#found[at] as Found).row, ahead, place);
      place += group.rates.length;
    }
  }

  peek(groups: readonly MeterGroup[], nowUs: number, wallMs: number, into: DecisionSlot): void {
    this.#setTime(nowUs, wallMs);
    this.#findRows(groups);
    into.refusedBy = -1;
    into.waitUs = 0;
    let place = 0;
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at] as MeterGroup;
      this.#read(this.#scopeOf(group), group, (this.#found[at] as Found).row, into.ahead, place);
      place += group.rates.length;
    }
  }

  sweep(rowsMax: number, nowUs: number, wallMs: number): number {
    this.#setTime(nowUs, wallMs);
    let forgotten = 0;
    for (const scope of this.#scopes) if (scope) forgotten += this.#sweepScope(scope, rowsMax);
    return forgotten;
  }

  #setTime(nowUs: number, wallMs: number): void {
    if (nowUs > this.#nowUs) this.#nowUs = nowUs;
    this.#wallMs = wallMs;
    if (wallMs >= this.#day.startMs && wallMs < this.#day.endMs) return;
    this.#day = utcDay(wallMs);
    this.#month = utcMonth(wallMs);
    for (const scope of this.#scopes) if (scope) for (const set of scope.written) set.plain = this.#plainOf(set.rates, set.rules);
  }

  /** Where the rows of all groups are. */
  #findRows(groups: readonly MeterGroup[]): void {
    const all = this.#found;
    for (let at = 0; at < groups.length; at++) {
      const scope = this.#scopeOf(groups[at] as MeterGroup);
      if (at === all.length) all.push(newFound(scope));
      (all[at] as Found).scope = scope;
    }
    this.#touched = findRows(all, groups);
    for (let at = 0; at < groups.length; at++) {
      const found = all[at] as Found;
      if (found.row === -1 && found.scope.table.size >= this.#subjectsMax) setRow(found, found.scope.overflowRow);
    }
  }

  /** The state of a subject's meters as it is now, into `ahead` from `place` on. */
  #read(scope: ScopeTable, group: MeterGroup, row: number, ahead: Float64Array, place: number): void {
    const { rates } = group;
    if (row === -1) {
      ahead.fill(0, place, place + rates.length);
      return;
    }
    const { table } = scope;
    const values = table.valuesOf(row);
    const words = table.wordsOf(row);
    const offset = table.offsetOf(row);
    const sinceEpochUs = this.#nowUs - (words[2 * offset - 1] as number) * EPOCH_US;
    const before = (scope.written[words[2 * offset - 2] as number] as RateSet).rates;
    for (let of = 0; of < rates.length; of++) {
      const from = before[of] ?? UNLIMITED;
      const now = this.#current(from, values[offset + of] as number, sinceEpochUs);
      ahead[place + of] = from === rates[of] ? now : rescale(now, from, rates[of] as Rate);
    }
  }

  #write(scope: ScopeTable, group: MeterGroup, found: number, ahead: Float64Array, place: number): void {
    const { table } = scope;
    const { rates } = group;
    let row = found;
    if (row === -1) {
      // A subject of which nothing is used needs no row.
      if (isAllZero(ahead, place, rates.length)) return;
      this.#sweepScope(scope, SWEPT_PER_INSERT);
      row = table.insert(group.hashHigh, group.hashLow);
      if (row === -1) row = scope.overflowRow;
    }
    const values = table.valuesOf(row);
    const words = table.wordsOf(row);
    const offset = table.offsetOf(row);
    const epoch = Math.floor(this.#nowUs / EPOCH_US);
    words[2 * offset - 1] = epoch;
    words[2 * offset - 2] = this.#setOf(scope, group).stamp;
    for (let of = 0; of < rates.length; of++)
      values[offset + of] = this.#stored(rates[of] as Rate, ahead[place + of] as number, this.#nowUs - epoch * EPOCH_US);
  }

  /** The state that a stored number means now. */
  #current(rate: Rate, value: number, sinceEpochUs: number): number {
    switch (rate.kind) {
      case RATE_KINDS.rate:
        return Math.max(0, value - Math.floor(sinceEpochUs / rate.stepUs) * rate.ticksPerStep);
      case RATE_KINDS.day:
        return countIn(this.#day, value);
      case RATE_KINDS.month:
        return countIn(this.#month, value);
      default:
        return value;
    }
  }

  /** The number that stores a state, for a row whose epoch is the present one. */
  #stored(rate: Rate, ahead: number, sinceEpochUs: number): number {
    switch (rate.kind) {
      case RATE_KINDS.rate:
        return ahead > 0 ? ahead + Math.floor(sinceEpochUs / rate.stepUs) * rate.ticksPerStep : 0;
      case RATE_KINDS.day:
        return (this.#day.index % PERIODS) * COUNTS + ahead;
      case RATE_KINDS.month:
        return (this.#month.index % PERIODS) * COUNTS + ahead;
      default:
        return ahead;
    }
  }

  /** µs until a meter takes `cost`; 0 when it does now. */
  #waitOf(rate: Rate, ahead: number, cost: number): number {
    switch (rate.kind) {
      case RATE_KINDS.rate: {
        const costTicks = cost * rate.ticksPerUnit;
        const over = ahead + costTicks - rate.burstTicks;
        if (over <= 0) return 0;
        if (costTicks > rate.burstTicks) return Infinity;
        // Within a step of the clock, part of the wait is over already.
        return Math.ceil(over / rate.ticksPerStep) * rate.stepUs - (this.#nowUs % rate.stepUs);
      }
      case RATE_KINDS.day:
      case RATE_KINDS.month:
        if (ahead + cost <= rate.limit) return 0;
        if (cost > rate.limit) return Infinity;
        return ((rate.kind === RATE_KINDS.day ? this.#day : this.#month).endMs - this.#wallMs) * 1000;
      case RATE_KINDS.places:
        if (ahead + cost <= rate.limit) return 0;
        return cost > rate.limit ? Infinity : PLACE_WAIT_US;
      default:
        return 0;
    }
  }

  /** A rule in dry run that would have refused is counted, and charged nothing. */
  #isDryRefusal({ scope, rates }: MeterGroup, of: number, ahead: number, cost: number): boolean {
    const rule = scope.rules[of] as Rule;
    if (!rule.isDryRun || this.#waitOf(rates[of] as Rate, ahead, needOf(rule, cost)) === 0) return false;
    this.wouldHaveRefused.set(rule.id, (this.wouldHaveRefused.get(rule.id) ?? 0) + 1);
    return true;
  }

  #scopeOf(group: MeterGroup): ScopeTable {
    return this.#scopes[group.scope.index] ?? this.#newScope(group);
  }

  #newScope({ scope: { index }, rates }: MeterGroup): ScopeTable {
    const table = new MeterTable(Math.max(1, rates.length), this.#subjectsMax + 1);
    const nothing: RateSet = { stamp: 0, rates: [], rules: [], plain: null };
    const made = { table, overflowRow: table.insert(0, 0), written: [nothing], setOf: new WeakMap(), sweptTo: 0 };
    this.#scopes[index] = made;
    return made;
  }

  #setOf(scope: ScopeTable, { rates, scope: { rules } }: MeterGroup): RateSet {
    const known = scope.setOf.get(rates);
    if (known !== undefined) return known;
    const set: RateSet = { stamp: scope.written.length, rates, rules, plain: this.#plainOf(rates, rules) };
    scope.written.push(set);
    scope.setOf.set(rates, set);
    return set;
  }

  #plainOf(rates: readonly Rate[], rules: readonly Rule[]): Float64Array | null {
    if (rates.some(({ stepUs }) => stepUs !== 1)) return null;
    return Float64Array.from(
      rates.flatMap((rate, of) => {
        const least = needOf(rules[of] as Rule, 0);
        switch (rate.kind) {
          case RATE_KINDS.unlimited:
            return [0, 0, 0, 0, 0];
          case RATE_KINDS.rate:
            return [rate.ticksPerUnit, rate.ticksPerStep, rate.burstTicks, least * rate.ticksPerUnit, 0];
          default:
            return [1, 0, rate.limit, least, this.#stored(rate, 0, 0)];
        }
      }),
    );
  }

  #sweepScope(scope: ScopeTable, rowsMax: number): number {
    const { table } = scope;
    let forgotten = 0;
    for (let looked = Math.min(rowsMax, table.rows); looked > 0; looked--) {
      scope.sweptTo = scope.sweptTo + 1 >= table.rows ? 0 : scope.sweptTo + 1;
      const row = scope.sweptTo;
      if (row === scope.overflowRow || !table.isUsed(row) || this.#isUsed(scope, row)) continue;
      table.remove(row);
      forgotten++;
    }
    return forgotten;
  }

  /** Is anything of a row's meters still used? */
  #isUsed({ table, written }: ScopeTable, row: number): boolean {
    const offset = table.offsetOf(row);
    const words = table.wordsOf(row);
    const values = table.valuesOf(row);
    const { rates } = written[words[2 * offset - 2] as number] as RateSet;
    const sinceEpochUs = this.#nowUs - (words[2 * offset - 1] as number) * EPOCH_US;
    for (let of = 0; of < rates.length; of++)
      if (this.#current(rates[of] as Rate, values[offset + of] as number, sinceEpochUs) !== 0) return true;
    return false;
  }
}

/** What must be there for a cost to be taken: a metered rule knows its cost later, and asks that something is left. */
const needOf = ({ isMetered }: Rule, cost: number): number => (isMetered && cost < 1 ? 1 : cost);

/** A state with `units` more (or fewer) taken, within what a meter can owe and what it can hold. */
function added(rate: Rate, ahead: number, units: number): number {
  switch (rate.kind) {
    case RATE_KINDS.unlimited:
      return 0;
    case RATE_KINDS.rate: {
      // Units beyond the bound would leave the 53 bits: they are cut before they are multiplied.
      const unitsMax = Math.ceil(rate.aheadMax / rate.ticksPerUnit);
      return clamp(ahead + Math.max(-unitsMax, Math.min(unitsMax, units)) * rate.ticksPerUnit, rate.aheadMax);
    }
    case RATE_KINDS.places:
      return Math.max(0, ahead + units);
    default:
      return clamp(ahead + units, COUNTS - 1);
  }
}

const clamp = (value: number, max: number): number => (value < 0 ? 0 : value > max ? max : value);

const countIn = (period: Period, value: number): number =>
  Math.floor(value / COUNTS) === period.index % PERIODS ? value % COUNTS : 0;

/** What was used under one rate, under another: the same share of the burst, rounded against the caller. */
function rescale(ahead: number, from: Rate, to: Rate): number {
  if (from.kind !== to.kind) return 0;
  if (to.kind !== RATE_KINDS.rate) return ahead;
  return Math.min(to.aheadMax, Math.ceil((ahead / from.burstTicks) * to.burstTicks));
}

function isAllZero(ahead: Float64Array, from: number, count: number): boolean {
  for (let at = from; at < from + count; at++) if (ahead[at] !== 0) return false;
  return true;
}

/** Which limit of which subject refused; null when none did. */
export function refusingMeter(ask: Ask, decision: Decision): ReturnType<typeof meterAt> | null {
  return decision.refusedBy === -1 ? null : meterAt(ask.groups, decision.refusedBy);
}
