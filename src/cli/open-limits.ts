import type { Clock, Random } from '#contracts/clock';
import type { Config } from '#contracts/config';
import { createFleetLimits, createMemoryLimits, FLEET_DEFAULTS, openRedisLimits, type LimitStore } from '#storage';
import { CannotStart } from './create-engines.ts';

/** Where the limits of a configuration are counted: in this process, or in the store that it names and a fleet shares. */
export async function openLimits(
  config: Config,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<LimitStore> {
  const { subjects_max: subjectsMax, lease_ms: leaseMs } = config.limits;
  if (config.stores.limits === 'memory') return createMemoryLimits({ clock, subjectsMax });
  const opened = await openRedisLimits({ url: config.stores.limits, clock, random });
  // A store in which limits would not hold is worse than none: nobody would know.
  if (!opened.ok) throw new CannotStart(`stores.limits: ${opened.error.message}`);
  const placesLeaseMs = Math.max(leaseMs, FLEET_DEFAULTS.placesLeaseMs);
  return createFleetLimits({ shared: opened.value, clock, random, leaseMs, placesLeaseMs });
}
