/** Of a world in which a promise is broken: the least that must happen in it. */
import { type Played, type PlayOptions, play, type Without } from './play.ts';

/** Worlds that are played at most until the journal is short enough. */
const PLAYS_MOST = 400;

/**
 * Play a seed again and again, each time with less of what happens and goes wrong in it, for as long as the same promise
 * is still broken.
 * @param played what the seed came to, with a violation
 * @returns the play with the shortest journal that was found
 */
export async function shrink(played: Played, options: Omit<PlayOptions, 'without'>): Promise<Played> {
  const promise = promiseOf(played);
  let best = played;
  let without: Without = { happenings: new Set(), faults: new Set() };
  let plays = 0;
  const tryWithout = async (less: Without): Promise<boolean> => {
    if (plays >= PLAYS_MOST) return false;
    plays += 1;
    const found = await play(played.seed, { ...options, without: less });
    if (promiseOf(found) !== promise) return false;
    without = less;
    if (found.journal.length <= best.journal.length) best = found;
    return true;
  };
  for (let before = -1; before !== best.journal.length && plays < PLAYS_MOST; ) {
    before = best.journal.length;
    const { faults, happenings } = best;
    const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
    await leaveOut(range(1, faults), async (some) =>
      tryWithout({ ...without, faults: new Set([...without.faults, ...some]) }),
    );
    await leaveOut(range(0, happenings), async (some) =>
      tryWithout({ ...without, happenings: new Set([...without.happenings, ...some]) }),
    );
  }
  return best;
}

const promiseOf = ({ violations }: Played): string | undefined => violations[0]?.split(':')[0];

/** Leave out as many as can be: all, then halves, then quarters, to each by itself. */
async function leaveOut(
  items: readonly number[],
  works: (some: readonly number[]) => Promise<boolean>,
): Promise<void> {
  let left = items;
  for (let size = left.length; size >= 1; size = Math.floor(size / 2)) {
    for (let i = 0; i < left.length; ) {
      const some = left.slice(i, i + size);
      if (await works(some)) left = left.filter((item) => !some.includes(item));
      else i += size;
    }
  }
}
