/** Lists of runs: what they say, page by page, and what that takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listRuns, newestReports } from '../../src/commands/report.ts';
import type { Judgement } from '../../src/core/baseline.ts';
import type { Run } from '../../src/core/model.ts';
import { lineOf } from '../../src/report/report.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { GATE, KERNEL, kmod, NEWER, OTHER } from '../core/facts.ts';
import { type Asked, makeHistory, openHeard, runOf } from './history.ts';
import { kinds, type Place } from './places.ts';

let folder: string;
let store: Store;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const idsOf = async (page: Parameters<Store['summaries']>[0]) => {
  const found = await store.summaries(page);
  return found && { ids: found.runs.map(({ id }) => id), older: found.older };
};
const from = (first: number, last: number) =>
  Array.from({ length: first - last + 1 }, (_, i) => runOf(first - i));

test('pages follow one another, newest first, and read no run', async () => {
  const path = join(folder, 'gate.db');
  await makeHistory(path, { closed: 20, live: 5, kmods: 50 });
  const asked: Asked[] = [];
  ({ store } = openHeard(path, (one) => void asked.push(one)));
  expect(await idsOf({ limit: 10 })).toEqual({ ids: from(25, 16), older: runOf(16) });
  expect(asked).toHaveLength(1);
  expect(await idsOf({ limit: 10, before: runOf(16) })).toEqual({ ids: from(15, 6), older: runOf(6) });
  expect(await idsOf({ limit: 10, before: runOf(6) })).toEqual({ ids: from(5, 1), older: null });
  expect(await idsOf({ limit: 5, before: runOf(6) })).toEqual({ ids: from(5, 1), older: null });
  expect(await idsOf({ limit: 10, before: runOf(1) })).toEqual({ ids: [], older: null });
  expect(await idsOf({ limit: 10, before: 'c9s/7/7' })).toBeUndefined();
  expect((await store.summaries({ limit: 1 }))?.runs).toMatchObject([
    { kmods: 50, verdict: null, tally: {}, said: 'as it is' },
  ]);
});

describe.each(await kinds())('a line says what the report of its run says: $name', ({ make }) => {
  let place: Place;
  const KMODS = [kmod('kmod-a'), kmod('kmod-b'), kmod('kmod-c', false)];
  const judged = (...outcomes: Judgement['outcome'][]): Judgement[] =>
    outcomes.map((outcome, i) => ({
      kmod: KMODS[i]?.name ?? 'stablelist',
      kmodBuild: 1,
      outcome,
      baseline: null,
    }));
  let at = 1_000;

  async function begin(kernel = KERNEL, gate = 'c9s'): Promise<() => Promise<Run>> {
    await store.seeKernel(kernel, at);
    const id = `${gate}/${kernel.id}/1`;
    const rest = { generation: 1, entry: 1, tags: [], kmods: KMODS, baseline: null } as const;
    await store.beginRun({ id, gate, kernel, startedAt: at, strategy: 'rebuild', ...rest });
    at += 1;
    return async () => (await store.run(id)) as Run;
  }
  /** Lines by the list, and by reports; what a run's own kmods tell is compared apart. */
  async function lines() {
    const from = {
      store,
      gates: [GATE],
      links: { task: () => undefined, build: (id: number) => `http://k/${id}` },
    };
    const plain = ({ outcomes: _, to_rebuild: __, ...line }: ReturnType<typeof lineOf>) => line;
    const listed = (await listRuns(from, { limit: 9 }))?.runs ?? [];
    expect(listed.map(plain)).toEqual((await newestReports(from, 9)).map(lineOf).map(plain));
    return listed;
  }
  beforeEach(async () => {
    place = await make();
    store = await openStore(place.url, { mode: 'write' });
  });
  afterEach(() => place.drop());

  test('begun, going on, held by the gate and by a person, and over', async () => {
    await begin(OTHER);
    const going = await begin();
    await store.say('c9s', KERNEL, 'c9s/30/1', '1 of 3 kmods judged', at);
    const over = await begin(NEWER);
    await store.judge(
      await over(),
      { verdict: 'block', reasons: ['why'] },
      judged('broken', 'ok', 'ok', 'ok'),
      at,
    );
    await store.closeRun(await over(), { at, how: 'done', why: 'moved to blocked' });
    // At the same time, at another gate.
    at -= 1;
    await begin(NEWER, 'c10s');
    expect(
      (await lines()).map(({ run, status, state, kmods, outcomes }) => [run, status, state, kmods, outcomes]),
    ).toEqual([
      ['c10s/40/1', 'running', 'just begun', 3, {}],
      ['c9s/40/1', 'done', 'moved to blocked', 3, { broken: 1, ok: 2 }],
      ['c9s/30/1', 'running', '1 of 3 kmods judged', 3, {}],
      ['c9s/20/1', 'running', 'just begun', 3, {}],
    ]);
    await store.say('c9s', KERNEL, 'c9s/30/1', 'held: no builder', at);
    await store.order(await going(), { at, by: 'ada', kind: 'hold', reason: 'QA', kmod: null });
    expect((await lines())[2]).toMatchObject({ status: 'held', held_by: { by: 'ada', reason: 'QA' } });
    await store.order(await going(), { at, by: 'ada', kind: 'release', reason: '', kmod: null });
    expect((await lines())[2]).toMatchObject({ held_by: null });
    await store.judge(
      await going(),
      { verdict: 'hold', reasons: [] },
      judged('inconclusive', 'ok', 'ok'),
      at,
    );
    await store.say('c9s', KERNEL, 'c9s/30/1', 'waits for somebody', at);
    expect((await lines())[2]).toMatchObject({
      status: 'held',
      state: 'waits for somebody',
      verdict: 'hold',
    });
  });

  test('counts what a waiver spares as waived, and the newest verdict only', async () => {
    const read = await begin();
    await store.judge(
      await read(),
      { verdict: 'block', reasons: [] },
      judged('broken', 'inconclusive', 'ok'),
      at,
    );
    await store.closeRun(await read(), { at, how: 'done', why: 'blocked' });
    const waiver = { at: at + 1, by: 'ada', reason: '', gate: null, kernel: '*', until: null };
    await store.waive({ ...waiver, kmod: 'kmod-a' }, []);
    await store.waive({ ...waiver, kmod: 'kmod-c' }, []);
    expect((await lines())[0]?.outcomes).toEqual({ broken: 1, inconclusive: 1, ok: 1 });
    await store.reopen(await read(), 'waived', at + 2);
    await store.judge(
      await read(),
      { verdict: 'promote', reasons: [] },
      judged('broken', 'already-broken', 'ok'),
      at + 3,
    );
    const [line] = await lines();
    expect(line).toMatchObject({ status: 'running', verdict: 'promote' });
    expect(Object.entries(line?.outcomes ?? {})).toEqual([
      ['waived', 1],
      ['already-broken', 1],
      ['ok', 1],
    ]);
  });

  test('a retry makes the verdict void, but not once tags have changed', async () => {
    const read = await begin();
    const moved = await begin(NEWER);
    for (const [i, run] of [read, moved].entries()) {
      await store.judge(
        await run(),
        { verdict: 'hold', reasons: [] },
        judged('inconclusive', 'ok', 'ok'),
        at,
      );
      if (i === 1) await store.intend(await run(), [{ kind: 'tag', tag: 'x' }], at);
      await store.order(await run(), { at: at + 1, by: 'ada', kind: 'retry', reason: '', kmod: null });
    }
    expect((await lines()).map(({ verdict, outcomes }) => [verdict, outcomes])).toEqual([
      ['hold', { inconclusive: 1, ok: 2 }],
      [null, {}],
    ]);
  });
});
