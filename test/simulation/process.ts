/** A process of the gate's: its reconciler, with a hub client and a store that end where it is killed. */
import { pino } from 'pino';
import { connectHub } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { createReconciler, type Reconciler } from '../../src/reconciler/reconciler.ts';
import type { World } from '../../src/sim/world.ts';
import type { GateClock } from '../../src/store/clock.ts';
import type { Store } from '../../src/store/store.ts';
import { FACTS } from '../store/facts.ts';
import { type Drawn, GATE_USER } from './draw.ts';
import { type Network, transportOver } from './network.ts';
import type { Weather } from './weather.ts';

/** Calls and facts of one step: more, and it goes round in circles without end. */
export const CALLS_MOST = 5_000;

/** All that a process reaches the outside with. */
export interface Parts {
  readonly hub: Hub;
  readonly store: Store;
}

export interface Process {
  readonly reconciler: Reconciler;
  readonly hub: Hub;
  /** Let it work. When it next wants to, by its own clock, or that it was killed meanwhile, or goes round in circles. */
  step(): Promise<number | 'killed' | 'circles'>;
  kill(): void;
}

export interface Surroundings {
  readonly world: World;
  readonly store: Store;
  readonly network: Network;
  readonly weather: Weather;
  readonly clock: GateClock;
  /** Whether nothing more can be written to the store. */
  readonly diskFull: () => boolean;
  /** A bug to plant: what it has in place of its hub and store. */
  readonly plant: ((parts: Parts) => Parts) | undefined;
}

export function createProcess(drawn: Pick<Drawn, 'gates' | 'pace'>, surroundings: Surroundings): Process {
  const { world, store, network, weather, clock, diskFull, plant } = surroundings;
  const hub = connectHub({
    server: 'http://hub/kojihub',
    authtype: 'password',
    user: GATE_USER,
    password: 'b',
    timeout: 20_000,
    random: weather.next,
    env: {},
    transport: transportOver(network),
    clock: { now: () => world.now(), sleep: async (ms) => world.tick(ms) },
  });
  let dead = false;
  let calls = 0;
  let tell: (outcome: 'killed' | 'circles') => void = () => {};
  const killed = new Promise<'killed' | 'circles'>((resolve) => {
    tell = resolve;
  });
  const kill = () => {
    dead = true;
    tell('killed');
  };
  /** A call that a dead process makes, or that it is killed in, never comes back. */
  const mortal = <T extends object>(thing: T, fails: (method: string) => boolean): T =>
    new Proxy(thing, {
      get(target, method) {
        const member: unknown = Reflect.get(target, method);
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]) => {
          if (!dead && weather.kills()) kill();
          calls += 1;
          if (!dead && calls > CALLS_MOST) {
            dead = true;
            tell('circles');
          }
          if (dead) return new Promise(() => {});
          if (fails(String(method))) throw new Error('database or disk is full');
          try {
            return await member.apply(target, args);
          } finally {
            if (!dead && weather.kills()) kill();
            if (dead) await new Promise(() => {});
          }
        };
      },
    });
  const parts = plant?.({ hub, store }) ?? { hub, store };
  const reconciler = createReconciler({
    gates: drawn.gates,
    pace: drawn.pace,
    hub: mortal(parts.hub, () => false),
    store: mortal(parts.store, (method) => FACTS.has(method) && (diskFull() || weather.storeFails())),
    log: pino({ level: 'silent' }),
    ...clock,
    random: weather.next,
  });
  const step = () => {
    calls = 0;
    return Promise.race([reconciler.step(), killed]);
  };
  return { reconciler, hub, kill, step };
}
