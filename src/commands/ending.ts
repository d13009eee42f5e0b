/** How the parts of a gate end: in turn, and all of them by a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

/** A part that ends with the gate. */
export interface Part {
  /** In words, asked for when it was not waited for. */
  readonly what: () => string;
  readonly end: () => Promise<unknown>;
}

/** Once the deadline has passed, how long each part that comes after it may still take, in ms: to close a file is short. */
const GRACE = 500;

/**
 * End parts one after the other. One that has not ended when `within` ms are over is left as it is, and the next is ended.
 * @returns what was not waited for, in words
 * @throws what a part rejects with, while it is waited for
 */
export async function endInTurn(parts: readonly Part[], within: number): Promise<string[]> {
  const deadline = performance.now() + within;
  const left: string[] = [];
  for (const { what, end } of parts) {
    const ended = end();
    // Nobody hears of it once it is left.
    ended.catch(() => {});
    const waiting = new AbortController();
    const patience = Math.max(deadline - performance.now(), left.length > 0 ? GRACE : 0);
    const late = sleep(patience, true, { signal: waiting.signal }).catch(() => false);
    const isLate = await Promise.race([ended.then(() => false), late]).finally(() => waiting.abort());
    if (isLate) left.push(what());
  }
  return left;
}
