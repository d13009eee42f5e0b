/** A bug planted for each promise: a checker that does not see it is worth nothing. */
import { describe, expect, test } from 'vitest';
import { patched } from './patched.ts';
import { PATCHES } from './patches.ts';
import { PLANTED } from './plants.ts';
import { play } from './play.ts';
import { watch } from './watch.ts';

/** The first seeds that show them. */
const SEEDS = ['10', '50', '68'];

describe('a planted bug is seen', () => {
  test.each(PLANTED)('promise %i: %s', { timeout: 60_000 }, async (promise, _, plant) => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const { violations } = await play(seed, { watch, plant });
      for (const violation of violations) seen.add(violation.slice(0, 1));
      if (seen.has(String(promise))) break;
    }
    expect([...seen]).toContain(String(promise));
  });
});

describe('a mistake that is put back into the source is seen', () => {
  test.each(PATCHES)('$finding: $what', { timeout: 60_000 }, async (patch) => {
    const world = await patched(patch);
    const { violations } = await world.play(patch.seed);
    await world.close();
    expect(violations).not.toEqual([]);
  });

  test('and one that is nowhere there any more is told', async () => {
    const [patch] = PATCHES;
    const [change] = patch?.changes ?? [];
    if (!patch || !change) return;
    const gone = patched({ ...patch, changes: [{ ...change, from: 'no such text' }] });
    await expect(gone).rejects.toThrow('0 times, not once');
  });
});
