/** What a look asks of the store costs by what is alive: no query goes through what is over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { type Asked, begun, buildOf, GATE, kmodOf, makeHistory, openHeard, runOf } from './history.ts';

const CLOSED = 10_000;
const LIVE = 200;
const LAST = CLOSED + LIVE;

let folder: string;
let heard: ReturnType<typeof openHeard>;
let asked: Asked[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  const path = join(folder, 'gate.db');
  await makeHistory(path, { closed: CLOSED, live: LIVE, kmods: 3 });
  heard = openHeard(path, (one) => void asked.push(one));
}, 120_000);
afterAll(async () => {
  await heard?.store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Tables that hold what is over too: nobody goes through one from end to end, or through all runs of a gate. */
const HISTORY =
  /^(SCAN (run|kernel_build|judgement|intent|ending|receipt|trial|verdict|closing|journal|selection|symbol_evidence|explanation|kernel_types|rpm_symbols|run_order|one)\b|SEARCH run .*\(gate=\?\)$)/;
/** But for indexes that have only what is alive in them. */
const ALIVE = /USING (COVERING )?INDEX (run_live|run_unexplained|intent_again|intent_side_tag)\b/;

const QUERIES: Record<string, (store: Store) => Promise<unknown>> = {
  liveKernels: (store) => store.liveKernels(),
  'a live run': (store) => store.run(runOf(LAST)),
  latestRun: (store) => store.latestRun(GATE, buildOf(LAST)),
  runsOf: (store) => store.runsOf(buildOf(LAST)),
  lastPassed: (store) => store.lastPassed(GATE, 'kernel', buildOf(LAST)),
  lastJudged: (store) => store.lastJudged(GATE, 'kernel', { kernel: null, except: buildOf(LAST) }),
  'lastJudged with a kernel': (store) =>
    store.lastJudged(GATE, 'kernel', { kernel: buildOf(1), except: buildOf(LAST) }),
  reposWith: (store) => store.reposWith(buildOf(1)),
  retriesSince: (store) => store.retriesSince(GATE, begun(LAST - 24)),
  ownerOfTask: (store) => store.ownerOfTask(7),
  lastSaid: (store) => store.lastSaid(GATE, buildOf(LAST)),
  kernel: (store) => store.kernel('kernel-5.14.0-7.el9'),
  sideTags: (store) => store.sideTags(),
  wordsOfPersons: (store) => store.wordsOfPersons(),
  runsWaived: (store) => store.runsWaived(0),
  ahead: (store) => store.ahead(),
  liveCounts: (store) => store.liveCounts(),
  unexplained: (store) => store.unexplained(),
  causesOf: (store) => store.causesOf({ id: runOf(1) }),
  kernelTypes: (store) => store.kernelTypes(buildOf(1), 'x86_64', begun(LAST)),
};

test.each(Object.entries(QUERIES))('%s goes through no history', async (_, ask) => {
  asked = [];
  await ask(heard.store);
  const plans = [...asked].map((one) => ({ sql: one.sql, plan: heard.plan(one) }));
  expect(plans.length).toBeGreaterThan(0);
  expect(plans.filter(({ plan }) => plan.some((line) => HISTORY.test(line) && !ALIVE.test(line)))).toEqual(
    [],
  );
});

test('and each finds what it should', async () => {
  const { store } = heard;
  const live = await store.liveKernels();
  expect(live).toHaveLength(LIVE);
  expect(live[0]).toMatchObject({ id: runOf(CLOSED + 1), kernel: { id: buildOf(CLOSED + 1) } });
  // The last of the closed ones was blocked.
  expect(await store.lastPassed(GATE, 'kernel', 0)).toMatchObject({ id: buildOf(CLOSED - 1) });
  expect(await store.lastPassed(GATE, 'kernel', buildOf(CLOSED - 1))).toMatchObject({
    id: buildOf(CLOSED - 2),
  });
  expect(await store.lastPassed(GATE, 'kernel-rt', 0)).toBeUndefined();
  const judged = await store.lastJudged(GATE, 'kernel', { kernel: null, except: 0 });
  expect([...judged.keys()].toSorted()).toEqual([0, 1, 2].map((i) => kmodOf(i).name));
  expect(judged.get(kmodOf(1).name)?.fine?.kernel.id).toBe(buildOf(CLOSED - 1));
  // Fine with none of the newer nine tenths.
  expect(judged.get(kmodOf(0).name)).toMatchObject({
    last: { outcome: 'already-broken', kernel: { id: buildOf(CLOSED - 1) } },
    fine: { outcome: 'ok', kernel: { id: buildOf(CLOSED / 10 - 1) } },
  });
  expect(await store.retriesSince(GATE, begun(LAST - 24))).toBe(25);
  expect(await store.reposWith(buildOf(5))).toEqual([5]);
  const alive = { gate: GATE, verdict: null, held: false, runs: LIVE, oldest: begun(CLOSED + 1) };
  // Two of four builds of each run that goes on have not ended.
  expect(await store.liveCounts()).toEqual([{ ...alive, building: 2 * LIVE }]);
});
