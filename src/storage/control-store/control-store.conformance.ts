import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Key, Organization, TenantObject } from '#contracts/tenancy';
import { sampleKey, sampleOrganization } from '#contracts/tenancy-kit.fixture';
import type { AuditDraft, ControlChange, ControlStore, Versioned } from '../control-port.ts';
import type { SqlDatabase } from '../sql/sql.ts';

export interface OpenedForTest {
  readonly store: ControlStore;
  /** The same tables without the store, to do what no store does. */
  readonly database: SqlDatabase;
  readonly unreadable: readonly { readonly kind: string; readonly id: string; readonly because: string }[];
}

/** What every control store must do. Tests share one store, and stay apart by organization. */
export function describeControlStore(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    let opened: OpenedForTest;
    let store: ControlStore;
    let names = 0;
    beforeAll(async () => {
      opened = await open();
      ({ store } = opened);
    });
    afterAll(() => store.close());

    const freshOrganization = (): string => `org_${name.slice(0, 3)}${process.pid}x${++names}`;
    const draft = (organization: string, more: Partial<AuditDraft> = {}): AuditDraft => ({
      atMs: 1_700_000_000_000,
      actor: 'system',
      act: 'test.act',
      organization,
      subject: organization,
      details: { count: 1, name: 'x', isTrue: true, none: null },
      ...more,
    });
    const put = (organization: string, ...objects: readonly (readonly [TenantObject, number])[]): ControlChange => ({
      put: objects.map(([object, expectVersion]) => ({ object, expectVersion })),
      audit: draft(organization),
    });
    const committed = async (change: ControlChange): Promise<number> => {
      const answer = await store.commit(change);
      if (answer.kind !== 'committed') throw new Error(`conflict on ${answer.id}`);
      return answer.commit;
    };
    const organizationOf = (id: string, more: Partial<Organization> = {}): Organization =>
      sampleOrganization({ id, organization: id, ...more });
    const keyOf = (organization: string, number: number, more: Partial<Key> = {}): Key =>
      sampleKey({ id: `key_${organization.slice(4)}k${number}`, organization, ...more });
    const headCommit = async (): Promise<number> => (await store.changesAfter(0, ['appeal'], 1)).throughCommit;

    test('what was committed is answered, with its version and the commit that wrote it', async () => {
      const id = freshOrganization();
      expect(await store.get('organization', id)).toBeNull();
      const first = await committed(put(id, [organizationOf(id), 0], [keyOf(id, 1), 0]));
      const second = await committed(put(id, [organizationOf(id, { name: 'Two' }), 1]));
      expect(second).toBe(first + 1);
      expect(await store.get('organization', id)).toEqual({
        object: organizationOf(id, { name: 'Two' }),
        version: 2,
        commit: second,
      });
      expect(await store.get('key', keyOf(id, 1).id)).toEqual({ object: keyOf(id, 1), version: 1, commit: first });
      expect(await store.get('workspace', id)).toBeNull();
    });

    test('whoever expects another version gets a conflict, and nothing of the change is written', async () => {
      const id = freshOrganization();
      await committed(put(id, [organizationOf(id), 0]));
      const before = await headCommit();
      const one = keyOf(id, 1);
      expect(await store.commit(put(id, [one, 0], [organizationOf(id, { name: 'late' }), 0]))).toEqual({ kind: 'conflict', id });
      expect(await store.commit(put(id, [one, 0], [organizationOf(id, { name: 'early' }), 2]))).toEqual({ kind: 'conflict', id });
      expect(await store.commit(put(id, [keyOf(id, 2), 1]))).toEqual({ kind: 'conflict', id: keyOf(id, 2).id });
      expect(await store.get('key', one.id)).toBeNull();
      expect(await headCommit()).toBe(before);
      expect(await store.audit({ organization: id, after: 0, max: 10 })).toHaveLength(1);
    });

    test('what is no tenant object is refused whole', async () => {
      const id = freshOrganization();
      const bad = { ...keyOf(id, 1), hint: 'much too long' };
      await expect(store.commit(put(id, [organizationOf(id), 0], [bad, 0]))).rejects.toThrow();
      expect(await store.get('organization', id)).toBeNull();
      await expect(store.commit(put(id, [organizationOf(id), 0], [organizationOf(id), 0]))).rejects.toThrow(/once/);
    });

    test('commits made at the same time get consecutive numbers, and of those that race for one version one wins', async () => {
      const id = freshOrganization();
      const before = await headCommit();
      const numbers = await Promise.all(Array.from({ length: 12 }, (_, number) => committed(put(id, [keyOf(id, number), 0]))));
      expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers.map((_, place) => before + 1 + place));
      const answers = await Promise.all(Array.from({ length: 6 }, () => store.commit(put(id, [organizationOf(id), 0]))));
      expect(answers.filter(({ kind }) => kind === 'committed')).toHaveLength(1);
      expect((await store.verifyAudit()).brokenAt).toBeNull();
    });

    test('objects are listed by id, byte by byte, page by page, and one organization never sees those of another', async () => {
      const [mine, theirs] = [freshOrganization(), freshOrganization()];
      const ids = ['key_Zz', 'key_aa', 'key_-1', 'key__', 'key_10', 'key_9'].map((id) => `${id}${mine.slice(4)}`);
      await committed(put(mine, ...ids.map((id) => [sampleKey({ id, organization: mine }), 0] as const), [keyOf(theirs, 1), 0]));
      const seen: string[] = [];
      for (let after: string | null = null; ;) {
        const page: readonly Versioned<Key>[] = await store.list({ kind: 'key', organization: mine, after, max: 4 });
        seen.push(...page.map(({ object }) => object.id));
        if (page.length < 4) break;
        after = page.at(-1)?.object.id ?? null;
      }
      expect(seen).toEqual(ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      const everyone = await store.list({ kind: 'key', organization: null, after: null, max: 1_000 });
      expect(everyone.map(({ object }) => object.id)).toEqual(expect.arrayContaining([...ids, keyOf(theirs, 1).id]));
    });

    test('changes come oldest first, each object in its newest version, and pages end where commits do', async () => {
      const id = freshOrganization();
      const before = await headCommit();
      await committed(put(id, [keyOf(id, 1), 0], [keyOf(id, 2), 0], [keyOf(id, 3), 0]));
      await committed(put(id, [organizationOf(id), 0]));
      await committed(put(id, [keyOf(id, 2, { name: 'newer' }), 1]));
      const first = await store.changesAfter(before, ['key', 'organization'], 1);
      expect(first.objects.map(({ object }) => object.id)).toEqual([keyOf(id, 1).id, keyOf(id, 3).id]);
      expect(first).toMatchObject({ throughCommit: before + 1, hasMore: true, unreadable: [] });
      const [entry] = await store.audit({ organization: id, after: before, max: 1 });
      expect(first.throughHash).toBe(entry?.hash);
      const rest = await store.changesAfter(first.throughCommit, ['key', 'organization'], 10);
      expect(rest.objects.map(({ object, commit }) => [object.id, commit])).toEqual([
        [id, before + 2],
        [keyOf(id, 2).id, before + 3],
      ]);
      expect(rest).toMatchObject({ throughCommit: before + 3, hasMore: false });
      expect(await store.changesAfter(before, ['organization'], 10)).toMatchObject({
        objects: [{ object: { id } }],
        throughCommit: before + 3,
      });
      expect(await store.changesAfter(before + 3, ['key'], 10)).toMatchObject({
        objects: [],
        throughCommit: before + 3,
        hasMore: false,
      });
    });

    test('whoever follows by pages of any size ends with what the store has, whatever is changed meanwhile', async () => {
      const change = fc.array(fc.record({ key: fc.integer({ min: 0, max: 5 }), name: fc.constantFrom('a', 'b', 'c') }), {
        minLength: 1,
        maxLength: 3,
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(change, { minLength: 1, maxLength: 8 }),
          fc.integer({ min: 1, max: 4 }),
          async (changes, size) => {
            const id = freshOrganization();
            const start = await headCommit();
            const versions = new Map<number, number>();
            const model = new Map<string, string>();
            const write = async (): Promise<void> => {
              for (const keys of changes) {
                const unique = [...new Map(keys.map((one) => [one.key, one])).values()];
                const objects = unique.map(
                  ({ key, name: text }) => [keyOf(id, key, { name: text }), versions.get(key) ?? 0] as const,
                );
                await committed(put(id, ...objects));
                for (const [object] of objects) model.set(object.id, object.name);
                for (const { key } of unique) versions.set(key, (versions.get(key) ?? 0) + 1);
              }
            };
            const seen = new Map<string, string>();
            let through = start;
            const follow = async (): Promise<boolean> => {
              const page = await store.changesAfter(through, ['key'], size);
              for (const { object, commit } of page.objects) {
                expect(commit).toBeGreaterThan(through);
                expect(commit).toBeLessThanOrEqual(page.throughCommit);
                if (object.kind === 'key' && object.organization === id) seen.set(object.id, object.name);
              }
              through = page.throughCommit;
              return page.hasMore;
            };
            const writing = write();
            for (let round = 0; round < 4; round++) await follow();
            await writing;
            while (await follow());
            expect(seen).toEqual(model);
          },
        ),
        { numRuns: 8 },
      );
    });

    test('every commit has an entry in the audit log, seen only with its organization, and the chain holds', async () => {
      const [mine, theirs] = [freshOrganization(), freshOrganization()];
      const before = await headCommit();
      await committed({ put: [], audit: draft(mine, { act: 'one' }) });
      await committed({ put: [], audit: draft(theirs, { act: 'two' }) });
      await committed({ put: [], audit: { ...draft(mine, { act: 'three' }), organization: null } });
      const seen = await store.audit({ organization: mine, after: 0, max: 10 });
      expect(seen).toEqual([
        {
          ...draft(mine, { act: 'one' }),
          sequence: before + 1,
          commit: before + 1,
          hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      ]);
      const all = await store.audit({ organization: null, after: before, max: 2 });
      expect(all.map(({ act }) => act)).toEqual(['one', 'two']);
      expect(await store.verifyAudit()).toEqual({ entries: before + 3, brokenAt: null });
    });

    test('an audit entry that was edited, removed, exchanged or added by hand is found', async () => {
      const id = freshOrganization();
      const first = await committed({ put: [], audit: draft(id, { act: 'first' }) });
      await committed({ put: [], audit: draft(id, { act: 'second' }) });
      const last = await committed({ put: [], audit: draft(id, { act: 'third' }) });
      const { database } = opened;
      const brokenAt = async (): Promise<number | null> => (await store.verifyAudit()).brokenAt;
      const tampers: readonly (readonly [string, string, number])[] = [
        [
          `update control_audit set entry = replace(entry::text, 'first', 'other')::json where sequence = ${first}`,
          'edited',
          first,
        ],
        [`update control_audit set organization = null where sequence = ${first}`, 'hidden from its organization', first],
        [`update control_audit set hash = repeat('0', 64) where sequence = ${first}`, 'another hash', first],
        [`delete from control_audit where sequence = ${first + 1}`, 'removed', first + 1],
        [`delete from control_audit where sequence = ${last}`, 'removed at the end', last],
        [
          `update control_audit a set entry = b.entry, hash = b.hash from control_audit b where a.sequence + b.sequence = ${2 * first + 1} and a.sequence in (${first}, ${first + 1})`,
          'exchanged',
          first,
        ],
        [
          `insert into control_audit select ${last + 1}, organization, entry, hash from control_audit where sequence = ${last}`,
          'added',
          last + 1,
        ],
        [`update control_head set commit = ${first}`, 'head set back', last],
      ];
      for (const [statement, what, place] of tampers) {
        // Put back afterwards: the others share this store.
        await database.query('create table kept_audit as select * from control_audit');
        await database.query('create table kept_head as select * from control_head');
        await database.query(statement);
        const found = await brokenAt();
        await database.query('delete from control_audit');
        await database.query('insert into control_audit select * from kept_audit');
        await database.query('delete from control_head');
        await database.query('insert into control_head select * from kept_head');
        await database.query('drop table kept_audit');
        await database.query('drop table kept_head');
        if (what === 'head set back') expect(found, what).not.toBeNull();
        else expect(found, what).toBe(place);
      }
      expect(await brokenAt()).toBeNull();
    });

    test('an object that cannot be read is reported and not answered, and whoever follows learns that what it knew is over', async () => {
      const id = freshOrganization();
      const before = await headCommit();
      await committed(put(id, [keyOf(id, 1), 0], [keyOf(id, 2), 0], [keyOf(id, 3), 0]));
      const broken = keyOf(id, 2).id;
      await opened.database.query(`update control_object set body = '{"kind":"key","from":"the future"}' where id = $1`, [
        broken,
      ]);
      expect(await store.get('key', broken)).toBeNull();
      const listed = await store.list({ kind: 'key', organization: id, after: null, max: 2 });
      expect(listed.map(({ object }) => object.id)).toEqual([keyOf(id, 1).id, keyOf(id, 3).id]);
      const page = await store.changesAfter(before, ['key'], 10);
      expect(page.objects).toHaveLength(2);
      expect(page.unreadable).toEqual([{ kind: 'key', id: broken }]);
      expect(opened.unreadable).toContainEqual({ kind: 'key', id: broken, because: expect.stringContaining('organization') });
      // It is there all the same: nobody makes it anew by accident.
      expect(await store.commit(put(id, [keyOf(id, 2), 0]))).toEqual({ kind: 'conflict', id: broken });
      await committed(put(id, [keyOf(id, 2, { name: 'mended' }), 1]));
      expect((await store.get('key', broken))?.object.name).toBe('mended');
    });

    test('names that people choose come back as they were, and cannot reach into a query', async () => {
      const id = freshOrganization();
      for (const text of ['nul \0 inside', 'half \uD83D pair', "'; drop table control_object; --", '\n"\\{}', '${1} $1 %s']) {
        const version = (await store.get('organization', id))?.version ?? 0;
        await committed({
          ...put(id, [organizationOf(id, { name: text }), version]),
          audit: draft(id, { subject: text, details: { text } }),
        });
        expect((await store.get('organization', id))?.object.name).toBe(text);
        expect((await store.audit({ organization: id, after: 0, max: 10 })).at(-1)).toMatchObject({
          subject: text,
          details: { text },
        });
      }
      expect(await store.list({ kind: 'key', organization: "' or true --", after: "' or true --", max: 10 })).toEqual([]);
      expect((await store.verifyAudit()).brokenAt).toBeNull();
    });

    test('gateways that were heard of are named with what they have applied, until they depart', async () => {
      const [one, two] = [`gw_${freshOrganization()}`, `gw_${freshOrganization()}`];
      await store.heartbeat({ id: one, name: 'first', commit: 3 });
      await store.heartbeat({ id: two, name: 'second', commit: 4 });
      await store.heartbeat({ id: one, name: 'renamed', commit: 5 });
      const seen = (await store.gateways(60_000)).filter(({ id }) => id === one || id === two);
      expect(seen).toMatchObject([
        { id: one, name: 'renamed', commit: 5 },
        { id: two, name: 'second', commit: 4 },
      ]);
      for (const { seenMsAgo } of seen) expect(seenMsAgo).toBeLessThan(60_000);
      await opened.database.query(`update control_gateway set seen_at = seen_at - interval '1 hour' where id = $1`, [two]);
      expect((await store.gateways(60_000)).map(({ id }) => id)).not.toContain(two);
      expect((await store.gateways(7_200_000)).find(({ id }) => id === two)?.seenMsAgo).toBeGreaterThanOrEqual(3_600_000);
      await opened.database.query(`update control_gateway set seen_at = seen_at - interval '8 days' where id = $1`, [two]);
      await store.depart(one);
      await store.heartbeat({ id: `${one}n`, name: 'new', commit: 0 });
      const left = (await store.gateways(1e12)).map(({ id }) => id);
      expect(left).not.toContain(one);
      expect(left).not.toContain(two);
      await store.depart(`${one}n`);
    });

    test('whoever watches is woken by a commit, not by a conflict, and no more after it has stopped', async () => {
      const id = freshOrganization();
      let woken = 0;
      const stop = await store.watch(() => woken++);
      // A listener wakes once when it begins, for what it missed before.
      await vi.waitUntil(async () => {
        const before = woken;
        await committed(put(id, [keyOf(id, ++names), 0]));
        return woken > before;
      }, 5_000);
      await stop();
      await new Promise((resolve) => setImmediate(resolve));
      const before = woken;
      expect((await store.commit(put(id, [keyOf(id, names), 0]))).kind).toBe('conflict');
      await committed(put(id, [keyOf(id, ++names), 0]));
      expect(woken).toBe(before);
    });

    // The embedded engine syncs all of its files the first time, which takes up to a second.
    test('what was committed can be made to survive a power cut', async () => {
      await expect(store.persist()).resolves.toBeUndefined();
    });
  });
}
