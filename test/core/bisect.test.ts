/** The search for the first bad kernel, in every row of up to 16, against what really is in it. */
import { expect, test } from 'vitest';
import { type Known, mostTries, nextToTry, suspects } from '../../src/core/bisect.ts';

/** Search a row whose ends are known; answers the suspects and how many tries it took. */
function search(truth: readonly Known[], before: readonly (Known | undefined)[] = []) {
  const row = truth.map((known, i) => (i === 0 || i === truth.length - 1 ? known : before[i]));
  let tries = 0;
  for (let next = nextToTry(row); next !== undefined; next = nextToTry(row)) {
    expect(row[next]).toBeUndefined();
    row[next] = truth[next];
    tries++;
  }
  return { suspects: suspects(row), tries };
}

const rowOf = (length: number, firstBad: number): Known[] =>
  Array.from({ length }, (_, i) => (i < firstBad ? 'good' : 'bad'));

test('finds the first bad one wherever it is, in log2(n) tries', () => {
  for (let length = 2; length <= 40; length++)
    for (let firstBad = 1; firstBad < length; firstBad++) {
      const found = search(rowOf(length, firstBad));
      expect(found.suspects).toEqual([firstBad]);
      expect(found.tries).toBeLessThanOrEqual(Math.ceil(Math.log2(length - 1)));
    }
});

test('whatever is skipped, the first bad one is among the suspects, and alone where its neighbour before is known', () => {
  const length = 9;
  for (let firstBad = 1; firstBad < length; firstBad++)
    for (let skips = 0; skips < 2 ** (length - 2); skips++) {
      const isSkipped = (i: number) => i > 0 && i < length - 1 && (skips >> (i - 1)) % 2 === 1;
      const truth = rowOf(length, firstBad).map((known, i) => (isSkipped(i) ? 'skipped' : known));
      const found = search(truth).suspects;
      expect(found).toContain(firstBad);
      // Those between the last that can be shown good and the first that can be shown bad.
      const good = truth.lastIndexOf('good');
      expect(found).toEqual(truth.flatMap((_, i) => (i > good && i <= truth.indexOf('bad') ? [i] : [])));
    }
});

test('says before how many tries it takes at the most: both ends, and what lies between', () => {
  const unknown = (length: number) => Array.from({ length }, () => undefined);
  expect([2, 3, 4, 5, 9, 10, 17].map((length) => mostTries(unknown(length)))).toEqual([2, 3, 4, 4, 5, 6, 6]);
  expect(mostTries(['good', undefined, undefined, undefined, 'bad'])).toBe(2);
  expect(mostTries([undefined, undefined, 'good', undefined, 'bad', undefined, undefined])).toBe(3);
});

test('what is known before is not tried', () => {
  const before = [undefined, undefined, 'good', undefined, undefined, 'bad'] as const;
  expect(search(rowOf(9, 4), before)).toEqual({ suspects: [4], tries: 2 });
});
