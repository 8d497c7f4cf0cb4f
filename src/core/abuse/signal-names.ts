import type { Subject } from '#contracts/tenancy';

/** What signals are kept about. A workspace's are those of its keys. */
export const WATCHED_KINDS = ['organization', 'key', 'end_user', 'address_block'] as const satisfies readonly Subject['kind'][];
export type WatchedKind = (typeof WATCHED_KINDS)[number];

/** What a signal says, so that rules, pages and people read it alike. docs/abuse.md has the same table in words. */
export interface SignalSpec {
  readonly unit: string;
  /** Whose signal it is; all of them when absent. */
  readonly on?: readonly WatchedKind[];
  /** Whether its value is an estimate, which then comes with one standard error. */
  readonly isEstimate?: true;
}

const CALLERS = ['organization', 'key', 'end_user'] as const;
const BLOCKS = ['address_block'] as const;
const ORGANIZATIONS = ['organization'] as const;

/** "Two days" is this UTC day and the one before; "the hour" is the last 50 to 60 minutes; shares weigh requests by half an hour ago. */
export const SIGNALS = {
  // How much, and whether that changed.
  requests_seen: { unit: 'requests since it was first seen' },
  requests_per_minute: { unit: 'requests in the last full minute' },
  requests_per_minute_usual: { unit: 'requests in a minute with any', isEstimate: true },
  velocity_change: { unit: 'CUSUM over its threshold; 1 and above is an alarm' },
  tokens_hour: { unit: 'tokens in the hour' },
  spend_hour: { unit: 'micro-dollars in the hour' },
  spend_hour_usual: { unit: 'micro-dollars in an hour with any' },
  spend_ratio: { unit: 'spend_hour over spend_hour_usual' },
  spend_change: { unit: 'CUSUM over its threshold; 1 and above is an alarm' },
  hours_active_share: { unit: 'share of the hours of the last 3 to 7 whole days' },
  // From where.
  distinct_networks: { unit: 'networks in two days', on: CALLERS, isEstimate: true },
  new_networks: { unit: 'networks of this day that were not there the day before', on: CALLERS, isEstimate: true },
  distinct_countries: { unit: 'countries in two days', on: CALLERS },
  impossible_travels: { unit: 'times in two days', on: CALLERS },
  travel_speed: { unit: 'km/h, the highest of two days', on: CALLERS },
  two_places: { unit: 'times in two days', on: CALLERS },
  datacenter_share: { unit: 'share of requests', on: CALLERS, isEstimate: true },
  vpn_share: { unit: 'share of requests', on: CALLERS, isEstimate: true },
  // How it goes.
  error_share: { unit: 'share of requests', isEstimate: true },
  refusal_share: { unit: 'share of requests', isEstimate: true },
  limited_share: { unit: 'share of requests', isEstimate: true },
  near_limit_share: { unit: 'share of requests', isEstimate: true },
  // What is asked.
  template_repeat_share: { unit: 'share of requests with text', isEstimate: true },
  new_model_share: { unit: 'share of requests while a model was new', isEstimate: true },
  new_model_excess: { unit: 'new_model_share less that of all requests', isEstimate: true },
  // Who knocks.
  distinct_keys: { unit: 'keys in two days', on: BLOCKS, isEstimate: true },
  failed_authentications_hour: { unit: 'requests in the hour', on: BLOCKS },
  failed_authentication_share: { unit: 'share of requests', on: BLOCKS, isEstimate: true },
  new_accounts: { unit: 'accounts in two days', on: BLOCKS },
  disposable_mail: { unit: '1 or 0', on: ORGANIZATIONS },
  network_new_accounts: { unit: 'accounts in two days from the network that this one was made from', on: ORGANIZATIONS },
  domain_new_accounts: { unit: 'accounts in two days with the mail domain of this one', on: ORGANIZATIONS, isEstimate: true },
} as const satisfies Record<string, SignalSpec>;

export type SignalName = keyof typeof SIGNALS;
export const SIGNAL_NAMES = Object.keys(SIGNALS) as readonly SignalName[];

/**
 * What is known of a subject. `null` is "could not tell": too little was seen, or what it takes was not there. It is never a value.
 */
export interface Reading {
  readonly values: { readonly [name in SignalName]: number | null };
  /** One standard error of each estimate that has a value, in its unit. */
  readonly errors: { readonly [name in SignalName]?: number };
}

/** Whether a subject of this kind can have this signal at all. */
export function isSignalOf(name: SignalName, kind: WatchedKind): boolean {
  const { on }: SignalSpec = SIGNALS[name];
  return on === undefined || on.includes(kind);
}

export function isSignalName(name: string): name is SignalName {
  return Object.hasOwn(SIGNALS, name);
}
