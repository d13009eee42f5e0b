/** What "already broken" is measured by: for each gate and kmod a kernel that this kmod was really fine with. */
import { measuredBy, type Outcome } from './cell.ts';
import type { Judging } from './judge.ts';
import { standings, unfinished } from './judge.ts';
import type { Baseline, KernelRef, Run } from './model.ts';
import { STABLELIST } from './people.ts';
import { keepsPromise } from './symbols.ts';

/** What a verdict said of one kmod, or of the `stablelist`, whose build is 0. */
export interface Judgement {
  readonly kmod: string;
  readonly kmodBuild: number;
  readonly outcome: Outcome;
  /** What it was measured by; null: nothing. */
  readonly baseline: Baseline | null;
}

/** The newest of a kmod with a kernel. */
export interface Judged extends Judgement {
  readonly kernel: KernelRef;
}

/** What a verdict at a time says of each kmod, and of the stablelist where there is one. */
export function judgementsOf(gate: Judging, run: Run, now: number): Judgement[] {
  const kmods = standings(gate, run, now)
    .map(unfinished)
    .map(({ kmod, finding }) => ({
      kmod: kmod.name,
      kmodBuild: kmod.buildId,
      outcome: finding?.outcome ?? 'inconclusive',
      baseline: measuredBy(kmod, run)[0] ?? null,
    }));
  if (!gate.stablelist) return kmods;
  const promise = run.symbols ? keepsPromise({ ...run.symbols, stablelist: 'block' }) : 'unclear';
  const outcome = { kept: 'ok', broken: 'broken', unclear: 'inconclusive' } as const;
  return [...kmods, { kmod: STABLELIST, kmodBuild: 0, outcome: outcome[promise], baseline: run.baseline }];
}

/**
 * The kernel of a judgement where the kmod was fine with it, or was broken before it. Else what it was measured by: a
 * kernel that passed by a waiver, by the end of a hold or by hand is no baseline for what was broken in it. One of which
 * nothing could be said may have been fine, or may have broken the kmod: then both are asked, the older one first, since
 * that is what the next judgement is known to be measured by.
 */
function soundOf({ kmod, outcome, kernel, baseline }: Judged): Baseline[] {
  if (outcome === 'ok' || outcome === 'already-broken') return [kernel];
  // A stablelist that could not be compared, as the files of its baseline are gone, would never be compared again.
  if (outcome === 'inconclusive') return kmod === STABLELIST || !baseline ? [kernel] : [baseline, kernel];
  return baseline ? [{ ...baseline, since: baseline.since ?? kernel.nvr }] : [];
}

/** What a gate said of a kmod last. */
export interface LastJudged {
  readonly last: Judged;
  /** The same, where the kmod was not already broken. */
  readonly fine: Judged | undefined;
}

/**
 * The baselines of a kmod build, to be asked in this order: the newest kernel that the gate let through with the kmod
 * fine; and, where that was another build of it or there is none, the newest in the pass tag, however it came there. A
 * build that was already broken hid what the kernels since did to the kmod: another build is measured by those before too.
 * @param passed of the kernels that the gate let through
 * @param shipped kernels of the pass tag, newest first, each with the gate's newest judgement of the kmod with it
 * @param kernel id of the build that is tried
 */
export function baselinesOf(
  kmodBuild: number,
  passed: LastJudged | undefined,
  shipped: readonly { readonly kernel: KernelRef; readonly judged: Judged | undefined }[],
  kernel: number,
): Baseline[] {
  // A newer kernel may have been measured by the one that is tried now, which is no measure of its own; nor is what was
  // only as bad as that one.
  const sound = (judged: Judged) => {
    if (judged.baseline?.id !== kernel) return soundOf(judged);
    return judged.outcome === 'already-broken' ? [] : soundOf({ ...judged, baseline: null });
  };
  const same = passed?.last.kmodBuild === kmodBuild;
  const measure = same && passed.last.outcome === 'already-broken' ? undefined : passed?.fine;
  const clean = measure ? sound(measure) : [];
  if (clean.length > 0 && same) return clean;
  const newest = shipped
    .map(({ kernel: ref, judged }) => (judged ? sound(judged) : [ref]))
    .find((found) => found.length > 0);
  const all = [...clean, ...(newest ?? (passed ? sound(passed.last) : []))];
  return all.filter(({ id }, i) => all.findIndex((one) => one.id === id) === i);
}

/** Ids of all kernels that the kmods of a run are measured by. */
export const baselineIds = (kmods: Run['kmods'], baseline: Run['baseline']): number[] => [
  ...new Set(
    [...kmods.flatMap(({ baselines = [] }) => baselines), ...(baseline ? [baseline] : [])].map(
      ({ id }) => id,
    ),
  ),
];
