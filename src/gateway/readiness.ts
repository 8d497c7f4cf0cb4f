import type { JournalStatus } from '#storage';
import type { Topology } from './topology.ts';

/** May this gateway take traffic, and if not, why: one line a reason, in words an operator can act on. */
export interface Readiness {
  readonly isReady: boolean;
  readonly because: readonly string[];
}

export interface ReadinessFacts {
  readonly isDraining: boolean;
  readonly topology: Topology;
  readonly journal: JournalStatus;
  readonly refusesUnrecorded: boolean;
}

export function readinessOf({ isDraining, topology, journal, refusesUnrecorded }: ReadinessFacts): Readiness {
  const because = [
    ...(isDraining ? ['shutting down'] : []),
    ...(topology.models.size === 0 ? ['no model is configured'] : []),
    ...(journal.kind !== 'ready' && refusesUnrecorded ? [`the journal is ${journal.kind}: ${journal.because}`] : []),
  ];
  return { isReady: because.length === 0, because };
}
