/** Time that never goes back, whatever the machine's clock does. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { steadyClock } from '../../src/store/clock.ts';
import { openStore } from '../../src/store/open.ts';

const HOUR = 3_600_000;

/** A clock of the machine that is set and goes on. */
function machine(at = 100 * HOUR) {
  let now = at;
  return {
    wall: () => now,
    set(to: number) {
      now = to;
    },
    pass(ms: number) {
      now += ms;
    },
  };
}

test('it shows what the machine shows', () => {
  const { wall, pass, set } = machine();
  const clock = steadyClock(wall, 0);
  expect(clock()).toBe(100 * HOUR);
  pass(5);
  expect(clock()).toBe(100 * HOUR + 5);
  set(120 * HOUR);
  expect(clock()).toBe(120 * HOUR);
});

test('set back by two hours it goes on at half speed, and both are one again four hours later', () => {
  const { wall, pass, set } = machine();
  const clock = steadyClock(wall, 0);
  set(98 * HOUR);
  expect(clock()).toBe(100 * HOUR);
  pass(2 * HOUR);
  expect(clock()).toBe(101 * HOUR);
  pass(2 * HOUR);
  expect(clock()).toBe(102 * HOUR);
  expect(wall()).toBe(102 * HOUR);
  pass(HOUR);
  expect(clock()).toBe(103 * HOUR);
});

test('after a restart it goes on after the newest fact', () => {
  const { wall, pass } = machine(50 * HOUR);
  const clock = steadyClock(wall, 52 * HOUR);
  expect(clock()).toBe(52 * HOUR + 1);
  pass(HOUR);
  expect(clock()).toBe(52.5 * HOUR + 1);
});

test('it never goes back, and never behind the machine, and comes to it in the end', () => {
  const step = fc.record({ set: fc.boolean(), by: fc.integer({ min: -3 * HOUR, max: 3 * HOUR }) });
  fc.assert(
    fc.property(fc.array(step), fc.integer({ min: 0, max: 200 * HOUR }), (steps, newest) => {
      const { wall, pass } = machine();
      const clock = steadyClock(wall, newest);
      let last = clock();
      expect(last).toBeGreaterThanOrEqual(newest);
      for (const { set, by } of steps) {
        pass(set ? by : Math.abs(by));
        const now = clock();
        expect(now).toBeGreaterThanOrEqual(last);
        expect(now).toBeGreaterThanOrEqual(wall());
        last = now;
      }
      pass(2 * (last - wall()));
      expect(clock()).toBe(wall());
    }),
  );
});

test('the newest fact may be a line of the journal, a waiver, or the end of one', async () => {
  const store = await openStore('sqlite::memory:', { mode: 'write' });
  const newest: number[] = [await store.newest()];
  const kernel = { id: 1, nvr: 'kernel-1-1', name: 'kernel', epoch: null, version: '1', release: '1' };
  await store.seeKernel(kernel, 10);
  newest.push(await store.newest());
  const waiver = { at: 20, by: 'ada', reason: '', gate: null, kernel: 'next', kmod: 'kmod-a', until: null };
  await store.waive(waiver, []);
  newest.push(await store.newest());
  const [made] = await store.waivers();
  if (made) await store.endWaiver(made, 'ada', 30, []);
  newest.push(await store.newest());
  await store.close();
  expect(newest).toEqual([0, 10, 20, 30]);
});
