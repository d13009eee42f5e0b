/** Which of several stablelists counts, and whether a kernel keeps to one with CRCs. */
import { compareKernels, type KernelDifference } from './compare.ts';
import type { KernelSymbols, Stablelist, SymbolTable } from './model.ts';

/** A release as people write it: `kabi-rhel94`, `rhel94`, `9.4`. */
const digits = (release: string): string => release.replace(/\D/g, '');

/**
 * The lists of one release: the one asked for, else that which the package calls current, else the newest.
 * @param release any way to write it
 * @returns none where that release is not among them
 */
export function listsOfRelease(lists: readonly Stablelist[], release?: string): readonly Stablelist[] {
  const inOrder = lists.toSorted((a, b) => orderOf(a).localeCompare(orderOf(b), 'en', { numeric: true }));
  if (release !== undefined)
    return lists.filter(
      (list) =>
        list.release !== undefined && digits(list.release) === digits(release) && digits(release) !== '',
    );
  const current = lists.filter((list) => list.current);
  if (current.length > 0) return current;
  const newest = inOrder.at(-1)?.release;
  return lists.filter((list) => list.release === newest);
}

const orderOf = ({ release = '' }: Stablelist): string => release;

/** Of lists of the same symbols: that with CRCs tells more than one without. */
export const tellsMost = (lists: readonly Stablelist[]): Stablelist | undefined =>
  lists.find(({ exports }) => exports) ?? lists[0];

/**
 * What a kernel does not export as a list with CRCs has it: `before` is the list's. A kernel of which not all is known may
 * export what it seems to lack.
 */
export function sinceList(
  list: SymbolTable,
  { symbols, partial }: Pick<KernelSymbols, 'symbols' | 'partial'>,
): KernelDifference {
  const found = compareKernels(list, symbols, new Set(list.keys()));
  return { ...found, added: [], removed: partial === undefined ? found.removed : [] };
}

/** Whether a list is of that architecture, by its file's name or its own. */
export const isOfArch = ({ arch, name }: Stablelist, wanted: string): boolean =>
  arch === undefined ? name.includes(wanted) : arch === wanted;

/** The releases that lists are of, oldest first. */
export const releasesOf = (lists: readonly Stablelist[]): string[] =>
  [...new Set(lists.map(orderOf))]
    .filter((release) => release !== '')
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
