import type { Clock, Random } from '#contracts/clock';
import type { Config } from '#contracts/config';
import type { UsageRecord } from '#contracts/record';
import type { RetryBudget } from '#core/routing';
import type { Log } from '#runtime';
import type { Journal } from '#storage';
import type { Admission } from './limits/admission.ts';
import type { UnknownKeys } from './limits/unknown-keys.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { Life } from './life.ts';
import type { ClientAddress } from './client-address.ts';
import type { Tenants } from './tenants/tenants.ts';
import type { BodyMemory } from './receive.ts';
import type { Topology } from './topology.ts';
import type { Translator } from './translation.ts';

/** Everything a request needs of the gateway. `config` and `topology` are replaced as a whole; a request keeps what it began with. */
export interface Door {
  readonly config: Config;
  readonly topology: Topology;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly journal: Journal;
  readonly tenants: Tenants;
  readonly clientAddress: ClientAddress;
  readonly unknownKeys: UnknownKeys;
  readonly admission: Admission;
  readonly retryBudget: RetryBudget;
  readonly memory: BodyMemory;
  readonly metrics: GatewayMetrics;
  readonly translator: Translator;
  /** Told of every request that begins and ends, so that a shutdown knows what is open. */
  onBegin(life: Life): void;
  onEnd(life: Life, record: UsageRecord): void;
}
