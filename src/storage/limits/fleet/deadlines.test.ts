import { expect, test } from 'vitest';
import { createTestClock, type TestClock } from '../limits-kit.fixture.ts';
import { createDeadlines } from './deadlines.ts';

interface Work {
  readonly late: string[];
  readonly ended: Map<string, { readonly value: string | null; readonly atUs: number }>;
  start(name: string): (value: string) => Promise<void>;
  /** Moves time a tenth of a ms at a time, and lets what falls due run out. */
  pass(ms: number): Promise<void>;
}

function work(clock: TestClock): Work {
  const deadlines = createDeadlines(clock, 5);
  const late: string[] = [];
  const ended: Work['ended'] = new Map();
  const ran = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  return {
    late,
    ended,
    start(name) {
      const { promise, resolve } = Promise.withResolvers<string>();
      void deadlines
        .within(promise, (value) => void late.push(value))
        .then((value) => void ended.set(name, { value, atUs: clock.nowUs() }));
      return async (value) => {
        resolve(value);
        await ran();
      };
    },
    async pass(ms) {
      for (let tenth = 0; tenth < ms * 10; tenth++) {
        clock.advance(100);
        await ran();
      }
    },
  };
}

test('each waits its own time out, whatever others began before or after it', async () => {
  const clock = createTestClock();
  const { ended, start, pass } = work(clock);
  for (const [name, gapMs] of Object.entries({ a: 0, b: 0.3, c: 1.1, d: 2.6, e: 3, f: 7 })) {
    await pass(gapMs);
    start(name);
  }
  await pass(20);
  const ends = [...ended].map(([name, { value, atUs }]) => [name, value, atUs]);
  expect(ends).toEqual([
    ['a', null, 5_000],
    ['b', null, 5_300],
    ['c', null, 6_400],
    ['d', null, 9_000],
    ['e', null, 12_000],
    ['f', null, 19_000],
  ]);
});

test('an answer in time is an answer, and one that is late is told apart', async () => {
  const clock = createTestClock();
  const { late, ended, start, pass } = work(clock);
  const [first, second] = [start('first'), start('second')];
  await pass(4.9);
  await first('in time');
  await pass(5);
  await second('too late');
  expect(ended.get('first')).toEqual({ value: 'in time', atUs: 4_900 });
  expect(ended.get('second')).toEqual({ value: null, atUs: 5_000 });
  expect(late).toEqual(['too late']);
});

test('what arrived while the process was busy is read before it is called late', async () => {
  const clock = createTestClock();
  const { ended, start, pass } = work(clock);
  const [first, second] = [start('first'), start('second')];
  clock.advance(50_000);
  await first('was there');
  await pass(3);
  expect(ended.get('first')?.value).toBe('was there');
  expect(ended.get('second')?.value).toBeNull();
  await second('later still');
});
