/** Where each kmod of a run stands: its cells folded, the worst last, after what persons asked. */
import { ANYWHERE, type Cell, type Context, cellsOf, type Finding, isWorse, worst } from './cell.ts';
import type { Attempt, Gate, KernelRef, Kmod, Run, Waiver } from './model.ts';
import { matcher } from './names.ts';
import { lastRetry, waiverFor } from './people.ts';
import { isAttempt, isStopped, triedAgain } from './trial.ts';

/** Where a kmod stands in a run. */
export interface KmodStanding {
  readonly kmod: Kmod;
  /** The scratch builds that count, oldest first: none that a person's retry made void, none of another build of it. */
  readonly attempts: readonly Attempt[];
  readonly cells: readonly Cell[];
  readonly state: Cell['state'];
  /** Of `wanted`: one build for these, at or after `notBefore`; absent: wherever the hub builds it. */
  readonly arches?: readonly string[];
  readonly notBefore: number;
  /** Of `wanted` and `unsought`: the baseline, and not the run's kernel. */
  readonly against?: KernelRef;
  /** Of `wanted`: not the first try. */
  readonly retry?: true;
  /** The worst of its cells, so far. */
  readonly finding?: Finding;
  readonly waiver?: Waiver;
}

/** What of a gate judges. */
export type Judging = Pick<Gate, 'policy' | 'build' | 'stablelist'>;

/** Where each kmod of the run stands, in the run's order; `now` tells which waivers hold. */
export function standings(gate: Judging, run: Run, now: number): KmodStanding[] {
  const tries = new Map<string, Attempt[]>(run.kmods.map(({ name }) => [name, []]));
  for (const attempt of run.intents.filter(isAttempt)) tries.get(attempt.write.kmod)?.push(attempt);
  const context: Context = { ...gate, run, spent: countRetries(run) };
  return run.kmods.map((kmod) => {
    // An older build of a kmod says nothing of this one.
    const all = tries.get(kmod.name)?.filter(({ write }) => write.source === kmod.source) ?? [];
    const standing = afterRetries(context, kmod, all);
    const waiver = waiverFor(run, kmod.name, now);
    // A verdict does not wait for what took too long.
    return { ...(run.verdict ? unfinished(standing) : standing), ...(waiver && { waiver }) };
  });
}

/** Tries that were not the first since a person last asked for a retry; none that never reached the hub. */
export function countRetries(run: Pick<Run, 'intents' | 'orders'>): number {
  const since = lastRetry(run)?.fact ?? -1;
  const sent = run.intents
    .filter(isAttempt)
    .filter(({ fact, ending }) => fact > since && ending?.how !== 'lost');
  return triedAgain(sent.map(({ write }) => write)).length;
}

/** A kmod as it is judged when the run's time is over: what is worse than not to know stays. */
export function unfinished(standing: KmodStanding): KmodStanding {
  if (standing.state === 'judged') return standing;
  const cells = standing.cells.map(({ arch, state, finding }): Cell => {
    const over = (found: Finding): Cell => ({ arch, state: 'judged', notBefore: 0, finding: found });
    if (state === 'judged' && finding) return over(finding);
    if (finding && isWorse(finding, 'inconclusive'))
      return over({ ...finding, cause: `${finding.cause}; no more is known in time` });
    const cause = `not judged in time${finding ? `; so far: ${finding.cause}` : ''}`;
    return over({ outcome: 'inconclusive', cause, whose: 'time' });
  });
  const { kmod, attempts, waiver } = standing;
  return { ...fold(kmod, attempts, cells), state: 'judged', ...(waiver && { waiver }) };
}

/** A person's retry makes what ended before it void: of the kmods that it names, or else of those that were not fine. */
function afterRetries(context: Context, kmod: Kmod, all: readonly Attempt[]): KmodStanding {
  const symbols = context.run.symbols?.kmods.find((of) => of.kmod === kmod.name)?.arches ?? null;
  const stand = (attempts: readonly Attempt[]) =>
    fold(kmod, attempts, cellsOf(context, { kmod, attempts, symbols }));
  let standing = stand(all);
  for (const order of context.run.orders.filter(({ kind }) => kind === 'retry')) {
    const named = order.kmod !== null && matcher([order.kmod])(kmod.name);
    const since = all.filter(
      (attempt) =>
        (!attempt.ending || attempt.ending.fact > order.fact) &&
        !isStopped(context.run, attempt, ({ fact }) => fact < order.fact),
    );
    const old = order.kmod === null ? stand(all.filter((one) => !since.includes(one))) : undefined;
    if (named || (old && old.finding?.outcome !== 'ok')) standing = stand(since);
  }
  return standing;
}

/** The worst cell is the kmod's outcome; what its cells want of the hub goes out as one build. */
function fold(kmod: Kmod, attempts: readonly Attempt[], cells: readonly Cell[]): KmodStanding {
  const finding = worst(cells.flatMap((cell) => cell.finding ?? []));
  const known = { kmod, attempts, cells, ...(finding && { finding }) };
  const still = (state: Cell['state']) => cells.filter((cell) => cell.state === state);
  const at = (state: Cell['state'], more: Partial<KmodStanding> = {}): KmodStanding => ({
    ...known,
    state,
    notBefore: 0,
    ...more,
  });
  if (still('unread').length > 0) return at('unread');
  if (still('active').length > 0 || attempts.some(({ ending }) => !ending)) return at('active');
  // First all that the kernel itself does; then one baseline after the other.
  const wanted = still('wanted');
  const first = wanted.find(({ against }) => !against) ?? still('unsought')[0] ?? wanted[0];
  if (!first) return at('judged');
  const { against } = first;
  if (first.state === 'unsought') return at('unsought', against && { against });
  const same = wanted.filter((cell) => cell.against?.id === against?.id);
  const notBefore = Math.min(...same.map((cell) => cell.notBefore));
  const now = same.filter((cell) => cell.notBefore === notBefore);
  // Where it is tried for the first time, the hub knows best where it is built.
  const tried = attempts.some(
    ({ write, ending }) => write.against?.id === against?.id && ending?.how !== 'lost',
  );
  const whole = !kmod.arches && !tried && now.length === cells.length;
  return at('wanted', {
    notBefore,
    ...(!whole && now[0]?.arch !== ANYWHERE && { arches: now.map(({ arch }) => arch) }),
    ...(against && { against }),
    ...(now.some(({ retry }) => retry) && { retry: true }),
  });
}
