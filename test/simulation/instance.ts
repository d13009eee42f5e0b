/** An instance of the program in a play: its store, its machine's clock, its queue, its weather, and the process that runs, if one does. */
import type { Entry, Gate } from '../../src/core/model.ts';
import { busMessage } from '../../src/sim/messages.ts';
import type { World } from '../../src/sim/world.ts';
import { clockNotes, gateClock, knownOf, timeBeside } from '../../src/store/clock.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import type { Agenda } from './agenda.ts';
import { type Bus, createBus, garbage } from './bus.ts';
import { createMachineClock } from './clock.ts';
import type { Drawn } from './draw.ts';
import type { Network } from './network.ts';
import { CALLS_MOST, createProcess, type Parts, type Process } from './process.ts';
import type { Random } from './random.ts';
import { createWeather } from './weather.ts';

const MINUTE = 60_000;
/** Shortest time in which a process is started again. */
const START = 1_000;
/** A process that comes back to the same key so often at one time goes round in circles. */
const STEPS_MOST = 20_000;

/** What all instances of a play have in common. */
export interface Stage {
  readonly world: World;
  readonly agenda: Agenda;
  /** Told of a fault that strikes. */
  readonly strike: (what: string) => void;
  readonly note: (text: string) => void;
  readonly onEntry: (entry: Entry) => void;
  readonly onLost: Network['onLost'];
}

export interface InstanceOptions
  extends Pick<Drawn, 'gates' | 'pace' | 'weather' | 'stormEnds' | 'unreadable'> {
  /** Its streams are its own. */
  readonly random: Random;
  /** Faults that are left out, by number. */
  readonly spared: ReadonlySet<number>;
  /** Whatever its requests bring about goes through this. */
  readonly claim: Network['claim'];
  readonly plant: ((parts: Parts) => Parts) | undefined;
}

export interface Instance {
  readonly store: Store;
  readonly bus: Pick<Bus, 'connect' | 'declare' | 'open'>;
  /** As they are configured now. */
  readonly gates: () => readonly Gate[];
  /** What was recorded, oldest first. */
  readonly entries: readonly Entry[];
  /** What its clock showed, or would have, at a time of the hub's. */
  readonly gateTime: (at: number) => number;
  /** The time that a command beside it takes. */
  readonly timeBeside: () => Promise<number>;
  readonly start: () => Promise<void>;
  readonly kill: () => void;
  /** Stop in order, and start again with other gates. */
  readonly reconfigure: (gates: readonly Gate[]) => Promise<void>;
  readonly setClock: (by: number) => Promise<void>;
  readonly fillDisk: (full: boolean) => void;
  /** A person has said something. */
  readonly hearPeople: () => void;
  /** Something has happened that it may look at at once. */
  readonly wake: () => void;
  /** When it next wants to work; undefined: nothing runs. */
  readonly due: () => number | undefined;
  /** Let it work, if it is time. Returns whether it did, and what is wrong with how. */
  readonly work: () => Promise<{ readonly worked: boolean; readonly wrong: readonly string[] }>;
  readonly steps: () => number;
  readonly faults: () => number;
  readonly close: () => Promise<void>;
}

export async function createInstance(stage: Stage, options: InstanceOptions): Promise<Instance> {
  const { world, agenda, strike, note, onEntry, onLost } = stage;
  const { random, pace, stormEnds, unreadable, plant } = options;
  let { gates } = options;
  const machine = createMachineClock(world.now);
  const entries: Entry[] = [];
  const store = await openStore('sqlite::memory:', {
    mode: 'write',
    onEntry: (entry) => {
      entries.push(entry);
      onEntry(entry);
    },
  });
  const start = world.now();
  const sky = { elapsed: () => world.now() - start, strike, spared: options.spared };
  const weather = createWeather({ weather: options.weather, stormEnds }, random.fork('weather'), sky);
  let diskFull = false;
  let process: Process | undefined;
  let steps = 0;
  let due = world.now();
  const wake = () => {
    due = world.now();
  };

  const network: Network = {
    world,
    mishap: weather.request,
    struck: weather.struck,
    pass: (ms) => world.tick(ms),
    later: (ms, work) => agenda.add(world.now() + ms, work),
    int: weather.int,
    unreadable,
    onLost,
    claim: options.claim,
  };

  const chance = random.fork('bus');
  const bus = createBus((message, arrive) => {
    const { copies, garbage: late } = weather.message();
    for (const delay of copies) agenda.add(world.now() + delay, () => arrive(message));
    if (late !== undefined) agenda.add(world.now() + late, () => arrive(garbage(chance, message)));
  });
  world.onMessage((event) => {
    const message = busMessage(event, { family: chance.chance(0.5) ? 'fedora' : 'proton' });
    if (message) bus.publish(message);
  });

  /** Of the process that runs. */
  let noteClock = async () => 0;
  async function begin(): Promise<void> {
    note('a process starts');
    const clock = gateClock({ wall: machine.wall, passed: world.now }, await knownOf(store));
    noteClock = clockNotes(clock, store);
    await noteClock();
    const begun = createProcess(
      { gates, pace },
      {
        world,
        store,
        network,
        weather,
        clock: { ...clock, now: machine.noted(clock.now) },
        diskFull: () => diskFull,
        plant,
      },
    );
    process = begun;
    wake();
    bus.listen((hint) => {
      begun.reconciler.hint(hint);
      wake();
    });
  }

  const restarts = random.fork('restarts');
  function end(): void {
    process?.kill();
    process = undefined;
    bus.listen(undefined);
  }
  function kill(): void {
    if (!process) return;
    note('the process is killed');
    end();
    machine.set(weather.jump());
    agenda.addAsync(world.now() + Math.max(START, restarts.int(0, 30) * MINUTE), begin);
  }

  return {
    store,
    bus,
    gates: () => gates,
    entries,
    gateTime: machine.gateTime,
    timeBeside: () => timeBeside(store, machine.wall()),
    start: begin,
    kill,
    async reconfigure(next) {
      gates = next;
      // One that was killed reads it when it starts.
      if (!process) return;
      const { hub } = process;
      end();
      await hub.close();
      agenda.addAsync(world.now() + START, begin);
    },
    async setClock(by) {
      machine.set(by);
      if (process) await noteClock();
      wake();
    },
    fillDisk(full) {
      diskFull = full;
    },
    hearPeople() {
      process?.reconciler.hearPeople();
      wake();
    },
    wake,
    due: () => process && due,
    async work() {
      if (!process || due > world.now()) return { worked: false, wrong: [] };
      steps += 1;
      const wrong: string[] = [];
      const outcome = await process.step();
      if (outcome === 'circles') wrong.push(`9: one step makes more than ${CALLS_MOST} calls`);
      else if (outcome === 'killed') kill();
      else due = world.now() + Math.max(1, outcome - machine.gateTime(world.now()));
      if (steps > STEPS_MOST) wrong.push(`9: ${steps} steps, and no end`);
      return { worked: true, wrong };
    },
    steps: () => steps,
    faults: weather.count,
    async close() {
      await process?.hub.close();
      await store.close();
    },
  };
}
