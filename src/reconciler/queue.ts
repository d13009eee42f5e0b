/**
 * A queue of keys, each at most once: asking twice is asking once, at the earlier time. A key that is being
 * worked on may be asked again, and then comes again. Nothing here knows what a key means.
 */
export interface KeyedQueue {
  /** Ask for a key at a time (ms). An earlier time wins, but for a key that failed not before its pause is over. */
  add(key: string, due: number): void;
  /** Take the key that is due first and not after `now`; of equal times, the one asked first. */
  take(now: number): string | undefined;
  /** When the next key is due. */
  next(): number | undefined;
  /** Work on a key failed: ask for it again, later each time, up to five minutes. Returns the pause in ms. */
  retry(key: string, now: number): number;
  /** Work on a key succeeded: forget its failures. */
  succeed(key: string): void;
}

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 300_000;

/** @param random in [0, 1): spreads retries, so that keys that failed together do not return together */
export function createQueue(random: () => number): KeyedQueue {
  const due = new Map<string, number>();
  const failures = new Map<string, { count: number; until: number }>();

  function add(key: string, wanted: number): void {
    const at = Math.max(wanted, failures.get(key)?.until ?? wanted);
    const known = due.get(key);
    if (known === undefined || at < known) due.set(key, at);
  }

  /** First in the map's order, which is the order of asking, among those due first. */
  function first(): [string, number] | undefined {
    let found: [string, number] | undefined;
    for (const entry of due) if (!found || entry[1] < found[1]) found = entry;
    return found;
  }

  return {
    add,
    take(now) {
      const found = first();
      if (!found || found[1] > now) return undefined;
      due.delete(found[0]);
      return found[0];
    },
    next: () => first()?.[1],
    retry(key, now) {
      const count = (failures.get(key)?.count ?? 0) + 1;
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (count - 1)) * (0.75 + random() / 2);
      failures.set(key, { count, until: now + pause });
      add(key, now + pause);
      return pause;
    },
    succeed(key) {
      failures.delete(key);
    },
  };
}
