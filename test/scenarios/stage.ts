/** A stage for scenarios: a Koji in memory behind real HTTP, and a gate whose clock is that Koji's clock. */
import { pino } from 'pino';
import { decode } from '../../src/bus/decode.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import {
  type Building,
  type Gate,
  type Hint,
  type Order,
  type Run,
  TASK,
  type Waiver,
} from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { connectHub } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import type { TypesOf } from '../../src/reconciler/context.ts';
import { createReconciler, type ReconcilerOptions } from '../../src/reconciler/reconciler.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { type ServeOptions, serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';

export const SMALL = new URL('../sim/small.toml', import.meta.url).pathname;
export const OLD = 'kernel-6.1.170-47.el9';
export const NEW = 'kernel-6.1.176-50.el9';

export const GATE: Gate & { readonly build: Building } = {
  name: 'c9s',
  kernels: ['kernel'],
  watch: 'c9s-gate',
  mode: 'enforce',
  strategy: 'rebuild',
  variant: '',
  stablelist: null,
  kmods: { tag: 'kmods9s-release', include: ['kmod-*'], exclude: [], advisory: [], arches: {} },
  arches: null,
  baseline: null,
  rebuild: null,
  policy: DEFAULT_POLICY,
  build: { target: 'kmods9s-gate', repo: 'wait', priority: 5, max_active: 20 },
  on_pass: { tag: ['c9s-candidate'], untag: ['c9s-gate'] },
  on_fail: { tag: ['c9s-blocked'], untag: ['c9s-gate'] },
};

export interface StageOptions {
  readonly gate?: Partial<Gate>;
  /** More gates, asked before the first one. */
  readonly others?: readonly Gate[];
  readonly scenario?: (small: Scenario) => Scenario;
  readonly faults?: ServeOptions['faults'];
  /** The address that gate processes use, given the hub's own. */
  readonly via?: (hub: string) => Promise<string>;
  /** How many keys of a gate process are at work at a time. */
  readonly lanes?: number;
  /** So long looks of a gate process wait for a request that they share, in milliseconds. */
  readonly patience?: number;
  /** Deadline of one call of a gate process, in milliseconds. */
  readonly timeout?: number;
  /** Where gate processes have the types of kernels from. */
  readonly typesOf?: TypesOf;
  /** Of gate processes: what Greenwave says, by the stage's clock. */
  readonly askGreenwave?: (now: () => number) => ReconcilerOptions['askGreenwave'];
  /** Asked for each gate process: what it has in place of its hub and store. */
  readonly around?: (parts: Parts) => Parts;
}

/** All that a gate process reaches the outside with. */
export interface Parts {
  readonly hub: Hub;
  readonly store: Store;
}

/** Simulated milliseconds between two looks of the stage. */
const STEP = 5_000;
const MINUTE = 60_000;
/** So often the event loop goes round before time goes on, where nothing is waited for. */
const TURNS = 20;

/** Through the message and back: what the gate's decoder makes of it. */
function hintsOf(message: BusMessage | null): Hint[] {
  if (!message) return [];
  const decoded = decode(message);
  if (decoded.kind === 'undecodable') throw new Error(`undecodable: ${decoded.why}`);
  return decoded.kind === 'hints' ? [...decoded.hints] : [];
}

export type Stage = Awaited<ReturnType<typeof setStage>>;

export async function setStage(options: StageOptions = {}) {
  const small = loadScenario(SMALL);
  const world = createWorld(options.scenario?.(small) ?? small);
  const server = await serveWorld(world, options.faults ? { faults: options.faults } : {});
  const url = (await options.via?.(server.url)) ?? server.url;
  const { timeout = 5_000 } = options;
  const gate: Gate = { ...GATE, ...options.gate };
  const store = await openStore('sqlite::memory:', { mode: 'write' });
  const account = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
  const log = pino({ level: 'silent' });
  const askGreenwave = options.askGreenwave?.(() => world.now());

  /** A gate process; a second one is what starts after the first was killed: same store, nothing else. */
  function start(gates: readonly Gate[] = [...(options.others ?? []), gate], typesOf = options.typesOf) {
    const hub = connectHub({ server: url, ...account, timeout, random: () => 0.5 });
    const pace = { every: 5 * MINUTE, poll: 30_000, settle: 10_000 };
    const reconciler = createReconciler({
      gates,
      pace,
      ...(options.around?.({ hub, store }) ?? { hub, store }),
      log,
      now: () => world.now(),
      random: () => 0.5,
      ...(options.lanes && { lanes: options.lanes }),
      ...(options.patience && { patience: options.patience }),
      ...(typesOf && { typesOf }),
      ...(askGreenwave && { askGreenwave }),
    });
    return { hub, reconciler };
  }
  let process = start();
  const unlisten = new Set<() => void>();

  const stage = {
    world,
    store,
    server,
    gate,
    hint: (hint: Hint) => process.reconciler.hint(hint),
    /** The gate hears that a person has spoken. */
    heard: () => process.reconciler.hearPeople(),
    /** The gate hears of everything that happens, as the bus would tell it. */
    hear(deliver: (hints: Hint[]) => void = (hints) => hints.forEach(stage.hint)): void {
      unlisten.add(world.onMessage((event) => deliver(hintsOf(busMessage(event, { family: 'fedora' })))));
    },
    /** One look of the gate, then time passes. */
    async step(length = STEP): Promise<void> {
      await process.reconciler.step();
      world.tick(length);
    },
    /** So much time passes, in steps of that length. */
    async pass(ms: number, length = STEP): Promise<void> {
      const end = world.now() + ms;
      while (world.now() < end) await stage.step(length);
    },
    /** Let the gate and the world run until something holds. Throws when it does not within the given minutes. */
    async until(what: string, holds: () => unknown, minutes = 60): Promise<void> {
      const end = world.now() + minutes * MINUTE;
      while (!(await holds())) {
        if (world.now() > end)
          throw new Error(`${what}: not within ${minutes} minutes\n${await stage.story()}`);
        await stage.step();
      }
    },
    /** As `until`, for where something of the gate's waits: nothing that is at work is waited for. */
    async turning(what: string, holds: () => unknown, minutes = 60): Promise<void> {
      const end = world.now() + minutes * MINUTE;
      while (!(await holds())) {
        if (world.now() > end)
          throw new Error(`${what}: not within ${minutes} minutes\n${await stage.story()}`);
        process.reconciler.turn();
        // Time passes only while the gate has nothing to do that it could do.
        for (let i = 0; i < TURNS; i++) await new Promise(setImmediate);
        world.tick(1_000);
      }
    },
    /** Forget all but the store, as a killed process does, and start again. */
    async restart(gates?: readonly Gate[], typesOf?: TypesOf): Promise<void> {
      await process.hub.close();
      process = start(gates, typesOf);
    },
    buildId: (nvr: string): number => {
      const build = world.build(nvr);
      if (!build) throw new Error(`${nvr} is not built`);
      return build.id;
    },
    run: (nvr: string): Promise<Run | undefined> => store.latestRun(gate.name, stage.buildId(nvr)),
    /** Run until the newest run on a kernel is over; answers that run. */
    async closed(nvr: string, minutes?: number): Promise<Run> {
      await stage.until(`${nvr} is decided`, async () => (await stage.run(nvr))?.closing, minutes);
      return (await stage.run(nvr)) as Run;
    },
    /** A person waives kmod-gamma for NEW, or what `more` says; the gate is not told. */
    waive: (more: Partial<Waiver> = {}) =>
      store.waive(
        {
          at: world.now(),
          by: 'ada',
          reason: 'the vendor knows',
          gate: null,
          kernel: NEW,
          kmod: 'kmod-gamma',
          until: null,
          ...more,
        },
        [],
      ),
    /** A person asks something of the run on NEW, and the gate hears of it. */
    async order(kind: Order['kind'], kmod: string | null = null): Promise<void> {
      const run = await stage.run(NEW);
      if (!run) throw new Error('no run yet');
      await store.order(run, { at: world.now(), by: 'ada', kind, reason: 'says so', kmod });
      stage.heard();
    },
    /** What is said of a kernel now. */
    said: (nvr: string) => store.lastSaid(gate.name, stage.buildId(nvr)),
    async story(): Promise<string> {
      const lines = (await store.kernels()).map(async ({ id }) =>
        (await store.journal(id)).map(({ text }) => text).join('\n'),
      );
      return (await Promise.all(lines)).join('\n---\n');
    },
    /** Scratch builds of a kmod that the hub has ever seen. */
    scratchBuilds: (kmod: string) =>
      world
        .tasks()
        .filter((task) => task.method === 'build' && JSON.stringify(task.request[0]).includes(`/${kmod}/`)),
    async end(): Promise<void> {
      for (const stop of unlisten) stop();
      await process.hub.close();
      await server.close();
      await store.close();
    },
  };
  return stage;
}

const ALIVE: readonly number[] = [TASK.FREE, TASK.OPEN, TASK.ASSIGNED];

/** What there is at the end of the runs, on the hub and in the store. */
export async function endOf({ world, store, scratchBuilds }: Stage) {
  const runs = await store.runs(9);
  const gate = world.state.users.find(({ name }) => name === 'kmod-gate')?.id;
  return {
    tags: world.tags(NEW),
    runs: runs.map(({ closing }) => closing?.how),
    scratchBuilds: world.state.scenario.kmods.map(({ name }) => [name, scratchBuilds(name).length]),
    sideTags: world.call({ method: 'listSideTags', params: [] }),
    openIntents: runs.flatMap(({ intents }) => intents.filter(({ ending }) => !ending).map(({ id }) => id)),
    liveTasks: world
      .tasks()
      .filter(({ owner, state }) => owner === gate && ALIVE.includes(state))
      .map(({ id, method }) => [id, method]),
  };
}
