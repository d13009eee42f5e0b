import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createQueue } from '../../src/reconciler/queue.ts';

const queue = () => createQueue(() => 0.5);

describe('the keyed queue', () => {
  test('asking twice is asking once, at the earlier time', () => {
    const q = queue();
    q.add('a', 20);
    q.add('a', 10);
    q.add('a', 30);
    expect(q.next()).toBe(10);
    expect(q.take(9)).toBeUndefined();
    expect(q.take(10)).toBe('a');
    expect(q.take(1000)).toBeUndefined();
  });
  test('of keys that are due at one time the one asked first comes first', () => {
    const q = queue();
    for (const key of ['b', 'a', 'c']) q.add(key, 5);
    expect([q.take(5), q.take(5), q.take(5)]).toEqual(['b', 'a', 'c']);
  });
  test('a key asked for while it is worked on comes again, and not before that work is over', () => {
    const q = queue();
    q.add('a', 1);
    expect(q.take(1)).toBe('a');
    q.add('a', 2);
    expect(q.take(2)).toBeUndefined();
    expect(q.next()).toBeUndefined();
    q.succeed('a');
    expect(q.take(2)).toBe('a');
  });
  test('work on a key that failed and was asked for meanwhile waits for its pause', () => {
    const q = queue();
    q.add('a', 0);
    q.take(0);
    q.add('a', 1);
    q.retry('a', 0);
    expect(q.next()).toBe(2_000);
    expect(q.failures('a')).toBe(1);
  });
  // Q1: it was the square of it, 11.9 s for 20,000.
  test('a flood of 100,000 keys costs time in proportion', () => {
    const q = queue();
    let compared = 0;
    const count = 100_000;
    const due = (i: number) => ({
      valueOf: () => {
        compared += 1;
        return (i * 7_919) % count;
      },
    });
    for (let i = 0; i < count; i++) q.add(`task ${i}`, due(i) as unknown as number);
    for (let i = 0; i < count; i++) q.succeed(q.take(count) ?? 'none');
    expect(q.size()).toBe(0);
    // Some tens of looks at a time for each key, not tens of thousands.
    expect(compared / count).toBeLessThan(300);
  });
  test('failures are spaced, up to five minutes, and forgotten at a success', () => {
    const q = queue();
    const pauses = Array.from({ length: 12 }, () => q.retry('a', 0));
    expect(pauses.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
    expect(pauses.at(-1)).toBe(300_000);
    q.succeed('a');
    expect(q.retry('a', 0)).toBe(2_000);
  });
  test('a key that failed keeps its pause, whoever asks for it', () => {
    const q = queue();
    q.retry('a', 0);
    q.add('a', 1);
    expect(q.next()).toBe(2_000);
  });
  test('no key is lost, none comes before its time', () => {
    const asked = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(100)));
    fc.assert(
      fc.property(asked, (list) => {
        const q = queue();
        const earliest = new Map<string, number>();
        for (const [key, due] of list) {
          q.add(key, due);
          earliest.set(key, Math.min(due, earliest.get(key) ?? due));
        }
        for (let now = 0; now <= 100; now++) {
          for (let key = q.take(now); key !== undefined; key = q.take(now)) {
            expect(earliest.get(key)).toBe(now);
            earliest.delete(key);
            q.succeed(key);
          }
        }
        expect(earliest.size).toBe(0);
        expect(q.next()).toBeUndefined();
      }),
    );
  });
});
