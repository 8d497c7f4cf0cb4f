import type { AbuseRule } from '#contracts/abuse';

/** What all shipped rules have in common: they open cases, and do nothing else. */
const ASKING = {
  rung: 'note',
  expires: '1d',
  window: '1h',
  cool_down: '7d',
  dry_run: true,
} as const satisfies Partial<AbuseRule>;

/**
 * Rules to begin with. Their numbers are choices, not measurements of anybody's traffic, so they are dry runs: what they open is
 * reviewed, and their precision is known before any of them may act.
 */
export const DEFAULT_RULES: readonly AbuseRule[] = [
  {
    ...ASKING,
    id: 'velocity-change',
    on: 'key',
    when: 'velocity_change >= 1 && requests_per_minute > 3 * requests_per_minute_usual',
    reason: 'velocity_change',
  },
  {
    ...ASKING,
    id: 'many-networks',
    on: 'key',
    when: 'new_networks - 2 * new_networks_error >= 20',
    reason: 'many_networks',
  },
  { ...ASKING, id: 'two-places', on: 'key', when: 'two_places >= 3', reason: 'two_places' },
  {
    ...ASKING,
    id: 'impossible-travel',
    on: 'key',
    when: 'impossible_travels >= 5 && distinct_countries >= 3',
    reason: 'impossible_travel',
  },
  {
    ...ASKING,
    id: 'credential-stuffing',
    on: 'address_block',
    when: 'failed_authentications_hour >= 100 && failed_authentication_share > 0.9',
    reason: 'credential_stuffing',
  },
  // A ratio alone says nothing of small callers: a dollar is the least that is worth a look.
  {
    ...ASKING,
    id: 'spend-spike',
    on: 'key',
    when: 'spend_change >= 1 && spend_ratio > 5 && spend_hour > 1000000',
    reason: 'spend_spike',
  },
  {
    ...ASKING,
    id: 'template-mill',
    on: 'organization',
    when: 'template_repeat_share > 0.9 && hours_active_share > 0.9 && requests_per_minute_usual > 10',
    reason: 'template_repetition',
  },
  {
    ...ASKING,
    id: 'release-jump',
    on: 'organization',
    when: 'new_model_excess - 2 * new_model_excess_error > 0.4',
    reason: 'model_release_jump',
  },
  { ...ASKING, id: 'account-burst', on: 'address_block', when: 'new_accounts >= 10', reason: 'account_burst' },
  {
    ...ASKING,
    id: 'throwaway-burst',
    on: 'organization',
    when: 'disposable_mail == 1 && domain_new_accounts >= 5',
    reason: 'account_burst',
  },
];
