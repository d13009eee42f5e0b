/** How often something may be done: buckets that fill again in time. */

/** By key: of each a bucket. */
export interface Buckets {
  /**
   * Take one out of a bucket.
   * @returns 0, or where it is empty: after how many ms there is one again
   */
  take(key: string): number;
}

/** So many buckets are kept that are not full. */
const KEPT = 10_000;

/**
 * @param limit `most`: how many a full bucket holds; `every`: ms in which one comes
 * @param now ms, by a clock that goes as time does
 */
export function createBuckets(
  { most, every }: { readonly most: number; readonly every: number },
  now: () => number,
): Buckets {
  /** When a bucket is full again; one that is not here is full. The oldest come first. */
  const full = new Map<string, number>();
  const forget = (at: number) => {
    for (const [key, until] of full) {
      if (until > at && full.size <= KEPT) break;
      full.delete(key);
    }
  };
  return {
    take(key) {
      const at = now();
      const until = Math.max(full.get(key) ?? at, at) + every;
      const wait = until - at - most * every;
      if (wait > 0) return wait;
      full.delete(key);
      full.set(key, until);
      forget(at);
      return 0;
    },
  };
}
