/**
 * A queue of keys, each at most once: asking twice is asking once, at the earlier time. A key that is being worked on may
 * be asked again, and then comes again, after that work: never twice at once. Nothing here knows what a key means.
 */
export interface KeyedQueue {
  /** Ask for a key at a time (ms). An earlier time wins, but for a key that failed not before its pause is over. */
  add(key: string, due: number): void;
  /** Take the key that is due first and not after `now`; of equal times, the one asked first. It is at work then. */
  take(now: number): string | undefined;
  /** When the next key that is not at work is due. */
  next(): number | undefined;
  /** How many times in a row work on a key has failed. */
  failures(key: string): number;
  /** Work on a key failed: ask for it again, later each time, up to five minutes. Returns the pause in ms. */
  retry(key: string, now: number): number;
  /** Work on a key succeeded: forget its failures. */
  succeed(key: string): void;
  /** How many keys wait or are at work. */
  size(): number;
  /** How many keys that are not at work are due. */
  overdue(now: number): number;
  /** Of how many keys the last work failed. */
  failing(): number;
}

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 300_000;
/** So many more places than twice the keys are kept before the stale ones are dropped. */
const STALE_MOST = 1_000;

/** A place in line. One whose key was asked for an earlier time since, or taken, is stale, and skipped when it comes. */
interface Place {
  readonly key: string;
  readonly due: number;
  /** Number of the asking. */
  readonly order: number;
}

/** @param random in [0, 1): spreads retries, so that keys that failed together do not return together */
export function createQueue(random: () => number): KeyedQueue {
  const places = new Map<string, Place>();
  const line: Place[] = [];
  /** Keys at work, and when they are wanted again. */
  const working = new Map<string, number | undefined>();
  const failed = new Map<string, { count: number; until: number }>();
  let asked = 0;

  function add(key: string, wanted: number): void {
    const at = Math.max(wanted, failed.get(key)?.until ?? wanted);
    if (working.has(key)) {
      working.set(key, Math.min(at, working.get(key) ?? at));
      return;
    }
    const known = places.get(key);
    if (known && known.due <= at) return;
    asked += 1;
    // Who was asked for before keeps the place of then among those of one time.
    const place = { key, due: at, order: known?.order ?? asked };
    places.set(key, place);
    push(line, place);
    // Stale ones of a far time would stay for days.
    if (line.length > 2 * places.size + STALE_MOST) {
      const fresh = [...places.values()];
      line.length = 0;
      for (const one of fresh) push(line, one);
    }
  }

  /** The first place that counts. */
  function first(): Place | undefined {
    while (line[0] && places.get(line[0].key) !== line[0]) pop(line);
    return line[0];
  }

  /** Work on a key is over: it may be taken again. */
  function free(key: string): void {
    const again = working.get(key);
    working.delete(key);
    if (again !== undefined) add(key, again);
  }

  return {
    add,
    take(now) {
      const found = first();
      if (!found || found.due > now) return undefined;
      pop(line);
      places.delete(found.key);
      working.set(found.key, undefined);
      return found.key;
    },
    next: () => first()?.due,
    failures: (key) => failed.get(key)?.count ?? 0,
    retry(key, now) {
      const count = (failed.get(key)?.count ?? 0) + 1;
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (count - 1)) * (0.75 + random() / 2);
      failed.set(key, { count, until: now + pause });
      working.delete(key);
      add(key, now + pause);
      return pause;
    },
    succeed(key) {
      failed.delete(key);
      free(key);
    },
    size: () => places.size + working.size,
    overdue(now) {
      let count = 0;
      for (const { due } of places.values()) if (due <= now) count += 1;
      return count;
    },
    failing: () => failed.size,
  };
}

// ---- a binary heap --------------------------------------------------------------------------------

const isBefore = (a: Place, b: Place): boolean => a.due < b.due || (a.due === b.due && a.order < b.order);

function push(heap: Place[], place: Place): void {
  let i = heap.push(place) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const above = heap[parent];
    if (!above || !isBefore(place, above)) break;
    heap[i] = above;
    i = parent;
  }
  heap[i] = place;
}

function pop(heap: Place[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (!left) break;
    if (right && isBefore(right, left)) child += 1;
    const least = heap[child];
    if (!least || !isBefore(least, last)) break;
    heap[i] = least;
    i = child;
  }
  heap[i] = last;
}
