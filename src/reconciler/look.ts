/** A look at the run of a gate on a kernel: what is true, what that asks for, and doing it. */
import { type Judgement, judgementsOf } from '../core/baseline.ts';
import { measuredBy } from '../core/cell.ts';
import { decide } from '../core/decide.ts';
import { gateNamed, isConfigured } from '../core/gate.ts';
import type { Observation } from '../core/look.ts';
import { BUILD, type Found, type Gate, type KernelBuild, type Kmod, type Run } from '../core/model.ts';
import { compareEvr, isDraft } from '../core/names.ts';
import { lastRetry } from '../core/people.ts';
import { tellsOfList } from '../core/symbols.ts';
import { newerHead } from '../core/tags.ts';
import { reopens, returns } from '../core/verdict.ts';
import * as koji from '../koji/calls.ts';
import { HubError, unwrap } from '../koji/hub.ts';
import { OvertakenError } from '../store/error.ts';
import { act } from './act.ts';
import { findBaselineRepo } from './baseline.ts';
import { wantCauses } from './causes.ts';
import { choose, chooseBaselines } from './choose.ts';
import type { Context } from './context.ts';
import { isLastTry } from './follow.ts';
import { repoKey, runKey, symbolsKey } from './keys.ts';
import { type HubSide, lookAtHub, observe, passedInto } from './observe.ts';
import { settle } from './settle.ts';
import { readSymbols } from './symbols.ts';

/** At most this many looks at one run in a row: each follows something that was done. */
const LOOKS = 20;

/**
 * Go on with the run of a gate on a kernel build, or begin it, as far as can be done now.
 * @throws HubError; what people must mend is told where they look, too
 */
export async function lookAt(context: Context, name: string, build: number): Promise<void> {
  const { gates, store } = context;
  const known = await store.latestRun(name, build);
  const isOpen = known && !known.closing;
  const gate = gateNamed(gates, name);
  if (!isOpen && !isConfigured(gate)) return;
  try {
    // A draft has another name once it is promoted, so the hub is asked.
    const isLive = isOpen && !isDraft(known.kernel);
    const run = isLive ? known : await enter(context, gate, build, known);
    if (run) await goOn(context, gate, run);
  } catch (error) {
    const kernel = await store.kernel(build);
    if (kernel) await sayRefused(context, gate, kernel, error);
    throw error;
  }
}

/** What passes by itself is only logged. */
async function sayRefused(
  { store, now }: Context,
  { name }: Gate,
  kernel: KernelBuild,
  error: unknown,
): Promise<void> {
  if (!(error instanceof HubError)) return;
  const { kind, method, message } = error;
  if (kind !== 'refused' && method !== 'login') return;
  const why =
    method === 'login' ? `held: cannot log in: ${message}` : `held: the hub refuses ${method}: ${message}`;
  await store.say(name, kernel, null, why, now());
}

// ---- which run ------------------------------------------------------------------------------------

/** The run that is about this stay of the kernel in the watch tag: the known one, or a new one. */
async function enter(
  context: Context,
  gate: Gate,
  id: number,
  known: Run | undefined,
): Promise<Run | undefined> {
  const { hub, store, now } = context;
  const build = await hub.read(koji.getBuild(id));
  if (!build) return known;
  const { build_id, nvr, name, epoch, version, release } = build;
  const kernel = { id: build_id, nvr, name, epoch, version, release };
  const seen = await store.kernel(id);
  if (seen && seen.nvr !== nvr) await store.seeKernel(kernel, now());
  if (known && !known.closing) return known;
  if (build.state !== BUILD.COMPLETE || !gate.kernels.includes(name)) return known;
  const [listed, tags] = await hub.readAll([
    koji.listTagged(gate.watch, { package: name }),
    koji.listTags(id),
  ]);
  const entry = unwrap(listed).find((tagged) => tagged.build_id === id)?.create_event;
  const names = unwrap(tags).map((tag) => tag.name);
  const isKnown = known && entry !== undefined && entry <= known.entry;
  if (entry === undefined || (isKnown && !(await isWantedAgain(context, gate, known)))) {
    // One that has passed or failed somewhere else waits for nothing; a baseline is such a one.
    const ended = [...gate.on_pass.tag, ...gate.on_fail.tag].some((tag) => names.includes(tag));
    if (known || ended) return known;
    // Messages may be of long ago: one that is older than what has passed is no news.
    const heads = await passedInto(context, gate, kernel);
    if ([...heads.values()].some((head) => compareEvr(head, kernel) > 0)) return undefined;
    await store.seeKernel(kernel, now());
    await store.say(gate.name, kernel, null, `waits to be tagged into ${gate.watch}`, now());
    return undefined;
  }
  await store.seeKernel(kernel, now());
  const generation = (known?.generation ?? 0) + 1;
  const run = `${gate.name}/${id}/${generation}`;
  await store.beginRun({
    ...{ id: run, gate: gate.name, kernel, generation, entry, tags: names },
    startedAt: now(),
    strategy: gate.strategy,
    ...(await choose(context, gate, kernel)),
  });
  return store.run(run);
}

/** Whether a kernel that still stands in the watch tag is to be tried anew, since why its run was over is no more so. */
export async function isWantedAgain(context: Context, gate: Gate, run: Run): Promise<boolean> {
  const { store } = context;
  if (!returns(gate, run, false)) return false;
  const { name, id } = run.kernel;
  const live = (await store.liveRuns(gate.name)).filter(
    ({ verdict }) => !verdict || verdict.verdict === 'promote',
  );
  const passed = await store.lastPassed(gate.name, name, id);
  const others = [...live.map(({ kernel }) => kernel), ...(passed ? [passed] : [])];
  const newer = others.some((other) => other.name === name && compareEvr(other, run.kernel) > 0);
  return returns(gate, run, newer);
}

/** No waiver brings back a kernel that is older than what the pass tags have or last had, or that is where no block put it. */
async function staysOut(context: Context, gate: Gate, run: Run): Promise<boolean> {
  const { hub, store, now } = context;
  const heads = await passedInto(context, gate, run.kernel);
  const tags = (await hub.read(koji.listTags(run.kernel.id))).map(({ name }) => name);
  const newer = newerHead(gate.on_pass.tag, { run, tags, heads });
  if (newer) await store.say(gate.name, run.kernel, run.id, `stays out: ${newer}`, now());
  const { tag } = gate.on_fail;
  const moved = gate.mode === 'enforce' && tag.length > 0 && run.closing?.how !== 'observed';
  const blocked = !moved || tag.some((name) => tags.includes(name));
  return newer !== undefined || !blocked;
}

// ---- one look after another -------------------------------------------------------------------------

/** Go on with a run, or open it again, as far as can be done now. */
async function goOn(context: Context, gate: Gate, run: Run): Promise<void> {
  const { store, now, want, pace } = context;
  let current: Run = run;
  if (run.closing) {
    const why = reopens(gate, run, now());
    if (why === undefined || (await staysOut(context, gate, run))) return;
    await store.reopen(run, why, now());
    current = (await store.run(run.id)) ?? run;
  }
  const key = runKey(gate.name, run.kernel.id);
  let side: HubSide | undefined;
  for (let looks = 0; looks < LOOKS; looks++) {
    const next = await look(context, gate, current, side).catch((error: unknown): Next => {
      if (error instanceof OvertakenError) return { again: true };
      throw error;
    });
    if (!next.again) {
      if (next.wakeAt !== undefined) want(key, next.wakeAt);
      return;
    }
    side = next.side;
    current = (await store.run(run.id)) ?? current;
  }
  want(key, now() + pace.poll);
}

/** What comes after a look: another one at once, for which what the hub has said may still hold, or one at a time (ms). */
type Next =
  | { readonly again: true; readonly side?: HubSide | undefined }
  | { readonly again: false; readonly wakeAt?: number | undefined };

/** One look at a run. @param known what the hub has just said, where no more than a verdict was recorded since */
async function look(context: Context, gate: Gate, before: Run, known?: HubSide): Promise<Next> {
  const { store, now, want, pace } = context;
  const { lostUntil, ended } = known ? { ended: false } : await settle(context, before);
  // A retry is there for kmods that were mended: their newest builds count.
  const retry = lastRetry(before);
  // A run that an older version began was chosen without baselines.
  const old = !before.verdict && before.kmods.some(({ baselines }) => !baselines);
  const anew = before.kmods.length === 0 || old || (retry && retry.fact > before.chosen.fact);
  if (anew && isConfigured(gate)) {
    const { kmods } = await choose(context, gate, before.kernel);
    if (kmods.length > 0) await store.select(before, kmods, now());
  }
  const run = (await store.run(before.id)) ?? before;
  const side = known ?? (await lookAtHub(context, gate, run));
  const seen = { ...(await observe(context, gate, run, side)), ended };
  const decision = decide(gate, pace, seen);
  if (decision.wantsSymbols) want(symbolsKey(gate.name, run.kernel.id));
  if (decision.wantsBaseline) want(repoKey(gate.name, run.kernel.id, decision.wantsBaseline.id));
  const acts = decision.verdict || decision.closing || decision.writes.length > 0;
  if (!acts) await store.say(gate.name, run.kernel, run.id, decision.state, now());
  if (decision.verdict) {
    const judgements = judgementsOf(gate, run, now());
    const kmods = await measuredAnew(context, gate, seen, decision.verdict, judgements);
    if (kmods) {
      await store.select(run, kmods, now());
      return { again: true };
    }
    await store.judge(run, decision.verdict, judgements, now());
  }
  if (decision.closing) await close(context, run, { at: now(), ...decision.closing });
  if (decision.writes.length > 0) await act(context, run, decision.writes, seen.newest);
  if (decision.closing) return { again: false };
  if (decision.writes.length > 0) return { again: true };
  if (decision.verdict) return { again: true, side };
  const wakes = [lostUntil, decision.wakeAt].filter((at) => at !== undefined);
  return { again: false, ...(wakes.length > 0 && { wakeAt: Math.min(...wakes) }) };
}

/**
 * A kernel that has passed since the run began may have been fine for what is "already broken" by an older one. Answers the
 * kmods with what they are measured by now, where that is so; undefined where the verdict stands.
 */
async function measuredAnew(
  context: Context,
  gate: Gate,
  { run, tags }: Pick<Observation, 'run' | 'tags'>,
  { verdict }: Found,
  judgements: readonly Judgement[],
): Promise<Kmod[] | undefined> {
  // What was decided once changes by what persons say.
  if (verdict !== 'promote' || run.verdict) return undefined;
  const excused = judgements.filter(({ outcome }) => outcome === 'already-broken').map(({ kmod }) => kmod);
  if (excused.length === 0) return undefined;
  // One that comes too late ends as superseded, and is not measured by the newer one.
  const heads = await passedInto(context, gate, run.kernel);
  if (newerHead(gate.on_pass.tag, { run, tags, heads })) return undefined;
  return chooseBaselines(context, gate, run, new Set(excused));
}

/** A run that is over may be what others wait for: their turn, or the slots that it used. */
async function close(
  { store, want, gathering }: Context,
  run: Run,
  closing: NonNullable<Run['closing']>,
): Promise<void> {
  await store.closeRun(run, closing);
  gathering.delete(run.id);
  for (const other of await store.liveKernels(run.gate)) want(runKey(run.gate, other.kernel.id));
}

// ---- what a look asks for, each by itself ---------------------------------------------------------------

/** A gate and its run on a kernel build; undefined where that is over, or the configuration has no such gate. */
async function liveAt(
  { gates, store }: Context,
  name: string,
  build: number,
): Promise<{ gate: Gate; run: Run } | undefined> {
  const gate = gates.find((one) => one.name === name);
  const run = await store.latestRun(name, build);
  return gate && run && !run.closing ? { gate, run } : undefined;
}

/**
 * Read the symbols of a run's kernel and kmods.
 * @param tries how often that has failed
 * @throws HubError where they cannot be read yet
 */
export async function readRunSymbols(
  context: Context,
  name: string,
  build: number,
  tries: number,
): Promise<void> {
  const { store, now, want } = context;
  const live = await liveAt(context, name, build);
  if (!live) return;
  const { gate, run } = live;
  if (run.symbols && tellsOfList(gate, run.symbols)) return;
  const shown = await readSymbols(context, gate, run, isLastTry(tries));
  await store.showSymbols(run, shown, now());
  wantCauses(context);
  want(runKey(name, build));
}

/**
 * Find a repo that holds a baseline of a run.
 * @param tries how often that has failed
 * @throws HubError where the hub cannot be asked yet
 */
export async function findRepo(
  context: Context,
  name: string,
  build: number,
  baseline: number,
  tries: number,
): Promise<void> {
  const { store, now, want } = context;
  const live = await liveAt(context, name, build);
  if (!live || live.run.baselineRepos[baseline]) return;
  const { gate, run } = live;
  const wanted = run.kmods.flatMap((kmod) => measuredBy(kmod, run)).find(({ id }) => id === baseline);
  if (!wanted) return;
  const found = await findBaselineRepo(context, gate, run.kernel.name, wanted).catch((error: unknown) => {
    if (!(error instanceof HubError && isLastTry(tries, error))) throw error;
    return { repo: null, why: `a repo with ${wanted.nvr} cannot be looked for: ${error.message}` };
  });
  await store.findBaseline(run, wanted, found, now());
  want(runKey(name, build));
}
