/** What a kmod is measured by: a table to be read. */
import { describe, expect, test } from 'vitest';
import { baselinesOf, type Judged, judgementsOf } from '../../src/core/baseline.ts';
import type { Outcome } from '../../src/core/cell.ts';
import type { Baseline, KernelRef } from '../../src/core/model.ts';
import { BUILDS, FAILS, GATE, kmod, OTHER, past, run, tried } from './facts.ts';

const kernel = (n: number): KernelRef => ({ id: n, nvr: `kernel-5.14.0-${n}.el9` });
const K1 = kernel(1);
const K2 = kernel(2);
const K3 = kernel(3);
/** What the gate said of the kmod's build 7 with a kernel, and what that was measured by. */
const said = (ref: KernelRef, outcome: Outcome, baseline: Baseline | null = null, kmodBuild = 7): Judged => ({
  kmod: 'kmod-a',
  kmodBuild,
  outcome,
  baseline,
  kernel: ref,
});
/** Kernels of the pass tag, newest first, of which the gate said nothing, or that. */
const shipped = (...kernels: (KernelRef | Judged)[]) =>
  kernels.map((one) =>
    'kernel' in one ? { kernel: one.kernel, judged: one } : { kernel: one, judged: undefined },
  );

describe('the baselines of a kmod build', () => {
  test.each<[string, Judged | undefined, ReturnType<typeof shipped>, string]>([
    ['no kernel has passed, none is in the pass tag', undefined, [], 'none'],
    ['a new gate: the newest in the pass tag', undefined, shipped(K2, K1), '2'],
    ['it was fine with the last that passed', said(K2, 'ok'), shipped(said(K2, 'ok')), '2'],
    ['it was fine, and a person brought a newer kernel', said(K1, 'ok'), shipped(K2), '1'],
    ['another build of it was fine', said(K1, 'ok', null, 6), shipped(K1), '1'],
    [
      'another build of it was fine, and a person brought a newer kernel',
      said(K1, 'ok', null, 6),
      shipped(K2),
      '1, 2',
    ],
    ['it was fine, and the pass tag was emptied', said(K1, 'ok'), [], '1'],
    [
      'it was broken, and passed by a waiver: what that was measured by',
      said(K2, 'broken', K1),
      shipped(said(K2, 'broken', K1), K1),
      '1 since 5.14.0-2',
    ],
    [
      'and again by a waiver: since the first',
      said(K3, 'broken', { ...K1, since: K2.nvr }),
      shipped(said(K3, 'broken', { ...K1, since: K2.nvr })),
      '1 since 5.14.0-2',
    ],
    [
      'another build of it was broken, and passed by a waiver',
      said(K2, 'broken', K1, 6),
      shipped(said(K2, 'broken', K1, 6), K1),
      '1 since 5.14.0-2',
    ],
    ['it was already broken with the last', said(K2, 'already-broken', K1), shipped(K2), '2'],
    ['nothing could be said, and a hold ended', said(K2, 'inconclusive', K1), shipped(K2), '1, 2'],
    [
      'nothing could be said, and another gate or a person let it in',
      undefined,
      shipped(said(K2, 'inconclusive', K1), K1),
      '1, 2',
    ],
    [
      'another gate, or a person, let in what this gate has blocked',
      undefined,
      shipped(said(K2, 'broken', K1), K1),
      '1 since 5.14.0-2',
    ],
    [
      'the same, and it had no baseline: the next in the tag',
      undefined,
      shipped(said(K2, 'broken'), K1),
      '1',
    ],
    ['the same, and there is no other', undefined, shipped(said(K2, 'unattributed')), 'none'],
  ])('%s', (_, passed, tagged, expected) => {
    const fine = passed?.outcome === 'already-broken' ? undefined : passed;
    const found = baselinesOf(7, passed && { last: passed, fine }, tagged, 4).map(
      ({ id, since }) => `${id}${since ? ` since ${since.replace(/^kernel-|\.el9$/g, '')}` : ''}`,
    );
    expect(found.join(', ') || 'none').toBe(expected);
  });
});

test('a build that was already broken hid what kernels did since to the kmod: another build is measured by those before too', () => {
  const bad = said(K2, 'already-broken', K1, 8);
  const ids = (build: number) =>
    baselinesOf(build, { last: bad, fine: said(K1, 'ok') }, shipped(bad), 4).map(({ id }) => id);
  expect(ids(9)).toEqual([1, 2]);
  // What broke it before is nothing new.
  expect(ids(8)).toEqual([2]);
});

// Seed 4152: a wrong promote.
test('a newer kernel that was measured by the one that is tried now is measured by it no more', () => {
  const ids = (...tagged: (KernelRef | Judged)[]) =>
    baselinesOf(7, undefined, shipped(...tagged), K1.id).map(({ id }) => id);
  // Of nothing but this very kernel nothing could be concluded.
  expect(ids(said(K2, 'inconclusive', K1))).toEqual([2]);
  expect(ids(said(K3, 'broken', K1), K2)).toEqual([2]);
  expect(ids(said(K3, 'broken', K1))).toEqual([]);
  // Nor by what was only as bad as that one (seed 5115).
  expect(ids(said(K3, 'already-broken', K1), K2)).toEqual([2]);
});

test('of a stablelist that could not be compared, the kernel that passed is the next baseline', () => {
  const unclear = { ...said(K2, 'inconclusive', K1, 0), kmod: 'stablelist' };
  expect(baselinesOf(0, { last: unclear, fine: unclear }, shipped(unclear), 4)).toEqual([K2]);
});

test('a verdict says of each kmod, and of the stablelist, what it is and what it was measured by', () => {
  const measured = [{ ...kernel(OTHER.id), nvr: OTHER.nvr }];
  const kmods = ['kmod-a', 'kmod-b'].map((name) => ({ ...kmod(name), baselines: measured }));
  const intents = [tried('kmod-a', FAILS), tried('kmod-b', BUILDS)];
  const gate = { ...GATE, stablelist: { effect: 'warn' as const, symbols: {} } };
  const symbols = { kmods: [], change: null, stablelist: 'warn' as const };
  const of = run({ kmods, intents, symbols, past: [past('builds')], baseline: K1 });
  expect(
    judgementsOf(gate, of, 9).map(({ kmod, outcome, baseline }) => `${kmod} ${outcome} ${baseline?.id}`),
  ).toEqual(['kmod-a broken 20', 'kmod-b ok 20', 'stablelist ok 1']);
});
