import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkHistory, type FleetEvent, type LimitPromise } from './history-checker.ts';

const RATE: LimitPromise = { kind: 'rate', meter: 0, limit: 60, windowUs: 60_000_000, burst: 5, allowance: 0 };
const PLACES: LimitPromise = { kind: 'places', meter: 1, limit: 2, allowance: 0 };

let number = 0;
const granted = (fromUs: number, more: Partial<Extract<FleetEvent, { kind: 'granted' }>> = {}): FleetEvent => ({
  kind: 'granted',
  gateway: 'g1',
  id: `r${(number += 1)}`,
  subject: 's',
  units: [1, 0],
  fromUs,
  toUs: fromUs + 100,
  by: 'exact',
  ...more,
});
const released = (id: string, fromUs: number): FleetEvent => ({
  kind: 'released',
  gateway: 'g1',
  id,
  subject: 's',
  fromUs,
  toUs: fromUs + 100,
});

/** A burst, then one a second: all that is allowed. */
const honest = (): FleetEvent[] => [
  ...Array.from({ length: 5 }, (_, at) => granted(at * 10)),
  ...Array.from({ length: 20 }, (_, at) => granted((at + 1) * 1_000_000 + 1_000)),
];

test('a history that uses a limit up to the last unit is without fault', () => {
  expect(checkHistory(honest(), [RATE])).toEqual([]);
});

test('one unit more, anywhere, is found', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 19 }), (at) => {
      const planted = [...honest(), granted(at * 1_000_000 + 500_000)];
      return checkHistory(planted, [RATE]).length === 1 && checkHistory(planted, [{ ...RATE, allowance: 1 }]).length === 0;
    }),
  );
});

test('what may have happened outside a span is not held against the fleet', () => {
  // The sixth of a burst was asked for early and answered late: it may have been counted when the first unit was back.
  expect(checkHistory([...honest().slice(0, 5), granted(20, { toUs: 1_100_000 })], [RATE])).toEqual([]);
  expect(checkHistory([...honest().slice(0, 5), granted(20, { toUs: 900_000 })], [RATE])).toHaveLength(1);
});

test('units given back may be used again, but not more than once', () => {
  const taken = Array.from({ length: 5 }, (_, at) => granted(at * 10, { id: `taken${at}` }));
  const back: FleetEvent = { kind: 'settled', gateway: 'g1', id: 'taken0', subject: 's', units: [-1, 0], fromUs: 200, toUs: 300 };
  expect(checkHistory([...taken, back, granted(400)], [RATE])).toEqual([]);
  expect(checkHistory([...taken, back, granted(400), granted(410)], [RATE])).toHaveLength(1);
  expect(checkHistory([...taken, granted(150), { ...back, fromUs: 2_000, toUs: 2_100 }], [RATE])).toHaveLength(1);
});

test('output that is charged as it streams counts when it is promised', () => {
  const stream = granted(0, { id: 'stream', units: [0, 0] });
  const charge: FleetEvent = { kind: 'settled', gateway: 'g1', id: 'stream', subject: 's', units: [9, 0], fromUs: 10, toUs: 20 };
  expect(checkHistory([stream, charge], [RATE])).toEqual([]);
  expect(checkHistory([stream, charge], [{ ...RATE, isMetered: true } as LimitPromise])).toHaveLength(1);
  expect(checkHistory([stream, charge], [{ ...RATE, isMetered: true, allowance: 4 } as LimitPromise])).toEqual([]);
});

test('a place more than there are is found, and one that came free is not held twice', () => {
  const one = granted(0, { id: 'one', units: [0, 1] });
  const two = granted(10, { id: 'two', units: [0, 1] });
  const three = granted(500, { id: 'three', units: [0, 1], gateway: 'g2' });
  expect(checkHistory([one, two, three], [PLACES])).toHaveLength(1);
  expect(checkHistory([one, two, released('one', 550), three], [PLACES])).toEqual([]);
  expect(checkHistory([one, two, released('one', 700), three], [PLACES])).toHaveLength(1);
  expect(checkHistory([one, two, { kind: 'killed', gateway: 'g1', fromUs: 400 }, three], [PLACES])).toEqual([]);
  expect(
    checkHistory([one, two, { kind: 'killed', gateway: 'g2', fromUs: 400 }, { ...three, gateway: 'g3' } as FleetEvent], [PLACES]),
  ).toHaveLength(1);
});

test('subjects do not pay for each other', () => {
  const other = honest().map(
    (event) => ({ ...event, subject: 'other', id: `${(event as { id: string }).id}-other` }) as FleetEvent,
  );
  expect(checkHistory([...honest(), ...other], [RATE])).toEqual([]);
});

test('what passed twice, ended twice, ended before it began, or was refused by nothing is found', () => {
  const one = granted(0, { id: 'one' });
  expect(checkHistory([one, one], [])).toEqual(['one was let pass twice']);
  expect(checkHistory([one, released('one', 9), released('one', 19)], [])).toEqual(['one was released twice']);
  expect(checkHistory([released('one', 9)], [])).toEqual(['one ended and had never begun']);
  const refused: FleetEvent = {
    kind: 'refused',
    gateway: 'g',
    id: 'r',
    subject: 's',
    meter: 0,
    waitUs: 0,
    fromUs: 0,
    toUs: 1,
    by: 'exact',
  };
  expect(checkHistory([refused], [])).toHaveLength(1);
});
