import type { MeterGroup, Rate, Rule } from '#core/limits';
import type { SharedOperation, SharedReply } from '../shared-limits.ts';

/** Doubles before the counts of meters, and doubles of a meter; `meter-script.ts` reads them in this order. */
const HEAD = 7;
const METER = 9;
/** How long a settlement is remembered: longer than any request lives, and than one is retried. */
const MEMORY_MS = 3_600_000;

/** The tag makes everything of one organization lie in one slot of a cluster. */
const tag = (tenant: string): string => `plimsoll:{${tenant}}`;

export const groupKey = ({ tenant, scope, subject }: MeterGroup): string => `${tag(tenant)}:meters:${scope.id}:${subject}`;
export const memoryKey = (tenant: string, id: string): string => `${tag(tenant)}:settled:${id}`;
export const GATEWAYS_KEY = 'plimsoll:{fleet}:gateways';

/** A packer that remembers what is the same in every operation on a subject. */
export function createPacker(): (operation: SharedOperation) => Buffer {
  const known = new WeakMap<readonly Rate[], Float64Array>();
  const metersOf = (group: MeterGroup): Float64Array => {
    let packed = known.get(group.rates);
    if (packed === undefined) {
      packed = Float64Array.from(group.rates.flatMap((rate, place) => packMeter(rate, group.scope.rules[place])));
      known.set(group.rates, packed);
    }
    return packed;
  };
  return (operation) => {
    const { groups, units, wishes } = operation;
    const numbers = new Float64Array(HEAD + groups.length + METER * units.length);
    numbers[0] = operation.step;
    numbers[1] = MEMORY_MS;
    numbers[2] = operation.leaseMs * 1000;
    numbers[3] = operation.placesLeaseMs * 1000;
    numbers[4] = operation.gateways;
    numbers[5] = operation.ageUs;
    numbers[6] = groups.length;
    groups.forEach((group, at) => {
      numbers[HEAD + at] = group.rates.length;
    });
    let offset = HEAD + groups.length;
    let place = 0;
    for (const group of groups) {
      numbers.set(metersOf(group), offset);
      for (let of = 0; of < group.rates.length; of++, place++, offset += METER) {
        numbers[offset + METER - 2] = units[place] as number;
        numbers[offset + METER - 1] = wishes?.[place] ?? 0;
      }
    }
    return Buffer.from(numbers.buffer);
  };
}

function packMeter(rate: Rate, rule: Rule | undefined): readonly number[] {
  const flags = (rule?.isDryRun ? 1 : 0) + (rule?.isMetered ? 2 : 0);
  const kind: number = rate.kind;
  return [kind, flags, rate.limit, rate.burst, rate.stepUs, rate.ticksPerStep, rate.ticksPerUnit, 0, 0];
}

/** @param meters - how many the operation had */
export function unpackReply(reply: unknown, meters: number): SharedReply {
  if (!isNumbers(reply) || reply.length !== 2 + 2 * meters) return { kind: 'failed', because: 'an answer of another shape' };
  const numbers = Float64Array.from(reply);
  const waitUs = numbers[1] as number;
  return {
    kind: 'done',
    refusedBy: numbers[0] as number,
    waitUs: waitUs === -1 ? Infinity : waitUs,
    ahead: numbers.subarray(2, 2 + meters),
    granted: numbers.subarray(2 + meters),
  };
}

const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number');
