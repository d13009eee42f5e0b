/**
 * Play seeds with the real program: `kmod-gate run` as a process of its own, its store in a file, before a Koji in memory
 * on a socket. Each round kills it with SIGKILL, looks at what it left on the hub and on disk, and starts it again.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Entry } from '../../src/core/model.ts';
import { type Mishap, serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { timeBeside } from '../../src/store/clock.ts';
import { withStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { type Ended, fileOf, type Program, start } from '../commands/program.ts';
import { type Drawn, draw, READABLE, TROUBLES } from './draw.ts';
import { type Look, lookAt, lostSince, unrecorded } from './look.ts';
import { actAsPerson, release } from './persons.ts';
import { changesOf, isOver, lively, stamp, type Watcher } from './play.ts';
import { type Random, randomOf } from './random.ts';
import { configure, hasten } from './realize.ts';
import { watch } from './watch.ts';

/** How much faster than this machine's the clocks of hub and program go: a build takes a second at most. */
const SPEED = 60;
/** How often the hub's clock is set, in real ms; it is exact whenever somebody calls. */
const TICK = 10;
/** Rounds of one world: more, and another one tells more. */
const ROUNDS_MOST = 20;
/** A moment that does not come is then: so many real ms after the first request, or after a start without any. */
const IN_VAIN = 1_000;
const AT_LAST = 10_000;
/** Once nobody is killed any more, everything must be over within this, in real ms. */
const PATIENCE = 60_000;
/** How often it is asked whether everything is over, in real ms. */
const POLL = 100;
/** Requests that change something on the hub. */
const CHANGES = /^(build|tagBuild|untagBuild|createSideTag|removeSideTag|cancelTask|repo\.request)$/;

/** What a seed came to. */
export interface Killed {
  readonly rounds: number;
  readonly worlds: number;
  readonly requests: number;
  readonly violations: readonly string[];
  /** What happened in the last world, in words. */
  readonly journal: readonly string[];
  /** How often each kind of moment was the last one of a process. */
  readonly struck: ReadonlyMap<string, number>;
}

export interface KillOptions {
  readonly seed: string;
  readonly rounds: number;
  /** Hears of each round. */
  readonly onRound?: (round: number, world: number) => void;
  /** A bug to plant: what happens to the store's file while no process has it. */
  readonly plant?: (file: string) => void;
}

/** Kill the program so many times, in as many worlds as that takes; all of them may end in peace. */
export async function playKills({ seed, rounds, onRound, plant }: KillOptions): Promise<Killed> {
  const struck = new Map<string, number>();
  const total = { rounds: 0, worlds: 0, requests: 0 };
  let journal: readonly string[] = [];
  const violations: string[] = [];
  while (total.rounds < rounds && violations.length === 0) {
    total.worlds += 1;
    const stage = await setStage(randomOf(`${seed}/${total.worlds}`));
    journal = stage.journal;
    const most = Math.min(rounds, total.rounds + ROUNDS_MOST);
    try {
      while (total.rounds < most && violations.length === 0 && !stage.isDecided()) {
        const round = await stage.round(plant);
        violations.push(...round.violations);
        if (!round.killed) continue;
        total.rounds += 1;
        struck.set(round.moment, (struck.get(round.moment) ?? 0) + 1);
        onRound?.(total.rounds, total.worlds);
      }
      if (violations.length === 0) violations.push(...(await stage.finish()));
    } finally {
      total.requests += await stage.close();
    }
  }
  return { ...total, violations, journal, struck };
}

// ---- a world --------------------------------------------------------------------------------------

interface Stage {
  readonly journal: readonly string[];
  /** Whether nothing more will happen. */
  isDecided(): boolean;
  round(plant: KillOptions['plant']): Promise<Round>;
  /** Faults stop, and the program has its time. What is broken then. */
  finish(): Promise<string[]>;
  /** Returns how many requests there were. */
  close(): Promise<number>;
}

interface Round {
  readonly moment: string;
  /** Whether it was alive until the signal came. */
  readonly killed: boolean;
  readonly violations: readonly string[];
}

async function setStage(random: Random): Promise<Stage> {
  const drawn = hasten(draw(random.fork('draw')));
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-kill-'));
  const journal: string[] = [];
  const hub = await openHub(drawn, random.fork('hub'), (at, text) => journal.push(`${stamp(at)} ${text}`));
  const { world } = hub;
  const { file, config } = configure(drawn, hub.url, folder);
  const witness = createWitness(config, folder, hub);
  const [moments, persons] = [random.fork('moments'), random.fork('persons')];
  const launch = () =>
    start(['run', '--config', file, '--log-level', 'warn'], {
      env: {
        NODE_OPTIONS: `--import ${pathToFileURL(fileOf('test/simulation/clock.mjs'))}`,
        CLOCK_SINCE: String(hub.since),
        CLOCK_SPEED: String(SPEED),
      },
    });
  let program: Program | undefined;

  /** People speak and act while no process runs: what they do in the midst of a look, that look cannot know. */
  async function letPeopleAct(): Promise<void> {
    if (!witness.hasStore()) return;
    for (let due = hub.takePersons(); due > 0; due--) {
      const done = await withStore(config.store.url, 'append', async (store) => {
        const at = await timeBeside(store, world.now());
        return actAsPerson(persons, { world, store, at });
      });
      if (done) hub.note(`a person ${done.text}`);
    }
  }

  return {
    journal,
    isDecided: () => hub.isQuiet() && witness.isDecided(),
    async round(plant) {
      const moment = drawMoment(moments, !existsSync(witness.file));
      hub.note('a process starts');
      program = launch();
      const { ended, when } = await killAt(moment, program, hub, witness.file);
      hub.note(`it is killed ${when}`);
      hub.catchUp();
      const killed = ended.signal === 'SIGKILL';
      const violations = [
        ...(killed ? [] : [`9: the program has ended by itself: ${lastWords(ended)}`]),
        ...(await witness.look(ended.stdout)),
      ];
      if (witness.hasStore()) plant?.(witness.file);
      if (violations.length === 0) await letPeopleAct();
      return { moment: when, killed, violations };
    },
    async finish() {
      hub.note('faults stop');
      hub.calm();
      if (witness.hasStore())
        await withStore(config.store.url, 'append', (store) => release(store, world.now()));
      program = launch();
      await untilOver(program, hub, config.store.url, drawn);
      program.child.kill('SIGTERM');
      const ended = await program.ended;
      hub.catchUp();
      const broken = [
        ...(ended.code === 0 ? [] : [`9: the program has not stopped in order: ${lastWords(ended)}`]),
        ...(await witness.look(ended.stdout)),
      ];
      if (broken.length > 0) return broken;
      const left = await withStore(config.store.url, 'read', (store) => lively([store], world));
      return [...left, ...(await witness.final())];
    },
    async close() {
      program?.child.kill('SIGKILL');
      await program?.ended;
      await hub.close();
      rmSync(folder, { recursive: true, force: true });
      return hub.requests();
    },
  };
}

const lastWords = ({ code, signal, stderr }: Ended): string => `${signal ?? code}: ${stderr.slice(-1_000)}`;

/** Until nothing has run for two sweeps, which find all that is left to do; or patience, or the program, is at its end. */
async function untilOver({ child }: Program, hub: OpenHub, url: string, { pace }: Drawn): Promise<void> {
  const [before, patience] = [hub.requests(), Date.now() + PATIENCE];
  const pause = (2 * pace.every) / SPEED;
  let [since, asked] = [Date.now(), before];
  // A program that has no turn on a busy machine asks nothing meanwhile.
  while (Date.now() < since + pause || hub.requests() === asked) {
    if (Date.now() > patience || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => setTimeout(resolve, POLL));
    const quiet = hub.requests() > before && hub.isQuiet();
    const over = quiet && (await withStore(url, 'read', (store) => isOver([store], hub.world)));
    if (!over) [since, asked] = [Date.now(), hub.requests()];
  }
}

// ---- the hub --------------------------------------------------------------------------------------

/** What happens to a request; the hub's own weather, where it is undefined. */
type OnRequest = (methods: readonly string[]) => Mishap | undefined;

type OpenHub = Awaited<ReturnType<typeof openHub>>;

async function openHub(drawn: Drawn, random: Random, tell: (at: number, text: string) => void) {
  const { happenings, weather } = drawn;
  const since = Date.now();
  const world = createWorld(drawn.scenario, { now: since });
  const note = (text: string, at = world.now()) => tell(at - since, text);
  const changes = changesOf(world, drawn);
  let next = 0;
  let persons = 0;
  let storm = true;
  let onRequest: OnRequest = () => undefined;

  function happen({ what }: Drawn['happenings'][number]): void {
    if (what.kind === 'kernel') {
      note(`${what.nvr} is built and comes into ${what.tag}`);
      world.completeKernel(what.nvr, { tag: what.tag });
    }
    if (what.kind === 'person') persons += 1;
    if (!storm || !(what.kind in changes)) return;
    note(what.kind);
    changes[what.kind as keyof typeof changes]();
  }

  /** Bring the world to now, with all that happens on the way. */
  function catchUp(): void {
    const now = since + (Date.now() - since) * SPEED;
    for (let due = happenings[next]; due && since + due.at <= now; due = happenings[next]) {
      next += 1;
      world.tick(Math.max(0, since + due.at - world.now()));
      happen(due);
    }
    world.tick(Math.max(0, now - world.now()));
  }

  const server = await serveWorld(world, {
    faults: (method) => {
      catchUp();
      const mishap = onRequest([method, ...(server.requests.at(-1)?.inner ?? [])]);
      if (mishap) return mishap;
      const bad = storm && random.chance(weather.request);
      return bad ? random.pick(['drop-before', 'drop-after', 'html-502'] as const) : 'none';
    },
  });
  const clock = setInterval(catchUp, TICK);
  return {
    world,
    since,
    url: server.url,
    note,
    catchUp,
    listen(listener: OnRequest) {
      onRequest = listener;
    },
    /** How many persons have wanted to act since they were last asked for. */
    takePersons() {
      const due = persons;
      persons = 0;
      return due;
    },
    isQuiet: () => next === happenings.length && world.state.live.size === 0,
    calm() {
      storm = false;
      for (const relief of Object.values(TROUBLES))
        if (relief in changes) changes[relief as keyof typeof changes]();
    },
    requests: () => server.requests.length,
    async close() {
      clearInterval(clock);
      await server.close();
    },
  };
}

// ---- being killed ---------------------------------------------------------------------------------

/** When a process is killed: real ms after its start, its store's file or its first request, or with the so-manieth one. */
type Moment =
  | { readonly when: 'within its start' | 'while it makes its store' | 'at its work'; readonly ms: number }
  | {
      readonly when: 'before a request' | 'after a request' | 'before a change' | 'after a change';
      readonly nth: number;
    };

/** @param first whether there is no store yet */
function drawMoment(random: Random, first: boolean): Moment {
  if (first && random.chance(0.5)) return { when: 'while it makes its store', ms: random.int(0, 40) };
  const when = random.pick([
    'within its start',
    'at its work',
    'at its work',
    'before a request',
    'after a request',
    'before a change',
    'after a change',
    'after a change',
  ] as const);
  if (when === 'within its start') return { when, ms: random.int(0, 600) };
  if (when === 'at its work') return { when, ms: random.int(0, 800) };
  return { when, nth: random.int(1, when.endsWith('change') ? 2 : 15) };
}

/** Kill it when its moment has come, with the reply to what it asks: undone before a request, lost after one. */
async function killAt(moment: Moment, { child, ended }: Program, hub: OpenHub, file: string) {
  let when: string | undefined;
  const strike = (at: string) => {
    when ??= at;
    child.kill('SIGKILL');
  };
  const timers = [setTimeout(strike, AT_LAST, 'before it asks anything')];
  const strikeIn = (ms: number, at: string) => timers.push(setTimeout(strike, ms, at));
  if (moment.when === 'within its start') strikeIn(moment.ms, moment.when);
  if (moment.when === 'while it makes its store') {
    const seen = setInterval(() => {
      if (!existsSync(file)) return;
      clearInterval(seen);
      strikeIn(moment.ms, moment.when);
    }, 1);
    timers.push(seen);
  }
  let [count, working] = [0, false];
  hub.listen((methods) => {
    if (!working) strikeIn(IN_VAIN, 'while it waits');
    if (!working && moment.when === 'at its work') strikeIn(moment.ms, moment.when);
    working = true;
    if (when || !('nth' in moment)) return undefined;
    if (!moment.when.endsWith('change') || methods.some((method) => CHANGES.test(method))) count += 1;
    if (count < moment.nth) return undefined;
    strike(moment.when);
    return moment.when.startsWith('before') ? 'drop-before' : 'drop-after';
  });
  try {
    return { ended: await ended, when: when ?? 'by itself' };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    hub.listen(() => undefined);
  }
}

// ---- looking --------------------------------------------------------------------------------------

/** Looks at hub and store while no process runs, and remembers what it has seen. */
function createWitness(
  { gates, store }: ReturnType<typeof configure>['config'],
  folder: string,
  hub: OpenHub,
) {
  const file = store.url.replace(/^sqlite:/, '');
  const entries: Entry[] = [];
  let seen: Look | undefined;
  let live = 0;
  let reader: Store | undefined;
  const watcher = watch({
    gates: () => gates,
    unreadable: READABLE,
    store: {
      get installation() {
        return reader?.installation ?? '';
      },
      run: async (id) => reader?.run(id),
    },
    entries,
  });

  async function ask(which: keyof Watcher, at: string): Promise<string[]> {
    return withStore(`sqlite:${at}`, 'read', async (store) => {
      reader = store;
      live = (await store.liveKernels()).length;
      return watcher[which](hub.world);
    });
  }

  return {
    file,
    hasStore: () => seen !== undefined,
    isDecided: () => seen !== undefined && live === 0,
    /**
     * Look at a copy, so that the next process finds the file as the last one left it.
     * @param printed what the process has told people
     */
    async look(printed: string): Promise<string[]> {
      const at = copyOf(file, folder);
      const now = lookAt(at);
      const lost = lostSince(seen, now).map((what) => `8: ${what}`);
      if (!now || lost.length > 0) return lost;
      for (const entry of now.journal.slice(entries.length)) {
        entries.push(entry);
        hub.note(`${entry.gate ?? '-'} ${entry.nvr}: ${entry.text}`, entry.at);
      }
      seen = now;
      const told = unrecorded(printed, entries).map((line) => `8: told, and not in the store: ${line}`);
      return [...told, ...(await ask('check', at))];
    },
    final: () => ask('final', file),
  };
}

/**
 * A database with what its log holds, under a name of its own: libsql keeps a closed connection open until its statements
 * are collected. For the same reason another process copies: whoever closes a file loses all the locks that it has on it.
 */
function copyOf(file: string, folder: string): string {
  const copy = join(mkdtempSync(join(folder, 'look-')), 'kmod-gate.db');
  for (const part of ['', '-wal'])
    if (existsSync(`${file}${part}`)) execFileSync('cp', [`${file}${part}`, `${copy}${part}`]);
  return copy;
}
