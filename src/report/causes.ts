/** What changed in a declaration, in few words for a text and a page. */
import type { Cause } from '../btf/causes.ts';
import type { MemberChange } from '../btf/changes.ts';

/** What was, and what is; one of them is empty where something came, went, or is only told. */
export interface Wording {
  readonly was: string;
  readonly now: string;
}

/** How many changes of a cause are shown. */
const CHANGES = 4;

/** The first changes; of values of an enum that only have other numbers, how many they are. */
export function wordsOf({ kind, members }: Pick<Cause, 'kind' | 'members'>): Wording[] {
  const isNumber = ({ was, now }: MemberChange) =>
    kind === 'enum' && was !== null && now !== null && was !== now;
  const numbers = members.filter(isNumber);
  const others = numbers.length > 1 ? members.filter((it) => !isNumber(it)) : members;
  const shown = others.slice(0, CHANGES).map(({ was, now }) => {
    if (was === null) return { was: '', now: `+ ${now}` };
    if (now === null) return { was: `- ${was}`, now: '' };
    return was === now ? { was: `${was} has moved`, now: '' } : { was, now };
  });
  const rest = others.length - shown.length;
  return [
    ...shown,
    ...(numbers.length > 1 ? [{ was: `${numbers.length} values are other numbers`, now: '' }] : []),
    ...(rest > 0 ? [{ was: `and ${rest} more`, now: '' }] : []),
  ];
}

/** ` (752 bytes, was 744)`; empty where the size is the same, or there is none. */
export const sizesOf = ({ size }: Pick<Cause, 'size'>): string =>
  size && size.was !== size.now ? ` (${size.now} bytes, was ${size.was})` : '';

/** From this share of exports on that reach a cause and did not change, it is less sure. */
const UNSURE = 1 / 4;

/** Whether so many exports could see it and have not changed that it may not be what changed the others. */
export const isUnsure = ({ symbols, unchanged }: Pick<Cause, 'symbols' | 'unchanged'>): boolean =>
  unchanged >= UNSURE * (symbols + unchanged);

/** What `isUnsure` means, for those causes of a list of which it is true. */
export const describeUnsure = (unsure: number, of: number): string =>
  `${unsure === of ? 'These are' : `${unsure} of these are`} less sure: many exports reach them by their types and did not change, since their source files do not see these declarations. At least one of the causes of an export is right.`;
