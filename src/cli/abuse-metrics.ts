import type { Metrics, Sample } from '#runtime';
import type { AbuseWatch } from '#worker';

/** What Prometheus is told of the watch for misuse. Rules are those of the configuration; no label is a subject. */
export function registerAbuseMetrics(metrics: Metrics, watch: Pick<AbuseWatch, 'status'>): void {
  metrics.gauge('plimsoll_abuse_subjects', 'Subjects of which something is known, by kind.', () =>
    Object.entries(watch.status().subjects).map(([kind, { subjects }]): Sample => ({ labels: { kind }, value: subjects })),
  );
  metrics.gauge(
    'plimsoll_abuse_unwatched_requests',
    'Requests that were not counted because too many waited to be.',
    () => watch.status().notCounted,
  );
  metrics.gauge(
    'plimsoll_abuse_unjudged_subjects',
    'Subjects that were not judged because too many waited to be.',
    () => watch.status().notJudged,
  );
  metrics.gauge('plimsoll_abuse_open_cases', 'Cases that wait for a person.', () => watch.status().openCases);
  metrics.gauge('plimsoll_abuse_cases_opened', 'Cases opened by this gateway since the start.', () => watch.status().casesOpened);
  metrics.gauge(
    'plimsoll_abuse_actions_taken',
    'Actions that rules took by themselves, on this gateway since the start.',
    () => watch.status().actionsTaken,
  );
  metrics.gauge('plimsoll_abuse_firings_lost', 'Firings of rules of which no case was made, by why.', () =>
    Object.entries(watch.status().lost).map(([because, value]): Sample => ({ labels: { because }, value })),
  );
}
