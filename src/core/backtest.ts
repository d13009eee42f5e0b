/** What a gate would have said of kernels that have stood before it, or passed it by: the way to see it before it enforces. */
import { measuredBy } from './cell.ts';
import { standings } from './judge.ts';
import type { Gate, KernelBuild, Run } from './model.ts';
import { type Replayed, replay } from './replay.ts';
import { keepsPromise } from './symbols.ts';

/** Something done to a tag: the Koji event, when (ms), and by whom. */
export interface Deed {
  readonly event: number;
  readonly at: number;
  readonly by: string;
}

/** A stay of a kernel in a tag. */
export interface Stay {
  readonly kernel: KernelBuild;
  readonly tag: string;
  readonly came: Deed;
  /** Null: it still stands there. */
  readonly left: Deed | null;
}

/** What really became of a kernel. `left`: it was taken out of the watch tag, and neither passed nor failed. */
export interface Became extends Omit<Deed, 'event'> {
  readonly how: 'passed' | 'failed' | 'left' | 'waits';
  readonly tag: string;
}

/** A kernel that came before the gate, or into a tag of a pass without ever having stood there. */
export interface Passage {
  readonly kernel: KernelBuild;
  /** How often it had come before the gate by then, this time included. */
  readonly generation: number;
  readonly tag: string;
  readonly came: Deed;
  /** The tags that it came into until then, and that it was in still. */
  readonly tags: readonly string[];
  readonly became: Became;
}

/**
 * The passages of kernels in the order of their events.
 * @param stays all that there ever were of the gate's kernels in its tags
 * @param since ms: kernels that stood in the watch tag at that time or later, or passed since
 */
export function passagesOf(gate: Gate, stays: readonly Stay[], since: number): Passage[] {
  const ordered = stays.toSorted((a, b) => a.came.event - b.came.event);
  const kernels = new Set(ordered.map(({ kernel }) => kernel.id));
  const found = [...kernels].flatMap((id) => {
    const own = ordered.filter(({ kernel }) => kernel.id === id);
    const watched = own.filter(({ tag }) => tag === gate.watch);
    const passed = own.filter(({ tag, came }) => gate.on_pass.tag.includes(tag) && came.at >= since);
    const recent = watched.filter(({ left }) => left === null || left.at >= since);
    const last = recent.length === 0 && passed.length > 0 ? [watched.at(-1) ?? passed[0]] : [];
    return [...recent, ...last.flatMap((stay) => stay ?? [])].map((stay) => {
      const { kernel, tag, came } = stay;
      const until = watched.find((next) => next.came.event > came.event)?.came.event;
      return {
        ...{ kernel, tag, came },
        generation: watched.indexOf(stay) + 1 || 1,
        tags: own.filter((other) => isHeldAt(other, came.event)).map((other) => other.tag),
        became: becameOf(gate, own, stay, until ?? Number.POSITIVE_INFINITY),
      };
    });
  });
  return found.toSorted((a, b) => a.came.event - b.came.event || a.kernel.id - b.kernel.id);
}

/** Whether a build stood in a tag once an event had happened. */
const isHeldAt = ({ came, left }: Stay, event: number): boolean =>
  came.event <= event && (left === null || left.event > event);

/** @param until the event with which the kernel came before the gate again */
function becameOf(gate: Gate, own: readonly Stay[], { tag, came, left }: Stay, until: number): Became {
  const later = own.filter((one) => one.came.event >= came.event && one.came.event < until);
  const into = (how: 'passed' | 'failed', tags: readonly string[]): Became | undefined => {
    const stay = later.find((one) => tags.includes(one.tag));
    return stay && { how, tag: stay.tag, at: stay.came.at, by: stay.came.by };
  };
  const moved = into('passed', gate.on_pass.tag) ?? into('failed', gate.on_fail.tag);
  if (moved) return moved;
  const { at, by } = left ?? came;
  return { how: left ? 'left' : 'waits', tag, at, by };
}

/** What a gate would have said of a kernel of the past. */
export interface Foretold extends Replayed {
  /** Names of the kmods that it would have built to know. */
  readonly wouldBuild: readonly string[];
  /** What it would have said with the strategy `symbols`. */
  readonly bySymbols: Replayed;
}

/**
 * Judge a run of the past by what its symbols show, with no build at all. What might have been another answer while all
 * files were there counts as unknown.
 * @param lost what could not be read, and why
 * @param now ms since the epoch, of that time
 */
export function foretell(gate: Gate, run: Run, lost: readonly string[], now: number): Foretold {
  const certain = lost.length > 0 ? withoutDoubts(gate, run, now) : run;
  const wouldBuild = standings(gate, { ...certain, strategy: gate.strategy }, now)
    .filter(({ state }) => state === 'wanted')
    .map(({ kmod }) => kmod.name);
  const bySymbols = replay({ ...gate, strategy: 'symbols' }, certain, now);
  return { ...replay(gate, certain, now), wouldBuild, bySymbols };
}

/** A run of which files are gone, without what is not certain for that. */
function withoutDoubts(gate: Gate, run: Run, now: number): Run {
  const { symbols } = run;
  if (!symbols) return run;
  const open = standings(gate, { ...run, strategy: 'symbols' }, now).filter(
    ({ kmod, finding }) =>
      finding?.outcome === 'inconclusive' ||
      (finding?.outcome === 'unattributed' && measuredBy(kmod, run).length > 0),
  );
  const names = new Set(open.map(({ kmod }) => kmod.name));
  const unclear = symbols.stablelist === 'block' && keepsPromise(symbols) === 'unclear';
  return {
    ...run,
    symbols: {
      ...symbols,
      kmods: symbols.kmods.filter(({ kmod }) => !names.has(kmod)),
      stablelist: unclear ? null : symbols.stablelist,
    },
  };
}

/** How many kernels came to what, each by its last passage. */
export interface Tally {
  readonly kernels: number;
  readonly promote: number;
  readonly block: number;
  readonly hold: number;
  readonly unknown: number;
  /** Those that would have been blocked, and passed all the same. */
  readonly released: number;
  /** Of the unknown, those for which kmods would have been built, and those of them that symbols alone block. */
  readonly undecided: number;
  readonly undecidedBlocked: number;
}

/** @param found in the order of events */
export function tallyOf(found: readonly { readonly passage: Passage; readonly foretold: Foretold }[]): Tally {
  const last = [...new Map(found.map((one) => [one.passage.kernel.id, one])).values()];
  const of = (verdict: Foretold['verdict']) => last.filter(({ foretold }) => foretold.verdict === verdict);
  const undecided = of('unknown').filter(({ foretold }) => foretold.wouldBuild.length > 0);
  return {
    kernels: last.length,
    promote: of('promote').length,
    block: of('block').length,
    hold: of('hold').length,
    unknown: of('unknown').length,
    released: of('block').filter(({ passage }) => passage.became.how === 'passed').length,
    undecided: undecided.length,
    undecidedBlocked: undecided.filter(({ foretold }) => foretold.bySymbols.verdict === 'block').length,
  };
}
