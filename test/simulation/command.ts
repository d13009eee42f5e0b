/** What the commands of the simulation share. */

/** A number above 0, as an option has it. Throws an Error that names the option. */
export function numberAbove(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text}: a number above 0`);
  return value;
}

/** How often each of them was counted, a line each. */
export function histogram(title: string, counts: ReadonlyMap<string, number>): string {
  const rows = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${title}\n${rows.map(([name, times]) => `  ${String(times).padStart(8)}  ${name}\n`).join('')}`;
}
