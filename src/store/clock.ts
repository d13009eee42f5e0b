/** Time as the store has it: facts come one after the other, whatever happens to the machine's clock. */

/**
 * A clock that never goes back, and begins no earlier than the newest fact. Where the machine's clock was set back, since
 * that fact or later, this one begins after it, stays ahead and goes at half the machine's speed until they meet again,
 * so that what waits still comes.
 * @param wall the machine's clock, in ms since the epoch
 * @param newest time of the newest fact in the store
 */
export function steadyClock(wall: () => number, newest: number): () => number {
  let last = wall();
  let ahead = newest > last ? newest + 1 - last : 0;
  return () => {
    const read = wall();
    const passed = read - last;
    last = read;
    ahead = passed < 0 ? ahead - passed : Math.max(0, ahead - passed / 2);
    return Math.round(read + ahead);
  };
}
