import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Ending, Kmod, Run, Waiver, Write } from '../../src/core/model.ts';
import { createCache } from '../../src/store/cache.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { BUILDS, FAILS, KERNEL, kmod, NEWER, OTHER } from '../core/facts.ts';
import { kinds } from './places.ts';

const KERNELS = [OTHER, KERNEL, NEWER] as const;
const KMODS = [kmod('kmod-a'), { ...kmod('kmod-b'), buildId: 2 }] as const;
const BASELINES = [null, ...KERNELS.map(({ id, nvr }) => ({ id, nvr }))] as const;
const ENDINGS = [
  (at: number): Ending => ({ at, how: 'done', build: BUILDS }),
  (at: number): Ending => ({ at, how: 'failed', why: 'it does not build', build: FAILS }),
  (at: number): Ending => ({ at, how: 'lost' }),
] as const;

/** Chooses one, by numbers that fast-check draws and makes small. */
type Pick = <T>(from: readonly [T, ...T[]]) => T;

/** What is known before a step, and who may take it: `person` is the gate, or a command beside it. */
interface Scene {
  readonly gate: Store;
  readonly person: Store;
  readonly at: number;
  readonly runs: readonly Run[];
  readonly waivers: readonly Waiver[];
  readonly pick: Pick;
}

const some = <T>(items: readonly T[]): items is readonly [T, ...T[]] => items.length > 0;

/** A step that is taken with one of the runs, where there is such a one. */
const withRun =
  (take: (run: Run, scene: Scene) => Promise<unknown>, fits: (run: Run) => boolean = () => true) =>
  async (scene: Scene): Promise<unknown> => {
    const fitting = scene.runs.filter(fits);
    return some(fitting) ? take(scene.pick(fitting), scene) : undefined;
  };
const live = ({ closing }: Run): boolean => !closing;

const STEPS: Record<string, (scene: Scene) => Promise<unknown>> = {
  begin({ gate, at, runs, pick }) {
    const name = pick(['c9s', 'c9s', 'c10s']);
    const kernel = pick(KERNELS);
    const generation = runs.filter((run) => run.gate === name && run.kernel.id === kernel.id).length + 1;
    // A clock that was put back changes which run was the next one after a waiver.
    const startedAt = at - pick([0, 0, 20]);
    const baseline = pick(BASELINES);
    const id = `${name}/${kernel.id}/${generation}`;
    const rest = { entry: at, tags: [], kmods: KMODS, strategy: 'rebuild' as const };
    return gate.beginRun({ id, gate: name, kernel, generation, startedAt, baseline, ...rest });
  },
  intend: withRun((run, { gate, at, pick }) => {
    const { name, source } = pick(KMODS);
    const against = pick([run.baseline, null]);
    const build: Write = { kind: 'scratch-build', kmod: name, source, target: 't', priority: 5 };
    return gate.intend(
      run,
      [
        { ...build, ...(against && { against }) },
        { kind: 'tag', tag: 'x' },
      ],
      at,
    );
  }),
  receive: withRun((run, { gate, at, pick }) => {
    const open = run.intents.filter(({ receipt }) => !receipt);
    return some(open) ? gate.receive(run, pick(open), { at, task: at }) : Promise.resolve();
  }),
  end: withRun((run, { gate, at, pick }) => {
    const open = run.intents.filter(({ ending }) => !ending);
    return some(open) ? gate.end(run, pick(open), pick(ENDINGS)(at)) : Promise.resolve();
  }),
  symbols: withRun((run, { gate, at }) =>
    gate.showSymbols(run, { kmods: [], change: null, stablelist: null }, at),
  ),
  select: withRun((run, { gate, at, pick }) =>
    gate.select(run, pick<readonly Kmod[]>([KMODS, [KMODS[0]], []]), at),
  ),
  baseline: withRun(
    (run, { gate, at }) => gate.findBaseline(run, OTHER, { repo: 4, why: '' }, at),
    ({ baselineRepos }) => !baselineRepos[OTHER.id],
  ),
  judge: withRun((run, { gate, at, pick }) =>
    gate.judge(run, { verdict: pick(['block', 'promote']), reasons: [] }, [], at),
  ),
  close: withRun((run, { gate, at }) => gate.closeRun(run, { at, how: 'done', why: '' }), live),
  reopen: withRun(
    (run, { gate, at }) => gate.reopen(run, '', at),
    (run) => !live(run),
  ),
  say: withRun(({ gate: name, kernel, id }, { gate, at }) => gate.say(name, kernel, id, `at ${at}`, at)),
  waive({ person, at, pick }) {
    const kernel = pick(['next', KERNEL.nvr, 'kernel-*']);
    const of = pick([null, 'c9s']);
    return person.waive({ at, by: 'ada', reason: '', gate: of, kernel, kmod: '*', until: null }, []);
  },
  async unwaive({ person, at, waivers, pick }) {
    const standing = waivers.filter(({ ended }) => !ended);
    if (some(standing)) await person.endWaiver(pick(standing), 'ada', at, []);
  },
  order: withRun(
    (run, { person, at, pick }) =>
      person.order(run, { at, by: 'ada', kind: pick(['retry', 'hold']), reason: '', kmod: null }),
    live,
  ),
};
/** The frequent ones are those that facts of other runs come from. */
const NAMES = [...Object.keys(STEPS), 'begin', 'intend', 'intend', 'end', 'end', 'end', 'waive'];

/** All that a store tells of its runs. */
async function told(store: Store): Promise<unknown> {
  const runs = await store.runs(1_000);
  return {
    runs,
    each: await Promise.all(runs.map(({ id }) => store.run(id))),
    live: await store.liveRuns(),
    of: await Promise.all(KERNELS.map(({ id }) => store.runsOf(id))),
    latest: await Promise.all(KERNELS.map(({ id }) => store.latestRun('c9s', id))),
  };
}

const step = fc.record({
  name: fc.constantFrom(...NAMES),
  choices: fc.array(fc.nat(11), { minLength: 6, maxLength: 6 }),
  /** Whether reads are under way while it is taken. */
  reading: fc.boolean(),
  beside: fc.boolean(),
});

test.each(await kinds())(
  'the same runs come from the gate, from commands beside it, and from a store that was just opened: $name',
  {
    timeout: 120_000,
  },
  async ({ name: kind, make }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 25, maxLength: 40 }), async (steps) => {
        const place = await make();
        const { url } = place;
        const gate = await openStore(url, { mode: 'write' });
        const beside = await openStore(url, { mode: 'append' });
        const reader = await openStore(url, { mode: 'read' });
        try {
          for (const kernel of KERNELS) await gate.seeKernel(kernel, 1);
          for (const [i, { name, choices, ...how }] of steps.entries()) {
            let chosen = 0;
            const pick: Pick = (from) => from[(choices[chosen++] ?? 0) % from.length] ?? from[0];
            const scene = { gate, person: how.beside ? beside : gate, at: 100 + i, pick };
            const known = { runs: await gate.runs(1_000), waivers: await gate.waivers() };
            const reads = how.reading ? [told(gate), told(beside)] : [];
            await Promise.all([STEPS[name]?.({ ...scene, ...known }), ...reads]);
            const fresh = await openStore(url, { mode: 'read' });
            const truth = await told(fresh).finally(() => fresh.close());
            for (const store of [gate, beside, reader]) expect(await told(store)).toEqual(truth);
            const idsOf = (runs: readonly { id: string }[]) => runs.map(({ id }) => id).toSorted();
            const lives = (await gate.runs(1_000)).filter(live);
            expect(idsOf(await gate.liveKernels())).toEqual(idsOf(lives));
          }
        } finally {
          for (const store of [gate, beside, reader]) await store.close();
          await place.drop();
        }
      }),
      // Making a failure small takes minutes; its steps are few enough to read.
      { numRuns: kind === 'SQLite' ? 12 : 3, endOnFailure: true },
    );
  },
);

/** A gate that has seen all kernels, in memory. */
async function gateOf(kernels = KERNELS): Promise<Store> {
  const gate = await openStore('sqlite::memory:', { mode: 'write' });
  for (const kernel of kernels) await gate.seeKernel(kernel, 1);
  return gate;
}

async function begin(gate: Store, kernel: Run['kernel'], startedAt: number, baseline: Run['baseline']) {
  const id = `c9s/${kernel.id}/1`;
  const rest = { generation: 1, entry: 1, tags: [], kmods: KMODS, strategy: 'rebuild' as const };
  await gate.beginRun({ id, gate: 'c9s', kernel, startedAt, baseline, ...rest });
  return async () => (await gate.run(id)) as Run;
}

test('a build that ends is in the past of runs whose baseline it was tried against', async () => {
  const gate = await gateOf();
  const runs = [
    await begin(gate, KERNEL, 2, OTHER),
    await begin(gate, NEWER, 3, OTHER),
    await begin(gate, OTHER, 4, null),
  ] as const;
  const [first, second, baseline] = runs;
  const build = async (read: () => Promise<Run>, against: Run['baseline']) => {
    const { name, source } = KMODS[0];
    const write: Write = { kind: 'scratch-build', kmod: name, source, target: 't', priority: 5 };
    const [intent] = await gate.intend(await read(), [{ ...write, ...(against && { against }) }], 5);
    const devel = { id: (against ?? (await read()).kernel).id, nvr: 'kernel-devel-1-1' };
    const build = { ...FAILS, arches: FAILS.arches.map((of) => ({ ...of, buildroot: [devel] })) };
    if (intent) await gate.end(await read(), intent, { at: 6, how: 'failed', why: '', build });
    return (await first()).past.map(({ run }) => run);
  };
  expect(await build(first, null)).toEqual([]);
  expect(await build(second, OTHER)).toEqual(['c9s/40/1']);
  expect((await build(baseline, null)).toSorted()).toEqual(['c9s/20/1', 'c9s/40/1']);
  await gate.close();
});

test('the run that begins first is the next one of a waiver, also by a clock that was put back', async () => {
  const gate = await gateOf();
  const rest = { by: 'ada', reason: '', gate: null, kmod: '*', until: null };
  await gate.waive({ at: 100, kernel: 'next', ...rest }, []);
  const first = await begin(gate, KERNEL, 150, null);
  expect((await first()).waivers).toHaveLength(1);
  const second = await begin(gate, OTHER, 120, null);
  expect((await first()).waivers).toHaveLength(1);
  expect((await second()).waivers).toEqual([]);
  await gate.close();
});

test('what is being read while a fact is recorded is not kept', async () => {
  const gate = await gateOf();
  const run = await (await begin(gate, KERNEL, 2, null))();
  const answers: ((run: Run) => void)[] = [];
  const slow = () => new Promise<Run>((resolve) => void answers.push(resolve));
  const cache = createCache(slow, async () => 1);
  const early = cache.read([run.id]);
  await expect.poll(() => answers.length).toBe(1);
  cache.forget(() => true);
  answers[0]?.(run);
  expect(await early).toEqual([run]);
  const later = cache.read([run.id]);
  await expect.poll(() => answers.length).toBe(2);
  answers[1]?.({ ...run, generation: 9 });
  expect(await later).toMatchObject([{ generation: 9 }]);
  expect(await cache.read([run.id])).toEqual(await later);
  await gate.close();
});

test('however many runs are live, each is read once; of those that are over only the ones that were asked for last', async () => {
  const read: string[] = [];
  const closing = { at: 1, how: 'done', why: '' } as const;
  const readRun = async (id: string) => {
    read.push(id);
    return { id, ...(id.startsWith('over') && { closing }) } as Run;
  };
  const cache = createCache(readRun, async () => 1);
  const ids = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`);
  const live = ids('live', 2_000);
  await cache.read([...live, ...ids('over', 1_000)]);
  read.length = 0;
  await cache.read(live);
  expect(read).toEqual([]);
  await cache.read(['over 990', 'over 0']);
  expect(read).toEqual(['over 0']);
  await cache.read(ids('over', 150));
  read.length = 0;
  await cache.read(['over 990']);
  expect(read).toEqual([]);
});
