/** What a kernel promises to keep, as the command line names it, and what became of that. */
import { LIST_MAX, readText } from '../files/read.ts';
import type { KernelDifference } from '../kabi/compare.ts';
import type { KernelSymbols, Stablelist, SymbolTable } from '../kabi/model.ts';
import { isPromised, mayChange, type Promised } from '../kabi/severities.ts';
import { isOfArch, listsOfRelease, releasesOf, sinceList, tellsMost } from '../kabi/stablelist.ts';
import { parseSeverities } from '../kabi/text.ts';
import { stablelistsOf } from '../symbols/read.ts';
import { CheckError } from './error.ts';
import { type Altered, type Case, calledBy } from './findings.ts';
import { readArgument } from './symbolfiles.ts';
import { line } from './text.ts';

/** Files that say what must not change. */
export interface PromiseOptions {
  /** Symbols that must not. */
  readonly stablelist?: string;
  /** Which release's list counts, of several. */
  readonly release?: string;
  /** Which of those, or of all that the kernel exports, may all the same: SUSE's `kabi/severities`. */
  readonly severities?: string;
}

/**
 * @param arch whose list counts of several; null where it is not known
 * @returns undefined where neither is named
 * @throws CheckError, SymbolFileError
 */
export async function readPromise(
  { stablelist, release, severities }: PromiseOptions,
  arch: string | null,
): Promise<Promised | undefined> {
  if (stablelist === undefined && severities === undefined) return undefined;
  return {
    ...(stablelist !== undefined && { list: await readStablelist(stablelist, arch, release) }),
    ...(severities !== undefined && { severities: readSeverities(severities) }),
  };
}

function readSeverities(file: string) {
  let text: string;
  try {
    text = readText(file, LIST_MAX, 'latin1');
  } catch (error) {
    throw new CheckError(
      error instanceof Error ? `${file}: cannot be read: ${error.message}` : String(error),
    );
  }
  return parseSeverities(text, file);
}

/**
 * The list of an architecture; a package of stablelists has one for each, by release of the distribution.
 * @param arch null where it is not known
 * @throws CheckError, SymbolFileError
 */
async function readStablelist(path: string, arch: string | null, release?: string): Promise<Stablelist> {
  const { files, found } = await readArgument(path);
  if (!files) throw new CheckError(`${path}: there is no such file`);
  const [broken] = found?.unread ?? [];
  if (broken) throw new CheckError(broken.problem);
  const all = files.flatMap(stablelistsOf);
  if (all.length === 0) throw new CheckError(`${path}: holds no stablelist`);
  const lists = listsOfRelease(all, release);
  const releases = releasesOf(all).join(', ');
  if (lists.length === 0)
    throw new CheckError(
      `${path}: holds no list of release ${release}, but of ${releases || 'none that is named'}`,
    );
  const fit = lists.length === 1 ? lists : lists.filter((list) => arch !== null && isOfArch(list, arch));
  const best = tellsMost(fit);
  if (best) return best;
  const names = lists.map(({ name }) => name).join(', ');
  throw new CheckError(`${path}: holds several lists (${names}); name one of their files, or --arch`);
}

// ---- what became of it --------------------------------------------------------------------------------

/** What became of a promise. */
export interface Kept {
  readonly promised: Promised;
  /** Those that changed or went since the baseline, or that are not as the list has them. */
  readonly broken: readonly string[];
  /** Those that changed or went, and may; none without severities. */
  readonly tolerated: readonly string[];
  /** Those that changed or went, and nothing tells whether they may. */
  readonly untold: readonly string[];
  /** What is not as the list has it; undefined of a list without CRCs. */
  readonly sinceList: KernelDifference | undefined;
}

/** What changed since a baseline, and what that exports. */
export interface Since {
  readonly symbols: SymbolTable;
  readonly difference: KernelDifference;
}

/** The promised symbols, as the first of some kernels has them that exports them. */
export const promisedIn = (
  promised: Promised | undefined,
  ...tables: readonly SymbolTable[]
): Pick<ReadonlySet<string>, 'has'> => ({
  has: (name) =>
    promised !== undefined &&
    isPromised(promised, tables.find((table) => table.has(name))?.get(name) ?? { name }) === true,
});

/** Symbols that changed or went, or that fewer modules may use. */
export const alteredIn = ({ removed, changed, reexported }: KernelDifference) => [
  ...removed,
  ...changed,
  ...reexported.filter(({ narrower }) => narrower),
];

/** A list with CRCs tells by itself what the kernel must have; without one, what was promised must be as in the baseline. */
export function promiseOf(promised: Promised, kernel: KernelSymbols, since: Since | undefined): Kept {
  const { list, severities } = promised;
  const exports = list?.exports;
  const ofList = exports && {
    symbols: exports,
    difference: sinceList(exports, kernel, promisedIn(promised, exports)),
  };
  const measure = ofList ?? since;
  const answers = (measure ? alteredIn(measure.difference) : []).map(({ symbol: name }) => ({
    name,
    answer: isPromised(promised, measure?.symbols.get(name) ?? { name }),
  }));
  const of = (wanted: boolean | null) =>
    answers.filter(({ answer }) => answer === wanted).map(({ name }) => name);
  return {
    promised,
    broken: of(true),
    tolerated: severities ? of(false).filter((name) => !list || list.symbols.has(name)) : [],
    untold: of(null),
    sinceList: ofList?.difference,
  };
}

/** Whether a symbol that is not as it was may be so, by severities; unlisted ones too. */
export function isTolerated(
  { severities, list }: Promised,
  symbols: SymbolTable,
): (symbol: { readonly symbol: string }) => boolean {
  return ({ symbol: name }) => {
    const symbol = list?.exports?.get(name) ?? symbols.get(name) ?? { name };
    return severities !== undefined && mayChange(severities, symbol) === true;
  };
}

// ---- what is shown ------------------------------------------------------------------------------------

/** So many are named. */
const NAMED = 20;

const some = (names: readonly string[]): string => {
  const more = names.length - NAMED;
  return `${names.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/** In sentences, a line each. */
export function promiseLines({ promised, broken, tolerated, untold }: Kept): string[] {
  const { list, severities } = promised;
  const which = list ? 'listed symbols changed or went' : 'symbols changed or went that must not';
  const kept = untold.length === 0 ? 'kept' : 'nothing that must not is known to have changed';
  const may = severities ? `; ${tolerated.length} changed or went that may` : '';
  return [
    `${list ? 'Stablelist' : 'Severities'}: ${broken.length === 0 ? kept : `${broken.length} ${which}: ${some(broken)}`}${may}`,
    ...(untold.length > 0
      ? [
          `Severities: nothing tells whether ${untold.length} that changed or went may, since only Module.symvers names modules and namespaces: ${some(untold)}`,
        ]
      : []),
  ];
}

export const promiseText = (kept: Kept | undefined): string =>
  kept ? promiseLines(kept).map(line).join('') : '';

export const promiseJson = ({ promised: { list, severities }, broken, tolerated, untold }: Kept) => ({
  ...(list && { stablelist: { name: list.name, broken } }),
  ...(severities && { severities: { file: severities.file, broken, tolerated, untold } }),
});

/** @param changes of the kernel's symbols, promised or not */
export function promiseCase(kept: Kept, arch: string | null, changes: readonly Altered[]): Case {
  const { promised, broken, untold } = kept;
  const speaking = new Set([...broken, ...untold]);
  const name = promised.list
    ? `stablelist ${promised.list.name}`
    : `severities ${calledBy([promised.severities?.file ?? ''])}`;
  const outcome = broken.length > 0 ? 'broken' : untold.length > 0 ? 'inconclusive' : 'fine';
  return {
    ...{ kind: 'promise', name, arch, outcome, causes: [] },
    why: outcome === 'fine' ? '' : promiseLines(kept).join('; '),
    symbols: changes
      .filter(({ symbol }) => speaking.has(symbol))
      .map(({ symbol, change, provider }) => ({ symbol, change, provider })),
  };
}

/** Whether the promise is known to be kept. */
export const isKept = (kept: Kept | undefined): boolean =>
  !kept || kept.broken.length + kept.untold.length === 0;
