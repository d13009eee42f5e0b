/** What a store lets go in time, and what it never does. */
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explain, explanationText, listRuns } from '../../src/commands/report.ts';
import type { Run } from '../../src/core/model.ts';
import { openStore } from '../../src/store/open.ts';
import type { RpmDependencies, Store } from '../../src/store/store.ts';
import { GATE } from '../core/facts.ts';
import { begun, buildOf, type History, kmodOf, makeHistoryAt, runOf } from './history.ts';
import { kinds, type Place } from './places.ts';

const HOUR = 3_600_000;
/** Ten of the hourly runs are as young as this. */
const KEEP = 10 * HOUR;

describe.each(await kinds())('$name', ({ name, make }) => {
  let place: Place;
  let store: Store;
  beforeEach(async () => {
    place = await make();
  });
  afterEach(async () => {
    await store.close();
    await place.drop();
  });
  async function open(history: Partial<History>): Promise<void> {
    await makeHistoryAt(place, { closed: 40, live: 1, kmods: 2, ...history });
    store = await openStore(place.url, { mode: 'write' });
  }

  const all = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  const pruned = async (count = 41) => {
    const found = await Promise.all(
      all(count).map(async (n) => [n, await store.prunedAt(runOf(n))] as const),
    );
    return found.filter(([, at]) => at !== null).map(([n]) => n);
  };
  const from = () => ({
    store,
    gates: [GATE],
    links: { task: () => undefined, build: () => undefined },
    now: () => begun(50),
  });
  /** All that decisions ask of the past. */
  const asked = async () => ({
    live: await store.liveRuns(),
    passed: await store.lastPassed('c9s', 'kernel', 0),
    judged: await store.lastJudged('c9s', 'kernel', { kernel: null, except: 0 }),
    each: await Promise.all(
      all(41).map((n) => store.lastJudged('c9s', 'kernel', { kernel: buildOf(n), except: 0 })),
    ),
    repos: await Promise.all(all(41).map((n) => store.reposWith(buildOf(n)))),
    closings: await Promise.all(
      all(41).map(async (n) => (await store.latestRun('c9s', buildOf(n)))?.closing),
    ),
    listed: await listRuns(from(), { limit: 100 }),
    sideTags: await store.sideTags(),
  });

  describe('runs', () => {
    test('that are over for longer than that lose their details, but those that a waiver may open again', async () => {
      await open({});
      const before = await asked();
      expect(await store.prune(begun(41), KEEP)).toBe(false);
      // Each tenth has blocked its kernel.
      expect(await pruned()).toEqual(all(30).filter((n) => n % 10 !== 0));
      expect(await asked()).toEqual(before);
      expect((await store.runs(99)).map(({ id }) => id)).toEqual(
        [...all(41).slice(30), 30, 20, 10].toSorted((a, b) => b - a).map(runOf),
      );
      expect((await store.run(runOf(10)))?.intents).toHaveLength(3);
      expect((await store.run(runOf(9)))?.intents).toEqual([]);
      const kinds = async (n: number) => (await store.journal(buildOf(n))).map(({ kind }) => kind);
      expect(await kinds(9)).toEqual(['run', 'verdict', 'closed']);
      expect(await kinds(31)).toHaveLength(7);
    });

    test('are explained by what was decided, and it is said that the rest is gone', async () => {
      await open({});
      const whole = await explain(from(), String(buildOf(9)));
      const revision = await store.revision(buildOf(9));
      await store.prune(begun(41), KEEP);
      const left = await explain(from(), String(buildOf(9)));
      expect(whole?.runs[0]?.pruned_at).toBeUndefined();
      expect(left?.runs[0]).toMatchObject({
        verdict: 'promote',
        reasons: ['as it is'],
        pruned_at: begun(41),
        kmods: [
          { name: kmodOf(0).name, outcome: 'already-broken' },
          { name: kmodOf(1).name, outcome: 'ok' },
        ],
      });
      if (!left) throw new Error('it is not there');
      expect(explanationText({ write() {}, colour: false }, left)).toContain(
        'its tries, logs and symbols are kept no longer, since 2023-',
      );
      expect(await store.revision(buildOf(9))).not.toBe(revision);
    });

    test('stay whole while their kernel is tried again, and where they are the newest, or the newest that passed', async () => {
      await open({ live: 0 });
      const kernel = await store.kernel(buildOf(5));
      if (!kernel) throw new Error('no such kernel');
      const second = { gate: 'c9s', kernel, generation: 2, entry: 99, tags: [], kmods: [], baseline: null };
      await store.beginRun({
        ...second,
        id: 'c9s/1005/2',
        startedAt: begun(2),
        strategy: 'rebuild',
      });
      await store.prune(begun(500), KEEP);
      const stay = (await pruned(40)).length;
      expect(await pruned(40)).toEqual(all(38).filter((n) => n % 10 !== 0 && n !== 5));
      // Once it is over, it is no more than the older of two.
      await store.closeRun((await store.run('c9s/1005/2')) as Run, {
        at: begun(500),
        how: 'taken-over',
        why: '',
      });
      await store.prune(begun(501), KEEP);
      expect(await pruned(40)).toHaveLength(stay + 1);
    });

    test('of a kernel that came again go although they block', async () => {
      await open({});
      const kernel = await store.kernel(buildOf(10));
      if (!kernel) throw new Error('no such kernel');
      const second = { gate: 'c9s', kernel, generation: 2, entry: 99, tags: [], kmods: [], baseline: null };
      await store.beginRun({ ...second, id: 'c9s/1010/2', startedAt: begun(40), strategy: 'rebuild' });
      const again = async () => (await store.run('c9s/1010/2')) as Run;
      await store.judge(await again(), { verdict: 'block', reasons: [] }, [], begun(40));
      await store.closeRun(await again(), { at: begun(40), how: 'done', why: '' });
      await store.prune(begun(41), KEEP);
      expect(await pruned()).toContain(10);
    });

    test('keep what they did to tags', async () => {
      await open({});
      const run = async () => (await store.run(runOf(9))) as Run;
      const tag = { kind: 'tag', tag: 'candidate' } as const;
      const [intent] = await store.intend(await run(), [tag], begun(9));
      if (intent) await store.end(await run(), intent, { at: begun(9), how: 'done' });
      await store.prune(begun(41), KEEP);
      expect((await run()).intents).toMatchObject([{ write: tag, ending: { how: 'done' } }]);
    });

    test('go a few at a time, and it may be stopped between two', async () => {
      await open({ closed: 80 });
      const stopped = new AbortController();
      stopped.abort();
      expect(await store.prune(begun(500), KEEP, stopped.signal)).toBe(false);
      expect(await pruned(80)).toEqual([]);
      expect(await store.prune(begun(500), KEEP)).toBe(true);
      expect(await pruned(80)).toHaveLength(50);
      expect(await store.prune(begun(500), KEEP)).toBe(false);
      expect(await pruned(80)).toHaveLength(80 - 8 - 1);
    });
  });

  describe('symbols of rpms', () => {
    const symbols = (symbol: string): RpmDependencies => ({
      provides: [{ symbol, crc: 1, from: 'kernel' }],
      requires: [],
    });
    const known = async (...ids: number[]) => [...(await store.rpmSymbols(ids)).keys()];

    test('go when they were not used for so long, but for those of live runs and baselines', async () => {
      await open({});
      const builds = new Map([
        [1, buildOf(20)],
        // The newest that passed, and the last with which the first kmod was fine.
        [2, buildOf(39)],
        [3, buildOf(4)],
        // The live run's, and its kmod.
        [4, buildOf(41)],
        [5, kmodOf(1).buildId],
        [6, 7],
      ]);
      const ids = [...builds.keys()];
      await store.keepRpmSymbols(new Map([...ids, 9].map((id) => [id, symbols(`of ${id}`)])), builds);
      await store.prune(begun(42), KEEP);
      expect(await known(...ids, 9)).toEqual([1, 2, 3, 4, 5, 6, 9]);
      // Two days later two of them are used.
      const run = (await store.run(runOf(41))) as Run;
      await store.say('c9s', run.kernel, run.id, 'still going on', begun(41 + 48));
      expect(await store.rpmSymbols([6], builds)).toEqual(new Map([[6, symbols('of 6')]]));
      await store.prune(begun(41 + 50), KEEP);
      // Of the last one nobody knows whose it is.
      expect(await known(...ids, 9)).toEqual([2, 3, 4, 5, 6, 9]);
    });

    test('and so do types of kernels, which the hub has still', async () => {
      await open({});
      const types = Buffer.from('types');
      // Of a kernel long ago, the newest that passed, and the live run's.
      for (const n of [20, 39, 41]) await store.keepKernelTypes(buildOf(n), 'x86_64', types, begun(n));
      expect(await store.kernelTypes(buildOf(20), 's390x', begun(41))).toBeUndefined();
      await store.prune(begun(42 + 48), KEEP);
      const kept = await Promise.all(
        [20, 39, 41].map((n) => store.kernelTypes(buildOf(n), 'x86_64', begun(90))),
      );
      expect(kept.map((one) => one && Buffer.from(one).toString())).toEqual([undefined, 'types', 'types']);
    });

    test.runIf(name === 'SQLite')(
      'that an older kmod-gate wrote as text are packed, and stay what they were',
      async () => {
        const path = place.url.slice('sqlite:'.length);
        await open({});
        await store.close();
        const database = new Database(path);
        const text = JSON.stringify(symbols('a'));
        const insert = database.prepare('INSERT INTO rpm_symbols (rpm_id, symbols) VALUES (?, ?)');
        for (const id of all(3)) insert.run(id, text);
        database.close();
        store = await openStore(`sqlite:${path}`, { mode: 'write' });
        expect(await store.rpmSymbols([2])).toEqual(new Map([[2, symbols('a')]]));
        await store.prune(begun(41), 1_000 * KEEP);
        expect(await store.rpmSymbols(all(3))).toEqual(new Map(all(3).map((id) => [id, symbols('a')])));
        const reader = new Database(path);
        const types = reader.prepare('SELECT DISTINCT typeof(symbols) AS type FROM rpm_symbols').all();
        reader.close();
        expect(types).toEqual([expect.objectContaining({ type: 'blob' })]);
      },
    );
  });
});
