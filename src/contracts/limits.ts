import { z } from 'zod';
import { LEVELS, MEASURES, WHEN_AWAY } from './measures.ts';

const ruleId = z.string().regex(/^[a-z][a-z0-9_-]{0,47}$/, 'a lower-case letter, then letters, digits, - and _, at most 48');
const units = z.int().min(1).max(1e12);

/** `30s`, `5m`, `1h`, `7d`; or `day` and `month`, which begin anew at midnight UTC and on the first of a month. */
const windowText = z
  .string()
  .regex(/^([1-9]\d{0,5}(ms|s|m|h|d)|day|month)$/, 'a time such as 30s, 5m, 1h or 7d, or day, or month');

export const limitRuleSchema = z.strictObject({
  id: ruleId,
  per: z.array(z.enum(LEVELS)).min(1).max(6),
  of: z.enum(MEASURES),
  limit: units,
  /** Absent for concurrency and batch_queue. */
  window: windowText.optional(),
  /** How much may come at once after idling; one window's worth when absent. Not with day or month. */
  burst: units.optional(),
  /** Tokens read from the prompt cache, as a share of a token; input_tokens and total_tokens only. */
  cache_read_weight: z.number().min(0).max(1).default(0),
  /** How output is counted before it is known: as it streams, reserved at a learned quantile, or reserved at max_tokens. */
  output: z.enum(['metered', 'quantile', 'max_tokens']).default('metered'),
  /** End a stream that has used the limit up, with an error event, instead of letting it run into debt. */
  hard_stop: z.boolean().default(false),
  when_away: z.enum(WHEN_AWAY).optional(),
  /** Take shares in advance and decide here; exact all the same (docs/limits.md). */
  leased: z.boolean().default(true),
  /** Count what it would have refused, and refuse nothing. */
  dry_run: z.boolean().default(false),
  /** Only these classes of models. */
  model_classes: z.array(z.string().max(64)).min(1).max(100).optional(),
});
export type LimitRule = z.infer<typeof limitRuleSchema>;

/** Which requests give way first. */
const PRIORITIES = ['interactive', 'default', 'background', 'batch'] as const;

export const tierSchema = z.strictObject({
  id: ruleId,
  /** By rule id: what this tier has instead of the rule's own values. */
  limits: z.record(z.string().max(64), z.strictObject({ limit: units.optional(), burst: units.optional() })).default({}),
  /** Micro-dollars a calendar month: a warning at `soft`, a refusal at `hard`. */
  spend: z.strictObject({ soft: units.optional(), hard: units.optional() }).optional(),
  /** Sharp growth: at most `factor` times the usual rate of the last hour, within `over`, but never less than `floor` requests a minute. */
  growth: z
    .strictObject({
      floor: units,
      factor: z.number().min(1.1).max(100).default(2),
      dry_run: z.boolean().default(true),
    })
    .optional(),
  priority: z.enum(PRIORITIES).default('default'),
  /** When an organization of this tier may move up: an operator, or `plimsoll limit promote`, applies it. */
  promotion: z
    .strictObject({
      to: ruleId,
      days: z.int().min(0).max(3650),
      spent: z.int().min(0).max(1e15),
      no_actions: z.boolean().default(true),
    })
    .optional(),
});
export type Tier = z.infer<typeof tierSchema>;
