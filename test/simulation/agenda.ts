/** What is to happen in a play: work at its time, in the order in which it was asked for. */
export interface Agenda {
  add(at: number, work: () => void): void;
  addAsync(at: number, work: () => Promise<void>): void;
  /** When the next is due; undefined: nothing is. */
  next(): number | undefined;
  /** Do what is due by now. */
  work(now: number): Promise<void>;
}

export function createAgenda(): Agenda {
  let count = 0;
  const items: { at: number; n: number; work: () => unknown }[] = [];
  const add = (at: number, work: () => unknown) => {
    count += 1;
    items.push({ at, n: count, work });
    items.sort((a, b) => a.at - b.at || a.n - b.n);
  };
  return {
    add,
    addAsync: add,
    next: () => items[0]?.at,
    async work(now) {
      for (let item = items[0]; item && item.at <= now; item = items[0]) {
        items.shift();
        await item.work();
      }
    },
  };
}
