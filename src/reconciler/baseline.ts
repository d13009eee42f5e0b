/** Where a baseline can be built against with a shared build tag: a repo that holds it, or a moment of which the hub makes one. */
import type { BaselineRepo, Gate, KernelRef } from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, isNoMethod, isUnknown, unwrap } from '../koji/hub.ts';
import type { Context } from './context.ts';

/** So many repos that once held a baseline, and so many of the hub's newest ones, are looked at. */
const OWN_MOST = 10;
const READY_MOST = 50;
/** So many stays of a baseline in the tags that the build tag inherits, the newest first. */
const STAYS_MOST = 5;

/**
 * Look for a repo of the gate's build tag in which a baseline is the newest kernel: those in which this gate has built
 * with it, then all that the hub has ready (`repo.query`, hub 1.35 and newer). Where there is none, such a hub makes one of
 * the moment when the baseline was the newest kernel; an older one only has what kojira made then (`getRepo`).
 * @param name the kernel's package
 * @throws HubError
 */
export async function findBaselineRepo(
  { hub, store }: Context,
  { build }: Gate,
  name: string,
  baseline: KernelRef,
): Promise<BaselineRepo> {
  if (!build) return { repo: null, why: 'nothing is built' };
  const target = await hub.read(koji.getBuildTarget(build.target));
  const { build_tag_name: tag } = target;
  const own = await hub.readAll(
    (await store.reposWith(baseline.id)).slice(0, OWN_MOST).map((id) => koji.repoInfo(id)),
  );
  for (const answer of own) {
    // A repo that the hub does not know any more is as good as deleted.
    const repo = answer.ok || !isUnknown(answer.error) ? unwrap(answer) : null;
    if (repo?.tag_name === tag && koji.REPO_USABLE.includes(repo.state)) return { repo: repo.id, why: '' };
  }
  const sight = { hub, target, name, baseline };
  const ready = await hub.read(koji.readyRepos(target.build_tag, READY_MOST)).catch((error: unknown) => {
    if (isNoMethod(error)) return undefined;
    throw error;
  });
  const held = await heldAt(sight, ready?.map(({ create_event }) => create_event) ?? []);
  const repo = ready?.find((_, i) => held[i]);
  if (repo) return { repo: repo.id, why: '' };
  const event = await newestEvent(sight);
  const nothing = `nothing shows whether it builds against ${baseline.nvr}`;
  if (event === undefined)
    return {
      repo: null,
      why: `${nothing}: it never was the newest kernel of ${tag}, as target ${target.name} builds in it`,
    };
  if (ready) return { repo: null, event, why: '' };
  const old = await hub.read(koji.getRepo(tag, event));
  const fits = old !== null && koji.REPO_USABLE.includes(old.state);
  if (fits && (await heldAt(sight, [old.create_event]))[0]) return { repo: old.id, why: '' };
  return {
    repo: null,
    why: `${nothing}: no repo of ${tag} holds that one any more, and the hub makes none of the past (before Koji 1.35)`,
  };
}

interface Sight {
  readonly hub: Hub;
  readonly target: koji.BuildTarget;
  /** The kernel's package. */
  readonly name: string;
  readonly baseline: KernelRef;
}

/**
 * Whether the baseline was the newest kernel of the build tag at each of some events, and the target built in that tag
 * then: kojid takes a target as it was at the repo's event.
 */
async function heldAt({ hub, target, name, baseline }: Sight, events: readonly number[]): Promise<boolean[]> {
  const tag = target.build_tag_name;
  const latest = await hub.readAll(
    events.map((event) => koji.getLatestBuilds(tag, { package: name, event })),
  );
  const targets = await hub.readAll(events.map((event) => koji.buildTargetAt(target.name, event)));
  // A tag that was not there yet is refused, and held nothing.
  const value = <T>(answer: Parameters<typeof unwrap<T>>[0]): T | undefined =>
    answer && !answer.ok && isUnknown(answer.error) ? undefined : unwrap(answer);
  return events.map((_, i) => {
    const [newest] = value(latest[i]) ?? [];
    return newest?.build_id === baseline.id && value(targets[i])?.build_tag === target.build_tag;
  });
}

/**
 * The last event that is known of at which the baseline was the newest kernel of the build tag: just before another kernel
 * came or it left, else when it came.
 */
async function newestEvent(sight: Sight): Promise<number | undefined> {
  const { hub, target, name, baseline } = sight;
  const tag = target.build_tag_name;
  const parents = await hub.read(koji.getFullInheritance(tag));
  const tags = new Set([tag, ...parents.map((parent) => parent.name)]);
  const histories = await hub.readAll([...tags].map((one) => koji.queryPackageHistory(one, name)));
  const stays = histories.flatMap(unwrap);
  const last = Math.max(
    0,
    ...stays.flatMap(({ create_event, revoke_event }) => [create_event, revoke_event ?? 0]),
  );
  const candidates = stays
    .filter(({ build_id }) => build_id === baseline.id)
    .toSorted((a, b) => b.create_event - a.create_event)
    .slice(0, STAYS_MOST)
    .flatMap(({ create_event: came, revoke_event: left }) => {
      const others = stays.flatMap(({ create_event }) => (create_event > came ? [create_event] : []));
      const end = Math.min(left ?? last + 1, ...others);
      return end - 1 > came ? [end - 1, came] : [came];
    });
  const held = await heldAt(sight, candidates);
  // Numbers of events have gaps: what was begun and not done.
  const known = await hub.readAll(candidates.map((event) => koji.getEvent(event)));
  return candidates.find((_, i) => held[i] && unwrap(known[i]) !== null);
}
