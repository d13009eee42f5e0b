import { expect, test } from 'vitest';
import { createBuckets } from '../../src/http/limits.ts';

test('a full bucket holds so many, and fills again in time', () => {
  let now = 1_000;
  const { take } = createBuckets({ most: 3, every: 100 }, () => now);
  expect([take('a'), take('a'), take('a')]).toEqual([0, 0, 0]);
  expect(take('a')).toBe(100);
  now += 40;
  expect(take('a')).toBe(60);
  now += 60;
  expect(take('a')).toBe(0);
  expect(take('a')).toBe(100);
  now += 300;
  expect([take('a'), take('a'), take('a'), take('a')]).toEqual([0, 0, 0, 100]);
});

test('each key has a bucket of its own, and what was refused costs nothing', () => {
  const { take } = createBuckets({ most: 1, every: 100 }, () => 0);
  expect([take('a'), take('a'), take('a'), take('b'), take('b')]).toEqual([0, 100, 100, 0, 100]);
});

test('very many keys do not take very much room: the oldest are forgotten', () => {
  const { take } = createBuckets({ most: 1, every: 100 }, () => 0);
  expect(take('first')).toBe(0);
  expect(take('first')).toBe(100);
  for (let i = 0; i < 10_000; i++) expect(take(`key ${i}`)).toBe(0);
  expect(take('first')).toBe(0);
  expect(take('key 9999')).toBe(100);
});
