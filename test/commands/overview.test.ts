/** What is seen of many kernels at once, of a store that the demo's kernels have filled. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { causeHistory, kmodHistory, matrix, needs, symbolHistory } from '../../src/commands/overview.ts';
import { explain, type Reporting, reporting } from '../../src/commands/report.ts';
import { loadConfig } from '../../src/config/config.ts';
import { BLOCKED, CULPRIT, type Demo, openDemo, RUNNING } from '../browser/demo.ts';

const CONFIG = new URL('../../config/demo/kmod-gate.toml', import.meta.url).pathname;
const PASSED = 'kernel-6.1.192-56.el9';
let demo: Demo;
let reports: Reporting;
beforeAll(async () => {
  demo = await openDemo();
  reports = reporting(loadConfig(CONFIG), demo.store);
  // It is played first, beside whatever else the machine does.
}, 120_000);
afterAll(() => demo?.close());

test('needs: the blocked kernel, and no older one that a newer one has overtaken', async () => {
  const { needs: found, more } = await needs(reports, 9);
  expect(found.map(({ nvr, kind, culprit }) => [nvr, kind, culprit.name])).toEqual([
    [BLOCKED, 'blocked', CULPRIT],
  ]);
  expect(found[0]).toMatchObject({ source: 'struct genl_split_ops', actor: 'kmod' });
  expect(more).toBe(0);
  expect(await needs(reports, 0)).toEqual({ needs: [], more: 1 });
});

test('matrix: judged and going on, narrowed to kmods that fit, and page by page', async () => {
  const all = await matrix(reports, { limit: 9 });
  expect(all?.runs.map(({ nvr }) => nvr)).toEqual([
    ...[RUNNING, BLOCKED, PASSED],
    ...['kernel-6.1.187-53.el9', 'kernel-6.1.176-50.el9'],
  ]);
  expect(all?.rows).toHaveLength(14);
  expect(all?.rows[0]).toEqual({ kmod: CULPRIT, cells: ['building', 'broken', 'ok', 'broken', 'ok'] });
  const one = await matrix(reports, { limit: 1, kmod: 'kmod-l*', verdict: 'block' });
  expect(one?.rows.map(({ kmod }) => kmod)).toEqual([
    'kmod-legacy-raid',
    'kmod-langford',
    'kmod-lime-forensics',
  ]);
  const older = await matrix(reports, { limit: 9, verdict: 'block', before: one?.older ?? undefined });
  expect(older?.runs.map(({ nvr }) => nvr)).toEqual(['kernel-6.1.187-53.el9']);
  expect(await matrix(reports, { limit: 9, before: 'c9s/1/1' })).toBeUndefined();
});

test('a kmod: since when it is broken, what would mend it, and its cells', async () => {
  const found = await kmodHistory(reports, CULPRIT);
  expect(found?.cells.map(({ outcome }) => outcome)).toEqual(['building', 'broken', 'ok', 'broken', 'ok']);
  expect(found?.troubles).toMatchObject([
    { gate: 'c9s', nvr: BLOCKED, since: { nvr: BLOCKED }, who: `the maintainer of ${CULPRIT}` },
  ]);
  expect(found?.troubles[0]?.steps.map(({ command }) => command?.split(' ')[1])).toEqual([
    ...[undefined, 'move-build', 'waive'],
  ]);
  // Nothing holds the kernels up for what was broken before: it may be mended, and no kernel need be tried for it.
  const old = await kmodHistory(reports, 'kmod-legacy-raid');
  expect(old?.troubles).toMatchObject([
    { kmod: { outcome: 'already-broken' }, since: { nvr: 'kernel-6.1.176-50.el9' } },
  ]);
  expect(old?.troubles[0]?.steps.map(({ command }) => command)).toEqual([null]);
  expect((await kmodHistory(reports, 'kmod-vpoll'))?.troubles).toEqual([]);
  expect(await kmodHistory(reports, 'kmod-none')).toBeUndefined();
  expect(await kmodHistory(reports, 'kmod-*')).toBeUndefined();
});

test('a symbol and a cause: with which kernels, and whom they hit', async () => {
  const symbol = await symbolHistory(reports, 'genl_register_family');
  expect(symbol).toMatchObject({ looked: 5, older: null });
  expect(symbol.hits.map(({ nvr }) => nvr)).toEqual(expect.arrayContaining([BLOCKED, PASSED]));
  expect(symbol.hits[0]).toMatchObject({
    arch: 'x86_64',
    provider: 'kernel-core',
    kmods: [{ name: CULPRIT, required: '0x4e22f845' }],
  });
  expect((await symbolHistory(reports, 'no_such_symbol')).hits).toEqual([]);
  expect((await symbolHistory(reports, 'genl_register_family', 1)).looked).toBe(0);
  const cause = await causeHistory(reports, { kind: 'struct', name: 'genl_split_ops' });
  expect(cause.hits).toMatchObject([
    { nvr: BLOCKED, baseline: PASSED, kmods: [CULPRIT], cause: { symbols: 14 } },
  ]);
  expect((await causeHistory(reports, { kind: 'enum', name: 'genl_split_ops' })).hits).toEqual([]);
});

test('what is awaited of a kernel that is tried, and how long that took before', async () => {
  const [run] = (await explain(reports, RUNNING))?.runs ?? [];
  expect(run?.awaited).toHaveLength(14);
  expect(run?.awaited?.[0]).toMatchObject({
    ...{ what: expect.stringMatching(/^build kmod-acpi-call in /), kmod: 'kmod-acpi-call', from: 'builders' },
    task: { id: expect.any(Number) },
    usual: expect.any(Number),
  });
  const [over] = (await explain(reports, BLOCKED))?.runs ?? [];
  expect(over?.awaited).toBeUndefined();
});

test('a waived kmod is shown as such, where it lets a kernel through', async () => {
  const kernel = await demo.store.kernel(BLOCKED);
  const [run] = kernel ? await demo.store.runsOf(kernel.id) : [];
  if (!run) throw new Error(`${BLOCKED} has not stood before the gate`);
  const at = run.startedAt + 60_000;
  const waiver = { at, by: 'ada', reason: 'agreed', gate: null, kernel: BLOCKED, kmod: CULPRIT, until: null };
  await demo.store.waive(waiver, [run]);
  await demo.store.reopen((await demo.store.run(run.id)) ?? run, 'a waiver', at);
  const judged = { kmodBuild: 1, baseline: null };
  await demo.store.judge(
    (await demo.store.run(run.id)) ?? run,
    { verdict: 'promote', reasons: ['waived'] },
    [{ ...judged, kmod: CULPRIT, outcome: 'broken' }],
    at,
  );
  const found = await matrix(reports, { limit: 2, kmod: CULPRIT });
  expect(found?.rows).toEqual([{ kmod: CULPRIT, cells: ['building', 'waived'] }]);
  expect((await kmodHistory(reports, CULPRIT))?.cells[1]).toMatchObject({ nvr: BLOCKED, outcome: 'waived' });
  expect((await needs(reports, 9)).needs).toEqual([]);
});
