/**
 * Play a seed: the real reconciler, core, store, hub client and codec before a Koji in memory, on a simulated clock and
 * bus, while things go wrong; then faults stop, and everything must come to its end.
 */
import type { Entry, Gate } from '../../src/core/model.ts';
import { nextMoment } from '../../src/sim/tasks.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import type { Store } from '../../src/store/store.ts';
import { createAgenda } from './agenda.ts';
import { withAnother } from './another.ts';
import type { Others } from './checker.ts';
import { createClaims } from './claims.ts';
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
import { createInstance, type Instance, type InstanceOptions, type Stage } from './instance.ts';
import { actAsPerson, moveOn, release, shipAll, waiveFor } from './persons.ts';
import type { Parts } from './process.ts';
import { randomOf } from './random.ts';
import { withTheme } from './themes.ts';
import { plainNvr } from './truth.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Once faults have stopped, everything must be over within this. */
const PATIENCE = 12 * DAY;

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
  /** Other instances with the same user; absent: there are none. */
  readonly others?: Others;
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
  const drawn = withAnother(
    withTheme(draw(random.fork('draw')), random.fork('theme')),
    random.fork('another'),
  );
  const world = createWorld(drawn.scenario);
  const start = world.now();
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
  const agenda = createAgenda();
  const claims = createClaims(world);
  const violations: string[] = [];
  /** One that begins with others; its lines in the journal begin with its name, and the first one has none. */
  async function join(
    name: string,
    given: Pick<InstanceOptions, 'gates' | 'pace' | 'weather' | 'random' | 'spared'>,
  ) {
    const says = (text: string) => note(`${name}${text}`);
    const stage: Stage = {
      world,
      agenda,
      note: says,
      strike: (what) => {
        count(struck, what);
        says(what);
      },
      onEntry: (entry) => {
        says(`${entry.gate ?? '-'} ${entry.nvr}: ${entry.text}`);
        for (const state of statesOf(entry)) count(reached, state);
      },
      onLost: (what) => count(struck, `unreadable ${what}`),
    };
    const { unreadable, stormEnds } = drawn;
    const instance = await createInstance(stage, {
      ...{ ...given, unreadable, stormEnds, plant },
      claim: (answer) => claims.during(name, answer),
    });
    const { store, entries, gates, gateTime: clock } = instance;
    const isOthers = (owner: string | undefined) => owner !== undefined && owner !== name;
    const others: Others = {
      made: (what, id) => {
        const owner = claims.ownerOf(what, id);
        // A build that waits for a repo has one requested by itself: whose it was is not known any more.
        const unknown = what === 'request' && owner === undefined && instances.length > 1;
        return unknown || isOthers(owner);
      },
      tags: () =>
        new Set(
          instances.flatMap((one) => (one.instance === instance ? [] : one.instance.gates().flatMap(tagsOf))),
        ),
      removed: () => claims.removedBy(name).filter((id) => isOthers(claims.ownerOf('tag', id))),
    };
    const watcher = watch?.({ gates, unreadable, store, entries, clock, others });
    const told = (found: readonly string[]) =>
      void violations.push(...found.map((text) => text + (name && ` (of ${name.trim()})`)));
    return {
      instance,
      check: async () => told((await watcher?.check(world)) ?? []),
      final: async () => told((await watcher?.final(world)) ?? []),
    };
  }
  const instances: Awaited<ReturnType<typeof join>>[] = [];
  const first = await join('', { ...drawn, random, spared: without.faults });
  instances.push(first);
  if (drawn.another) {
    count(reached, 'another instance');
    const alone = { random: random.fork('another instance'), spared: new Set<number>() };
    instances.push(await join('another: ', { ...drawn.another, ...alone }));
  }
  const all = instances.map(({ instance }) => instance);
  const stores = all.map(({ store }) => store);
  const { store } = first.instance;
  const soon = () => {
    for (const instance of all) instance.wake();
  };
  const hearPeople = () => {
    for (const instance of all) instance.hearPeople();
  };

  /** What was done until then is judged by the gates of then. */
  async function reconfigure({ text, gates }: Extract<Happening['what'], { kind: 'reconfigure' }>) {
    await first.check();
    note(`the configuration is changed: ${text}`);
    count(reached, 'reconfigured');
    await first.instance.reconfigure(gates);
  }

  const persons = random.fork('persons');
  async function act(): Promise<void> {
    const at = await first.instance.timeBeside();
    const done = await actAsPerson(persons, { world, store, at });
    if (!done) return;
    note(`a person ${done.text}`);
    count(reached, `person: ${done.kind}`);
    hearPeople();
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

  const buses = (does: (bus: Instance['bus']) => void) => () => {
    for (const { bus } of all) does(bus);
  };
  const change: Record<Exclude<Happening['what']['kind'], Deed | 'set-clock'>, () => void> = {
    ...changesOf(world, drawn),
    kill: first.instance.kill,
    'cut-bus': buses((bus) => bus.connect(false)),
    'join-bus': buses((bus) => bus.connect(true)),
    'delete-queue': buses((bus) => bus.declare(false)),
    'declare-queue': buses((bus) => bus.declare(true)),
    'block-broker': buses((bus) => bus.open(false)),
    'free-broker': buses((bus) => bus.open(true)),
    'fill-disk': () => first.instance.fillDisk(true),
    'free-disk': () => first.instance.fillDisk(false),
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
        const at = await first.instance.timeBeside();
        const nvr = nameOf(what.nvr);
        await waiveFor(store, { ...what, nvr, at });
        note(`a person waives ${what.kmod} for ${nvr}, for ${stamp(what.until)}`);
        return hearPeople();
      }
    }
    strike(what.kind);
    if (what.kind === 'set-clock') return first.instance.setClock(what.by);
    change[what.kind]();
  }

  for (const [i, happening] of drawn.happenings.entries())
    if (!without.happenings.has(i)) agenda.addAsync(start + happening.at, () => happen(happening));
  agenda.addAsync(start + drawn.stormEnds, async () => {
    note('faults stop');
    for (const relief of Object.values(TROUBLES)) change[relief]();
    for (const instance of all) await release(instance.store, await instance.timeBeside());
  });
  for (const instance of all) await instance.start();
  const last = start + drawn.stormEnds + PATIENCE;
  // Long enough for a sweep that finds what lost messages would have told.
  const calm = start + drawn.stormEnds + 2 * drawn.pace.every;
  while (world.now() <= last && violations.length === 0) {
    await agenda.work(world.now());
    for (const { instance, check } of instances) {
      const { worked, wrong } = await instance.work();
      violations.push(...wrong);
      if (worked) await check();
    }
    if (world.now() > calm && agenda.next() === undefined && (await isOver(stores, world))) break;
    const moments = [agenda.next(), ...all.map(({ due }) => due()), nextMoment(world.state) ?? undefined];
    const next = Math.min(...moments.filter((at) => at !== undefined));
    if (!Number.isFinite(next)) break;
    world.tick(Math.max(0, Math.min(next, last + 1) - world.now()));
  }
  if (violations.length === 0) violations.push(...(await lively(stores, world)));
  for (const { final } of violations.length === 0 ? instances : []) await final();
  for (const instance of all) await instance.close();
  const steps = all.reduce((sum, one) => sum + one.steps(), 0);
  const [faults, happenings] = [first.instance.faults(), drawn.happenings.length];
  return { seed, steps, journal, violations, struck, reached, happenings, faults };
}

/** Names of the tags that a gate's hand changes. */
const tagsOf = ({ on_pass, on_fail }: Gate): string[] =>
  [on_pass, on_fail].flatMap(({ tag, untag }) => [...tag, ...untag]);

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

// ---- the end ------------------------------------------------------------------------------------------

/** Whether nothing is left to be done, by any instance. */
export async function isOver(stores: readonly Store[], world: World): Promise<boolean> {
  if (world.state.live.size > 0) return false;
  for (const store of stores) if ((await store.liveRuns()).length > 0) return false;
  return true;
}

/** Once faults have stopped every run ends, and nothing else is left on the hub. */
export async function lively(stores: readonly Store[], { state }: World): Promise<string[]> {
  const user = state.users.find(({ name }) => name === GATE_USER)?.id;
  const endless: string[] = [];
  for (const store of stores)
    for (const run of await store.liveRuns())
      endless.push(`9: ${run.id} does not end: ${await store.lastSaid(run.gate, run.kernel.id)}`);
  const tasks = [...state.live].filter(({ owner }) => owner === user);
  const left = state.tags.filter(({ name, revoke_event }) => /-side-/.test(name) && revoke_event === null);
  return [
    ...endless,
    ...tasks.map(({ id, method }) => `9: task ${id} (${method}) is left`),
    ...left.map(({ name }) => `9: ${name} is left`),
  ];
}
