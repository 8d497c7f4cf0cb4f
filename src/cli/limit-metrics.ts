import type { Limiter, OpenTenants } from '#gateway';
import type { Metrics, Sample } from '#runtime';
import type { LimitStore } from '#storage';

export interface LimitMetricsOptions {
  readonly limits: LimitStore;
  readonly limiter: () => Limiter;
  readonly tenants: Pick<OpenTenants, 'cutOffForMs' | 'directory' | 'status'>;
}

/** What Prometheus is told of limits and tenants. Rules are those of the configuration; no label is a key or a tenant. */
export function registerLimitMetrics(metrics: Metrics, { limits, limiter, tenants }: LimitMetricsOptions): void {
  metrics.gauge(
    'plimsoll_limits_seconds',
    'Seconds since the start in which limits were decided exactly, and without their store.',
    () => Object.entries(limits.status().secondsIn).map(([mode, value]): Sample => ({ labels: { mode }, value })),
  );
  metrics.gauge('plimsoll_limits_away', '1 while the shared store of limits does not answer.', () =>
    limits.status().awayBecause === null ? 0 : 1,
  );
  metrics.gauge(
    'plimsoll_limits_gateways',
    'Gateways that share the store of limits, as last heard.',
    () => limits.status().gateways,
  );
  metrics.gauge(
    'plimsoll_limits_operations',
    'Operations sent to the shared store of limits since the start.',
    () => limits.status().operations,
  );
  metrics.gauge(
    'plimsoll_limits_store_forgot',
    'Times that the shared store of limits had lost what it had acknowledged.',
    () => limits.status().storeForgot,
  );
  metrics.gauge(
    'plimsoll_limits_settlements_dropped',
    'Settlements that could not be delivered to the store of limits, and were dropped at the bound.',
    () => limits.status().settlementsDropped,
  );
  metrics.gauge('plimsoll_limits_dry_run_refusals', 'What rules in dry run would have refused since the start.', () => [
    ...[...limits.status().wouldHaveRefused].map(([rule, value]): Sample => ({ labels: { rule }, value })),
    { labels: { rule: 'growth' }, value: limiter().growth.wouldHaveRefused },
  ]);
  metrics.gauge(
    'plimsoll_growth_refusals',
    'Requests refused because their organization grew faster than its tier allows.',
    () => limiter().growth.refused,
  );
  metrics.gauge(
    'plimsoll_tenants_cut_off_seconds',
    'For how long nothing has been heard of the control store; 0 while it is heard.',
    () => tenants.cutOffForMs() / 1000,
  );
  metrics.gauge(
    'plimsoll_tenants_commit',
    'The commit of the control store up to which tenants are applied here.',
    () => tenants.status().commit,
  );
  metrics.gauge('plimsoll_tenants', 'Tenants in memory, by kind.', () => {
    const { organizations, workspaces, keys, endUsers, actions } = tenants.directory.counts();
    return Object.entries({ organizations, workspaces, keys, end_users: endUsers, actions }).map(([kind, value]): Sample => ({
      labels: { kind },
      value,
    }));
  });
}
