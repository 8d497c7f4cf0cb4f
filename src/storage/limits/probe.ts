import { compileRate, type MeterGroup, type Rule } from '#core/limits';
import { invariant } from '#core/kernel';
import type { SharedOperation } from './shared-limits.ts';

/** One request in an hour: whatever else the store does, a second one must be refused. */
const rate = compileRate({ kind: 'rate', limit: 1, windowUs: 3_600_000_000, burst: 1 });
const rule: Rule = {
  id: 'probe',
  measure: 'requests',
  output: 'metered',
  cacheReadWeight: 0,
  hardStop: false,
  whenAway: 'closed',
  isLeased: false,
  isDryRun: false,
  isMetered: false,
};

/**
 * An ask of one unit of a limit that nobody has, sent to see whether the store still refuses.
 * @param subject - who asks; the same subject again is over its limit for an hour
 */
export function probeGroup(subject: string): SharedOperation {
  invariant(rate.ok, 'one an hour can be kept exactly');
  const group: MeterGroup = {
    scope: { index: 0, id: 'probe', rules: [rule] },
    // No organization can have this name.
    tenant: '~probe',
    subject,
    hashHigh: 0,
    hashLow: 0,
    rates: [rate.value],
  };
  return {
    what: 'take',
    groups: [group],
    units: Float64Array.of(1),
    wishes: null,
    gateway: 'probe',
    gateways: 1,
    leaseMs: 0,
    placesLeaseMs: 0,
    id: '',
    step: 0,
    ageUs: 0,
  };
}
