import { InvalidArgumentError } from 'commander';

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `90s`, `30m`, `24h`, `7d`. @returns seconds */
export function readSeconds(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (unit === '') throw new InvalidArgumentError('it is a time such as 90s, 30m, 24h or 7d');
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

/** A time from now such as `30d`, or a day such as 2027-01-31 (its first moment, UTC); `never`. @returns what gives wall ms */
export function readExpiry(text: string): (nowMs: number) => number | null {
  if (text === 'never') return () => null;
  if (/^\d{4}-\d\d-\d\d$/.test(text) && Number.isFinite(Date.parse(text))) return () => Date.parse(text);
  if (/^\d{1,9}[smhd]$/.test(text)) return (nowMs) => nowMs + readSeconds(text) * 1000;
  throw new InvalidArgumentError('it is a time from now such as 30d, a day such as 2027-01-31, or never');
}

/** `a,b,c` */
export function readList(text: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === '')) throw new InvalidArgumentError('it is a list such as a,b,c');
  return items;
}

export type Limits = Readonly<Record<string, { readonly limit: number; readonly burst?: number }>>;

/** `rpm=100`, or `rpm=100/20` with a burst of 20; may be given several times. */
export function readLimit(text: string, before: Limits = {}): Limits {
  const [, rule = '', limit = '', burst] = /^([a-z][a-z0-9_-]*)=(\d{1,13})(?:\/(\d{1,13}))?$/.exec(text) ?? [];
  if (rule === '') throw new InvalidArgumentError('it is a rule and a number such as rpm=100, or rpm=100/20 with a burst of 20');
  return { ...before, [rule]: { limit: Number(limit), ...(burst === undefined ? {} : { burst: Number(burst) }) } };
}
