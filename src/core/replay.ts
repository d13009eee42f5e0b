/** What a policy would have said of runs that are over: the way to tune one before it is enforced. */
import { standings } from './judge.ts';
import type { Gate, Kmod, Run, Verdict } from './model.ts';
import { matcher } from './names.ts';
import { asOf, STABLELIST } from './people.ts';
import { verdictOf } from './verdict.ts';

/** A run judged anew by the facts that it left. */
export interface Replayed {
  /** `unknown`: evidence is missing that this policy asks for, and would decide. */
  readonly verdict: Verdict | 'unknown';
  readonly reasons: readonly string[];
  /** Kmods of which evidence is missing, and `stablelist` where the run did not look at one. */
  readonly missing: readonly string[];
}

/**
 * Judge a run by a gate as it is configured now: its patterns of kmods among those that were tried, its strategy, policy
 * and effect of the stablelist. Waivers count as they did when the run was decided. What needs time is not played:
 * quiet times, longest times, supersede.
 */
export function replay(gate: Gate, run: Run, now: number): Replayed {
  const { verdict, ...undecided } = run;
  const at = verdict?.at ?? now;
  // A run of a gate without one looked at none.
  const unlisted = gate.stablelist !== null && !run.symbols?.stablelist;
  const then: Run = {
    ...(verdict ? asOf(undecided, verdict) : undecided),
    strategy: gate.strategy,
    kmods: chosenBy(gate, run.kmods),
    ...(run.symbols && {
      symbols: { ...run.symbols, stablelist: unlisted ? null : (gate.stablelist?.effect ?? null) },
    }),
  };
  const found = standings(gate, then, at);
  const known = found.filter(({ state }) => state === 'judged');
  const unknown = found.filter((kmod) => !known.includes(kmod)).map(({ kmod }) => kmod.name);
  const missing = unlisted ? [...unknown, STABLELIST] : unknown;
  const judged = verdictOf(unlisted ? { ...gate, stablelist: null } : gate, then, at, known);
  // What is not known may be harmless or not: a block stays one either way.
  const doubtful = missing.length > 0 && judged.verdict !== 'block';
  return { reasons: judged.reasons, verdict: doubtful ? 'unknown' : judged.verdict, missing };
}

/** Of the kmods that were tried, those that the gate would choose now, required as it says now. */
function chosenBy({ kmods, kernels }: Gate, tried: readonly Kmod[]): Kmod[] {
  const [included, excluded, advised] = [kmods.include, kmods.exclude, kmods.advisory].map(matcher);
  return tried
    .filter(({ name }) => included?.(name) && !excluded?.(name) && !kernels.includes(name))
    .map((kmod) => ({ ...kmod, required: !advised?.(kmod.name) }));
}
