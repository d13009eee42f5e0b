/** What symbols show of a run, as plain data and in sentences. */
import type { ChangedImport, KmodComparison, KmodImport } from '../kabi/compare.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { ImportedSymbol } from '../kabi/model.ts';
import { describeRemark, type Remark } from '../kabi/remark.ts';
import type { Stablelist } from './gate.ts';
import type { KernelRef } from './model.ts';
import { plural } from './wording.ts';

/** What a kmod's rpms need of the kernel's, by architecture. */
export interface SymbolEvidence<A = ArchSymbols> {
  /** Its package name. */
  readonly kmod: string;
  readonly arches: readonly A[];
  /** Package names of the kmods whose symbols it needs. */
  readonly needs?: readonly string[];
}

/** One architecture of a kmod, compared with the kernel: as much of it as is judged and said. */
export interface ArchSymbols extends Pick<ArchDetail, 'arch' | 'imports' | 'answer' | 'cause' | 'before'> {
  readonly missing: Few<ImportedSymbol>;
  readonly changed: Few<ChangedImport>;
  readonly fromBroken: Few<KmodImport>;
  /** Absent: none. */
  readonly remarks?: Few<Remark>;
}

/** How many there are, and the first of them. */
export interface Few<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/**
 * The same with every symbol: megabytes a run, so no run carries it. Providers are the kernel's rpms, or other kmods.
 */
export interface ArchDetail
  extends Pick<KmodComparison, 'imports' | 'missing' | 'changed' | 'fromKmods' | 'fromBroken' | 'answer'> {
  readonly arch: string;
  /** Absent in what an older version has read. */
  readonly remarks?: readonly Remark[];
  /** Why the answer is inconclusive, or that not one CRC fits, in words; else null. */
  readonly cause: string | null;
  /** The answer for its baselines: that of one that it fits, else of the first; absent where there is none to compare with. */
  readonly before?: KmodComparison['answer'];
}

/** What changed in the kernel's symbols since the baseline, the newest other kernel that has passed. */
export interface KernelChange {
  readonly baseline: KernelRef;
  /** Why the baseline cannot be compared with; else null. */
  readonly unreadable: string | null;
  /** All that either of the two is built for. */
  readonly arches: readonly ArchChange[];
}

export interface ArchChange {
  readonly arch: string;
  /** How many symbols both export, and how many of them were added, removed, or have another CRC. */
  readonly common: number;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** So many that it was the compiler or the generator of CRCs. */
  readonly everything: boolean;
  /** Why not all that changed is known, and of how many listed symbols that leaves it open; absent: all is. */
  readonly partial?: { readonly why: string; readonly listed: number };
  /** Symbols of the stablelist that changed, or (`after` null) went; null where it has none for this architecture. */
  readonly listed:
    | readonly {
        readonly symbol: string;
        readonly before: number;
        readonly after: number | null;
        readonly provider: string;
      }[]
    | null;
}

/** The same by the list itself, where that has CRCs: `before` is the list's. */
export type ListChange = Pick<ArchChange, 'arch' | 'listed' | 'partial'>;

/** What symbols show of a run. */
export interface SymbolsShown<A = ArchSymbols> {
  /** Empty with the strategy `rebuild`. */
  readonly kmods: readonly SymbolEvidence<A>[];
  /** Null where no kernel has passed yet. */
  readonly change: KernelChange | null;
  /** What is not as the stablelist has it, on each architecture for which it has CRCs; absent: on none. */
  readonly sinceList?: readonly ListChange[];
  /** What a change of a listed symbol does; null for a gate without a stablelist. */
  readonly stablelist: Stablelist['effect'] | null;
}

// ---- in sentences ----

/** So many symbols are named in a sentence; a report has them all. */
const NAMED = 3;

/** In brackets after a space; empty where none is named. */
const few = (texts: readonly string[], count = texts.length): string =>
  texts.length === 0 ? '' : ` (${texts.slice(0, NAMED).join(', ')}${count > NAMED ? ', …' : ''})`;

/** Whether a symbol that a kmod needs, or that is listed, has another CRC. */
export const hasChanged = ({ kmods, change }: SymbolsShown): boolean =>
  kmods.some(({ arches }) => arches.some(({ changed }) => changed.count > 0)) ||
  (change?.arches ?? []).some(({ listed }) => listed?.some(({ after }) => after !== null));

/** Whether what was read of a run's symbols tells of the stablelist that the gate has now: it may be set while a run is open. */
export const tellsOfList = (
  { stablelist }: { readonly stablelist: unknown },
  symbols: SymbolsShown | undefined,
): boolean => stablelist === null || (symbols !== undefined && symbols.stablelist !== null);

/** What became of the promise to keep the listed symbols; `unclear` where that cannot be told. */
export function keepsPromise({ change, sinceList, stablelist }: SymbolsShown): 'kept' | 'broken' | 'unclear' {
  if (!stablelist) return 'kept';
  const told: readonly ListChange[] = [...(change?.arches ?? []), ...(sinceList ?? [])];
  if (told.some(({ listed }) => listed !== null && listed.length > 0)) return 'broken';
  return (change && change.unreadable !== null) ||
    told.some(({ listed, partial }) => listed === null || (partial && partial.listed > 0))
    ? 'unclear'
    : 'kept';
}

/** The same in a sentence. */
export function describeStablelist({ change, sinceList = [], stablelist }: SymbolsShown): string {
  const unlike = sinceList.flatMap(describeUnlike);
  const since = change ? describeSince(change) : [];
  if (unlike.length + since.length > 0)
    return `stablelist${stablelist === 'warn' ? ' (warning)' : ''}: ${[...since, ...unlike].join(', ')}`;
  if (sinceList.length > 0) return 'stablelist: kept, with the CRCs that it has';
  return `stablelist: ${change ? `kept since ${change.baseline.nvr}` : 'no kernel has passed yet to compare with'}`;
}

/** Listed symbols that are not as they were; none: all are. */
function describeSince({ baseline, unreadable, arches }: KernelChange): string[] {
  if (unreadable !== null) return [`${baseline.nvr} cannot be compared with: ${unreadable}`];
  const parts = arches.flatMap(({ arch, listed, partial }) => {
    if (listed === null) return [`there is no list for ${arch}`];
    const names = few(listed.map(({ symbol }) => symbol));
    return [
      ...(listed.length > 0
        ? [`${plural(listed.length, 'listed symbol')} changed or went on ${arch}${names}`]
        : []),
      ...describeUntold(arch, partial),
    ];
  });
  return parts.map((part, i) => (i === 0 ? `since ${baseline.nvr} ${part}` : part));
}

const describeUntold = (arch: string, partial: ListChange['partial']): string[] =>
  partial && partial.listed > 0
    ? [`nothing is known of ${plural(partial.listed, 'listed symbol')} on ${arch}: ${partial.why}`]
    : [];

/** `1 listed symbol is not as the list has it on x86_64 (seq_printf: listed CRC 0x00000001, kernel's 0x00000002)`. */
function describeUnlike({ arch, listed, partial }: ListChange): string[] {
  const crcs = (listed ?? []).map(
    ({ symbol, before, after }) =>
      `${symbol}: listed CRC ${formatCrc(before)}, ${after === null ? 'gone' : `kernel's ${formatCrc(after)}`}`,
  );
  const [are, them] = crcs.length === 1 ? ['is', 'it'] : ['are', 'them'];
  return [
    ...(crcs.length > 0
      ? [`${plural(crcs.length, 'listed symbol')} ${are} not as the list has ${them} on ${arch}${few(crcs)}`]
      : []),
    ...describeUntold(arch, partial),
  ];
}

/** One sentence in place of thousands of symbols; undefined where the code changed and not everything. */
export function describeEverything({ baseline, arches }: KernelChange): string | undefined {
  const one = arches.find(({ everything }) => everything);
  if (!one) return undefined;
  const share = `${one.changed} of ${one.common} symbols`;
  return `nearly every CRC changed since ${baseline.nvr} (${share} on ${one.arch}): the compiler or the generator of CRCs did, so every kmod must be built anew`;
}

/** `since kernel-… 7 symbols added, 3 removed, 18107 changed on x86_64`. */
export function describeChange({ baseline, unreadable, arches }: KernelChange): string {
  if (unreadable !== null) return `what changed since ${baseline.nvr} cannot be told: ${unreadable}`;
  const counts = arches.map(
    ({ arch, added, removed, changed, partial }) =>
      `${plural(added, 'symbol')} added, ${removed} removed, ${changed} changed on ${arch}${partial ? `, as far as is known: ${partial.why}` : ''}`,
  );
  return `since ${baseline.nvr} ${counts.join('; ')}`;
}

/** A comparison without the symbols that are neither judged nor named in a sentence. */
export function summarize(detail: ArchDetail): ArchSymbols {
  const { fromKmods: _, missing, changed, fromBroken, remarks = [], ...found } = detail;
  const some = <T>(all: readonly T[]): Few<T> => ({ count: all.length, first: all.slice(0, NAMED) });
  return {
    ...{ ...found, missing: some(missing), changed: some(changed), fromBroken: some(fromBroken) },
    ...(remarks.length > 0 && { remarks: some(remarks) }),
  };
}

/** `2 of its 126 symbols are gone (a, b), 1 has another CRC (c: 0x00000001 → 0x00000002, in kernel-core)`. */
export function describeSymbols(found: ArchSymbols): string {
  const { imports, missing, changed, fromBroken, cause } = found;
  const of = (count: number) => `${count} of its ${plural(imports, 'symbol')}`;
  const gone = missing.first.map(({ symbol }) => symbol);
  const moved = changed.first.map(
    ({ symbol, required, provided, provider }) =>
      `${symbol}: ${formatCrc(required)} → ${formatCrc(provided)}, in ${provider}`,
  );
  const parts = [
    ...(missing.count > 0
      ? [`${of(missing.count)} ${missing.count === 1 ? 'is' : 'are'} gone${few(gone, missing.count)}`]
      : []),
    ...(changed.count > 0
      ? [
          `${of(changed.count)} ${changed.count === 1 ? 'has' : 'have'} another CRC${few(moved, changed.count)}`,
        ]
      : []),
    ...fromBroken.first
      .slice(0, 1)
      .map(({ symbol, provider }) => `it needs ${symbol} of ${provider}, which does not load`),
  ];
  return [
    ...(cause === null ? [] : [cause]),
    ...remarksOf(found),
    ...(parts.length > 0 ? [parts.join(', ')] : []),
  ].join('; ');
}

/** What else speaks of whether it loads, a clause each. */
export const remarksOf = ({ remarks }: Pick<ArchSymbols, 'remarks'>): string[] => {
  if (!remarks) return [];
  const more = remarks.count - remarks.first.length;
  return [...remarks.first.map(describeRemark), ...(more > 0 ? [`${more} more`] : [])];
};
