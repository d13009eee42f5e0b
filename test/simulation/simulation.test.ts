/** Worlds that are broken on purpose: a few of them at each `npm test`; `npm run sim` plays many. */
import { describe, expect, test } from 'vitest';
import { LONG } from '../long.ts';
import { play } from './play.ts';
import { watch } from './watch.ts';

const SEEDS = Array.from({ length: LONG ? 100 : 15 }, (_, i) => String(i + 1));

test('the same seed is the same world, to the last line of its journal', async () => {
  const [first, second] = [await play('7'), await play('7')];
  expect(second.journal).toEqual(first.journal);
  expect((await play('8')).journal).not.toEqual(first.journal);
});

describe('no promise is broken', () => {
  test(`by ${SEEDS.length} seeds`, { timeout: 120_000 }, async () => {
    const broken: string[] = [];
    for (const seed of SEEDS)
      broken.push(...(await play(seed, { watch })).violations.map((text) => `seed ${seed}: ${text}`));
    expect(broken).toEqual([]);
  });
});
