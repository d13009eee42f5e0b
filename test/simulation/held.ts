/**
 * What the hub in memory really holds: builds and their build roots, and what stands in a tag at a time. Told anew here,
 * with nothing of the gate's own code.
 */
import type { Gate, Intent, Run } from '../../src/core/model.ts';
import {
  type Build,
  type Buildroot,
  eventTime,
  type Listing,
  matches,
  type State,
  type Tag,
  type Task,
  tagById,
} from '../../src/sim/state.ts';
import { packageStatus, taggedBuilds } from '../../src/sim/tags.ts';

/** A look may be so old when the gate acts on it: its calls take time. In ms. */
export const LOOK = 5 * 60_000;

// ---- builds ---------------------------------------------------------------------------------------

/** The `buildArch` tasks of a build, and their last build roots. */
export function archesOf(state: State, build: Task): { task: Task; root: Buildroot | undefined }[] {
  return state.tasks
    .filter(({ parent, method }) => parent === build.id && method === 'buildArch')
    .map((task) => ({ task, root: state.buildroots.findLast(({ task_id }) => task_id === task.id) }));
}

/** Ids of the kernel builds whose devel packages a build root held; `any`: also what is no more than named like one. */
export const develIn = ({ rpms }: Buildroot, name: string, any?: 'any'): number[] =>
  rpms
    .filter((rpm) => rpm.name.startsWith(any ? name : `${name}-devel`) && /-devel(-matched)?$/.test(rpm.name))
    .map(({ build_id }) => build_id ?? 0);

/** The kernel that whoever asks a build root's repo for one is given. */
export function newestIn(state: State, { repo_id, tag_id }: Buildroot, name: string): Build | undefined {
  const event = state.repos[repo_id - 1]?.create_event ?? null;
  const query = { event, inherit: true, package: name, latest: 1 };
  return taggedBuilds(state, tagById(state, tag_id), query)[0]?.build;
}

/** An attempt's `build` task on the hub. */
export const taskOf = ({ tasks }: State, { receipt }: Intent): Task | undefined =>
  receipt?.task === undefined ? undefined : tasks[receipt.task - 1];

// ---- which kmods --------------------------------------------------------------------------------------

/** What is wrong with the kmods that a run chose: one that stood there is left out, or one did not stand there. */
export function wrongChoice(state: State, gate: Gate, run: Run, clock: Clock): string | undefined {
  const tag = state.tags.find(({ name }) => name === gate.kmods.tag);
  if (!tag) return undefined;
  const [from, to] = [run.chosen.at - LOOK, run.chosen.at];
  const all = listingsIn(state, tag, clock).filter(({ build }) => isChosen(state, gate, tag, build));
  // What the world began with was there all the time.
  const begin = Math.max(from, clock(state.events[0]?.time ?? 0));
  const stood = all.filter(({ since, till }) => since <= begin && till > to);
  const missing = stood.find(({ build }) => !run.kmods.some(({ name }) => name === build.name));
  if (missing) return `${missing.build.nvr} stands in ${tag.name} and is not tried`;
  for (const kmod of run.kmods) {
    const listed = all.findLast(
      ({ build, since, till }) => build.id === kmod.buildId && since <= to && till >= from,
    );
    if (!listed) return `${kmod.nvr} is tried and does not stand in ${tag.name}`;
    const newer = stood.find(
      ({ build, listing }) => build.name === kmod.name && listing.create_event > listed.listing.create_event,
    );
    if (newer) return `${kmod.nvr} is tried in place of ${newer.build.nvr}`;
    if (kmod.required === gate.kmods.advisory.some((pattern) => matches(pattern, kmod.name)))
      return `${kmod.nvr} is ${kmod.required ? 'advisory and' : 'required, but not'} taken as required`;
  }
  return undefined;
}

function isChosen(state: State, { kernels, kmods }: Gate, tag: Tag, { name }: Build): boolean {
  const among = (patterns: readonly string[]) => patterns.some((pattern) => matches(pattern, name));
  if (kernels.includes(name) || packageStatus(state, tag, name) !== 'listed') return false;
  return among(kmods.include) && !among(kmods.exclude);
}

/** What the gate's clock shows at a time of the hub's. */
export type Clock = (at: number) => number;

export interface Stay {
  readonly listing: Listing;
  readonly build: Build;
  readonly since: number;
  readonly till: number;
}

/** All stays in a tag, oldest first, with their times as the gate's clock shows them. */
export function listingsIn(state: State, tag: Tag, clock: Clock): Stay[] {
  return state.listings
    .filter(({ tag_id }) => tag_id === tag.id)
    .flatMap((listing) => {
      const build = state.builds[listing.build_id - 1];
      const { create_event, revoke_event } = listing;
      const till = revoke_event === null ? Number.POSITIVE_INFINITY : clock(eventTime(state, revoke_event));
      return build ? [{ listing, build, since: clock(eventTime(state, create_event)), till }] : [];
    });
}
