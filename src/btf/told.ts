/** Causes as they are kept with a run and told: plain data of bounded size, with which kmods each hits. */
import type { Cause, Causes, ComparedExport } from './causes.ts';

/** A kmod, and what broke it. */
export interface Hit {
  readonly kmod: string;
  /** How many symbols that it needs changed. */
  readonly changed: number;
  /** In Causes.causes: what most of those symbols reach first, of equals what is nearer. */
  readonly causes: readonly number[];
}

/** A hit, and how the first cause is reached from one of the symbols. */
export interface ToldHit extends Hit {
  /** Null where no cause is known. */
  readonly way: { readonly symbol: string; readonly steps: readonly string[] } | null;
}

/** The causes of one architecture. */
export interface ToldCauses {
  readonly arch: string;
  /** NVR of the kernel that it is compared with. */
  readonly baseline: string;
  /** Why there are none; null: they were looked for. */
  readonly why: string | null;
  readonly symbols: Causes['symbols'];
  /** Those that hit kmods, most of them first; where there are no kmods, what hits most exports. */
  readonly causes: readonly Cause[];
  /** How many more there are of them. */
  readonly more: number;
  readonly kmods: readonly ToldHit[];
  /** What errors of failed builds name that is not declared as before. */
  readonly errors: readonly ToldError[];
  /** Lines of the newer kernel's changelog; null where it was not looked at. */
  readonly changelog: ToldChangelog | null;
}

/** An error of a kmod's build, and what it names, before and now; null where a kernel does not have it. */
export interface ToldError {
  readonly kmod: string;
  readonly message: string;
  readonly was: string | null;
  readonly now: string | null;
}

/** What a changelog says that may be about the causes; no proof. */
export interface ToldChangelog {
  /** How many lines are new. */
  readonly lines: number;
  /** The first of those that name what changed, each with what it names. */
  readonly candidates: readonly { readonly text: string; readonly names: readonly string[] }[];
  /** Why that may not be all; null: it is. */
  readonly gap: string | null;
}

/** By name, what a kernel exports. */
type Exports = ReadonlyMap<
  string,
  { readonly name: string; readonly crc: number; readonly provider: string }
>;

/** What both kernels export, and whether its CRC is another. */
export const comparedExports = (before: Exports, after: Exports): ComparedExport[] =>
  [...after.values()].flatMap(({ name, crc, provider }) => {
    const was = before.get(name);
    return was ? [{ symbol: name, provider, isChanged: was.crc !== crc }] : [];
  });

/** What a kmod needs of what is exported. */
export interface Need {
  readonly kmod: string;
  readonly symbols: ReadonlySet<string>;
}

/** What changed of what a kmod needs, and by what. */
export function hitOf({ kmod, symbols }: Need, exports: readonly ComparedExport[], causes: Causes): Hit {
  const changed = exports.filter(({ symbol, isChanged }) => isChanged && symbols.has(symbol));
  const weights = new Map<number, { count: number; distance: number }>();
  for (const { cause, distance } of changed.flatMap(({ symbol }) => causes.reached(symbol))) {
    const known = weights.get(cause) ?? { count: 0, distance: 0 };
    weights.set(cause, { count: known.count + 1, distance: known.distance + distance });
  }
  const ordered = [...weights].sort(([, a], [, b]) => b.count - a.count || a.distance - b.distance);
  return { kmod, changed: changed.length, causes: ordered.map(([cause]) => cause) };
}

/** A cause, its number in Causes.causes, and how many kmods it hits. */
export interface Ranked {
  readonly cause: Cause;
  readonly number: number;
  readonly kmods: number;
}

/** Of kmods the causes that hit any, what hits most of them first; without kmods all, as they are. */
export function ranked(causes: readonly Cause[], hits: readonly Hit[]): Ranked[] {
  const all = causes.map((cause, number) => ({
    ...{ cause, number },
    kmods: hits.filter((hit) => hit.causes.includes(number)).length,
  }));
  const hitting = hits.length > 0 ? all.filter(({ kmods }) => kmods > 0) : all;
  return hitting.toSorted((a, b) => b.kmods - a.kmods);
}

/** So many causes are kept, and so many changed members of each. */
const KEPT = { causes: 20, members: 12 };

/** Causes as they are kept, those first that hit most kmods. */
export function tellCauses(
  causes: Causes,
  needs: readonly Need[],
  exports: readonly ComparedExport[],
): Pick<ToldCauses, 'symbols' | 'causes' | 'more' | 'kmods'> {
  const hits = needs.map((need) => hitOf(need, exports, causes));
  const all = ranked(causes.causes, hits);
  const told = all.slice(0, KEPT.causes);
  const kept = told.map(({ number }) => number);
  return {
    symbols: causes.symbols,
    causes: told.map(({ cause }) => shorten(cause)),
    more: all.length - told.length,
    kmods: hits.map((hit, i) => ({
      ...hit,
      causes: hit.causes.flatMap((cause) => (kept.includes(cause) ? [kept.indexOf(cause)] : [])),
      way: wayOf(hit, needs[i]?.symbols ?? new Set(), exports, causes),
    })),
  };
}

const shorten = (cause: Cause): Cause => ({ ...cause, members: cause.members.slice(0, KEPT.members) });

function wayOf(
  { causes: [first] }: Hit,
  needed: ReadonlySet<string>,
  exports: readonly ComparedExport[],
  causes: Causes,
): ToldHit['way'] {
  const nearest = exports
    .filter(({ symbol, isChanged }) => isChanged && needed.has(symbol))
    .flatMap(({ symbol }) =>
      causes
        .reached(symbol)
        .flatMap(({ cause, distance }) => (cause === first ? [{ symbol, distance }] : [])),
    )
    .toSorted((a, b) => a.distance - b.distance)[0];
  const way = nearest && causes.ways(nearest.symbol).find(({ cause }) => cause === first);
  return nearest && way ? { symbol: nearest.symbol, steps: way.steps } : null;
}

/** Where they cannot be told. */
export const untold = (arch: string, baseline: string, why: string): ToldCauses => ({
  ...{ arch, baseline, why, causes: [], more: 0, kmods: [], errors: [], changelog: null },
  symbols: { changed: 0, functions: 0, explained: 0, variables: 0, modules: 0 },
});

/** `struct device`. */
export const nameOf = ({ kind, name }: Pick<Cause, 'kind' | 'name'>): string => `${kind} ${name}`;

/** So many causes are named in a sentence. */
const NAMED = 3;

/** In a sentence: `struct device, struct task_struct and 4 more changed since kernel-…, which hits 5 of 8 kmods`. */
export function describeCauses({ arch, baseline, why, causes, more, kmods }: ToldCauses): string {
  if (why !== null) return `what changed in the source since ${baseline} cannot be told on ${arch}: ${why}`;
  const names = causes.slice(0, NAMED).map(nameOf);
  const rest = causes.length - names.length + more;
  if (names.length === 0) return `no declaration is found that changed since ${baseline} on ${arch}`;
  const list = rest > 0 ? `${names.join(', ')} and ${rest} more` : names.join(', ');
  const hit = kmods.filter((one) => one.causes.length > 0).length;
  const whom = kmods.length > 0 ? `, which hits ${hit} of ${kmods.length} kmods` : '';
  return `changed in the source since ${baseline} on ${arch}: ${list}${whom}`;
}
