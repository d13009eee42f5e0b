/** What is true now, as plain data: the hub's side of an Observation. */
import { baselineIds } from '../core/baseline.ts';
import { slotsFor } from '../core/builds.ts';
import type { BuildTag, GreenwaveWord, Observation, Orphan } from '../core/look.ts';
import type { Gate, KernelBuild, KernelRef, Run } from '../core/model.ts';
import { compareEvr } from '../core/names.ts';
import { hasBegun, type TagMove } from '../core/tags.ts';
import { isAttempt } from '../core/trial.ts';
import * as koji from '../koji/calls.ts';
import { HubError, readGroups, unwrap } from '../koji/hub.ts';
import type { Context } from './context.ts';
import { repoKey, symbolsKey, taskKey } from './keys.ts';

/** The hub's side of a look, and the number of the newest fact when it began. */
export interface HubSide extends Awaited<ReturnType<typeof askHub>> {
  readonly newest: number;
  /** See `passedInto`; undefined: not asked for yet. */
  readonly heads: ReadonlyMap<string, KernelBuild> | undefined;
}

/**
 * Ask the hub what a look wants to know. Call it after `settle`: tags must not be older than what is known of one's own changes.
 * @throws HubError
 */
export async function lookAtHub(context: Context, gate: Gate, run: Run): Promise<HubSide> {
  const newest = await context.store.newestFact();
  // What concludes that it promotes wants to know them in the next moment; where they cannot be read, that is told then.
  const [side, heads] = await Promise.all([
    askHub(context, gate, run),
    mayConclude(run) ? passedInto(context, gate, run.kernel).catch(() => undefined) : undefined,
  ]);
  return { ...side, newest, heads };
}

/** Whether the verdict may be a matter of moments: all that was begun for it has ended. */
function mayConclude({ verdict, intents, symbols }: Run): boolean {
  if (verdict) return verdict.verdict === 'promote';
  const attempts = intents.filter(isAttempt);
  return attempts.length > 0 ? attempts.every(({ ending }) => ending) : symbols !== undefined;
}

/**
 * What is true of a run.
 * @param side what the hub says; nothing but a verdict was recorded for the run since
 * @throws HubError
 */
export async function observe(
  context: Context,
  gate: Gate,
  run: Run,
  side: HubSide,
): Promise<Omit<Observation, 'ended'>> {
  const { store, now, ahead, user } = context;
  const { kernel } = run;
  const { newest, history, latest, sideTags, buildTag } = side;
  const live = await store.liveRuns();
  const otherKernels = live.filter(
    (other) => other.kernel.name === kernel.name && other.kernel.id !== kernel.id,
  );
  const ofGate = live.filter((other) => other.gate === gate.name);
  const otherGates = (await store.runsOf(kernel.id)).filter((other) => other.gate !== gate.name);
  const retriesToday = await store.retriesSince(gate.name, now() - DAY);
  const blockers = blockersOf(context, otherGates);
  // One that only looks on needs no login.
  const isActive = [run, ...otherGates].some((one) => tagWrites(one).length > 0);
  return {
    now: now(),
    ahead: ahead(),
    newest,
    unread: unreadOf(context, gate, run),
    run,
    tags: tagsIn(history),
    moves: movesIn(history, isActive ? await user() : undefined),
    entry: entryIn(history, gate.watch),
    buildTag: buildTag === undefined ? null : await observeBuildTag(context, gate, run, buildTag, latest),
    heads:
      run.verdict?.verdict === 'promote'
        ? (side.heads ?? (await passedInto(context, gate, kernel)))
        : new Map(),
    incoming: new Set(otherKernels.flatMap(openTags)),
    otherGates: otherGates.flatMap(tagWrites).toSorted((a, b) => a.fact - b.fact),
    blockedBy: sharesPass(gate, blockers),
    blockedIn: blockers.flatMap(({ on_fail }) => on_fail.tag),
    sideTags,
    orphans: await orphansOf(context, run),
    slots: slotsFor(gate, run, ofGate, now(), retriesToday),
    retriesToday,
    newer: newerOf(run, ofGate),
    greenwave: await greenwaveOf(context, gate, run),
  };
}

const DAY = 24 * 3_600_000;

/** All in one request, by the build tag that the gate's target had before; where it has another one, once more. */
async function askHub({ together, user, buildTags }: Context, gate: Gate, run: Run) {
  const { id, name } = run.kernel;
  const ask = async (known: string | undefined) => {
    const { history, targets, latest, sideTags } = await readGroups(together, {
      history: [koji.queryTagHistory(id)],
      targets: gate.build ? [koji.getBuildTarget(gate.build.target)] : [],
      latest: known === undefined ? [] : [koji.getLatestBuilds(known, { package: name })],
      sideTags: usesSideTag(gate, run) ? [koji.listSideTags({ user: await user() })] : [],
    });
    return {
      history: history.flat(),
      latest: latest[0]?.[0],
      sideTags: sideTags.flat().map((tag) => tag.name),
      buildTag: targets[0]?.build_tag_name,
    };
  };
  const known = gate.build ? buildTags.get(gate.name) : undefined;
  const seen = await ask(known).catch((error: unknown) => {
    // That tag may be gone.
    if (known === undefined || !(error instanceof HubError && error.kind === 'refused')) throw error;
    buildTags.delete(gate.name);
    return ask(undefined);
  });
  if (seen.buildTag === undefined) return seen;
  buildTags.set(gate.name, seen.buildTag);
  return seen.buildTag === known ? seen : ask(seen.buildTag);
}

function unreadOf({ unread }: Context, gate: Gate, { kernel, intents, kmods, baseline }: Run): string[] {
  const tasks = intents.flatMap(({ receipt, ending }) => (!ending && receipt?.task) || []);
  const repos = baselineIds(kmods, baseline).map((id) => repoKey(gate.name, kernel.id, id));
  const keys = [symbolsKey(gate.name, kernel.id), ...repos, ...tasks.map(taskKey)];
  return keys.flatMap((key) => unread.get(key) ?? []);
}

/** Koji event with which a build came into a tag in which it stands, by its history; null: it does not. */
const entryIn = (history: readonly koji.TagListing[], tag: string): number | null =>
  history.findLast((stay) => stay['tag.name'] === tag && stay.revoke_event === null)?.create_event ?? null;

/** Names of the tags that a build is in, by its history. */
export const tagsIn = (history: readonly koji.TagListing[]): string[] =>
  history.flatMap((stay) => (stay.revoke_event === null ? stay['tag.name'] : []));

/** What was done to a build's tags, in order; what left a tag and came back with one event left it first. */
export function movesIn(history: readonly koji.TagListing[], me: number | undefined): TagMove[] {
  const moves = history.flatMap((stay) => {
    const tag = stay['tag.name'];
    const {
      create_event: event,
      creator_id,
      creator_name: by,
      revoke_event,
      revoker_id,
      revoker_name,
    } = stay;
    const came: TagMove = { tag, enters: true, event, by, own: creator_id === me };
    if (revoke_event === null) return came;
    const own = revoker_id === me;
    return [came, { tag, enters: false, event: revoke_event, by: revoker_name ?? '', own }];
  });
  return moves.toSorted((a, b) => a.event - b.event || Number(a.enters) - Number(b.enters));
}

/**
 * The build of the kernel's package that was tagged last into each tag of a pass, other than the kernel itself, also
 * where a release has emptied that tag since.
 * @throws HubError
 */
export async function passedInto(
  { together }: Context,
  gate: Gate,
  { id, name }: KernelBuild,
): Promise<Map<string, KernelBuild>> {
  const tags = gate.on_pass.tag;
  const answers = await together.readAll(tags.map((tag) => koji.queryPackageHistory(tag, name)));
  const heads = new Map<string, KernelBuild>();
  for (const [i, tag] of tags.entries()) {
    const stays = unwrap(answers[i]).filter(({ build_id }) => build_id !== id);
    const newest = stays.toSorted((a, b) => b.create_event - a.create_event)[0];
    if (!newest) continue;
    const { build_id, version, release, epoch } = newest;
    const nvr = `${name}-${version}-${release}`;
    heads.set(tag, { id: build_id, nvr, name, epoch, version, release });
  }
  return heads;
}

/** The other gates that block a kernel, by their runs on it: none undoes the word of another. */
function blockersOf({ gates }: Pick<Context, 'gates'>, runs: readonly Run[]): Gate[] {
  return gates.filter(({ name, mode }) => {
    // By generation: clocks are set.
    const [run] = runs.filter((one) => one.gate === name).toSorted((a, b) => b.generation - a.generation);
    const counts = !run?.closing || run.closing.how === 'done';
    return mode === 'enforce' && run?.verdict?.verdict === 'block' && counts;
  });
}

/** One of these into whose pass tags this gate lets kernels pass too, and that tag. */
function sharesPass({ on_pass }: Gate, blockers: readonly Gate[]): Observation['blockedBy'] {
  for (const { name, on_pass: theirs } of blockers) {
    const tag = on_pass.tag.find((one) => theirs.tag.includes(one));
    if (tag !== undefined) return { gate: name, tag };
  }
  return null;
}

/** The newest kernel of the package that stands before the same gate and may still be promoted. */
function newerOf({ kernel }: Run, live: readonly Run[]): KernelRef | null {
  const newer = live.filter(
    ({ kernel: other, verdict }) =>
      other.name === kernel.name &&
      compareEvr(other, kernel) > 0 &&
      (!verdict || verdict.verdict === 'promote'),
  );
  const [newest] = newer.toSorted((a, b) => compareEvr(b.kernel, a.kernel));
  return newest ? { id: newest.kernel.id, nvr: newest.kernel.nvr } : null;
}

/** Asked only where its word counts now: before the first tag of a promotion. */
async function greenwaveOf({ askGreenwave }: Context, gate: Gate, run: Run): Promise<GreenwaveWord | null> {
  const waits = gate.policy.wait_for === 'greenwave' && gate.mode === 'enforce';
  if (!waits || run.verdict?.verdict !== 'promote' || hasBegun(gate, run)) return null;
  if (!askGreenwave) return { says: 'no', why: 'the configuration has no [greenwave]' };
  return askGreenwave(gate.name, run.kernel.nvr);
}

async function observeBuildTag(
  context: Context,
  gate: Gate,
  { kernel }: Run,
  name: string,
  latest: koji.TaggedBuild | undefined,
): Promise<BuildTag> {
  if (!latest) return { name, latest: null, leaves: false };
  const { build_id: id, nvr } = latest;
  const leaves = id !== kernel.id && gate.mode === 'enforce' && (await willLeave(context, gate, id));
  return { name, latest: { id, nvr }, leaves };
}

/**
 * Whether a gate will, in its time, take a build out of the watch tag: it has a run on it that goes on, or it stands there
 * and none has begun. Asked for one that hides another in the build tag.
 */
async function willLeave({ hub, store }: Context, gate: Gate, build: number): Promise<boolean> {
  const run = await store.latestRun(gate.name, build);
  if (run) return !run.closing;
  const tags = await hub.read(koji.listTags(build));
  return tags.some(({ name }) => name === gate.watch);
}

/** Own side tags of the same base that a run did not know when it asked for one and got no reply. */
async function orphansOf({ hub, store, user }: Context, { intents }: Run): Promise<Orphan[]> {
  const lost = intents.flatMap(({ write, ending }) =>
    write.kind === 'create-side-tag' && ending?.how === 'lost' ? [write] : [],
  );
  if (lost.length === 0) return [];
  const taken = new Set(await store.sideTags());
  const names = new Set<string>();
  for (const { base, known } of lost)
    for (const { name } of await hub.read(koji.listSideTags({ basetag: base, user: await user() })))
      if (!taken.has(name) && !known.includes(name)) names.add(name);
  const lives = await hub.readAll([...names].map((name) => koji.queryTagLife(name)));
  return [...names].flatMap((name, i) => {
    const { used, since } = unwrap(lives[i]);
    return used || !Number.isFinite(since) ? [] : { name, since: since * 1000 };
  });
}

const usesSideTag = (gate: Gate, run: Run): boolean =>
  gate.build?.repo === 'sidetag' || run.intents.some(({ write }) => write.kind === 'create-side-tag');

/** Tags into which a run has asked for its kernel to be tagged, and the hub has not done it yet. */
function openTags({ intents }: Run): string[] {
  return intents.flatMap(({ write, ending }) => (write.kind === 'tag' && !ending ? [write.tag] : []));
}

/** What a run did or is doing to its kernel's tags. */
function tagWrites({ gate, intents }: Run): Observation['otherGates'] {
  const counts = intents.filter(
    ({ write, ending }) =>
      (write.kind === 'tag' || write.kind === 'untag') && (!ending || ending.how === 'done'),
  );
  return counts.map(({ write, fact, ending }) => ({ gate, write, fact, done: ending !== undefined }));
}
