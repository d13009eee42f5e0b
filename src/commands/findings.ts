/** What `check` and `why` found, as the formats of pipelines show it. */
import type { Cause, Causes } from '../btf/causes.ts';
import { type Hit, nameOf, ranked } from '../btf/told.ts';
import { describeSymbols, summarize } from '../core/symbols.ts';
import { plural } from '../core/wording.ts';
import { CAUSES, type KmodComparison } from '../kabi/compare.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { Kmod, Target } from '../kabi/model.ts';
import { changeLines, namesOf } from './causes.ts';
import type { Unread } from './folder.ts';

export interface Findings {
  readonly command: 'check' | 'why';
  /** What was compared, as it was named. */
  readonly kernel: string;
  readonly baseline: string | null;
  /** The answer in one sentence. */
  readonly headline: string;
  /** Declarations that changed in the kernel's source: first what hits most kmods. */
  readonly causes: readonly FoundCause[];
  readonly cases: readonly Case[];
  /** What else is to be known, a sentence each. */
  readonly notes: readonly string[];
  readonly unread: readonly Unread[];
}

export interface FoundCause {
  readonly name: string;
  /** A change each, in words. */
  readonly changes: readonly string[];
  readonly size: Cause['size'];
  readonly kmods: number;
  readonly exports: number;
}

/** One thing that was looked at, and what became of it. */
export interface Case {
  readonly kind: 'kmod' | 'promise' | 'kernel';
  readonly name: string;
  readonly arch: string | null;
  /** `passed`: it was passed over. */
  readonly outcome: 'fine' | 'broken' | 'inconclusive' | 'passed';
  /** In words; empty of one that is fine. */
  readonly why: string;
  /** What is not as it must be. */
  readonly symbols: readonly Altered[];
  /** What in the kernel's source changed them, as far as that is known. */
  readonly causes: readonly string[];
}

export interface Altered {
  readonly symbol: string;
  /** `0x160c03af → 0xbce1a965`. */
  readonly change: string;
  /** Where it is exported, or was. */
  readonly provider: string;
}

/** Causes and whom they hit, where they were looked for. */
export interface Found {
  readonly causes: Causes;
  readonly hits: readonly Hit[];
}

const OUTCOMES = { compatible: 'fine', incompatible: 'broken', inconclusive: 'inconclusive' } as const;

/** Kmods that were compared with a kernel; `kmods`, `comparisons` and `found.hits` are in one order. */
export const comparedCases = (
  kmods: readonly Kmod[],
  kernel: Target,
  comparisons: readonly KmodComparison[],
  found: Found | undefined,
): Case[] =>
  comparisons.map((comparison, i) => {
    const { kmod: name, answer, cause, missing, changed } = comparison;
    const arch = kmods[i]?.arch ?? kernel.arch;
    const words = summarize({ ...comparison, arch: arch ?? '', cause: cause && CAUSES[cause] });
    const hit = found?.hits[i];
    return {
      ...{ kind: 'kmod', name, arch, outcome: OUTCOMES[answer] },
      // The symbols are named beside.
      why:
        answer === 'compatible'
          ? ''
          : describeSymbols({ ...words, missing: counted(missing), changed: counted(changed) }),
      symbols: [
        ...missing.map(({ symbol, crc }) => ({ symbol, change: `${formatCrc(crc)} → gone`, provider: '-' })),
        ...changed.map(({ symbol, required, provided, provider }) => ({
          ...{ symbol, provider },
          change: `${formatCrc(required)} → ${formatCrc(provided)}`,
        })),
      ],
      causes: hit && found ? namesOf(found.causes, hit.causes) : [],
    };
  });

const counted = ({ length }: readonly unknown[]) => ({ count: length, first: [] });

/** A kmod that is for other kernels. */
export const passedCase = ({ name, arch }: Pick<Kmod, 'name' | 'arch'>): Case => ({
  ...{ kind: 'kmod', name, arch, outcome: 'passed' },
  ...{
    why: 'it is for other kernels, and the same package has one for this kernel',
    symbols: [],
    causes: [],
  },
});

/** Causes in the order in which they are shown. */
export const foundCauses = (found: Found | undefined): FoundCause[] =>
  found
    ? ranked(found.causes.causes, found.hits).map(({ cause, kmods }) => ({
        name: nameOf(cause),
        changes: changeLines(cause),
        size: cause.size,
        kmods,
        exports: cause.symbols,
      }))
    : [];

/**
 * `2 of 12 kmods do not load into this kernel, nothing can be said of 1 kmod`.
 * @param bad what is said of one that is broken, and of several
 * @param good what is said where all are fine
 */
export function headlineOf(cases: readonly Case[], bad: readonly [string, string], good: string): string {
  const kmods = cases.filter(({ kind, outcome }) => kind === 'kmod' && outcome !== 'passed');
  const count = (wanted: Case['outcome']) => kmods.filter(({ outcome }) => outcome === wanted).length;
  const [broken, open] = [count('broken'), count('inconclusive')];
  const promise = cases.find(({ kind }) => kind === 'promise');
  const parts = [
    ...(broken > 0 ? [`${broken} of ${plural(kmods.length, 'kmod')} ${broken === 1 ? bad[0] : bad[1]}`] : []),
    ...(open > 0 ? [`nothing can be said of ${plural(open, 'kmod')}`] : []),
    ...(promise && promise.outcome !== 'fine' ? [`${promise.name} is not known to be kept`] : []),
  ];
  if (parts.length > 0) return parts.join(', ');
  return kmods.length > 0 ? `${good} (${kmods.length})` : 'nothing speaks against this kernel';
}

/** How files are called in a sentence: the first, and how many more. */
export function calledBy(names: readonly string[]): string {
  const [first = '', ...more] = names;
  const short = first.replace(/\/+$/, '').replace(/^.*\//, '');
  return more.length > 0 ? `${short} and ${more.length} more` : short;
}

/** So many symbols of one are named where all would be too long; JSON has all. */
const NAMED = 100;

/** What is not as it must be, a line each. */
export const symbolLines = ({ symbols }: Case): string[] => [
  ...symbols
    .slice(0, NAMED)
    .map(
      ({ symbol, change, provider }) => `${symbol} ${change}${provider === '-' ? '' : `, in ${provider}`}`,
    ),
  ...(symbols.length > NAMED ? [`and ${symbols.length - NAMED} more`] : []),
];
