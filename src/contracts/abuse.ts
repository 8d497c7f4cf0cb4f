import { z } from 'zod';
import { RUNGS } from './tenancy.ts';

/** Whose signals a rule reads, and whom it is about. */
const RULE_SUBJECTS = ['organization', 'key', 'end_user', 'address_block'] as const;

/** Why something was done, as evidence, pages and clients name it; docs/abuse.md says what each means. Never reused. */
export const REASONS = [
  'velocity_change',
  'leaked_key',
  'many_networks',
  'impossible_travel',
  'two_places',
  'credential_stuffing',
  'spend_spike',
  'template_repetition',
  'round_the_clock',
  'model_release_jump',
  'account_burst',
  'near_limit',
  'error_mix',
  'refusal_mix',
  'operator_decision',
] as const;

const ruleId = z.string().regex(/^[a-z][a-z0-9_-]{0,47}$/, 'a lower-case letter, then letters, digits, - and _, at most 48');
/** `30s`, `5m`, `1h`, `7d`. */
const duration = z
  .string()
  .regex(/^[1-9]\d{0,5}(s|m|h|d)$/, 'a time such as 30s, 5m, 1h or 7d')
  .refine((text) => durationMs(text) <= DURATION_MS_MAX, 'a year at most');
const DURATION_MS_MAX = 366 * 86_400_000;
const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** @param text - as the schema takes it: `30s`, `5m`, `1h`, `7d` */
export function durationMs(text: string): number {
  return Number(text.slice(0, -1)) * UNITS_MS[text.slice(-1) as keyof typeof UNITS_MS];
}

export const abuseRuleSchema = z
  .strictObject({
    id: ruleId,
    on: z.enum(RULE_SUBJECTS),
    /** A CEL expression over the signals of docs/abuse.md that is true or false. */
    when: z.string().min(1).max(500),
    /** The highest rung that it may ever take; how far it goes by itself is decided by its measured precision. */
    rung: z.enum(RUNGS),
    /** For `slow`, also as the step below a higher rung: rates are multiplied by this. */
    factor: z.number().min(0.01).max(1).optional(),
    /** For `block_capability`, likewise: `model_class:<id>`, `model:<id>` or `tools`. */
    capabilities: z
      .array(z.string().regex(/^(model_class:.{1,128}|model:.{1,128}|tools)$/, 'model_class:<id>, model:<id> or tools'))
      .min(1)
      .max(50)
      .optional(),
    /** How long what it does stays in force. */
    expires: duration.default('1d'),
    reason: z.enum(REASONS),
    /** Firings about one subject within this time are one. */
    window: duration.default('1h'),
    /** After a person has reviewed a case of it, how long the rule keeps quiet about that subject. */
    cool_down: duration.default('7d'),
    /** Open cases for review, and do nothing else. */
    dry_run: z.boolean().default(true),
  })
  .superRefine((rule, context) => {
    const problem = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (rule.rung === 'slow' && rule.factor === undefined) problem('factor', 'rung: slow needs factor, 0.01 to 1');
    if (rule.rung === 'block_capability' && rule.capabilities === undefined)
      problem('capabilities', 'rung: block_capability needs capabilities: what to block');
    if (rule.rung === 'suspend_key' && rule.on !== 'key') problem('rung', 'suspend_key is for rules on: key');
    if (rule.rung === 'suspend_organization' && rule.on !== 'organization')
      problem('rung', 'suspend_organization is for rules on: organization');
  });
export type AbuseRule = z.infer<typeof abuseRuleSchema>;

const paths = z.array(z.string().min(1).max(4096)).max(50).default([]);
const room = z.int().min(1).max(4_194_304);

/** Files that the operator provides and refreshes; none is shipped. Plain or .gz. */
const listsSchema = z.strictObject({
  /** `cidr,country,latitude,longitude` a line. */
  places: paths,
  /** A CIDR block a line. */
  datacenters: paths,
  vpns: paths,
  /** A mail domain a line. */
  disposable_domains: paths,
  /** How often their times of change are looked at. */
  refresh_seconds: z.int().min(1).max(86_400).default(300),
});
export type ListsConfig = z.infer<typeof listsSchema>;

export const abuseSchema = z.strictObject({
  rules: z
    .array(abuseRuleSchema)
    .max(200)
    .default([])
    .superRefine((rules, context) => {
      for (const [at, { id }] of rules.entries())
        if (rules.findIndex((other) => other.id === id) !== at)
          context.addIssue({ code: 'custom', path: [at, 'id'], message: `${id} is the id of another rule` });
    }),
  /** The rules that are shipped, which only ever open cases. */
  default_rules: z.boolean().default(true),
  /** False alarms a day that a change detector may raise over all subjects of a kind, in traffic that does not change. */
  false_alarms_per_day: z.number().min(0.001).max(10_000).default(1),
  /** Subjects of each kind that are remembered at once, 1.5 kB each. */
  subjects_max: z
    .strictObject({
      organization: room.default(16_384),
      key: room.default(32_768),
      end_user: room.default(16_384),
      address_block: room.default(16_384),
    })
    .prefault({}),
  lists: listsSchema.prefault({}),
});
export type AbuseConfig = z.infer<typeof abuseSchema>;
