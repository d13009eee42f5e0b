/** The gate's clock goes as time does, whatever is done to the machine's. */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { clockNotes, gateClock, knownOf, thisMachine, timeBeside } from '../../src/store/clock.ts';
import { openStore } from '../../src/store/open.ts';
import { type Kind, kinds, type Place } from './places.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 10, 30);

/** A machine whose clock is set while time goes on. */
function machine(at = START) {
  let [wall, passed] = [at, 0];
  return {
    wall: () => wall,
    passed: () => passed,
    set(by: number) {
      wall += by;
    },
    pass(ms: number) {
      wall += ms;
      passed += ms;
    },
  };
}

const places = await kinds();
let place: Place | undefined;
const openAt = async ({ make }: Kind) => {
  place = await make();
  return openStore(place.url, { mode: 'write' });
};
afterEach(async () => {
  await place?.drop();
  place = undefined;
});

test('it shows what the machine shows, and goes on as time does when somebody sets that', () => {
  const { pass, set, ...of } = machine();
  const { now, ahead } = gateClock(of, { newest: 0, ahead: 0 });
  pass(5);
  expect([now(), ahead()]).toEqual([START + 5, 0]);
  set(-2 * HOUR);
  expect([now(), ahead()]).toEqual([START + 5, -2 * HOUR]);
  pass(HOUR);
  set(24 * HOUR);
  expect([now(), ahead()]).toEqual([START + HOUR + 5, 22 * HOUR]);
});

test('whatever is done to the machine, it shows how much time has passed', () => {
  const steps = fc.array(
    fc.record({ pass: fc.nat(3 * HOUR), set: fc.integer({ min: -300 * HOUR, max: 300 * HOUR }) }),
  );
  fc.assert(
    fc.property(steps, fc.nat(2 * START), (all, newest) => {
      const { pass, set, ...of } = machine();
      const { now, ahead } = gateClock(of, { newest, ahead: 0 });
      const begun = now();
      expect(begun).toBe(Math.max(START, newest + 1));
      let passed = 0;
      for (const step of all) {
        pass(step.pass);
        set(step.set);
        passed += step.pass;
        expect(now()).toBe(begun + passed);
        expect(now() + ahead()).toBe(of.wall());
      }
    }),
  );
});

test.each(places)('a process that begins goes on from what the one before has noted: $name', async (kind) => {
  const store = await openAt(kind);
  const { pass, set, ...of } = machine();
  const first = gateClock(of, await knownOf(store));
  const note = clockNotes(first, store);
  expect(await note()).toBe(0);
  set(10 * 365 * 24 * HOUR);
  expect(await note()).toBe(10 * 365 * 24 * HOUR);
  expect(await note()).toBe(0);
  // A command beside it tells the gate's time, too.
  expect((await timeBeside(store, of.wall())) - first.now()).toBeLessThanOrEqual(1);
  pass(HOUR);
  const second = gateClock(of, await knownOf(store));
  expect(second.now() - first.now()).toBeLessThanOrEqual(1);
  // The clock is put right again while no process runs.
  set(-10 * 365 * 24 * HOUR);
  const third = gateClock(of, await knownOf(store));
  expect(third.now()).toBeGreaterThan(START);
  expect(third.now()).toBeLessThanOrEqual(second.now());
  expect(await clockNotes(third, store)()).toBeLessThan(-9 * 365 * 24 * HOUR);
  // Seconds are no jump: the machine's clock is put right bit by bit.
  set(5_000);
  expect(await clockNotes(third, store)()).toBe(0);
  await store.close();
});

test.each(places)(
  'a waiver ends by the calendar, also where somebody sets the clock: $name',
  async (kind) => {
    const store = await openAt(kind);
    const waiver = { at: START, by: 'ada', reason: '', gate: null, kernel: '*', kmod: '*' };
    const until = START + 24 * HOUR;
    await store.waive({ ...waiver, until }, []);
    await store.waive({ ...waiver, until: null }, []);
    const ends = async () => (await store.waivers()).map((one) => one.ends);
    expect(await ends()).toEqual([null, until]);
    await store.noteAhead(2 * HOUR, START + 1);
    expect(await ends()).toEqual([null, until - 2 * HOUR]);
    await store.noteAhead(-HOUR, START + 2);
    expect(await ends()).toEqual([null, until + HOUR]);
    expect((await store.waivers()).map((one) => one.until)).toEqual([null, until]);
    await store.close();
  },
);

test('this machine shows the time of day, and time passes on it', async () => {
  const { wall, passed } = thisMachine();
  const before = passed();
  expect(Math.abs(wall() - Date.now())).toBeLessThan(60_000);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(passed()).toBeGreaterThan(before);
});

test.each(places)(
  'the newest fact may be a line of the journal, a waiver, or the end of one: $name',
  async (kind) => {
    const store = await openAt(kind);
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
  },
);
