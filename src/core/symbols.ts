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

/** What symbols show of a run. */
export interface SymbolsShown<A = ArchSymbols> {
  /** Empty with the strategy `rebuild`. */
  readonly kmods: readonly SymbolEvidence<A>[];
  /** Null where no kernel has passed yet. */
  readonly change: KernelChange | null;
  /** What a change of a listed symbol does; null for a gate without a stablelist. */
  readonly stablelist: Stablelist['effect'] | null;
}

// ---- in sentences ----

/** So many symbols are named in a sentence; a report has them all. */
const NAMED = 3;

/** In brackets after a space; empty where none is named. */
const few = (texts: readonly string[], count = texts.length): string =>
  texts.length === 0 ? '' : ` (${texts.slice(0, NAMED).join(', ')}${count > NAMED ? ', …' : ''})`;

/** What became of the promise to keep the listed symbols; `unclear` where that cannot be told. */
export function keepsPromise({ change, stablelist }: SymbolsShown): 'kept' | 'broken' | 'unclear' {
  if (!stablelist || !change) return 'kept';
  if (change.arches.some(({ listed }) => listed !== null && listed.length > 0)) return 'broken';
  return change.unreadable !== null ||
    change.arches.some(({ listed, partial }) => listed === null || (partial && partial.listed > 0))
    ? 'unclear'
    : 'kept';
}

/** The same in a sentence. */
export function describeStablelist(shown: SymbolsShown): string {
  const { change, stablelist } = shown;
  if (!change) return 'stablelist: no kernel has passed yet to compare with';
  const { baseline, unreadable, arches } = change;
  if (unreadable !== null) return `stablelist: ${baseline.nvr} cannot be compared with: ${unreadable}`;
  const parts = arches.flatMap(({ arch, listed, partial }) => {
    if (listed === null) return [`there is no list for ${arch}`];
    const names = few(listed.map(({ symbol }) => symbol));
    return [
      ...(listed.length > 0
        ? [`${plural(listed.length, 'listed symbol')} changed or went on ${arch}${names}`]
        : []),
      ...(partial && partial.listed > 0
        ? [`nothing is known of ${plural(partial.listed, 'listed symbol')} on ${arch}: ${partial.why}`]
        : []),
    ];
  });
  if (parts.length === 0) return `stablelist: kept since ${baseline.nvr}`;
  return `stablelist${stablelist === 'warn' ? ' (warning)' : ''}: since ${baseline.nvr} ${parts.join(', ')}`;
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
