import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { sampleRecord } from '../journal/journal-kit.ts';
import type { UsageBatch, UsageQuery, UsageStore } from '../ports.ts';

/** What every usage store must do. `open` opens the same database each time; tests stay apart by journal and organization. */
export function describeUsageStore(name: string, open: () => Promise<UsageStore>): void {
  describe(name, () => {
    let store: UsageStore;
    let names = 0;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store.close());

    const freshName = (): string => `${name.slice(0, 4)}-${process.pid}-${++names}`;
    const DAY = '2026-01-01';
    const FROM_MS = Date.UTC(2026, 0, 1);
    const TO_MS = Date.UTC(2026, 1, 1);
    const all = (organization: string, groupBy: UsageQuery['groupBy'] = []): UsageQuery => ({
      organization,
      fromMs: FROM_MS,
      toMs: TO_MS,
      groupBy,
    });
    const batchOf = (journal: string, from: number, records: readonly UsageRecord[]): UsageBatch => ({
      journal,
      from,
      to: from + records.length,
      count: records.length,
      lines: Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')),
    });
    const some = (organization: string, count: number, more: Partial<UsageRecord> = {}): UsageRecord[] =>
      Array.from({ length: count }, (_, index) => sampleRecord(index, { organization, ...more }));

    test('what was applied is answered, and the position is remembered', async () => {
      const journal = freshName();
      expect(await store.position(journal)).toBe(0);
      expect(await store.apply(batchOf(journal, 0, some(journal, 10)))).toBe('applied');
      expect(await store.position(journal)).toBe(10);
      expect(await store.usage(all(journal))).toEqual([
        {
          group: {},
          requests: 10,
          failures: 0,
          input: 100,
          cacheRead: 40,
          cacheWrite: 20,
          output: 45,
          estimated: 0,
          costMicroUsd: 70,
          unpriced: 0,
        },
      ]);
    });

    test('a batch applied again changes nothing, and one that leaves a gap is refused', async () => {
      const journal = freshName();
      const records = some(journal, 10);
      await store.apply(batchOf(journal, 0, records));
      expect(await store.apply(batchOf(journal, 0, records))).toBe('already');
      expect(await store.apply(batchOf(journal, 0, records.slice(0, 4)))).toBe('already');
      expect(await store.apply(batchOf(journal, 11, records))).toBe('gap');
      // One that overlaps would count its first part twice.
      expect(await store.apply(batchOf(journal, 5, records))).toBe('gap');
      expect(await store.usage(all(journal))).toMatchObject([{ requests: 10 }]);
      expect(await store.position(journal)).toBe(10);
    });

    test('two that apply the same batch at the same time count it once', async () => {
      const journal = freshName();
      const batch = batchOf(journal, 0, some(journal, 50));
      const answers = await Promise.all([store.apply(batch), store.apply(batch)]);
      expect(answers.toSorted()).toEqual(['already', 'applied']);
      expect(await store.usage(all(journal))).toMatchObject([{ requests: 50 }]);
    });

    test('however batches are cut and repeated, every record is counted once', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ size: fc.integer({ min: 1, max: 30 }), again: fc.boolean(), back: fc.nat(3) }), {
            minLength: 1,
            maxLength: 6,
          }),
          async (cuts) => {
            const journal = freshName();
            let position = 0;
            for (const { size, again, back } of cuts) {
              const records = some(journal, position + size).slice(position);
              expect(await store.apply(batchOf(journal, position, records))).toBe('applied');
              if (again) expect(await store.apply(batchOf(journal, position, records))).toBe('already');
              if (back > 0 && back < position) {
                expect(await store.apply(batchOf(journal, position - back, some(journal, size + back + 1)))).toBe('gap');
              }
              position += size;
            }
            expect(await store.usage(all(journal))).toMatchObject([{ requests: position }]);
            expect(await store.position(journal)).toBe(position);
          },
        ),
        { numRuns: 15 },
      );
    });

    test('records that are lost move the position on, and are not counted', async () => {
      const journal = freshName();
      expect(await store.apply({ ...batchOf(journal, 0, []), to: 7 })).toBe('applied');
      expect(await store.apply({ ...batchOf(journal, 7, some(journal, 2)), to: 12 })).toBe('applied');
      expect(await store.position(journal)).toBe(12);
      expect(await store.usage(all(journal))).toMatchObject([{ requests: 2 }]);
    });

    test('a batch that cannot be read is refused whole', async () => {
      const journal = freshName();
      const { lines, ...batch } = batchOf(journal, 0, some(journal, 3));
      const more = Buffer.concat([lines, Buffer.from('{"version":2,"id":"req_new"}\n')]);
      await expect(store.apply({ ...batch, to: 4, count: 4, lines: more })).rejects.toThrow(/version 2/);
      await expect(store.apply({ ...batch, to: 4, count: 4, lines })).rejects.toThrow(/said to have 4 records has 3/);
      expect(await store.position(journal)).toBe(0);
      expect(await store.usage(all(journal))).toEqual([]);
    });

    test('usage is grouped by any dimensions, in order, and what has no name keeps a group of its own', async () => {
      const journal = freshName();
      await store.apply(batchOf(journal, 0, some(journal, 6)));
      await store.apply(batchOf(journal, 6, some(journal, 2, { key: null, model: null, workspace: null, outcome: 'refused' })));
      expect(await store.usage(all(journal, ['day', 'model']))).toMatchObject([
        { group: { day: DAY, model: null }, requests: 2 },
        { group: { day: DAY, model: 'model-0' }, requests: 3 },
        { group: { day: DAY, model: 'model-1' }, requests: 3 },
      ]);
      expect(await store.usage(all(journal, ['outcome']))).toMatchObject([
        { group: { outcome: 'answered' }, requests: 6 },
        { group: { outcome: 'refused' }, requests: 2 },
      ]);
      // The same group again, in another batch: one row, not two.
      await store.apply(batchOf(journal, 8, some(journal, 2, { key: null, model: null, workspace: null, outcome: 'refused' })));
      expect(await store.usage(all(journal, ['key', 'outcome']))).toContainEqual(
        expect.objectContaining({ group: { key: null, outcome: 'refused' }, requests: 4 }),
      );
    });

    test('one organization never sees the usage of another', async () => {
      const [journal, mine, theirs] = [freshName(), freshName(), freshName()];
      await store.apply(batchOf(journal, 0, [...some(mine, 2), ...some(theirs, 5)]));
      expect(await store.usage(all(mine, ['organization']))).toMatchObject([{ group: { organization: mine }, requests: 2 }]);
      const range = { fromMs: FROM_MS, toMs: TO_MS, recordsMax: 100 };
      const seen = await store.records({ organization: mine, ...range });
      expect(seen.map(({ organization }) => organization)).toEqual([mine, mine]);
      const everything = await store.usage({ organization: null, fromMs: FROM_MS, toMs: TO_MS, groupBy: ['organization'] });
      expect(everything.map(({ group }) => group.organization)).toEqual(expect.arrayContaining([mine, theirs]));
    });

    test('whole records are found behind any number of batches that hold none of the asked', async () => {
      const [journal, mine, theirs] = [freshName(), freshName(), freshName()];
      for (let position = 0; position < 5; position++) await store.apply(batchOf(journal, position, some(theirs, 1)));
      await store.apply(batchOf(journal, 5, some(mine, 2)));
      const query = { organization: mine, fromMs: FROM_MS, toMs: TO_MS };
      expect(await store.records({ ...query, recordsMax: 1 })).toEqual(some(mine, 1));
      expect(await store.records({ ...query, recordsMax: 9 })).toEqual(some(mine, 2));
    });

    test('days are whole UTC days, and requests of other days are not in the answer', async () => {
      const journal = freshName();
      const at = (day: number, hour: number): UsageRecord =>
        sampleRecord(day * 24 + hour, { organization: journal, atMs: Date.UTC(2026, 0, day, hour) });
      await store.apply(batchOf(journal, 0, [at(1, 0), at(1, 23), at(2, 0), at(3, 12)]));
      const query = { organization: journal, groupBy: ['day'] as const };
      expect(await store.usage({ ...query, fromMs: Date.UTC(2026, 0, 1, 20), toMs: Date.UTC(2026, 0, 2) })).toMatchObject([
        { group: { day: '2026-01-01' }, requests: 2 },
      ]);
      expect(await store.usage({ ...query, fromMs: Date.UTC(2026, 0, 2), toMs: Date.UTC(2026, 0, 3, 1) })).toMatchObject([
        { group: { day: '2026-01-02' }, requests: 1 },
        { group: { day: '2026-01-03' }, requests: 1 },
      ]);
    });

    test('a total says how much of it is estimated, unpriced or failed', async () => {
      const journal = freshName();
      const tokens = { input: 1, cacheRead: 0, cacheWrite: 0, output: 2, estimated: true };
      await store.apply(
        batchOf(journal, 0, [...some(journal, 2), ...some(journal, 3, { tokens, costMicroUsd: null, outcome: 'broken' })]),
      );
      expect(await store.usage(all(journal))).toMatchObject([
        { requests: 5, failures: 3, estimated: 3, unpriced: 3, costMicroUsd: 14 },
      ]);
      expect(await store.usage(all(journal, ['outcome']))).toContainEqual(
        expect.objectContaining({ costMicroUsd: null, unpriced: 3 }),
      );
    });

    test('names that clients choose cannot break a batch or reach into a query', async () => {
      const journal = freshName();
      const models = ['nul \0 inside', 'half \uD83D pair', "'; drop table usage_day; --", 'x'.repeat(5000), '\n"\\{}'];
      const records = models.map((model, index) => sampleRecord(index, { organization: journal, model, conversation: model }));
      expect(await store.apply(batchOf(journal, 0, records))).toBe('applied');
      const rows = await store.usage(all(journal, ['model']));
      expect(rows).toHaveLength(models.length);
      const kept = await store.records({ organization: journal, fromMs: FROM_MS, toMs: TO_MS, recordsMax: 10 });
      expect(kept).toEqual(records);
    });

    test('whole records are kept until they are forgotten, and the totals stay', async () => {
      const journal = freshName();
      const old = some(journal, 3, { atMs: Date.UTC(2020, 0, 1) });
      await store.apply(batchOf(journal, 0, old));
      const query = { organization: journal, fromMs: 0, toMs: TO_MS, recordsMax: 10 };
      expect(await store.records(query)).toEqual(old);
      expect(await store.records({ ...query, recordsMax: 2 })).toEqual(old.slice(0, 2));
      expect(await store.forget(Date.UTC(2020, 0, 2))).toBe(1);
      expect(await store.records(query)).toEqual([]);
      expect(await store.usage({ ...all(journal), fromMs: 0 })).toMatchObject([{ requests: 3 }]);
    });
  });
}
