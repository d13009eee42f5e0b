/** A bug planted for each promise: a checker that does not see it is worth nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource, type Source } from './patched.ts';
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
  let source: Source;
  beforeAll(async () => {
    source = await openSource();
  });
  afterAll(() => source.close());

  test.each(PATCHES)('$finding: $what', { timeout: 60_000 }, async (patch) => {
    const playPatched = await source.patched(patch);
    const { violations } = await playPatched(patch.seed);
    expect(violations).not.toEqual([]);
  });

  test('and nothing once it is gone again', async () => {
    const patch = PATCHES.at(-1);
    const playClean = await source.patched({ finding: 'none', changes: [] });
    expect((await playClean(patch?.seed ?? '1')).violations).toEqual([]);
  });

  test('and one that is nowhere there any more is told', async () => {
    const [patch] = PATCHES;
    const [change] = patch?.changes ?? [];
    if (!patch || !change) return;
    const gone = source.patched({ ...patch, changes: [{ ...change, from: 'no such text' }] });
    await expect(gone).rejects.toThrow('0 times, not once');
  });
});
