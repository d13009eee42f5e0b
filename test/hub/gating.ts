/** A whole run of the real gate on the hub: a kernel from the watch tag to where its verdict puts it. */
import { afterAll, describe, expect, test } from 'vitest';
import { startGate } from '../../src/commands/gate.ts';
import { createLog } from '../../src/commands/log.ts';
import { createProgress } from '../../src/commands/progress.ts';
import { formatDuration } from '../../src/config/schema.ts';
import { standings } from '../../src/core/judge.ts';
import { type Attempt, type Gate, type Run, TASK } from '../../src/core/model.ts';
import { isAttempt } from '../../src/core/trial.ts';
import { plural } from '../../src/core/wording.ts';
import * as koji from '../../src/koji/calls.ts';
import { connectHub } from '../../src/koji/client.ts';
import { detectFeatures } from '../../src/koji/features.ts';
import { type Hub, unwrap } from '../../src/koji/hub.ts';
import { hasEnded } from '../../src/reconciler/evidence.ts';
import type { Store } from '../../src/store/store.ts';
import { type GateRun, needing, type Subject } from './subject.ts';

/** What the suite gives the gate to start and to stop, beside the run's own time. */
const MARGIN = 60_000;

/** What became of the kernel. */
interface Tried {
  readonly run: Run;
  /** Whose scratch builds: the mark of the gate's store. */
  readonly installation: string;
}

/** Where the run is told of, line by line, as it goes on. */
export type Tell = (line: string) => void;

interface Surroundings {
  readonly tell: Tell;
  /** Whether a test has failed already: then nothing is changed. */
  readonly failed: () => boolean;
}

/** Declare the tests that change the hub. */
export function gating(subject: Subject, gate: Gate, how: GateRun, { tell, failed }: Surroundings): void {
  const need = needing(subject);
  const hub = connectHub(subject.koji);
  let kernel: koji.TaggedBuild | undefined;
  let before: string[] = [];
  let tried: Tried | undefined;
  const over = 'the run did not come to its end';

  afterAll(async () => {
    if (kernel) tell(describeChanges(kernel.nvr, before, await tagsOf(hub, kernel.build_id)));
    if (tried) tell(describeBuilds(tried.run));
    await hub.close();
  });

  describe(`a run of gate ${gate.name}`, () => {
    const timeout = how.patience + MARGIN;
    test(`takes the kernel in ${gate.watch} to its end`, { timeout }, async ({ skip }) => {
      skip(failed(), 'a test before has failed: nothing is changed on such a hub');
      kernel = await onlyKernel(hub, gate);
      before = await tagsOf(hub, kernel.build_id);
      tried = await tryKernel(subject, gate, how, kernel, tell);
      expect(['done', 'superseded', undefined]).toContain(tried.run.closing?.how);
    });

    test('can have a repo made of the past: who asks twice asks for one', async ({ skip }) => {
      const { create_event: entry } = need(skip, kernel, over);
      if (!gate.build) return skip('the gate judges by symbols alone, and builds nothing');
      const { repoRequests } = await detectFeatures(hub);
      skip(!repoRequests, 'the hub makes no repos when asked (Koji 1.35 does)');
      const { build_tag_name: tag } = await hub.read(koji.getBuildTarget(gate.build.target));
      const ask = () => hub.write(koji.repoRequest(tag, entry));
      const [first, second] = [await ask(), await ask()];
      expect(second.request?.id ?? second.repo?.id).toBe(first.request?.id ?? first.repo?.id);
      expect(first.repo?.create_event ?? entry).toBe(entry);
    });

    test('has a verdict with reasons', ({ skip }) => {
      const { run } = need(skip, tried, over);
      expect(run.verdict?.reasons.length).toBeGreaterThan(0);
    });

    test('tried each kmod by one build an attempt, which is found again by its mark', async ({ skip }) => {
      const { run, installation } = need(skip, tried, over);
      const sent = attemptsOf(run);
      const built = standings(gate, run, Date.now()).filter(({ finding }) => !finding?.loads);
      expect(new Set(sent.map(({ write }) => write.kmod))).toEqual(
        new Set(run.strategy === 'symbols' ? [] : built.map(({ kmod }) => kmod.name)),
      );
      const me = await hub.write(koji.getLoggedInUser());
      const builds = await hub.read(
        koji.listTasks(
          { owner: me?.id ?? 0, method: 'build', decode: true },
          { order: '-id', limit: 2 * sent.length + 100 },
        ),
      );
      const marks = builds.flatMap((task) => koji.buildMark(task) ?? []);
      const found = marks.filter(({ store }) => store === installation).map(({ attempt }) => attempt);
      expect(found.toSorted()).toEqual(sent.map(({ id }) => id).toSorted());
    });

    test('has compared the symbols of each kmod, where the gate looks at them', ({ skip }) => {
      const { run } = need(skip, tried, over);
      skip(run.strategy === 'rebuild', 'the gate only rebuilds');
      expect(run.symbols?.kmods.map(({ kmod }) => kmod)).toEqual(run.kmods.map(({ name }) => name));
      const arches = run.symbols?.kmods.flatMap((of) => of.arches) ?? [];
      expect(arches.filter(({ answer }) => answer !== 'inconclusive')).not.toEqual([]);
    });

    test('has read of each build how its tasks ended', async ({ skip }) => {
      const { run } = need(skip, tried, over);
      for (const attempt of attemptsOf(run)) {
        const arches = archesOf(attempt);
        const tasks = await hub.readAll(arches.map(({ task }) => koji.getTaskInfo(task)));
        expect(tasks.map((task) => unwrap(task)?.state)).toEqual(arches.map(({ state }) => state));
        expect(arches.filter(({ state }) => !hasEnded(state))).toEqual([]);
      }
    });

    test('says ok of no kmod but those built with this kernel in their build root', async ({ skip }) => {
      const { run } = need(skip, tried, over);
      const fine = standings(gate, run, Date.now()).filter(({ finding }) => finding?.outcome === 'ok');
      const arches = fine.flatMap(({ attempts }) => attempts.slice(-1).flatMap(archesOf));
      for (const arch of arches.filter(({ state }) => state === TASK.CLOSED)) {
        const held = arch.buildroot ?? [arch.repo];
        expect(held).toContainEqual(expect.objectContaining({ id: run.kernel.id }));
        if (arch.buildroot) expect(await buildrootKernels(hub, arch.task)).toContain(run.kernel.id);
      }
    });

    test('left the kernel where its verdict puts it', async ({ skip }) => {
      const { run } = need(skip, tried, over);
      expect(await tagsOf(hub, run.kernel.id)).toEqual(tagsAfter(gate, run, before));
    });

    if (gate.build?.repo !== 'sidetag') return;
    test('left no side tag', async ({ skip }) => {
      const { run } = need(skip, tried, over);
      const made = sideTagsOf(run);
      expect(made).not.toEqual([]);
      const there = (await hub.read(koji.listSideTags())).map(({ name }) => name);
      expect(made.filter((name) => there.includes(name))).toEqual([]);
    });
  });
}

/** The one kernel that stands before the gate. Throws where there is none, and where the gate would try more. */
async function onlyKernel(hub: Hub, { kernels, watch }: Gate): Promise<koji.TaggedBuild> {
  const lists = await hub.readAll(kernels.map((name) => koji.listTagged(watch, { package: name })));
  const [kernel, ...others] = lists.flatMap(unwrap);
  if (!kernel) {
    throw new Error(
      `no ${kernels.join(' or ')} in ${watch}: put one there with koji tag-build ${watch} KERNEL`,
    );
  }
  if (others.length > 0) {
    const nvrs = others.map(({ nvr }) => nvr).join(' ');
    throw new Error(
      `the gate would try all ${others.length + 1} kernels in ${watch}: take others out with koji untag-build ${watch} ${nvrs}`,
    );
  }
  return kernel;
}

async function tagsOf(hub: Hub, build: number): Promise<string[]> {
  return (await hub.read(koji.listTags(build))).map(({ name }) => name).toSorted();
}

/** Run the gate, and nothing but it, until its run on the kernel is over. Throws when that takes too long. */
async function tryKernel(
  { koji: settings }: Subject,
  gate: Gate,
  { sweep, patience }: GateRun,
  kernel: koji.TaggedBuild,
  tell: Tell,
): Promise<Tried> {
  const progress = createProgress({ write: (text) => tell(text.trimEnd()), colour: false }, false);
  const running = await startGate(
    { koji: settings, store: { url: 'sqlite::memory:' }, sweep, gates: [gate] },
    { log: createLog('pretty', 'warn', { write: (line) => tell(line.trimEnd()) }), onEntry: progress.entry },
  );
  try {
    const run = await untilOver(running.store, gate, kernel, Date.now() + patience);
    if (run && isOver(run)) return { run, installation: running.store.installation };
    const said = await running.store.lastSaid(gate.name, kernel.build_id);
    throw new Error(
      `not over within ${formatDuration(patience)}; last said: ${said}${run ? describeRest(run) : ''}`,
    );
  } finally {
    await running.stop();
  }
}

/** How often the store is looked at, in ms. */
const LOOK = 100;

async function untilOver(
  store: Store,
  gate: Gate,
  kernel: koji.TaggedBuild,
  deadline: number,
): Promise<Run | undefined> {
  for (;;) {
    const run = await store.latestRun(gate.name, kernel.build_id);
    if ((run && isOver(run)) || Date.now() > deadline) return run;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** A run that holds its kernel stays open for people; it is over as well once nothing of it is left to be done. */
function isOver(run: Run): boolean {
  if (run.closing) return true;
  const removed = run.intents.filter(({ write }) => write.kind === 'remove-side-tag');
  return (
    run.verdict?.verdict === 'hold' &&
    run.intents.every(({ ending }) => ending) &&
    sideTagsOf(run).length === removed.length
  );
}

/** Attempts that reached the hub. */
const attemptsOf = ({ intents }: Run): Attempt[] =>
  intents.filter(isAttempt).filter(({ receipt }) => receipt?.task !== undefined);

const archesOf = ({ ending }: Attempt) =>
  ending && ending.how !== 'lost' ? (ending.build?.arches ?? []) : [];

const sideTagsOf = ({ intents }: Run): string[] => intents.flatMap(({ receipt }) => receipt?.sideTag ?? []);

/** Builds that the packages in a task's build root come from. */
async function buildrootKernels(hub: Hub, task: number): Promise<(number | null)[]> {
  const root = (await hub.read(koji.listBuildroots(task))).at(-1);
  const rpms = await hub.read(koji.listRPMs({ componentBuildrootID: root?.id ?? 0 }));
  return rpms.map(({ build_id }) => build_id);
}

/** The tags that the kernel must be in, by name. */
function tagsAfter(gate: Gate, { verdict, closing }: Run, before: readonly string[]): string[] {
  const change = { promote: gate.on_pass, block: gate.on_fail, hold: undefined }[verdict?.verdict ?? 'hold'];
  if (!change || closing?.how === 'superseded') return [...before];
  const stays = before.filter((tag) => !change.untag.includes(tag));
  return [...new Set([...stays, ...change.tag])].toSorted();
}

/** What is left of a run that was given up, and how to be rid of it. */
function describeRest(run: Run): string {
  const open = attemptsOf(run).filter(({ ending }) => !ending);
  const cancels = open.map(({ receipt }) => `koji cancel ${receipt?.task}`);
  const removals = sideTagsOf(run).map((name) => `koji remove-sidetag ${name}`);
  return [...cancels, ...removals].map((command) => `\n  ${command}`).join('');
}

/** What the run changed on the hub, and the commands that undo it. */
function describeChanges(nvr: string, before: readonly string[], after: readonly string[]): string {
  const gone = before.filter((tag) => !after.includes(tag));
  const come = after.filter((tag) => !before.includes(tag));
  if (gone.length + come.length === 0) return `\n${nvr} is in ${plural(after.length, 'tag')}, as before.`;
  const moves = come.slice(0, gone.length).map((tag, i) => `koji move-build ${tag} ${gone[i]} ${nvr}`);
  const untags = come.slice(gone.length).map((tag) => `koji untag-build ${tag} ${nvr}`);
  const tags = gone.slice(come.length).map((tag) => `koji tag-build ${tag} ${nvr}`);
  const list = (names: readonly string[]) => names.join(', ') || 'nothing';
  return [
    `\nChanged on the hub: ${nvr} left ${list(gone)} and came into ${list(come)}. To undo it:`,
    ...[...moves, ...untags, ...tags].map((command) => `  ${command}`),
  ].join('\n');
}

/** They need no undoing. */
function describeBuilds(run: Run): string {
  const tasks = attemptsOf(run).map(({ receipt }) => receipt?.task);
  return `${plural(tasks.length, 'scratch build')}, which Koji removes by itself: tasks ${tasks.join(', ')}`;
}
