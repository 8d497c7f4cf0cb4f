import { localShare, RATE_KINDS, SHARE_AFTER_US, shareWaitUs, unitsLeft, type Rate, type Rule } from '#core/limits';
import type { LimitAnswer, TakeRequest } from '../../limits-port.ts';
import { aheadShowing, type SubjectRow } from './subject-row.ts';

/** What a gateway decides by itself while the shared store is away: each rule by its own mode, all of them or none. */
export interface DecideApart {
  /**
   * @param sinceUs - when the store went away
   * @param onDryRefusal - a rule in dry run would have refused
   */
  take(request: TakeRequest, rows: readonly SubjectRow[], sinceUs: number, nowUs: number, gateways: number): LimitAnswer;
  /** Charges a settlement to this gateway's part as well. */
  settle(row: SubjectRow, of: number, units: number, sinceUs: number, nowUs: number, gateways: number): void;
}

/** How a meter lets its cost pass; or for how long it does not. */
type Passage = 'share' | 'part' | 'open' | 'dry' | 'nothing' | { readonly waitUs: number };

/** When only the store can say yes, this is when to ask again: it is probed at least so often. */
const STORE_WAIT_US = 1_000_000;

export function createDecideApart(onDryRefusal: (rule: Rule) => void): DecideApart {
  // A gateway's part changes with the number of gateways alone.
  let partsOf = { gateways: 0, parts: new WeakMap<Rate, Rate>() };
  const partOf = (rate: Rate, gateways: number): Rate => {
    if (partsOf.gateways !== gateways) partsOf = { gateways, parts: new WeakMap() };
    let part = partsOf.parts.get(rate);
    if (part === undefined) partsOf.parts.set(rate, (part = localShare(rate, gateways)));
    return part;
  };
  const passageOf = (row: SubjectRow, of: number, units: number, sinceUs: number, nowUs: number, gateways: number): Passage => {
    const rate = row.rate(of);
    const rule = row.rule(of);
    const need = rule.isMetered ? Math.max(1, units) : units;
    if (rate.kind === RATE_KINDS.unlimited || need === 0) return 'nothing';
    if (row.covers(of, need, nowUs)) return 'share';
    if (rule.whenAway === 'open') return 'open';
    if (need > rate.burst) return rule.isDryRun ? 'dry' : { waitUs: Infinity };
    if (rule.whenAway === 'closed') return rule.isDryRun ? 'dry' : { waitUs: STORE_WAIT_US };
    const part = partOf(rate, gateways);
    const untilPartUs = Math.max(0, sinceUs + SHARE_AFTER_US - nowUs);
    const state = rate.kind === RATE_KINDS.places ? (row.inUse[of] as number) : row.apart(of, part, sinceUs, nowUs);
    const waitUs = Math.max(untilPartUs, shareWaitUs(part, state, need));
    if (waitUs === 0) return 'part';
    if (rule.isDryRun) return 'dry';
    return { waitUs: waitUs === Infinity ? STORE_WAIT_US : waitUs };
  };
  const pass = (
    passage: Passage,
    row: SubjectRow,
    of: number,
    units: number,
    sinceUs: number,
    nowUs: number,
    gateways: number,
  ) => {
    if (row.isPlaces(of)) {
      // In dry run too: who holds them is no secret.
      row.inUse[of] = (row.inUse[of] as number) + units;
      row.arePlacesStale = true;
    } else if (passage === 'share') row.spend(of, units, nowUs);
    else if (passage === 'part' || passage === 'open') {
      // The store is told later; what passed here was used all the same.
      if (units !== 0) row.owe(of, units, nowUs);
      if (passage === 'part') row.chargeApart(of, partOf(row.rate(of), gateways), units, sinceUs, nowUs);
    }
  };
  const shown = (row: SubjectRow, of: number, sinceUs: number, nowUs: number, gateways: number): number => {
    const rate = row.rate(of);
    if (rate.kind === RATE_KINDS.unlimited || row.rule(of).whenAway !== 'local_share' || row.isPlaces(of))
      return row.ahead(of, nowUs);
    const part = partOf(rate, gateways);
    return aheadShowing(rate, unitsLeft(part, row.apart(of, part, sinceUs, nowUs)) + row.unspent(of, nowUs));
  };
  return {
    take({ costs }, rows, sinceUs, nowUs, gateways) {
      const ahead = new Float64Array(costs.length);
      const passages: Passage[] = [];
      let [refusedBy, longestUs, isClosed] = [-1, 0, false];
      eachMeter(rows, (row, of, place) => {
        const passage = passageOf(row, of, costs[place] as number, sinceUs, nowUs, gateways);
        passages.push(passage);
        if (typeof passage !== 'object' || passage.waitUs <= longestUs) return;
        [refusedBy, longestUs] = [place, passage.waitUs];
        isClosed = row.rule(of).whenAway === 'closed';
      });
      eachMeter(rows, (row, of, place) => {
        const passage = passages[place] as Passage;
        if (refusedBy === -1) pass(passage, row, of, costs[place] as number, sinceUs, nowUs, gateways);
        if (refusedBy === -1 && passage === 'dry') onDryRefusal(row.rule(of));
        ahead[place] = shown(row, of, sinceUs, nowUs, gateways);
      });
      if (refusedBy !== -1) return { refusedBy, waitUs: longestUs, ahead, by: isClosed ? 'closed' : 'local_share' };
      const by = passages.includes('open')
        ? 'open'
        : passages.every((way) => way === 'share' || way === 'nothing')
          ? 'leased'
          : 'local_share';
      return { refusedBy, waitUs: 0, ahead, by };
    },
    settle(row, of, units, sinceUs, nowUs, gateways) {
      const rate = row.rate(of);
      if (row.rule(of).whenAway === 'local_share' && rate.kind !== RATE_KINDS.unlimited && rate.kind !== RATE_KINDS.places)
        row.chargeApart(of, partOf(rate, gateways), units, sinceUs, nowUs);
    },
  };
}

/** Every meter of the rows, in flat order. */
export function eachMeter(rows: readonly SubjectRow[], visit: (row: SubjectRow, of: number, place: number) => void): void {
  let place = 0;
  for (const row of rows) for (let of = 0; of < row.group.rates.length; of++) visit(row, of, place++);
}
