/**
 * Play a seed: the real reconciler, core, store, hub client and codec before a Koji in memory, on a simulated clock and
 * bus, while things go wrong; then faults stop, and everything must come to its end.
 */
import { pino } from 'pino';
import { decode } from '../../src/bus/decode.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import type { Entry, Hint, Order } from '../../src/core/model.ts';
import { connectHub } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { Fault } from '../../src/koji/xmlrpc.ts';
import { createReconciler, type Reconciler } from '../../src/reconciler/reconciler.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { nextMoment } from '../../src/sim/tasks.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { FACTS } from '../store/facts.ts';
import { type Drawn, draw, GATE_USER, type Happening, PERSON } from './draw.ts';
import { MISHAPS, transportOver } from './network.ts';
import { type Random, randomOf } from './random.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Once faults have stopped, everything must be over within this. */
const PATIENCE = 12 * DAY;
/** A process that comes back to the same key so often at one time goes round in circles. */
const STEPS_MOST = 20_000;
/** Calls and facts of one step: more, and it goes round in circles without end. */
const CALLS_MOST = 20_000;

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
}

/** Looks at the world and the facts after every step. */
export interface Watcher {
  check(world: World): Promise<string[]>;
  final(world: World): Promise<string[]>;
}

export interface PlayOptions {
  /** `entries` grows with the journal. */
  readonly watch?: (drawn: Drawn, store: Store, entries: readonly Entry[]) => Watcher;
  /** A bug to plant: what a process has in place of its hub and store. */
  readonly plant?: (parts: Parts) => Parts;
}

/** All that a process reaches the outside with. */
export interface Parts {
  readonly hub: Hub;
  readonly store: Store;
}

export async function play(seed: string, options: PlayOptions = {}): Promise<Played> {
  const random = randomOf(seed);
  const drawn = draw(random.fork('draw'));
  const world = createWorld(drawn.scenario);
  const start = world.now();
  const journal: string[] = [];
  const note = (text: string) => void journal.push(`${stamp(world.now() - start)} ${text}`);
  const struck = new Map<string, number>();
  const reached = new Map<string, number>();
  const strike = (what: string) => void struck.set(what, (struck.get(what) ?? 0) + 1);
  const reach = (what: string) => void reached.set(what, (reached.get(what) ?? 0) + 1);
  const entries: Entry[] = [];
  const store = await openStore('sqlite::memory:', {
    mode: 'write',
    onEntry: (entry) => {
      entries.push(entry);
      note(`${entry.gate ?? '-'} ${entry.nvr}: ${entry.text}`);
      for (const state of statesOf(entry)) reach(state);
    },
  });
  const watcher = options.watch?.(drawn, store, entries);
  const agenda = createAgenda();
  const weather = createWeather(drawn, random.fork('weather'), () => world.now() - start, strike);
  let bus = true;
  let undelivered: BusMessage[] = [];
  let process: Process | undefined;
  let steps = 0;
  let due = world.now();

  const network = {
    world,
    mishap: weather.request,
    pass: (ms: number) => world.tick(ms),
    later: (ms: number, work: () => void) => agenda.add(world.now() + ms, work),
    int: weather.int,
  };

  function startProcess(): void {
    note('a process starts');
    process = createProcess(drawn, { world, store, network, weather, plant: options.plant });
    due = world.now();
    const waiting = undelivered;
    undelivered = [];
    for (const message of waiting) deliver(message);
  }

  function deliver(message: BusMessage): void {
    if (!process) return void undelivered.push(message);
    const decoded = decode(message);
    if (decoded.kind !== 'hints') return;
    for (const hint of decoded.hints) process.reconciler.hint(hint as Hint);
    due = world.now();
  }

  world.onMessage((event) => {
    const message = busMessage(event, { family: random.chance(0.5) ? 'fedora' : 'proton' });
    if (!message || !bus) return;
    for (const delay of weather.message()) agenda.add(world.now() + delay, () => deliver(message));
  });

  function happen({ what }: Happening): void {
    if (what.kind === 'kernel') {
      note(`${what.nvr} is built and comes into ${what.tag}`);
      world.completeKernel(what.nvr, { tag: what.tag });
      return;
    }
    if (what.kind === 'person') {
      agenda.addAsync(world.now(), act);
      return;
    }
    strike(what.kind);
    note(what.kind);
    if (what.kind === 'offline') world.offline('upgrade of the database');
    if (what.kind === 'online') world.offline(null);
    if (what.kind === 'expire' || what.kind === 'restart-hub') world.expireSessions();
    if (what.kind === 'cut-bus') bus = false;
    if (what.kind === 'join-bus') bus = true;
    if (what.kind === 'kill') die();
  }

  function die(): void {
    if (!process) return;
    note('the process is killed');
    process.kill();
    process = undefined;
    agenda.add(world.now() + random.int(0, 30) * MINUTE, startProcess);
  }

  const persons = random.fork('persons');
  async function act(): Promise<void> {
    const done = await actAsPerson(persons, world, store);
    if (!done) return;
    note(`a person ${done.text}`);
    reach(`person: ${done.kind}`);
    process?.reconciler.hearPeople();
    due = world.now();
  }

  for (const happening of drawn.happenings) agenda.add(start + happening.at, () => happen(happening));
  agenda.addAsync(start + drawn.stormEnds, () => release(store, world));
  agenda.add(start + drawn.stormEnds, () => {
    note('faults stop');
    world.offline(null);
    bus = true;
  });
  startProcess();
  const violations: string[] = [];
  const end = start + drawn.stormEnds + PATIENCE;
  while (world.now() <= end && violations.length === 0) {
    await agenda.work(world.now());
    if (process && due <= world.now()) {
      steps += 1;
      const outcome = await process.step();
      if (outcome === 'circles') violations.push(`9: one step makes more than ${CALLS_MOST} calls`);
      else if (outcome === 'killed') {
        strike('killed between two steps');
        die();
      } else due = outcome;
      violations.push(...((await watcher?.check(world)) ?? []));
      if (steps > STEPS_MOST) violations.push(`9: ${steps} steps, and no end`);
    }
    // Long enough for a sweep that finds what lost messages would have told.
    const calm = world.now() > start + drawn.stormEnds + 2 * drawn.pace.every;
    if (calm && agenda.next() === undefined && (await isOver(store, world))) break;
    const moments = [agenda.next(), process && due, nextMoment(world.state) ?? undefined];
    const next = Math.min(...moments.filter((at) => at !== undefined));
    if (!Number.isFinite(next)) break;
    world.tick(Math.max(0, Math.min(next, end + 1) - world.now()));
  }
  if (violations.length === 0) {
    violations.push(...(await lively(store, world)));
    violations.push(...((await watcher?.final(world)) ?? []));
  }
  await process?.hub.close();
  await store.close();
  return { seed, steps, journal, violations, struck, reached };
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

/** Draws what goes wrong, while the storm lasts. */
function createWeather(
  { weather, stormEnds }: Drawn,
  random: Random,
  elapsed: () => number,
  strike: (what: string) => void,
) {
  const storm = () => elapsed() < stormEnds;
  return {
    int: random.int,
    next: random.next,
    request() {
      if (!storm() || !random.chance(weather.request)) return undefined;
      const mishap = random.pick(MISHAPS);
      strike(`request ${mishap}`);
      return mishap;
    },
    /** How long each copy of a message is under way, in ms. */
    message(): number[] {
      if (!storm() || !random.chance(weather.message)) return [random.int(0, 2_000)];
      const kind = random.pick(['lost', 'lost', 'repeated', 'late'] as const);
      strike(`message ${kind}`);
      if (kind === 'lost') return [];
      if (kind === 'repeated') return [0, random.int(0, MINUTE), random.int(0, HOUR)];
      return [random.int(MINUTE, 5 * HOUR)];
    },
    storeFails(): boolean {
      const fails = storm() && random.chance(weather.store);
      if (fails) strike('write to the store fails');
      return fails;
    },
    kills: (): boolean => storm() && random.chance(weather.kill),
  };
}

type Weather = ReturnType<typeof createWeather>;

// ---- a process ------------------------------------------------------------------------------------

interface Process {
  readonly reconciler: Reconciler;
  readonly hub: Hub;
  /** Let it work. When it next wants to, or that it was killed meanwhile, or would never have come back. */
  step(): Promise<number | 'killed' | 'circles'>;
  kill(): void;
}

interface Surroundings {
  readonly world: World;
  readonly store: Store;
  readonly network: Parameters<typeof transportOver>[0];
  readonly weather: Weather;
  readonly plant: PlayOptions['plant'];
}

function createProcess(drawn: Drawn, { world, store, network, weather, plant }: Surroundings): Process {
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
    store: mortal(parts.store, (method) => FACTS.has(method) && weather.storeFails()),
    log: pino({ level: 'silent' }),
    now: () => world.now(),
    random: weather.next,
  });
  const step = () => {
    calls = 0;
    return Promise.race([reconciler.step(), killed]);
  };
  return { reconciler, hub, kill, step };
}

// ---- persons ------------------------------------------------------------------------------------------

/** What somebody did. */
export interface Act {
  readonly kind: string;
  readonly text: string;
  readonly build?: number;
  readonly tag?: string;
}

/** Somebody does something, as somebody may. Undefined where there was nothing to do it to. */
export async function actAsPerson(random: Random, world: World, store: Store): Promise<Act | undefined> {
  const build = random.pick(world.state.builds.filter(({ name }) => name === 'kernel'));
  const tag = random.pick(['gate', 'pass', 'fail']);
  const person = world.as(PERSON);
  const at = world.now();
  const attempt = (act: Act, work: () => unknown): Act | undefined => {
    try {
      work();
      return act;
    } catch (error) {
      if (error instanceof Fault) return undefined;
      throw error;
    }
  };
  switch (random.pick(['tag', 'untag', 'cancel', 'waive', 'waive', 'order', 'order', 'side-tag'] as const)) {
    case 'tag':
      return attempt({ kind: 'tag', text: `tags ${build.nvr} into ${tag}`, build: build.id, tag }, () =>
        person.tagBuild(tag, build.id),
      );
    case 'untag':
      return attempt({ kind: 'untag', text: `untags ${build.nvr} from ${tag}`, build: build.id, tag }, () =>
        person.untagBuild(tag, build.id),
      );
    case 'cancel': {
      const live = [...world.state.live].filter(
        ({ method, parent }) => method === 'build' && parent === null,
      );
      if (live.length === 0) return undefined;
      const task = random.pick(live);
      return attempt({ kind: 'cancel', text: `cancels task ${task.id}` }, () =>
        person.call('cancelTask', task.id),
      );
    }
    case 'side-tag': {
      const own = world.state.tags.filter(
        ({ name, revoke_event }) => /-side-/.test(name) && revoke_event === null,
      );
      if (own.length === 0) return undefined;
      const one = random.pick(own);
      return attempt({ kind: 'side-tag', text: `removes ${one.name}` }, () =>
        person.call('removeSideTag', one.name),
      );
    }
    case 'waive': {
      const kernel = random.pick([build.nvr, 'kernel-*', 'next']);
      const kmod = random.pick(['kmod-a', 'kmod-*', 'stablelist']);
      const until = random.chance(0.5) ? at + random.int(1, 600) * MINUTE : null;
      await store.waive({ at, by: 'ada', reason: 'she knows', gate: null, kernel, kmod, until }, []);
      return { kind: 'waive', text: `waives ${kmod} for ${kernel}` };
    }
    case 'order': {
      const live = await store.liveRuns();
      if (live.length === 0) return undefined;
      const run = random.pick(live);
      const kind = random.pick([
        'retry',
        'retry',
        'hold',
        'release',
        'cancel',
      ] as const satisfies Order['kind'][]);
      const kmod = kind === 'retry' && random.chance(0.3) ? random.pick(['kmod-a', 'kmod-*']) : null;
      await store.order(run, { at, by: 'ada', kind, reason: 'she said so', kmod });
      return { kind: `order ${kind}`, text: `orders ${kind} of ${run.id}`, build: run.kernel.id };
    }
  }
}

/** Nobody holds a kernel for ever. */
export async function release(store: Store, world: World): Promise<void> {
  for (const run of await store.liveRuns()) {
    const last = run.orders.findLast(({ kind }) => kind === 'hold' || kind === 'release');
    if (last?.kind === 'hold')
      await store.order(run, { at: world.now(), by: 'ada', kind: 'release', reason: '', kmod: null });
  }
}

// ---- the end ------------------------------------------------------------------------------------------

/** Whether nothing runs any more. */
export async function isOver(store: Store, world: World): Promise<boolean> {
  return world.state.live.size === 0 && (await store.liveRuns()).length === 0;
}

/** Once faults have stopped every run ends, and nothing of it is left on the hub. */
export async function lively(store: Store, { state }: World): Promise<string[]> {
  const live = await store.liveRuns();
  const user = state.users.find(({ name }) => name === GATE_USER)?.id;
  const tasks = [...state.live].filter(({ owner }) => owner === user);
  const left = state.tags.filter(({ name, revoke_event }) => /-side-/.test(name) && revoke_event === null);
  const said = await Promise.all(live.map((run) => store.lastSaid(run.gate, run.kernel.id)));
  return [
    ...live.map((run, i) => `9: ${run.id} does not end: ${said[i]}`),
    ...tasks.map(({ id, method }) => `9: task ${id} (${method}) is left`),
    ...left.map(({ name }) => `9: ${name} is left`),
  ];
}
