/** What is seen of many kernels at once, and what that takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Judgement } from '../../src/core/baseline.ts';
import type { KernelBuild, Run, Verdict } from '../../src/core/model.ts';
import type { RunsWanted } from '../../src/report/report.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { KERNEL, kmod, NEWER, OTHER } from '../core/facts.ts';
import { type Asked, begun, makeHistory, openHeard, runOf } from './history.ts';
import { kinds, type Place } from './places.ts';

let folder: string;
let store: Store;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(await kinds())('of runs as they come: $name', ({ make }) => {
  let place: Place;
  const KMODS = [kmod('kmod-a'), kmod('kmod-b')];
  let at = 1_000;
  beforeEach(async () => {
    place = await make();
    store = await openStore(place.url, { mode: 'write' });
  });
  afterEach(() => place.drop());
  async function begin(kernel: KernelBuild, gate = 'c9s', generation = 1): Promise<() => Promise<Run>> {
    at += 10;
    await store.seeKernel(kernel, at);
    const id = `${gate}/${kernel.id}/${generation}`;
    const rest = { generation, entry: generation, tags: [], kmods: KMODS, baseline: null } as const;
    await store.beginRun({ id, gate, kernel, startedAt: at, strategy: 'rebuild', ...rest });
    return async () => (await store.run(id)) as Run;
  }
  async function judge(run: Run, verdict: Verdict, ...outcomes: Judgement['outcome'][]): Promise<void> {
    at += 1;
    const judged = outcomes.map((outcome, i) => ({
      kmod: KMODS[i]?.name ?? 'stablelist',
      kmodBuild: i < 2 ? 1 : 0,
      outcome,
      baseline: null,
    }));
    await store.judge(run, { verdict, reasons: ['why'] }, judged, at);
  }
  async function decide(kernel: KernelBuild, verdict: Verdict, ...outcomes: Judgement['outcome'][]) {
    const read = await begin(kernel);
    await judge(await read(), verdict, ...outcomes);
    await store.closeRun(await read(), { at, how: 'done', why: 'moved' });
    return read;
  }
  const listed = async (wanted: Omit<RunsWanted, 'limit'>) =>
    (await store.summaries({ limit: 9, ...wanted }))?.runs.map(({ id }) => id);

  test('lists are narrowed by gate, verdict, kmod, time, and to the newest of each kernel', async () => {
    await decide(OTHER, 'promote', 'ok');
    const since = at;
    await decide(KERNEL, 'block', 'ok', 'broken');
    await begin(KERNEL, 'c9s', 2);
    await begin(NEWER, 'c10s');
    expect(await listed({})).toEqual(['c10s/40/1', 'c9s/30/2', 'c9s/30/1', 'c9s/20/1']);
    expect(await listed({ gate: 'c9s' })).toEqual(['c9s/30/2', 'c9s/30/1', 'c9s/20/1']);
    expect(await listed({ verdict: 'block' })).toEqual(['c9s/30/1']);
    expect(await listed({ verdict: 'none', gate: 'c9s' })).toEqual(['c9s/30/2']);
    expect(await listed({ latest: true })).toEqual(['c10s/40/1', 'c9s/30/2', 'c9s/20/1']);
    expect(await listed({ since })).toEqual(['c10s/40/1', 'c9s/30/2', 'c9s/30/1']);
    expect(await listed({ until: since })).toEqual(['c9s/20/1']);
    // What goes on is found by what it is to try.
    expect(await listed({ kmod: 'kmod-b' })).toEqual(['c10s/40/1', 'c9s/30/2', 'c9s/30/1']);
    expect(await listed({ kmod: 'kmod-?', verdict: 'promote' })).toEqual(['c9s/20/1']);
    expect(await listed({ kmod: 'kmod-[ab]' })).toEqual([]);
    expect(await listed({ kmod: 'kmod-b', before: 'c9s/30/2' })).toEqual(['c9s/30/1']);
  });

  test('cells are those of the newest verdict of each run', async () => {
    const first = await decide(OTHER, 'promote', 'ok', 'broken', 'inconclusive');
    const second = await begin(KERNEL);
    await judge(await second(), 'hold', 'inconclusive', 'ok');
    await judge(await second(), 'block', 'broken', 'ok');
    expect(await store.cells([await first(), await second()])).toEqual(
      new Map([
        [
          'c9s/20/1',
          new Map([
            ['kmod-a', 'ok'],
            ['kmod-b', 'broken'],
            ['stablelist', 'inconclusive'],
          ]),
        ],
        [
          'c9s/30/1',
          new Map([
            ['kmod-a', 'broken'],
            ['kmod-b', 'ok'],
          ]),
        ],
      ]),
    );
    expect(await store.cells([])).toEqual(new Map());
    expect(await store.kmodNames()).toEqual(['kmod-a', 'kmod-b', 'stablelist']);
  });

  test('a blocked kernel needs somebody until one that came later is let through, or it is tried anew', async () => {
    await decide(OTHER, 'block', 'broken');
    expect(await store.needing()).toEqual(['c9s/20/1']);
    await decide(KERNEL, 'block', 'broken');
    expect(await store.needing()).toEqual(['c9s/30/1', 'c9s/20/1']);
    await begin(OTHER, 'c9s', 2);
    expect(await store.needing()).toEqual(['c9s/30/1']);
    await decide({ ...NEWER, id: 41, name: 'kernel-rt', nvr: 'kernel-rt-1-1' }, 'promote', 'ok');
    expect(await store.needing()).toEqual(['c9s/30/1']);
    await decide(NEWER, 'promote', 'ok');
    expect(await store.needing()).toEqual([]);
  });

  test('a live kernel needs somebody while it is held, by whomever', async () => {
    const held = await begin(OTHER);
    expect(await store.needing()).toEqual([]);
    await judge(await held(), 'hold', 'inconclusive');
    const stuck = await begin(KERNEL);
    await store.say('c9s', KERNEL, 'c9s/30/1', 'held: cannot log in', at);
    const person = await begin(NEWER);
    await store.order(await person(), { at, by: 'ada', kind: 'hold', reason: '', kmod: null });
    expect(await store.needing()).toEqual(['c9s/40/1', 'c9s/30/1', 'c9s/20/1']);
    await store.order(await person(), { at, by: 'ada', kind: 'release', reason: '', kmod: null });
    await store.say('c9s', KERNEL, 'c9s/30/1', 'waits', at);
    await store.closeRun(await held(), { at, how: 'superseded', why: 'a newer one' });
    expect(await store.needing()).toEqual([]);
    expect((await stuck()).closing).toBeUndefined();
  });

  test('a kmod is shown over kernels and gates, and since when it is broken', async () => {
    const ofA = async () =>
      (await store.cellsOfKmod('kmod-a', 9)).map(({ run, outcome }) => `${run} ${outcome}`);
    await decide(OTHER, 'promote', 'ok');
    expect(await store.brokenSince('kmod-a', 'c9s')).toBeUndefined();
    const read = await decide(KERNEL, 'block', 'broken');
    await store.reopen(await read(), 'waived', at);
    await judge(await read(), 'promote', 'broken');
    await decide(NEWER, 'block', 'already-broken');
    expect(await ofA()).toEqual(['c9s/40/1 already-broken', 'c9s/30/1 broken', 'c9s/20/1 ok']);
    expect(await store.brokenSince('kmod-a', 'c9s')).toMatchObject({ run: 'c9s/30/1', kernel: { id: 30 } });
    expect(await store.brokenSince('kmod-a', 'c10s')).toBeUndefined();
    expect(await store.cellsOfKmod('kmod-none', 9)).toEqual([]);
  });
});

test('each is one look by an index, however long the history is', async () => {
  const path = join(folder, 'gate.db');
  await makeHistory(path, { closed: 30, live: 2, kmods: 20 });
  const asked: Asked[] = [];
  const heard = openHeard(path, (one) => void asked.push(one));
  store = heard.store;
  const page = await store.summaries({
    limit: 5,
    gate: 'c9s',
    latest: true,
    kmod: 'kmod-00*',
    since: begun(3),
  });
  expect(page).toMatchObject({ older: runOf(28) });
  expect((await store.cells(page?.runs ?? [])).get(runOf(30))?.size).toBe(20);
  expect(await store.cellsOfKmod('kmod-001', 5)).toHaveLength(5);
  expect(await store.brokenSince('kmod-000', 'c9s')).toMatchObject({ run: runOf(4) });
  expect(await store.needing()).toEqual([runOf(30)]);
  expect(asked.length).toBeLessThan(10);
  const scans = asked
    .flatMap((one) => heard.plan(one))
    .filter((step) => /^SCAN (judgement|verdict|journal|selection)/.test(step));
  expect(scans.filter((step) => !step.includes('USING'))).toEqual([]);
});
