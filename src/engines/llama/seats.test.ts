import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSeats, type Place } from './seats.ts';

test('a freed seat goes to the first in the queue in the same tick, never to a newcomer', () => {
  const seats = createSeats({ seats: 1, queue: 2 });
  const order: string[] = [];
  seats.setOpen(true);
  const first = seats.enter(() => order.push('first'));
  seats.enter(() => order.push('second'));
  seats.enter(() => order.push('third'));
  first?.leave();
  expect(order).toEqual(['first', 'second']);
});

test('whoever finds every seat and the whole queue taken is turned away', () => {
  const seats = createSeats({ seats: 1, queue: 1 });
  seats.setOpen(true);
  expect([1, 2, 3].map(() => seats.enter(() => undefined) !== null)).toEqual([true, true, false]);
});

test('an aborted waiter gives its place back at once and is never called', () => {
  const seats = createSeats({ seats: 1, queue: 1 });
  const called: string[] = [];
  seats.setOpen(true);
  const first = seats.enter(() => called.push('first'));
  const second = seats.enter(() => called.push('second'));
  second?.leave();
  expect(seats.enter(() => called.push('third'))).not.toBeNull();
  first?.leave();
  expect(called).toEqual(['first', 'third']);
});

test('while closed nobody sits down, and nobody in the queue is lost', () => {
  const seats = createSeats({ seats: 2, queue: 1 });
  const called: number[] = [];
  const places = [0, 1, 2, 3].map((guest) => seats.enter(() => called.push(guest)));
  expect(places.map((place) => place !== null)).toEqual([true, true, true, false]);
  expect(called).toEqual([]);
  seats.setOpen(true);
  expect(called).toEqual([0, 1]);
});

test('in any order of coming, going, opening and closing, the bounds hold and nobody is seated twice', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('enter' as const) }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('open' as const), isOpen: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const seats = createSeats({ seats: 3, queue: 4 });
      const places: Place[] = [];
      const calls: number[] = [];
      for (const each of steps) {
        if (each.kind === 'open') seats.setOpen(each.isOpen);
        if (each.kind === 'leave') places[each.which]?.leave();
        if (each.kind === 'enter') {
          const guest = calls.push(0) - 1;
          const place = seats.enter(() => calls.splice(guest, 1, calls[guest]! + 1));
          if (place !== null) places.push(place);
        }
        expect(seats.seated).toBeLessThanOrEqual(3);
        expect(seats.seated + seats.waiting).toBeLessThanOrEqual(7);
        expect(calls.every((count) => count <= 1)).toBe(true);
      }
    }),
  );
});
