/** Which of a row of kernels is the first that is bad, by as few tries as may be. What proves nothing is passed over. Pure. */

/** What is known of one of the row. `skipped`: no try of it proves anything. */
export type Known = 'good' | 'bad' | 'skipped';

/** By index; undefined: not known yet. */
export type Row = readonly (Known | undefined)[];

/** By index, the last that is good, and the first after it that is bad. The first of the row is good, and its last bad. */
export function bounds(row: Row): { readonly good: number; readonly bad: number } {
  const good = row.lastIndexOf('good');
  return { good, bad: row.indexOf('bad', good + 1) };
}

/** What to try next: of what is not known between the bounds, the nearest to their middle; undefined: nothing is left. */
export function nextToTry(row: Row): number | undefined {
  const { good, bad } = bounds(row);
  const middle = (good + bad) / 2;
  const open = row.flatMap((known, i) => (known === undefined && i > good && i < bad ? [i] : []));
  return open.toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0];
}

/** Once nothing is left to try: all of which one is the first that is bad. One, if nothing was skipped before it. */
export function suspects(row: Row): number[] {
  const { good, bad } = bounds(row);
  return row.flatMap((_, i) => (i > good && i <= bad ? [i] : []));
}

/** How many tries it takes at the most, where each proves something; the ends are tried too, unless they are known. */
export function mostTries(row: Row): number {
  const ends = [row[0], row.at(-1)].filter((known) => known === undefined).length;
  const { good, bad } = bounds([row[0] ?? 'good', ...row.slice(1, -1), row.at(-1) ?? 'bad']);
  return ends + Math.ceil(Math.log2(bad - good));
}
