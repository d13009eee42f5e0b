/** What a simulated world is made of: its clock, its bus, and the search for the shortest journal. */
import { describe, expect, test } from 'vitest';
import type { BusMessage } from '../../src/bus/message.ts';
import { createBus } from './bus.ts';
import { createMachineClock } from './clock.ts';
import { PLANTED } from './plants.ts';
import { play } from './play.ts';
import { shrink } from './shrink.ts';
import { watch } from './watch.ts';

describe('the clock of the machine', () => {
  test("tells what the gate's clock showed at times of the hub's, between its readings too", () => {
    let now = 0;
    let gate = 0;
    const clock = createMachineClock(() => now);
    const read = clock.noted(() => gate);
    for (const [hub, own] of [
      [0, 0],
      [10, 10],
      [20, 20],
      [30, 130],
      [40, 140],
    ] as const) {
      [now, gate] = [hub, own];
      read();
    }
    expect([0, 15, 20, 25, 30, 35, 50].map(clock.gateTime)).toEqual([0, 15, 20, 75, 130, 135, 150]);
    // A process that begins anew goes on from what was recorded, before the last readings.
    [now, gate] = [60, 120];
    read();
    expect([20, 40, 60, 70].map(clock.gateTime)).toEqual([20, 70, 120, 130]);
    [now, gate] = [100, 160];
    read();
    [now, gate] = [200, 140];
    read();
    expect([60, 80, 140, 200].map(clock.gateTime)).toEqual([120, 140, 140, 140]);
  });
});

describe('the bus', () => {
  const message = (tag: string): BusMessage => ({
    routingKey: 'x',
    headers: {},
    properties: {},
    body: new TextEncoder().encode(JSON.stringify({ tag })),
  });
  const opened = () => {
    const bus = createBus((one, arrive) => arrive(one));
    const heard: string[] = [];
    const listen = () => bus.listen((hint) => void heard.push(hint.kind === 'tag' ? hint.name : hint.kind));
    listen();
    return { bus, heard, listen, publish: (tag: string) => bus.publish(message(tag)) };
  };

  test('keeps what nobody takes, and what the broker does not take', () => {
    const { bus, heard, listen, publish } = opened();
    bus.listen(undefined);
    publish('a');
    bus.connect(false);
    listen();
    publish('b');
    expect(heard).toEqual([]);
    bus.connect(true);
    bus.open(false);
    publish('c');
    expect(heard).toEqual(['a', 'b']);
    bus.open(true);
    expect(heard).toEqual(['a', 'b', 'c']);
  });

  test('loses what waits in a queue that is deleted, and what comes before there is a new one', () => {
    const { bus, heard, publish } = opened();
    bus.connect(false);
    publish('waits');
    bus.declare(false);
    bus.connect(true);
    publish('comes');
    bus.declare(true);
    publish('again');
    expect(heard).toEqual(['again']);
  });
});

test('of a broken world the shortest journal is found, in which the same promise is broken', {
  timeout: 60_000,
}, async () => {
  const plant = PLANTED.find(([promise]) => promise === 4)?.[2];
  if (!plant) throw new Error('nothing is planted for promise 4');
  const played = await play('8', { watch, plant });
  expect(played.violations[0]).toMatch(/^4: /);
  const least = await shrink(played, { watch, plant });
  expect(least.violations[0]).toMatch(/^4: /);
  expect(least.journal.length).toBeLessThan(played.journal.length / 2);
  expect(least.journal.filter((line) => /^\S+ (request|message) \w/.test(line))).toEqual([]);
});
