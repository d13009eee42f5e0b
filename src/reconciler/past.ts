/** What a hub's tags held at a time that is past, by their history. */
import type { Passage, Stay } from '../core/backtest.ts';
import { BUILD, type Gate } from '../core/model.ts';
import type { TaggedKmod } from '../core/select.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, isUnknown, unwrap } from '../koji/hub.ts';
import type { TagsHeld } from './choose.ts';
import { tagsIn } from './observe.ts';

type Reads = Pick<Hub, 'read' | 'readAll'>;

/** The histories of a gate's tags. */
export interface Past {
  /** All stays of its kernels, in the watch tag, and in those into which a pass and a fail tag. */
  readonly kernels: readonly koji.TagListing[];
  readonly kmods: readonly koji.TagListing[];
}

/** Read the histories of a gate's tags. Throws HubError. */
export async function readPast(hub: Reads, { watch, on_pass, on_fail, kernels, kmods }: Gate): Promise<Past> {
  const tags = [...new Set([watch, ...on_pass.tag, ...on_fail.tag])];
  const calls = tags.flatMap((tag) => kernels.map((name) => koji.queryPackageHistory(tag, name)));
  const [ofKernels, ofKmods] = [await hub.readAll(calls), await hub.read(koji.queryTagContents(kmods.tag))];
  return { kernels: ofKernels.flatMap(unwrap), kmods: ofKmods };
}

/** A stay in a tag, as plain data. */
export function stayOf(listing: koji.TagListing): Stay {
  const { build_id: id, name, version, release, epoch, create_event, create_ts, creator_name } = listing;
  const { revoke_event, revoke_ts, revoker_name } = listing;
  return {
    kernel: { id, nvr: nvrOf(listing), name, epoch, version, release },
    tag: listing['tag.name'],
    came: { event: create_event, at: create_ts * 1000, by: creator_name },
    left:
      revoke_event === null
        ? null
        : { event: revoke_event, at: (revoke_ts ?? create_ts) * 1000, by: revoker_name ?? '' },
  };
}

const nvrOf = ({ name, version, release }: koji.TagListing): string => `${name}-${version}-${release}`;

/** The calls that tell most of some passages, so that they can be asked in one request for many. */
export const aheadOf = ({ kmods }: Gate, passages: readonly Passage[]) =>
  passages.flatMap(({ kernel, came }) => [
    koji.listBuildRPMs(kernel.id),
    koji.listTagged(kmods.tag, { latest: true, event: came.event }),
  ]);

/** What a gate's tags held once an event had happened. */
export function heldAt(hub: Reads, gate: Gate, past: Past, event: number): TagsHeld {
  const at = (stays: readonly koji.TagListing[]) => asAt(stays, event);
  return {
    kmods: () => kmodsAt(hub, gate.kmods.tag, at(past.kmods), event),
    shipped: async (name) =>
      at(past.kernels).filter((stay) => stay.name === name && gate.on_pass.tag.includes(stay['tag.name'])),
    tagsOf: async (builds) =>
      (await hub.readAll(builds.map((id) => koji.queryTagHistory(id)))).map((history) =>
        tagsIn(at(unwrap(history))),
      ),
  };
}

/** Stays as they were told at an event. */
const asAt = (stays: readonly koji.TagListing[], event: number): koji.TagListing[] =>
  stays
    .filter(({ create_event }) => create_event <= event)
    .map((stay) =>
      stay.revoke_event === null || stay.revoke_event <= event
        ? stay
        : {
            ...stay,
            active: true,
            revoke_event: null,
            revoke_ts: null,
            revoker_id: null,
            revoker_name: null,
          },
    );

/**
 * The newest build of each package in the kmods' tag. The hub's answer leaves out what was deleted since (`readTaggedBuilds`
 * wants complete builds), as if an older build had been the newest: the history still has it. It has packages that were
 * blocked then, too, so of a build that the hub does not name it is asked what became of it.
 * @param stays as they were told at the event
 */
async function kmodsAt(
  hub: Reads,
  tag: string,
  stays: readonly koji.TagListing[],
  event: number,
): Promise<TaggedKmod[]> {
  const listed: TaggedKmod[] = await hub
    .read(koji.listTagged(tag, { latest: true, event }))
    .catch((error: unknown) => {
      // A tag that was not there yet held nothing.
      if (isUnknown(error)) return [];
      throw error;
    });
  const newest = new Map<string, koji.TagListing>();
  for (const stay of stays.toSorted((a, b) => a.create_event - b.create_event || a.build_id - b.build_id))
    if (stay.revoke_event === null) newest.set(stay.name, stay);
  const unnamed = [...newest.values()].filter(
    (stay) => !listed.some(({ build_id }) => build_id === stay.build_id),
  );
  const builds = (await hub.readAll(unnamed.map(({ build_id }) => koji.getBuild(build_id)))).map(unwrap);
  const deleted = builds.flatMap((build) => (build && build.state !== BUILD.COMPLETE ? build : []));
  return [...listed.filter(({ name }) => !deleted.some((build) => build.name === name)), ...deleted];
}
