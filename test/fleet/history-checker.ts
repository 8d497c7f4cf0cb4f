/** What one gateway saw, as it saw it. Times are µs of a clock that all processes of the machine share. */
export type FleetEvent =
  | {
      /** Let pass between `fromUs` (asked) and `toUs` (answered), and counted so many units on each meter. */
      readonly kind: 'granted';
      readonly gateway: string;
      readonly id: string;
      readonly subject: string;
      readonly units: readonly number[];
      readonly fromUs: number;
      readonly toUs: number;
      readonly by: string;
    }
  | {
      readonly kind: 'refused';
      readonly gateway: string;
      readonly id: string;
      readonly subject: string;
      readonly meter: number;
      readonly waitUs: number;
      readonly fromUs: number;
      readonly toUs: number;
      readonly by: string;
    }
  | {
      /** Corrected by signed units. */
      readonly kind: 'settled';
      readonly gateway: string;
      readonly id: string;
      readonly subject: string;
      readonly units: readonly number[];
      readonly fromUs: number;
      readonly toUs: number;
    }
  | {
      readonly kind: 'released';
      readonly gateway: string;
      readonly id: string;
      readonly subject: string;
      readonly fromUs: number;
      readonly toUs: number;
    }
  /** Written by the test: the process was ended, and held nothing any more. */
  | { readonly kind: 'killed'; readonly gateway: string; readonly fromUs: number };

/** What one meter of the subjects promises. */
export type LimitPromise =
  | {
      readonly kind: 'rate';
      readonly meter: number;
      readonly limit: number;
      readonly windowUs: number;
      readonly burst: number;
      /** Units more than that which the printed bounds allow in this history. */
      readonly allowance: number;
      /** Charged as it streams: what is charged counts, not only what was let pass. */
      readonly isMetered?: boolean;
    }
  | { readonly kind: 'places'; readonly meter: number; readonly limit: number; readonly allowance: number };

/** Clocks of server and machine may drift against each other by so much. */
const DRIFT_RATIO = 0.001;

/**
 * Looks for anything in a history that no fleet which keeps its promises can have done. It knows nothing of how limits are
 * counted. Where an event may have happened anywhere in a span, it gives the fleet the benefit: what it finds is surely wrong.
 * @returns what is wrong, in words; nothing when nothing is
 */
export function checkHistory(events: readonly FleetEvent[], promises: readonly LimitPromise[]): readonly string[] {
  const faults = checkIds(events);
  for (const subject of new Set(events.flatMap((event) => ('subject' in event ? [event.subject] : []))))
    for (const promise of promises) {
      const own = events.filter((event) => !('subject' in event) || event.subject === subject);
      faults.push(...(promise.kind === 'rate' ? checkRate(own, promise, subject) : checkPlaces(own, promise, subject)));
    }
  return faults;
}

function checkIds(events: readonly FleetEvent[]): string[] {
  const faults: string[] = [];
  const granted = new Set<string>();
  const released = new Set<string>();
  for (const event of events) {
    if (event.kind === 'granted') {
      if (granted.has(event.id)) faults.push(`${event.id} was let pass twice`);
      granted.add(event.id);
    } else if (event.kind === 'released') {
      if (released.has(event.id)) faults.push(`${event.id} was released twice`);
      released.add(event.id);
    }
  }
  for (const event of events)
    if ((event.kind === 'released' || event.kind === 'settled') && !granted.has(event.id))
      faults.push(`${event.id} ended and had never begun`);
  for (const event of events)
    if (event.kind === 'refused' && (!(event.waitUs > 0) || event.meter < 0))
      faults.push(`${event.id} was refused without a wait, or by nothing`);
  return faults;
}

interface Charge {
  readonly units: number;
  readonly fromUs: number;
  readonly toUs: number;
}

/**
 * In any span, no more is let pass than the burst and what the limit refills in it, and what was given back in it. Refills are
 * counted for the whole span, charges only where they lie inside it for sure, what is given back wherever it may.
 */
function checkRate(events: readonly FleetEvent[], promise: Extract<LimitPromise, { kind: 'rate' }>, subject: string): string[] {
  const charges: Charge[] = [];
  const returns: Charge[] = [];
  for (const event of events) {
    if (event.kind !== 'granted' && event.kind !== 'settled') continue;
    const units = event.units[promise.meter] ?? 0;
    const charge = { units: Math.abs(units), fromUs: event.fromUs, toUs: event.toUs };
    if (units < 0) returns.push(charge);
    // A debt is not let pass by anybody, unless what is charged as it streams is what is promised.
    else if (units > 0 && (event.kind === 'granted' || promise.isMetered)) charges.push(charge);
  }
  charges.sort((a, b) => a.toUs - b.toUs);
  for (const { fromUs: startUs } of charges.toSorted((a, b) => a.fromUs - b.fromUs)) {
    let sum = 0;
    for (const { units, fromUs, toUs } of charges) {
      if (fromUs < startUs) continue;
      sum += units;
      const spanUs = (toUs - startUs) * (1 + DRIFT_RATIO);
      const most = promise.burst + (promise.limit * spanUs) / promise.windowUs + promise.allowance;
      if (sum <= most) continue;
      let back = 0;
      for (const given of returns) if (given.toUs >= startUs && given.fromUs <= toUs) back += given.units;
      if (sum <= most + back) continue;
      return [
        `${subject}, meter ${promise.meter}: ${sum} units in ${Math.round(spanUs / 1000)} ms, ${(sum - most - back).toFixed(2)} more than ${most.toFixed(2)}`,
      ];
    }
  }
  return [];
}

/** At no moment are more places surely held than there are: from when it was answered until when it began to be given back. */
function checkPlaces(
  events: readonly FleetEvent[],
  promise: Extract<LimitPromise, { kind: 'places' }>,
  subject: string,
): string[] {
  const endOf = new Map<string, number>();
  const deathOf = new Map<string, number>();
  for (const event of events) {
    if (event.kind === 'released') endOf.set(event.id, event.fromUs);
    if (event.kind === 'killed') deathOf.set(event.gateway, event.fromUs);
  }
  const moves: { readonly atUs: number; readonly change: number }[] = [];
  for (const event of events) {
    if (event.kind !== 'granted') continue;
    const count = event.units[promise.meter] ?? 0;
    const endUs = Math.min(endOf.get(event.id) ?? Infinity, deathOf.get(event.gateway) ?? Infinity);
    if (count === 0 || endUs <= event.toUs) continue;
    moves.push({ atUs: event.toUs, change: count }, { atUs: endUs, change: -count });
  }
  // Of what happens at one moment, ends come first.
  moves.sort((a, b) => a.atUs - b.atUs || a.change - b.change);
  let [held, most] = [0, 0];
  for (const { change } of moves) {
    held += change;
    most = Math.max(most, held);
  }
  return most > promise.limit + promise.allowance
    ? [`${subject}, meter ${promise.meter}: ${most} places held at once, of ${promise.limit}`]
    : [];
}
