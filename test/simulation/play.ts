/**
 * Play a seed: the real reconciler, core, store, hub client and codec before a Koji in memory, on a simulated clock and
 * bus, while things go wrong; then faults stop, and everything must come to its end.
 */
import type { Entry, Gate, Run } from '../../src/core/model.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { nextMoment } from '../../src/sim/tasks.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { clockNotes, gateClock, knownOf, timeBeside } from '../../src/store/clock.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { createBus, garbage } from './bus.ts';
import { createMachineClock } from './clock.ts';
import {
  type Drawn,
  draw,
  GATE_USER,
  type Happening,
  PERSON,
  SIGNER,
  TROUBLES,
  type Unreadable,
} from './draw.ts';
import type { Network } from './network.ts';
import { actAsPerson, moveOn, release, shipAll, waiveFor } from './persons.ts';
import { CALLS_MOST, createProcess, type Parts, type Process } from './process.ts';
import { randomOf } from './random.ts';
import { withTheme } from './themes.ts';
import { plainNvr } from './truth.ts';
import { createWeather } from './weather.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Shortest time in which a process is started again. */
const START = 1_000;
/** Once faults have stopped, everything must be over within this. */
const PATIENCE = 12 * DAY;
/** A process that comes back to the same key so often at one time goes round in circles. */
const STEPS_MOST = 20_000;

/** What a seed came to. */
export interface Played {
  readonly seed: string;
  /** Times that the reconciler was let work. */
  readonly steps: number;
  /** Everything that happened, in words. */
  readonly journal: readonly string[];
  readonly violations: readonly string[];
  /** How often each fault really struck, and each state was reached. */
  readonly struck: ReadonlyMap<string, number>;
  readonly reached: ReadonlyMap<string, number>;
  /** What could be left out of it: happenings, and faults in the order in which they were drawn. */
  readonly happenings: number;
  readonly faults: number;
}

/** Looks at the world and the facts after every step. */
export interface Watcher {
  check(world: World): Promise<string[]>;
  final(world: World): Promise<string[]>;
}

/** What is left out, by number: happenings from 0, faults from 1. */
export interface Without {
  readonly happenings: ReadonlySet<number>;
  readonly faults: ReadonlySet<number>;
}

/** What a watcher is told. */
export interface Watched {
  /** As they are configured now. */
  readonly gates: () => readonly Gate[];
  readonly unreadable: Unreadable;
  readonly store: Pick<Store, 'installation' | 'run'>;
  /** Grows with the journal. */
  readonly entries: readonly Entry[];
  /** What the gate's clock shows at a time of the hub's; as long as nobody sets it, the same. */
  readonly clock?: (at: number) => number;
}

export interface PlayOptions {
  readonly watch?: (watched: Watched) => Watcher;
  /** A bug to plant: what a process has in place of its hub and store. */
  readonly plant?: (parts: Parts) => Parts;
  readonly without?: Without;
}

/** What people do, and nothing that goes wrong. */
type Deed = 'kernel' | 'enter' | 'person' | 'waive' | 'release' | 'promote-draft' | 'reconfigure';

const NOTHING: Without = { happenings: new Set(), faults: new Set() };

export async function play(seed: string, options: PlayOptions = {}): Promise<Played> {
  const { watch, plant, without = NOTHING } = options;
  const random = randomOf(seed);
  const drawn = withTheme(draw(random.fork('draw')), random.fork('theme'));
  const world = createWorld(drawn.scenario);
  const start = world.now();
  const machine = createMachineClock(world.now);
  const journal: string[] = [];
  const note = (text: string) => void journal.push(`${stamp(world.now() - start)} ${text}`);
  const struck = new Map<string, number>();
  const reached = new Map<string, number>();
  const count = (counts: Map<string, number>, what: string) =>
    void counts.set(what, (counts.get(what) ?? 0) + 1);
  const strike = (what: string) => {
    count(struck, what);
    note(what);
  };
  const entries: Entry[] = [];
  const store = await openStore('sqlite::memory:', {
    mode: 'write',
    onEntry: (entry) => {
      entries.push(entry);
      note(`${entry.gate ?? '-'} ${entry.nvr}: ${entry.text}`);
      for (const state of statesOf(entry)) count(reached, state);
    },
  });
  let { gates } = drawn;
  const { unreadable } = drawn;
  const watcher = watch?.({ gates: () => gates, unreadable, store, entries, clock: machine.gateTime });
  const violations: string[] = [];
  const check = async () => void violations.push(...((await watcher?.check(world)) ?? []));
  const agenda = createAgenda();
  const elapsed = () => world.now() - start;
  const weather = createWeather(drawn, random.fork('weather'), { elapsed, strike, spared: without.faults });
  let diskFull = false;
  let process: Process | undefined;
  let steps = 0;
  let due = world.now();
  const soon = () => {
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
    onLost: (what) => count(struck, `unreadable ${what}`),
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
  async function startProcess(): Promise<void> {
    note('a process starts');
    const clock = gateClock({ wall: machine.wall, passed: world.now }, await knownOf(store));
    noteClock = clockNotes(clock, store);
    await noteClock();
    const begun = createProcess(
      { gates, pace: drawn.pace },
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
    soon();
    bus.listen((hint) => {
      begun.reconciler.hint(hint);
      soon();
    });
  }

  const restarts = random.fork('restarts');
  function end(): void {
    process?.kill();
    process = undefined;
    bus.listen(undefined);
  }

  function die(): void {
    if (!process) return;
    note('the process is killed');
    end();
    machine.set(weather.jump());
    agenda.addAsync(world.now() + Math.max(START, restarts.int(0, 30) * MINUTE), startProcess);
  }

  /** What was done until then is judged by the gates of then. */
  async function reconfigure({ text, gates: next }: Extract<Happening['what'], { kind: 'reconfigure' }>) {
    await check();
    note(`the configuration is changed: ${text}`);
    count(reached, 'reconfigured');
    gates = next;
    // One that was killed reads it when it starts.
    if (!process) return;
    const { hub } = process;
    end();
    await hub.close();
    agenda.addAsync(world.now() + START, startProcess);
  }

  const persons = random.fork('persons');
  async function act(): Promise<void> {
    const at = await timeBeside(store, machine.wall());
    const done = await actAsPerson(persons, { world, store, at });
    if (!done) return;
    note(`a person ${done.text}`);
    count(reached, `person: ${done.kind}`);
    process?.reconciler.hearPeople();
    soon();
  }

  const signer = drawn.signer;
  if (signer)
    world.onMessage((event) => {
      if (event.kind !== 'tag' || event.tag['name'] !== signer.from || event.user['name'] === SIGNER) return;
      const build = Number(event.build['build_id'] ?? event.build['id']);
      agenda.add(world.now() + signer.after, () => {
        if (!world.tags(build).includes(signer.from)) return;
        note(`the signer moves ${world.state.builds[build - 1]?.nvr} on to ${signer.to}`);
        moveOn(world.as(SIGNER), world.tags(build), build, signer);
        soon();
      });
    });

  const change: Record<Exclude<Happening['what']['kind'], Deed | 'set-clock'>, () => void> = {
    ...changesOf(world, drawn),
    kill: die,
    'cut-bus': () => bus.connect(false),
    'join-bus': () => bus.connect(true),
    'delete-queue': () => bus.declare(false),
    'declare-queue': () => bus.declare(true),
    'block-broker': () => bus.open(false),
    'free-broker': () => bus.open(true),
    'fill-disk': () => {
      diskFull = true;
    },
    'free-disk': () => {
      diskFull = false;
    },
  };
  /** What a kernel is called now: a draft has another name once it is promoted. */
  const nameOf = (nvr: string): string => (world.build(nvr) ? nvr : plainNvr(nvr));
  async function happen({ what }: Happening): Promise<void> {
    if (what.kind === 'person') return act();
    switch (what.kind) {
      case 'kernel':
        note(`${what.nvr} is built and comes into ${what.tag}`);
        world.completeKernel(what.nvr, { tag: what.tag });
        return;
      case 'enter': {
        const nvr = nameOf(what.nvr);
        if (!world.build(nvr) || world.tags(nvr).includes(what.tag)) return;
        note(`${nvr} comes into ${what.tag}`);
        world.as(PERSON).tagBuild(what.tag, nvr);
        return;
      }
      case 'promote-draft':
        if (!world.build(what.nvr)) return;
        note(`${what.nvr} is promoted`);
        count(reached, 'draft promoted');
        world.as(PERSON).call('promoteBuild', what.nvr);
        return;
      case 'release':
        note('all that has passed is released');
        count(reached, 'release');
        shipAll(world, 'pass', 'released');
        return;
      case 'reconfigure':
        return reconfigure(what);
      case 'waive': {
        const at = await timeBeside(store, machine.wall());
        const nvr = nameOf(what.nvr);
        await waiveFor(store, { ...what, nvr, at });
        note(`a person waives ${what.kmod} for ${nvr}, for ${stamp(what.until)}`);
        process?.reconciler.hearPeople();
        return soon();
      }
    }
    strike(what.kind);
    if (what.kind !== 'set-clock') return change[what.kind]();
    machine.set(what.by);
    if (process) await noteClock();
    soon();
  }

  for (const [i, happening] of drawn.happenings.entries())
    if (!without.happenings.has(i)) agenda.addAsync(start + happening.at, () => happen(happening));
  agenda.addAsync(start + drawn.stormEnds, async () => {
    note('faults stop');
    for (const relief of Object.values(TROUBLES)) change[relief]();
    await release(store, await timeBeside(store, machine.wall()));
  });
  await startProcess();
  const last = start + drawn.stormEnds + PATIENCE;
  while (world.now() <= last && violations.length === 0) {
    await agenda.work(world.now());
    if (process && due <= world.now()) {
      steps += 1;
      const outcome = await process.step();
      if (outcome === 'circles') violations.push(`9: one step makes more than ${CALLS_MOST} calls`);
      else if (outcome === 'killed') die();
      else due = world.now() + Math.max(1, outcome - machine.gateTime(world.now()));
      await check();
      if (steps > STEPS_MOST) violations.push(`9: ${steps} steps, and no end`);
    }
    // Long enough for a sweep that finds what lost messages would have told.
    const calm = world.now() > start + drawn.stormEnds + 2 * drawn.pace.every;
    if (calm && agenda.next() === undefined && (await isOver(store, world))) break;
    const moments = [agenda.next(), process && due, nextMoment(world.state) ?? undefined];
    const next = Math.min(...moments.filter((at) => at !== undefined));
    if (!Number.isFinite(next)) break;
    world.tick(Math.max(0, Math.min(next, last + 1) - world.now()));
  }
  if (violations.length === 0) {
    violations.push(...(await lively(store, world)));
    violations.push(...((await watcher?.final(world)) ?? []));
  }
  await process?.hub.close();
  await store.close();
  const faults = weather.count();
  return { seed, steps, journal, violations, struck, reached, happenings: drawn.happenings.length, faults };
}

/** What may become of the hub and its builders. */
export function changesOf(world: World, { scenario: { builders, targets } }: Pick<Drawn, 'scenario'>) {
  return {
    offline: () => world.offline('upgrade of the database'),
    online: () => world.offline(null),
    expire: world.expireSessions,
    'restart-hub': world.expireSessions,
    'restart-builders': world.restartBuilders,
    'stick-repos': () => world.setRepoBuilders(0),
    'free-repos': () => world.setRepoBuilders(null),
    'break-repos': () => world.breakRepos(targets.map(({ build_tag }) => build_tag)),
    'mend-repos': () => world.breakRepos([]),
    'stop-builders': () => world.setBuilders(0),
    'start-builders': () => world.setBuilders(builders),
  };
}

/** Hours, minutes and seconds of a play. */
export function stamp(ms: number): string {
  const minutes = Math.floor(ms / MINUTE);
  return `${String(Math.floor(minutes / 60)).padStart(3, '0')}:${String(minutes % 60).padStart(2, '0')}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;
}

/** What an entry of the journal says was reached. */
function statesOf({ kind, text }: Entry): string[] {
  if (kind === 'verdict') return [`verdict: ${text.split(/[ :]/)[1]}`];
  if (kind === 'closed') return [`closed: ${text.split(':')[0]}`];
  if (kind === 'person' && text.startsWith('opened again')) return ['opened again'];
  return [];
}

// ---- what is to happen --------------------------------------------------------------------------

/** Work at its time, in the order in which it was asked for. */
function createAgenda() {
  let count = 0;
  const items: { at: number; n: number; work: () => unknown }[] = [];
  const add = (at: number, work: () => unknown) => {
    count += 1;
    items.push({ at, n: count, work });
    items.sort((a, b) => a.at - b.at || a.n - b.n);
  };
  return {
    add: (at: number, work: () => void) => add(at, work),
    addAsync: (at: number, work: () => Promise<void>) => add(at, work),
    next: () => items[0]?.at,
    async work(now: number): Promise<void> {
      for (let item = items[0]; item && item.at <= now; item = items[0]) {
        items.shift();
        await item.work();
      }
    },
  };
}

// ---- the end ------------------------------------------------------------------------------------------

/** Whether nothing is left to be done. */
export async function isOver(store: Store, world: World): Promise<boolean> {
  return world.state.live.size === 0 && (await store.liveRuns()).length === 0;
}

/** Once faults have stopped every run ends, and nothing else is left on the hub. */
export async function lively(store: Store, { state }: World): Promise<string[]> {
  const live = await store.liveRuns();
  const user = state.users.find(({ name }) => name === GATE_USER)?.id;
  const said = new Map<Run, string | undefined>();
  for (const run of live) said.set(run, await store.lastSaid(run.gate, run.kernel.id));
  const tasks = [...state.live].filter(({ owner }) => owner === user);
  const left = state.tags.filter(({ name, revoke_event }) => /-side-/.test(name) && revoke_event === null);
  return [
    ...live.map((run) => `9: ${run.id} does not end: ${said.get(run)}`),
    ...tasks.map(({ id, method }) => `9: task ${id} (${method}) is left`),
    ...left.map(({ name }) => `9: ${name} is left`),
  ];
}
