/** What a run says of its kernel and of each kmod, as the result of a test: for the bus and for ResultsDB. */
import type { Run } from '../core/model.ts';
import { STABLELIST } from '../core/people.ts';
import type { Outgoing, VerdictTold } from '../store/outbox.ts';

/** Of the kernel as a whole: no kmod is called so. */
export const WHOLE = '*';

export type Result = 'passed' | 'failed' | 'info' | 'needs_inspection';

const OF_VERDICT = { promote: 'passed', block: 'failed', hold: 'needs_inspection' } as const;

/** What the verdict comes to as a result. */
export const resultOf = ({ verdict }: Pick<VerdictTold, 'verdict'>): Result => OF_VERDICT[verdict];

/**
 * What a verdict says of one kmod as a result. All of them together say what the verdict does: none is `failed` of a kernel
 * that is let through, so that a policy that asks for a testcase and names no scenario comes out as the gate did.
 */
export function resultOfKmod(verdict: VerdictTold, run: Pick<Run, 'kmods'>, kmod: string): Result {
  const outcome = verdict.judged.find((one) => one.kmod === kmod)?.outcome;
  if (outcome === 'ok') return 'passed';
  const required = kmod === STABLELIST || (run.kmods.find(({ name }) => name === kmod)?.required ?? true);
  const spared = saysOf(verdict, run, kmod)?.includes('(waived by ') ?? false;
  if (verdict.verdict === 'promote' || outcome === 'already-broken' || !required || spared) return 'info';
  return outcome === 'broken' ? 'failed' : 'needs_inspection';
}

/** The verdict's reason that speaks of a kmod; undefined: none. */
export function saysOf(
  { reasons, judged }: VerdictTold,
  { kmods }: Pick<Run, 'kmods'>,
  kmod: string,
): string | undefined {
  const build = judged.find((one) => one.kmod === kmod)?.kmodBuild;
  const nvr = kmods.find(({ buildId }) => buildId === build)?.nvr ?? kmod;
  return reasons.find((text) => text.startsWith(`${nvr}:`) || text.startsWith(`${nvr} (`));
}

/** The messages that a fact makes: one of the kernel, and of a verdict one of each kmod. */
export function partsOf(
  { what }: Pick<Outgoing, 'what'>,
  run: Pick<Run, 'verdict'>,
  verdict: VerdictTold | undefined,
  kmods: boolean,
): string[] {
  // Once it was promoted or blocked there is a result, and what ended the run changes nothing about it.
  if (what === 'over' && run.verdict && run.verdict.verdict !== 'hold') return [];
  if (what !== 'verdict') return [WHOLE];
  if (!verdict) return [];
  return [WHOLE, ...(kmods ? verdict.judged.map(({ kmod }) => kmod) : [])];
}

/** The newest scratch build of a kmod against the run's kernel, as a task; undefined: there is none. */
export function taskOf({ intents }: Pick<Run, 'intents'>, kmod: string): number | undefined {
  return intents.findLast(
    ({ write, receipt }) =>
      write.kind === 'scratch-build' && write.kmod === kmod && !write.against && receipt?.task !== undefined,
  )?.receipt?.task;
}

/** Where a kmod is tried, or all are; at least where one is expected. */
export function archesOf({ kmods }: Pick<Run, 'kmods'>, part: string): string[] {
  const meant = kmods.filter(({ name }) => part === WHOLE || name === part);
  return [...new Set(meant.flatMap(({ arches, expected }) => arches ?? expected ?? []))].sort();
}
