/** The checker is silent about honest plays, and finds a lie planted for each promise. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Entry, Gate, Order, Policy, Run, Waiver } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { newEvent, type State, type Task } from '../../src/sim/state.ts';
import { createSideTag, tagBuild, untagBuild } from '../../src/sim/tags.ts';
import { makeTask } from '../../src/sim/tasks.ts';
import { openStore } from '../../src/store/open.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from '../scenarios/stage.ts';
import { createChecker, digestOf, type View, type Violation } from './checker.ts';

const NEWEST = 'kernel-6.1.187-53.el9';
const HOUR = 3_600_000;
const IN_GATE = { tag: GATE.watch };
/** Without kmod-gamma, whose symbol is gone in NEW, every kmod builds. */
const FINE: Partial<Gate> = { kmods: { ...GATE.kmods, exclude: ['kmod-gamma'] } };
const SIDETAG: Partial<Gate> = { build: { ...GATE.build, repo: 'sidetag' } };
const policy = (more: Partial<Policy>): Partial<Gate> => ({ policy: { ...DEFAULT_POLICY, ...more } });
const ERROR = '/builddir/build/BUILD/kmod-alpha-1.0/alpha.c:12:3: error: too few arguments to function ‘f’';

const alpha =
  (result: Rule['result'], more: Partial<Rule> = {}) =>
  (small: Scenario): Scenario => ({
    ...small,
    rules: [
      {
        kmod: 'kmod-alpha',
        kernel: '*',
        arch: '*',
        result,
        log: result === 'fails' ? [ERROR] : [],
        times: null,
        ...more,
      },
    ],
  });
const withNewest = (small: Scenario): Scenario => {
  const model = small.kernels.find(({ nvr }) => nvr === NEW);
  return { ...small, kernels: model ? [...small.kernels, { ...model, ...splitNvr(NEWEST) }] : [] };
};

let stage: Stage;
afterEach(async () => stage.end());

const checkerOf = () =>
  createChecker({
    gates: () => [stage.gate],
    gateUser: 'kmod-gate',
    installation: () => stage.store.installation,
  });

/** Looks at a stage; the journal grows at its end, though kernels have one each. */
function observer() {
  const journal: Entry[] = [];
  const known = new Map<number, number>();
  let runs: readonly Run[] = [];
  return async (): Promise<View> => {
    const before = journal.length;
    for (const { id } of await stage.store.kernels()) {
      const lines = await stage.store.journal(id);
      journal.push(...lines.slice(known.get(id) ?? 0));
      known.set(id, lines.length);
    }
    if (journal.length > before) runs = await stage.store.runs(99);
    return { state: stage.world.state, runs, journal, now: stage.world.now() };
  };
}

/** Check a stage after every step; what was found is in the list. */
function watch(): Violation[] {
  const found: Violation[] = [];
  const [checker, view, step] = [checkerOf(), observer(), stage.step];
  stage.step = async () => {
    await step();
    found.push(...checker.check(await view()));
  };
  return found;
}

/** All that a checker finds that sees it for the first time. */
const wholeView = () => observer()();
const judge = (view: View) => checkerOf().final(view);

const waive = (more?: Partial<Waiver>) => stage.waive(more);
const order = (kind: Order['kind'], kmod?: string) => stage.order(kind, kmod);
const built = () => stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
const held = (what = 'held:') =>
  stage.until(`it is held: ${what}`, async () => (await stage.said(NEW))?.includes(what), 600);

interface Play {
  readonly options?: StageOptions;
  readonly act?: () => Promise<unknown>;
  /** How the newest run on NEW is closed; null: it is held. */
  readonly ends: string | null;
}

const PLAYS: Record<string, Play> = {
  'a promotion': { options: { gate: FINE }, ends: 'done' },
  'a promotion with a pinned repo': {
    options: { gate: { ...FINE, build: { ...GATE.build, repo: 'pin' } } },
    ends: 'done',
  },
  'a block': { ends: 'done' },
  'a side tag, and one for the baseline': { options: { gate: SIDETAG }, ends: 'done' },
  'a kmod that is already broken': {
    options: { gate: { ...FINE, ...SIDETAG }, scenario: alpha('fails') },
    ends: 'done',
  },
  'symbols alone': { options: { gate: { strategy: 'symbols', build: null } }, ends: 'done' },
  'symbols that spare builds': {
    options: { gate: { ...FINE, strategy: 'symbols-then-rebuild' } },
    ends: 'done',
  },
  'symbols and builds': { options: { gate: { ...SIDETAG, strategy: 'symbols-and-rebuild' } }, ends: 'done' },
  'a stablelist that is broken': {
    options: { gate: { ...FINE, stablelist: { effect: 'block', symbols: { '*': ['seq_printf'] } } } },
    ends: 'done',
  },
  'a gate that only observes': { options: { gate: { mode: 'observe' } }, ends: 'observed' },
  'two failures of a builder': {
    options: { gate: FINE, scenario: alpha('traceback', { times: 2 }) },
    ends: 'done',
  },
  'a hold for doubts': {
    options: { gate: FINE, scenario: alpha('mock-error') },
    act: () => held(),
    ends: null,
  },
  'a hold that ends as a promotion': {
    options: {
      gate: { ...FINE, ...policy({ longest_hold: 2 * HOUR, after_hold: 'promote' }) },
      scenario: alpha('mock-error'),
    },
    ends: 'done',
  },
  'a build that hangs, and doubts that pass': {
    options: {
      gate: { ...FINE, ...policy({ longest_run: 2 * HOUR, inconclusive: 'pass' }) },
      scenario: alpha('hangs'),
    },
    ends: 'done',
  },
  'a waiver before': { act: () => waive(), ends: 'done' },
  'a waiver after the block': {
    act: async () => {
      await stage.closed(NEW);
      await waive();
      stage.heard();
      await stage.until('it passes', () => stage.world.tags(NEW).includes('c9s-candidate'), 10);
    },
    ends: 'done',
  },
  'a retry': {
    options: { gate: FINE, scenario: alpha('mock-error', { times: 3 }) },
    act: async () => {
      await held('held: kmod-alpha');
      await order('retry');
    },
    ends: 'done',
  },
  'a person who holds it': {
    options: { gate: FINE },
    act: async () => {
      await built();
      await order('hold');
      await held('held by ada');
    },
    ends: null,
  },
  'a person who cancels the run': {
    options: { gate: { ...FINE, ...SIDETAG } },
    act: async () => {
      await built();
      await order('cancel');
    },
    ends: 'cancelled',
  },
  'a person who takes it out': {
    act: async () => {
      await built();
      stage.world.as('kojiadmin').untagBuild('c9s-gate', NEW);
    },
    ends: 'taken-over',
  },
  'a person who tags it in again': {
    act: async () => {
      await stage.closed(NEW);
      stage.world.as('kojiadmin').moveBuild('c9s-blocked', 'c9s-gate', NEW);
      await stage.until('a second run', async () => (await stage.run(NEW))?.generation === 2);
    },
    ends: 'done',
  },
  'an older kernel, superseded': {
    options: { gate: FINE, scenario: withNewest },
    act: async () => {
      stage.world.completeKernel(NEWEST, IN_GATE);
      await stage.closed(NEWEST);
    },
    ends: 'superseded',
  },
  'a newer kernel that ends the run': {
    options: { gate: { ...FINE, ...SIDETAG, ...policy({ supersede: 'cancel' }) }, scenario: withNewest },
    act: async () => {
      await built();
      stage.world.completeKernel(NEWEST, IN_GATE);
      await stage.closed(NEWEST);
    },
    ends: 'superseded',
  },
  'a process that is killed after every look': {
    options: { gate: SIDETAG },
    act: () =>
      stage.until('it is decided', async () => {
        await stage.restart();
        return (await stage.run(NEW))?.closing;
      }),
    ends: 'done',
  },
};

async function perform({ options, act, ends }: Play): Promise<Violation[]> {
  stage = await setStage(options);
  const found = watch();
  stage.hear();
  stage.world.completeKernel(NEW, IN_GATE);
  await act?.();
  if (ends !== null) expect((await stage.closed(NEW, 300)).closing?.how).toBe(ends);
  return found;
}

describe('nothing is said of', () => {
  test.each(Object.entries(PLAYS))('%s', async (_, play) => {
    expect(await perform(play)).toEqual([]);
    expect(judge(await wholeView())).toEqual([]);
  });
});

// ---- lies ----------------------------------------------------------------------------------------------

const gateUser = () => {
  const user = stage.world.state.users.find(({ name }) => name === 'kmod-gate');
  if (!user) throw new Error('no gate user');
  return user;
};
const tagOf = (name: string) => {
  const tag = stage.world.state.tags.find((one) => one.name === name);
  if (!tag) throw new Error(`no tag ${name}`);
  return tag;
};
const buildOf = (nvr: string) => {
  const build = stage.world.build(nvr);
  if (!build) throw new Error(`no build ${nvr}`);
  return build;
};
const scratch = (kmod = 'kmod-alpha') => {
  const [task] = stage.scratchBuilds(kmod);
  if (!task) throw new Error('never built');
  return task;
};
/** One more build by the gate's hand. */
const buildAgain = (like: Task, ...request: Task['request']) =>
  makeTask(stage.world.state, { method: 'build', request, owner: like.owner });

type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
const runIn = (view: View, nvr = NEW): Mutable<Run> => {
  const run = view.runs.find(({ kernel }) => kernel.nvr === nvr);
  if (!run) throw new Error('no run');
  return run as Mutable<Run>;
};
const endingIn = (view: View, kmod: string) => {
  const ending = runIn(view).intents.find(({ write }) => 'kmod' in write && write.kmod === kmod)?.ending;
  if (!ending || ending.how === 'lost' || !ending.build) throw new Error('no evidence');
  return ending.build;
};
const rewrite = (task: Task, change: Partial<Task>) => Object.assign(task, change);
/** Another truth than that which was played. */
const really = (state: State, rule: Pick<Rule, 'kmod' | 'result'> & Partial<Rule>) =>
  void (state.scenario.rules as Rule[]).unshift({
    kernel: '*',
    arch: '*',
    log: [],
    times: null,
    ...rule,
  });
const leaveKernelOut = (state: State) => {
  for (const root of state.buildroots) {
    const others = root.rpms.filter(({ build_id }) => build_id !== stage.buildId(NEW));
    Object.assign(root, { rpms: others });
  }
};

interface Lie {
  readonly play: Play;
  readonly lie: (view: View) => unknown;
  readonly promise: number;
  readonly says: RegExp;
}

const PROMOTED = PLAYS['a promotion'] as Play;
const BLOCKED = PLAYS['a block'] as Play;
const WAIVED = PLAYS['a waiver before'] as Play;
const TAKEN = PLAYS['a person who takes it out'] as Play;

const LIES: Record<string, Lie> = {
  'a promotion of what was built against another kernel': {
    play: PROMOTED,
    lie: ({ state }) => leaveKernelOut(state),
    promise: 1,
    says: /H: nothing showed that kmod-alpha-1.0-1.el9 on x86_64 is fine/,
  },
  'a promotion of what does not compile': {
    play: PROMOTED,
    lie: ({ state }) => really(state, { kmod: 'kmod-alpha', kernel: NEW, result: 'fails' }),
    promise: 1,
    says: /P: it newly breaks kmod-alpha-1.0-1.el9 on x86_64, fine with kernel-6.1.170-47.el9/,
  },
  'a promotion of what did not compile before, where nothing shows that': {
    play: PROMOTED,
    lie: ({ state }) => really(state, { kmod: 'kmod-alpha', result: 'fails' }),
    promise: 1,
    says: /H: nothing showed that kmod-alpha-1.0-1.el9 on x86_64 is broken already/,
  },
  'a promotion in the name of what was broken before': {
    play: {
      options: { gate: { ...FINE, ...SIDETAG }, scenario: alpha('fails') },
      ends: 'done',
    },
    lie: (view) => {
      for (const kmod of runIn(view).kmods) kmod.required = kmod.name === 'kmod-alpha';
    },
    promise: 1,
    says: /P: no required kmod was really tried and fine/,
  },
  'a block of what compiles': {
    play: BLOCKED,
    lie: ({ state }) => really(state, { kmod: 'kmod-gamma', result: 'builds' }),
    promise: 1,
    says: /is blocked: [BH]: it newly breaks none of kmod-alpha/,
  },
  'a promotion by a waiver that had ended': {
    play: WAIVED,
    lie: (view) => {
      for (const waiver of runIn(view).waivers) waiver.ends = waiver.at - HOUR;
    },
    promise: 1,
    says: /P: it newly breaks kmod-gamma/,
  },
  'a promotion by a waiver for another kernel': {
    play: WAIVED,
    lie: (view) => {
      for (const waiver of runIn(view).waivers) waiver.kernel = OLD;
    },
    promise: 1,
    says: /P: it newly breaks kmod-gamma/,
  },
  'a promotion by symbols that changed': {
    play: {
      options: { gate: { strategy: 'symbols', ...FINE } },
      act: () => waive({ kmod: 'kmod-beta' }),
      ends: 'done',
    },
    lie: (view) => {
      runIn(view).waivers = [];
    },
    promise: 1,
    says: /P: it newly breaks kmod-beta-2.1-3.el9/,
  },
  'a promotion of nothing': {
    play: PROMOTED,
    lie: (view) => {
      runIn(view).kmods = [];
    },
    promise: 1,
    says: /P: no required kmod was really tried and fine/,
  },
  'a promotion without one of the kmods': {
    play: PROMOTED,
    lie: (view) => runIn(view).kmods.pop(),
    promise: 1,
    says: /kmod-beta-2.1-3.el9 stands in kmods9s-release and is not tried/,
  },
  'a pass tag without a verdict': {
    play: BLOCKED,
    lie: ({ state }) => tagBuild(state, gateUser(), buildOf(NEW), tagOf('c9s-candidate'), null),
    promise: 1,
    says: /into c9s-candidate without a verdict/,
  },
  'a kernel that is watched and forgotten': {
    play: { ...PROMOTED, options: { ...PROMOTED.options, scenario: withNewest } },
    lie: () => stage.world.completeKernel(NEWEST, IN_GATE),
    promise: 2,
    says: /kernel-6.1.187-53.el9 stands in c9s-gate, and gate c9s has no run/,
  },
  'a blocked kernel that stays for the sake of a newer one': {
    play: BLOCKED,
    lie: (view) => {
      const { closing } = runIn(view);
      if (closing) closing.how = 'superseded';
    },
    promise: 2,
    says: /is blocked, and is left where it stands/,
  },
  'a build that is made twice': {
    play: PROMOTED,
    lie: () => buildAgain(scratch(), ...scratch().request),
    promise: 3,
    says: /are both c9s\/\d+\/1\/kmod-alpha\/1/,
  },
  'two builds at one time': {
    play: { options: { gate: FINE, scenario: alpha('traceback', { times: 1 }) }, ends: 'done' },
    lie: () => rewrite(scratch(), { completion: stage.world.now() }),
    promise: 3,
    says: /are both alive for c9s\/\d+\/1 kmod-alpha/,
  },
  'more builds than may be': {
    play: { options: { gate: { ...FINE, build: { ...GATE.build, max_active: 1 } } }, ends: 'done' },
    lie: () => rewrite(scratch(), { completion: stage.world.now() }),
    promise: 3,
    says: /gate c9s has 2 builds alive/,
  },
  'one try too many': {
    play: PLAYS['a retry'] as Play,
    lie: (view) => {
      runIn(view).orders = [];
    },
    promise: 3,
    says: /kmod-alpha {2}is tried 4 times|kmod-alpha is tried 4 times/,
  },
  'a build that was given up and is there': {
    play: PROMOTED,
    lie: (view) => {
      for (const intent of runIn(view).intents)
        if (intent.write.kind === 'scratch-build')
          intent.ending = { at: intent.askedAt, fact: intent.fact, how: 'lost' };
    },
    promise: 3,
    says: /was given up, and is task/,
  },
  'a tag that is nowhere configured': {
    play: PROMOTED,
    lie: ({ state }) => tagBuild(state, gateUser(), buildOf(NEW), tagOf('c9s-build'), null),
    promise: 4,
    says: /tagged kernel-6.1.176-50.el9 into c9s-build/,
  },
  'another package in a configured tag': {
    play: PROMOTED,
    lie: ({ state }) =>
      untagBuild(state, gateUser(), buildOf('kmod-beta-2.1-3.el9'), tagOf('kmods9s-release'), true),
    promise: 4,
    says: /untagged kmod-beta-2.1-3.el9 from kmods9s-release/,
  },
  'a tag changed by a gate that observes': {
    play: PLAYS['a gate that only observes'] as Play,
    lie: ({ state }) => tagBuild(state, gateUser(), buildOf(NEW), tagOf('c9s-blocked'), null),
    promise: 4,
    says: /into c9s-blocked/,
  },
  'a build in another target': {
    play: PROMOTED,
    lie: () => {
      const [source, , options] = scratch().request;
      rewrite(scratch(), { request: [source ?? null, 'rawhide', options ?? null] });
    },
    promise: 4,
    says: /builds in rawhide/,
  },
  'a real build': {
    play: PROMOTED,
    lie: () => {
      const [source, target, options] = scratch().request;
      rewrite(scratch(), {
        request: [source ?? null, target ?? null, { ...(options as object), scratch: false }],
      });
    },
    promise: 4,
    says: /is no scratch build/,
  },
  'an older kernel on top of a newer one': {
    play: { ...PROMOTED, options: { ...PROMOTED.options, scenario: withNewest } },
    lie: ({ state }) => {
      const newest = stage.world.completeKernel(NEWEST);
      const old = state.listings.find(
        ({ build_id, tag_id }) => build_id === stage.buildId(OLD) && tag_id === tagOf('c9s-candidate').id,
      );
      if (old) Object.assign(old, { build_id: newest });
    },
    promise: 5,
    says: /tagged kernel-6.1.176-50.el9 into c9s-candidate, in place of kernel-6.1.187-53.el9/,
  },
  'evidence of another build root': {
    play: BLOCKED,
    lie: (view) => {
      const [arch] = endingIn(view, 'kmod-alpha').arches;
      if (arch) arch.buildroot = [{ id: stage.buildId(OLD), nvr: OLD }];
    },
    promise: 6,
    says: /its build root on x86_64 held \d+/,
  },
  'evidence of another task': {
    play: BLOCKED,
    lie: (view) => {
      const [one, other] = runIn(view).intents.filter(({ write }) => write.kind === 'scratch-build');
      if (one?.receipt && other?.receipt) one.receipt.task = other.receipt.task as number;
    },
    promise: 6,
    says: /is not its own/,
  },
  'evidence that a build was fine': {
    play: BLOCKED,
    lie: (view) => {
      endingIn(view, 'kmod-gamma').state = 'closed';
    },
    promise: 6,
    says: /not closed/,
  },
  'symbols of another kernel': {
    play: PLAYS['symbols alone'] as Play,
    lie: (view) => {
      const beta = runIn(view).symbols?.kmods.find(({ kmod }) => kmod === 'kmod-beta');
      for (const arch of beta?.arches ?? []) arch.answer = 'compatible';
    },
    promise: 6,
    says: /symbols of kmod-beta in .* are told as compatible on x86_64/,
  },
  'a person who is not heeded': {
    play: TAKEN,
    lie: (view) => {
      const run = runIn(view);
      const at = stage.world.now() + 60_000;
      const id = `${run.id}/tag/1`;
      run.intents.push({ id, fact: 99, write: { kind: 'tag', tag: 'c9s-blocked' }, askedAt: at });
      if (run.closing) run.closing.how = 'done';
    },
    promise: 7,
    says: /tag\/1 is asked although it was taken out of c9s-gate by hand/,
  },
  'a person who is not named': {
    play: TAKEN,
    lie: (view) => {
      const run = runIn(view);
      if (run.closing) Object.assign(run.closing, { how: 'done', at: view.now });
    },
    promise: 7,
    says: /is closed as done although it was taken out of c9s-gate by hand/,
  },
  'a person who never was': {
    play: PROMOTED,
    lie: (view) => {
      const run = runIn(view);
      if (run.closing) run.closing.how = 'taken-over';
    },
    promise: 7,
    says: /is taken over by hand, and nobody touched it/,
  },
  'a build that nobody recorded': {
    play: PROMOTED,
    lie: (view) => {
      const run = runIn(view);
      run.intents = run.intents.filter(({ write }) => write.kind !== 'scratch-build');
    },
    promise: 8,
    says: /was recorded nowhere before it was sent/,
  },
  'a tag that nobody recorded': {
    play: PROMOTED,
    lie: (view) => {
      const run = runIn(view);
      run.intents = run.intents.filter(({ write }) => write.kind !== 'tag');
    },
    promise: 8,
    says: /recorded nowhere before/,
  },
  'a side tag that is left': {
    play: PLAYS['a side tag, and one for the baseline'] as Play,
    lie: ({ state }) => createSideTag(state, gateUser(), tagOf('kmods9s-build')),
    promise: 9,
    says: /kmods9s-build-side-\d+ is left/,
  },
  'a task that is left': {
    play: PROMOTED,
    lie: ({ state }) => state.live.add(scratch()),
    promise: 9,
    says: /task \d+ \(build\) is left/,
  },
  'a run that never ends': {
    play: PROMOTED,
    lie: (view) => {
      delete (runIn(view) as { closing?: unknown }).closing;
    },
    promise: 9,
    says: /does not end/,
  },
  'a hold that never ends': {
    play: {
      options: { gate: { ...FINE, ...policy({ longest_hold: HOUR }) }, scenario: alpha('mock-error') },
      act: () => held('held: kmod-alpha'),
      ends: null,
    },
    lie: (view) => Object.assign(view, { now: view.now + 3 * HOUR }),
    promise: 9,
    says: /held for longer/,
  },
};

describe('a lie is found', () => {
  test.each(Object.entries(LIES))('%s', async (_, { play, lie, promise, says }) => {
    await perform(play);
    const view = await wholeView();
    expect(judge(view)).toEqual([]);
    lie(view);
    newEvent(stage.world.state);
    expect(judge(view)).toContainEqual({ promise, text: expect.stringMatching(says) });
  });

  test('a fact that was recorded and is gone', async () => {
    await perform(PROMOTED);
    const view = await wholeView();
    const checker = checkerOf();
    expect(checker.check(view)).toEqual([]);
    const runs = view.runs.map((run) => ({ ...run, intents: run.intents.slice(1) }));
    expect(checker.check({ ...view, runs })).toContainEqual({
      promise: 8,
      text: expect.stringMatching(/has lost c9s/),
    });
  });
});

test('what is shown is the same after the store was opened again, and else is not', async () => {
  await perform(PROMOTED);
  const view = await wholeView();
  expect(digestOf(await wholeView())).toBe(digestOf(view));
  expect(digestOf({ ...view, journal: view.journal.slice(1) })).not.toBe(digestOf(view));
  const empty = await openStore('sqlite::memory:', { mode: 'write' });
  expect(digestOf({ runs: await empty.runs(9), journal: [] })).toBe('');
  await empty.close();
});

/** The same, and each read of a property of it, however deep, is told; a thing has one such twin, as it has one self. */
function watched<T extends object>(whole: T, onRead: () => void): T {
  const twins = new WeakMap<object, object>();
  const twin = (thing: object): object => {
    const known = twins.get(thing);
    if (known) return known;
    const made = new Proxy(thing, {
      get(target, key) {
        onRead();
        const value: unknown = Reflect.get(target, key);
        const inside = target instanceof Map || target instanceof Set;
        if (typeof value === 'function') return inside ? value.bind(target) : value;
        return typeof value === 'object' && value !== null ? twin(value) : value;
      },
    });
    twins.set(thing, made);
    return made;
  };
  return twin(whole) as T;
}

test('a look at an unchanged world costs next to nothing', async () => {
  await perform(PLAYS['a side tag, and one for the baseline'] as Play);
  let reads = 0;
  const view = watched(await wholeView(), () => {
    reads += 1;
  });
  const checker = checkerOf();
  checker.check(view);
  const first = reads;
  checker.check(view);
  expect(reads - first).toBeLessThan(first / 50);
});
