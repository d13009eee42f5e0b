/** Which of several stablelists counts. */
import type { Stablelist } from './model.ts';

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

/** Whether a list is of that architecture, by its file's name or its own. */
export const isOfArch = ({ arch, name }: Stablelist, wanted: string): boolean =>
  arch === undefined ? name.includes(wanted) : arch === wanted;

/** The releases that lists are of, oldest first. */
export const releasesOf = (lists: readonly Stablelist[]): string[] =>
  [...new Set(lists.map(orderOf))]
    .filter((release) => release !== '')
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
