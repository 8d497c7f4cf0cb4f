// The words of limits without their schemas, so that what only counts needs nothing else installed.

/** What a limit counts. Tokens, micro-dollars and requests are whole units; `concurrency` and `batch_queue` are places held. */
export const MEASURES = [
  'requests',
  'input_tokens',
  'output_tokens',
  'total_tokens',
  'spend',
  'concurrency',
  'batch_queue',
] as const;
export type Measure = (typeof MEASURES)[number];

/** What a limit sits on; a rule names one or several, and each combination has a meter of its own. */
export const LEVELS = ['organization', 'workspace', 'key', 'end_user', 'model_class', 'address'] as const;
export type Level = (typeof LEVELS)[number];

/**
 * Away: the shared store does not answer. `closed` refuses (money, abuse), `local_share` holds this gateway to its part of the
 * limit (rates), `open` does not limit, and is only ever chosen by name.
 */
export const WHEN_AWAY = ['closed', 'local_share', 'open'] as const;
export type WhenAway = (typeof WHEN_AWAY)[number];
