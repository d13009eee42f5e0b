/**
 * Gate runs through a proxy that delays, cuts, truncates, answers in the hub's place and stalls. Whatever strikes,
 * a run ends as it would have without, and nothing is done twice.
 */
import { expect, test } from 'vitest';
import { TASK } from '../../src/core/model.ts';
import { isAttempt } from '../../src/core/trial.ts';
import type { XmlValue } from '../../src/koji/xmlrpc.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import type { World } from '../../src/sim/world.ts';
import { LONG } from '../long.ts';
import { ALL_MISHAPS, type HubProxy, type Struck, startProxy } from '../servers/proxy.ts';
import { endOf, GATE, NEW, type Stage, setStage } from './stage.ts';

const RUNS = LONG ? 200 : 48;
/** Runs side by side, which mostly wait. */
const AT_ONCE = 32;
const REPOS = ['wait', 'pin', 'sidetag'] as const;
const KMODS = ['kmod-alpha', 'kmod-beta', 'kmod-gamma'];
/** The gate's patience with one call, in milliseconds: stalls use it up, and a busy machine needs it to answer. */
const TIMEOUT = 1_000;
const PROXY = { rate: 0.15, most: 2, delay: 100 };
/** Simulated, in minutes: failures are spaced, and a run in which many meet is long. */
const DAY = 24 * 60;

/** What a run is about, by its seed: each way to a build root meets each verdict. */
function casting(seed: number) {
  const repo = REPOS[seed % 3] ?? 'wait';
  // Kmod-gamma does not build against the kernel.
  if (seed % 2 === 0) return { repo, verdict: 'block', tag: 'c9s-blocked', kmods: KMODS };
  return { repo, verdict: 'promote', tag: 'c9s-candidate', kmods: ['kmod-alpha', 'kmod-beta'] };
}

/**
 * Short repos and builds: fewer looks in which nothing happens. And each run has its own time for a tag, so that
 * some end just when the gate looks for one whose reply was lost.
 */
const quick =
  (seed: number) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    timing: { ...scenario.timing, new_repo: 10_000, build_arch: 20_000, tag: (seed % 20) * 1_000 },
  });

/** One run from the kernel's coming to its end. Throws an Error that tells what struck, and the story. */
async function play(seed: number): Promise<readonly Struck[]> {
  const { repo, kmods } = casting(seed);
  let proxy: HubProxy | undefined;
  const stage = await setStage({
    gate: { build: { ...GATE.build, repo }, kmods: { ...GATE.kmods, include: kmods } },
    scenario: quick(seed),
    timeout: TIMEOUT,
    via: async (hub) => {
      proxy = await startProxy(hub, { seed, ...PROXY });
      return proxy.url;
    },
    // Builders go on while a gate's look is under way.
    faults: () => {
      stage.world.tick(500);
      return 'none';
    },
  });
  try {
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    // Of the tags it costs little to ask again and again, of the store more.
    await stage.until('a verdict is carried out', () => !stage.world.tags(NEW).includes(GATE.watch), DAY);
    await stage.closed(NEW, DAY);
    // What is late arrives now, and had better do nothing.
    await proxy?.close();
    stage.world.tick(60_000);
    await check(seed, stage);
    return proxy?.struck ?? [];
  } catch (error) {
    const mishaps = proxy?.struck.map(({ mishap, method }) => `${mishap}: ${method}`).join('\n');
    throw new Error(`seed ${seed}\n${error}\n${mishaps}\n${await stage.story()}`, { cause: error });
  } finally {
    await proxy?.close();
    await stage.end();
  }
}

/** The right end, and no step of the way taken twice. */
async function check(seed: number, stage: Stage): Promise<void> {
  const { repo, verdict, tag, kmods } = casting(seed);
  const run = await stage.run(NEW);
  // What is broken is tried against the baseline too.
  const toBaseline = verdict === 'block';
  expect(run?.verdict?.verdict).toBe(verdict);
  expect(await endOf(stage)).toEqual({
    tags: [tag],
    runs: ['done'],
    scratchBuilds: KMODS.map((kmod) => [
      kmod,
      kmods.includes(kmod) ? (toBaseline && kmod === 'kmod-gamma' ? 2 : 1) : 0,
    ]),
    sideTags: [],
    openIntents: [],
    liveTasks: [],
  });
  const known = run?.intents.filter((intent) => isAttempt(intent) && intent.ending?.how !== 'lost');
  expect(submitted(stage)).toEqual(known?.map(({ id }) => id).sort());
  const sideTag = expect.stringMatching(/^kmods9s-build-side-/);
  const intoSideTag = repo === 'sidetag' ? [sideTag] : [];
  expect(history(stage)).toEqual([GATE.watch, ...intoSideTag, tag]);
  const tagged = [...intoSideTag, ...(toBaseline ? intoSideTag : []), tag];
  expect(tagTasks(stage)).toEqual(tagged.map((into) => [into, TASK.CLOSED]));
}

/** Attempts for which the hub has a `build` task, one for each task. */
function submitted({ world }: Stage) {
  const builds = world.tasks().filter(({ method }) => method === 'build');
  return builds
    .flatMap(({ request }) => /"attempt":"([^"]*)"/.exec(JSON.stringify(request))?.[1] ?? [])
    .sort();
}

/** Tags that the kernel has ever come into, in order. */
function history({ world, buildId }: Stage) {
  const listings = world.state.listings.filter(({ build_id }) => build_id === buildId(NEW));
  return listings.map(({ tag_id }) => tagName(world, tag_id));
}

/** Every `tagBuild` task that there has been: its tag and its state. */
function tagTasks({ world }: Stage) {
  const tasks = world.tasks().filter(({ method }) => method === 'tagBuild');
  return tasks.map(({ request, state }) => [tagName(world, request[0]), state]);
}

/** Also of a tag that is removed. */
function tagName({ state }: World, tag: XmlValue | undefined) {
  return state.tags.find(({ id }) => id === tag)?.name;
}

test(`${RUNS} runs through a bad network`, { timeout: 600_000 }, async () => {
  const seeds = Array.from({ length: RUNS }, (_, i) => i + 1);
  const struck: Struck[] = [];
  const failures: string[] = [];
  const playSome = async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      try {
        struck.push(...(await play(seed)));
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playSome));
  expect(failures.join('\n\n')).toBe('');
  const counts = ALL_MISHAPS.map((kind) => [kind, struck.filter(({ mishap }) => mishap === kind).length]);
  for (const [kind, count] of counts) expect(count, `${kind} has struck`).toBeGreaterThan(0);
});
