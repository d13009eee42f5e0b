/** What is true now, as plain data: the hub's side of an Observation. */
import { slotsFor } from '../core/builds.ts';
import type { BuildTag, Observation } from '../core/look.ts';
import type { Gate, KernelBuild, KernelRef, Run } from '../core/model.ts';
import { compareEvr } from '../core/names.ts';
import type { TagMove } from '../core/tags.ts';
import * as koji from '../koji/calls.ts';
import { readGroups, unwrap } from '../koji/hub.ts';
import type { Context } from './context.ts';
import { symbolsKey, taskKey } from './keys.ts';

/**
 * Look at a run. Call it after `settle`: tags must not be older than what is known of one's own changes.
 * @throws HubError
 */
export async function observe(context: Context, gate: Gate, run: Run): Promise<Observation> {
  const { hub, store, now, ahead, user } = context;
  const { kernel } = run;
  const newest = await store.newestFact();
  const first = await readGroups(hub, {
    history: [koji.queryTagHistory(kernel.id)],
    watched: [koji.listTagged(gate.watch, { package: kernel.name })],
    targets: gate.build ? [koji.getBuildTarget(gate.build.target)] : [],
  });
  const watched = first.watched.flat();
  const buildTag = first.targets[0]?.build_tag_name;
  const second = await readGroups(hub, {
    latest: buildTag === undefined ? [] : [koji.getLatestBuilds(buildTag, { package: kernel.name })],
    sideTags: usesSideTag(gate, run) ? [koji.listSideTags({ user: await user() })] : [],
  });
  const live = await store.liveRuns();
  const otherKernels = live.filter(
    (other) => other.kernel.name === kernel.name && other.kernel.id !== kernel.id,
  );
  const ofGate = live.filter((other) => other.gate === gate.name);
  const otherGates = (await store.runsOf(kernel.id)).filter((other) => other.gate !== gate.name);
  const retriesToday = await store.retriesSince(gate.name, now() - DAY);
  const blockers = blockersOf(context, otherGates);
  const history = first.history.flat();
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
    entry: watched.find((tagged) => tagged.build_id === kernel.id)?.create_event ?? null,
    buildTag:
      buildTag === undefined
        ? null
        : await observeBuildTag(store, gate, buildTag, second.latest[0]?.[0], watched),
    heads: run.verdict?.verdict === 'promote' ? await passedInto(context, gate, kernel) : new Map(),
    incoming: new Set(otherKernels.flatMap(openTags)),
    otherGates: otherGates.flatMap(tagWrites).toSorted((a, b) => a.fact - b.fact),
    blockedBy: sharesPass(gate, blockers),
    blockedIn: blockers.flatMap(({ on_fail }) => on_fail.tag),
    sideTags: second.sideTags.flat().map(({ name }) => name),
    slots: slotsFor(gate, run, ofGate, now(), retriesToday),
    retriesToday,
    newer: newerOf(run, ofGate),
  };
}

const DAY = 24 * 3_600_000;

function unreadOf({ unread }: Context, gate: Gate, { kernel, intents }: Run): string[] {
  const tasks = intents.flatMap(({ receipt, ending }) => (!ending && receipt?.task) || []);
  const keys = [symbolsKey(gate.name, kernel.id), ...tasks.map(taskKey)];
  return keys.flatMap((key) => unread.get(key) ?? []);
}

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
  { hub }: Context,
  gate: Gate,
  { id, name }: KernelBuild,
): Promise<Map<string, KernelBuild>> {
  const tags = gate.on_pass.tag;
  const answers = await hub.readAll(tags.map((tag) => koji.queryPackageHistory(tag, name)));
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

async function observeBuildTag(
  store: Context['store'],
  gate: Gate,
  name: string,
  latest: koji.TaggedBuild | undefined,
  watched: readonly koji.TaggedBuild[],
): Promise<BuildTag> {
  return {
    name,
    latest: latest ? { id: latest.build_id, nvr: latest.nvr } : null,
    leaves: latest ? await willLeave(store, gate, latest, watched) : false,
  };
}

/** Whether this gate will, in its time, take a build out of the watch tag: it stands there, and no run on it is over. */
async function willLeave(
  store: Context['store'],
  gate: Gate,
  { build_id }: koji.TaggedBuild,
  watched: readonly koji.TaggedBuild[],
): Promise<boolean> {
  if (gate.mode === 'observe' || !watched.some((tagged) => tagged.build_id === build_id)) return false;
  return !(await store.latestRun(gate.name, build_id))?.closing;
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
