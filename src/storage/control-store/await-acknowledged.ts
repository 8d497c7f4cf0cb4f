import type { Clock } from '#contracts/clock';
import type { ControlStore, GatewaySeen } from '../control-port.ts';

export interface Acknowledgement {
  readonly acknowledged: readonly GatewaySeen[];
  /** Those that may still act on what was before the commit, and how long ago each was heard of. */
  readonly missing: readonly GatewaySeen[];
}

export interface AwaitOptions {
  readonly store: Pick<ControlStore, 'gateways'>;
  readonly clock: Clock;
  readonly commit: number;
  /** The longest to wait, ms. */
  readonly withinMs: number;
}

const LOOK_EVERY_MS = 50;
/**
 * A gateway that was heard of in this time and has not departed may be cut off and serving still, so it is named. One that was
 * killed and never came back is named too: nobody here can tell the two apart.
 */
const HEARD_WITHIN_MS = 86_400_000;

/** Waits until every gateway says that it has applied a commit, and no longer than `withinMs`; then says which have and which have not. */
export async function awaitAcknowledged({ store, clock, commit, withinMs }: AwaitOptions): Promise<Acknowledgement> {
  const endUs = clock.nowUs() + withinMs * 1_000;
  for (;;) {
    const seen = await store.gateways(HEARD_WITHIN_MS);
    const missing = seen.filter((gateway) => gateway.commit < commit);
    const leftMs = (endUs - clock.nowUs()) / 1_000;
    if (missing.length === 0 || leftMs <= 0) return { missing, acknowledged: seen.filter((gateway) => gateway.commit >= commit) };
    await new Promise<void>((resolve) => void clock.after(Math.min(LOOK_EVERY_MS, leftMs), resolve));
  }
}
