import { RATE_KINDS, type MeterGroup, type Rate, type Rule } from '#core/limits';
import type { SharedOperation, SharedReply } from '../shared-limits.ts';

/** Doubles before the wishes, and doubles of a meter; `meter-script.ts` reads them in this order. */
const FRAME = 5;
const METER = 7;
/** What a meter's first double says beside its kind. */
const [DRY, METERED] = [8, 16];

/** The tag makes everything of one organization lie in one slot of a cluster. */
const tag = (tenant: string): string => `plimsoll:{${tenant}}`;

export const groupKey = ({ tenant, scope, subject }: MeterGroup): string => `${tag(tenant)}:meters:${scope.id}:${subject}`;
export const memoryKey = (tenant: string, id: string): string => `${tag(tenant)}:settled:${id}`;
export const GATEWAYS_KEY = 'plimsoll:{fleet}:gateways';

/** An operation's arguments, but for the time and the names of its meters. */
export interface Packed {
  readonly frame: Buffer | '';
  readonly numbers: Buffer;
}

/** A packer that remembers what is the same in every operation on a subject. */
export function createPacker(): (operation: SharedOperation) => Packed {
  const known = new WeakMap<readonly Rate[], Float64Array>();
  const metersOf = (group: MeterGroup): Float64Array => {
    let packed = known.get(group.rates);
    if (packed === undefined) {
      packed = Float64Array.from([
        group.rates.length,
        ...group.rates.flatMap((rate, of) => packMeter(rate, group.scope.rules[of])),
      ]);
      known.set(group.rates, packed);
    }
    return packed;
  };
  return (operation) => {
    const { groups, units } = operation;
    const numbers = new Float64Array(groups.length + METER * units.length);
    let offset = 0;
    let place = 0;
    for (const group of groups) {
      numbers.set(metersOf(group), offset++);
      for (let of = 0; of < group.rates.length; of++, place++, offset += METER)
        numbers[offset + METER - 1] = units[place] as number;
    }
    return { frame: frameOf(operation), numbers: Buffer.from(numbers.buffer) };
  };
}

function packMeter(rate: Rate, rule: Rule | undefined): readonly number[] {
  const mode = rate.kind + (rule?.isDryRun ? DRY : 0) + (rule?.isMetered ? METERED : 0);
  return [mode, rate.limit, rate.burst, rate.stepUs, rate.ticksPerStep, rate.ticksPerUnit, 0];
}

/** What the script need not know to take nothing but rates is not said, and so it knows that it may go the short way. */
function frameOf({ what, groups, units, wishes, step, leaseMs, placesLeaseMs, gateways, ageUs }: SharedOperation): Buffer | '' {
  if (what === 'take' && wishes === null && groups.every(areRates)) return '';
  const frame = new Float64Array(FRAME + units.length);
  frame.set([step, leaseMs * 1000, placesLeaseMs * 1000, gateways, ageUs]);
  if (wishes !== null) frame.set(wishes, FRAME);
  return Buffer.from(frame.buffer);
}

const areRates = ({ rates }: MeterGroup): boolean => rates.every(({ kind }) => kind <= RATE_KINDS.rate);

/** @param meters - how many the operation had */
export function unpackReply(reply: unknown, meters: number): SharedReply {
  if (!isNumbers(reply) || (reply.length !== 2 + meters && reply.length !== 2 + 2 * meters))
    return { kind: 'failed', because: 'an answer of another shape' };
  const numbers = new Float64Array(2 + 2 * meters);
  numbers.set(reply);
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
