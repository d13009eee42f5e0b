/** What needs somebody, who that is, and what they type. */
import { describe, expect, test } from 'vitest';
import { describeNeed, type NeedGate, needOf } from '../../src/report/needs.ts';
import type { KmodReport, RunReport } from '../../src/report/report.ts';
import { exampleSources } from '../http/example.ts';

const GATE: NeedGate = {
  watch: 'el10-gate',
  on_fail: { tag: ['el10-blocked'], untag: ['el10-gate'] },
  kmods: { tag: 'kmods10' },
};
const NVR = 'kernel-6.12.0-141.el10';
const NOW = 1_800_000_000_000;

async function reportOf(build: string, other: Partial<RunReport> = {}): Promise<RunReport> {
  const [run] = (await exampleSources(NOW).explain(build))?.runs ?? [];
  if (!run) throw new Error(`the example has no run of ${build}`);
  return { ...run, ...other };
}
const blocked = (other?: Partial<RunReport>) => reportOf('4711', other);
/** The blocked kernel, where its culprit is another one. */
async function blockedBy(kmod: Partial<KmodReport>): Promise<RunReport> {
  const { kmods, ...report } = await blocked();
  return { ...report, kmods: kmods.map((one) => (one.name === 'kmod-jool' ? { ...one, ...kmod } : one)) };
}

test('of a blocked kernel: the culprit, its cause, who must act, and each step', async () => {
  const need = needOf(await blocked(), GATE);
  expect(need).toMatchObject({
    ...{ kind: 'blocked', gate: 'el10', build: 4711, nvr: NVR, verdict: 'block' },
    culprit: { kind: 'kmod', name: 'kmod-jool', nvr: 'kmod-jool-4.1.14-2.el10' },
    also: [],
    cause: expect.stringMatching(/^does not build on x86_64: src\/mod\/common\/nl\/nl_handler.c:205/),
    source: 'struct genl_ops',
    task: { id: 9117 },
    actor: 'kmod',
    who: 'the maintainer of kmod-jool',
  });
  expect(need?.steps).toEqual([
    { does: 'mend kmod-jool, build it, and tag the build into kmods10', command: null },
    { does: 'then try the kernel anew', command: `koji move-build el10-blocked el10-gate ${NVR}` },
    {
      does: 'or let the kernel through all the same',
      command: `kmod-gate waive --gate el10 --kernel ${NVR} --kmod kmod-jool --until 7d --reason WHY`,
    },
  ]);
  expect(need && describeNeed(need)).toMatch(
    /^kmod-jool blocks kernel-6.12.0-141.el10 at gate el10: does not/,
  );
});

test('nobody must act where it runs, has passed, or another kernel took its place', async () => {
  expect(needOf(await reportOf('4720'), GATE)).toBeUndefined();
  expect(needOf(await blocked({ verdict: 'promote' }), GATE)).toBeUndefined();
  expect(needOf(await blocked({ status: 'superseded' }), GATE)).toBeUndefined();
});

test.each([
  ['dependency', 'kmod', 'the maintainer of kmod-jool'],
  ['builder', 'builders', 'whoever runs the build system'],
  ['system', 'builders', 'whoever runs the build system'],
  ['kernel', 'gate', 'whoever runs the gate'],
  ['person', 'gate', 'whoever runs the gate'],
  ['time', 'gate', 'whoever runs the gate'],
] as const)('trouble of the %s is for %s', async (whose, actor, who) => {
  expect(needOf(await blockedBy({ whose }), GATE)).toMatchObject({ actor, who });
});

test('what its symbols alone show broken, the kernel may mend as well', async () => {
  const need = needOf(await blockedBy({ tasks: [], errors: [] }), GATE);
  expect(need).toMatchObject({ actor: 'kernel', who: 'the maintainer of the kernel, or of kmod-jool' });
  expect(need?.steps[0]?.does).toMatch(/^undo the change in the kernel, or adapt kmod-jool, build it/);
});

describe('who decides', () => {
  test('comes first by the order of the reasons, others are named', async () => {
    const report = await reportOf('4730', { held_by: null, status: 'held', verdict: 'hold' });
    const need = needOf(report, GATE);
    expect(need).toMatchObject({ kind: 'held', culprit: { name: 'kmod-evdi' } });
    expect(need?.also).toEqual(['kmod-lttng', 'kmod-nvidia-open']);
    expect(need?.steps[1]?.command).toBe('kmod-gate retry kernel-6.12.0-143.el10 --gate el10');
    expect(need && describeNeed(need)).toMatch(/^kmod-evdi and 2 more kmods hold kernel-6.12.0-143.el10/);
  });

  test('is the stablelist where its promise is what is broken, unless that is waived', async () => {
    const { reasons } = await blocked();
    const promise = 'stablelist: since kernel-1-1 1 listed symbol changed or went on x86_64: seq_printf';
    const need = needOf(await blocked({ reasons: [promise, ...reasons] }), GATE);
    expect(need).toMatchObject({
      culprit: { kind: 'stablelist' },
      also: ['kmod-jool'],
      cause: 'since kernel-1-1 1 listed symbol changed or went on x86_64: seq_printf',
      actor: 'kernel',
    });
    expect(need?.steps.at(-1)?.command).toContain(' --kmod stablelist ');
    const waived = [...reasons, `${promise} (waived by ada: agreed)`];
    expect(needOf(await blocked({ reasons: waived }), GATE)?.culprit.name).toBe('kmod-jool');
    // A list that only warns comes after what blocks.
    const warns = [...reasons, promise.replace('stablelist', 'stablelist (warning)')];
    expect(needOf(await blocked({ reasons: warns }), GATE)?.culprit.name).toBe('kmod-jool');
  });

  test('are advisory kmods only where no required one is to blame', async () => {
    const need = needOf(await blockedBy({ required: false }), GATE);
    expect(need).toMatchObject({ culprit: { name: 'kmod-jool' }, also: [] });
  });

  test('is nobody where nothing was tried', async () => {
    const why = 'no required kmod was tried and is fine, so nothing shows that the kernel is';
    const need = needOf(await blocked({ status: 'held', verdict: 'hold', kmods: [], reasons: [why] }), GATE);
    expect(need).toMatchObject({ culprit: { kind: 'gate', name: 'el10' }, cause: why, actor: 'gate' });
  });
});

test('a hold of a person names that person, and how it ends', async () => {
  const need = needOf(await reportOf('4730'), GATE);
  expect(need).toMatchObject({
    ...{ kind: 'held-by-person', cause: 'QA looks at it first', who: 'grace', actor: 'person' },
    steps: [{ command: 'kmod-gate release kernel-6.12.0-143.el10 --gate el10' }],
  });
});

test.each([
  ['held: cannot log in: no ticket', 'cannot log in: no ticket', 'kmod-gate doctor'],
  [
    "held: no kmod in kmods10 matches the gate's include list; tag one, or mend the list",
    "no kmod in kmods10 matches the gate's include list; tag one, or mend the list",
    'koji tag-build kmods10 KMOD',
  ],
  [
    'held: gate strict blocks it, and lets kernels into go too; a person must act: kmod-gate waive at gate strict',
    'gate strict blocks it, and lets kernels into go too',
    'kmod-gate explain 4711',
  ],
])('a gate that cannot go on: %s', async (state, cause, first) => {
  const need = needOf(await blocked({ status: 'held', verdict: null, reasons: [], state }), GATE);
  expect(need).toMatchObject({ kind: 'stuck', actor: 'gate', cause });
  expect(need?.steps[0]?.command).toBe(first);
});

test('says what becomes of a held kernel when nobody acts', async () => {
  const state =
    'held: why; a person must act: kmod-gate retry or waive, or tag or untag k, or it is blocked at 2026-12-01 00:00 UTC';
  expect(needOf(await blocked({ status: 'held', verdict: 'hold', state }), GATE)?.otherwise).toBe(
    'blocked at 2026-12-01 00:00 UTC',
  );
});

test('a gate that only looks on has left the kernel where it is', async () => {
  const need = needOf(await blocked({ status: 'observed' }), GATE);
  expect(need?.kind).toBe('would-block');
  expect(need?.steps.map(({ command }) => command?.split(' ')[1])).toEqual([undefined, 'waive']);
});

test('commands are safe to be pasted, whatever the names are', async () => {
  const nvr = "kernel-1-1'; reboot #\n$(id)";
  const need = needOf(await blocked({ nvr }), GATE);
  expect(need?.steps[1]?.command).toBe(
    `koji move-build el10-blocked el10-gate 'kernel-1-1'\\''; reboot #\n$(id)'`,
  );
  expect(needOf(await blockedBy({ cause: 'two\nlines' }), GATE)?.cause).toBe('two lines');
});
