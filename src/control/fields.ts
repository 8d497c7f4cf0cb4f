import { z } from 'zod';
import { compileScopes } from '#core/tenancy';
import type { LimitOverrides, Organization } from '#contracts/tenancy';
import { problem, type Answer } from './answer.ts';
import type { Call } from './route.ts';

/** Fields that several bodies and queries have. */
export const id = z
  .string()
  .min(1)
  .max(128)
  .regex(/^\P{Cc}+$/u, 'an id has no control characters'); // PostgreSQL refuses a text with a NUL
export const name = z.string().trim().min(1).max(200);
export const wallMs = z.int().min(0).max(8.64e15);
/** The version that a change is meant for; without it, whatever is there now. */
export const version = z.int().min(1).optional();
export const note = z.string().trim().min(1).max(2_000);

const units = z.int().min(0).max(1e12);
export const limits = z
  .record(z.string().max(64), z.strictObject({ limit: units.optional(), burst: units.optional() }))
  .refine((value) => Object.keys(value).length <= 100, 'at most 100 rules');

const blockOfAddresses = z
  .string()
  .max(64)
  // A block that is one holds its own first address.
  .refine(
    (text) => compileScopes({ addresses: [text] }).allowsAddress(text.replace(/\/.*$/, '')),
    'an address or a CIDR block such as 10.0.0.0/8',
  );
export const scopes = z.strictObject({
  models: z.array(z.string().min(1).max(128)).max(1_000).optional(),
  regions: z.array(z.string().min(1).max(128)).max(100).optional(),
  addresses: z.array(blockOfAddresses).max(100).optional(),
});

/** Paging through lists, in order of id. */
export const page = { after: id.optional(), limit: z.coerce.number().int().min(1).max(100).default(50) };
export const pageQuery = z.strictObject({ organization: id.optional(), ...page });

/**
 * Whether the caller may set these limits on something of an organization. An organization tightens what it was given and does
 * not loosen it; whoever runs the installation sets what it likes.
 * @param before - what is set now
 * @returns what is wrong, or null
 */
export function checkLimits(
  call: Call,
  wanted: LimitOverrides,
  organization: Organization,
  before: LimitOverrides = {},
): Answer | null {
  const rules = new Map(call.tools.limits.rulesOf(organization).map((rule) => [rule.rule, rule]));
  for (const [rule, { limit, burst }] of Object.entries(wanted)) {
    const given = rules.get(rule);
    if (given === undefined)
      return problem(
        'invalid_request',
        `limits: no rule is called ${JSON.stringify(rule)}; there are ${[...rules.keys()].join(', ') || 'none'}`,
      );
    const inexact = call.tools.limits.problemOf(rule, { limit, burst });
    if (inexact !== null) return problem('invalid_request', `limits: ${inexact}`);
    if (call.principal.reach === 'installation') continue;
    const limitMax = Math.max(given.limit, before[rule]?.limit ?? 0);
    const burstMax = Math.max(given.burst, before[rule]?.burst ?? 0);
    if ((limit ?? 0) > limitMax || (burst ?? 0) > burstMax)
      return problem(
        'forbidden',
        `limits.${rule}: this organization was given ${limitMax} with a burst of ${burstMax}, and may set less; its operator can give it more`,
      );
  }
  return null;
}

export const newId = (call: Call, prefix: string): string => `${prefix}_${call.tools.random.hex(10)}`;

/** The organization that a body names, or the caller's own. */
export const organizationOf = (call: Call, named: string | undefined): string => named ?? call.principal.organization;
