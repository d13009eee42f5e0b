/** Tags: inheritance, package lists, what is tagged and what is latest, and who may change it. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { buildInfo, tagInfo, userInfo } from './shapes.ts';
import {
  BUILD,
  type Build,
  FAULT,
  findTag,
  hasPerm,
  type Listing,
  matches,
  newEvent,
  type State,
  type Tag,
  tagById,
  tell,
  type User,
} from './state.ts';

/** One step of the walk from a tag through its ancestors. */
export interface Link {
  readonly child_id: number;
  readonly parent_id: number;
  readonly priority: number;
  readonly depth: number;
}

/** Every ancestor once, in the order in which Koji looks (getFullInheritance): depth first, by priority. */
export function inheritance(state: State, tag: Tag): Link[] {
  const order: Link[] = [];
  const seen = new Set([tag.id]);
  const walk = (child: Tag, depth: number) => {
    for (const { id, priority } of child.parents) {
      if (seen.has(id)) continue;
      seen.add(id);
      order.push({ child_id: child.id, parent_id: id, priority, depth });
      walk(tagById(state, id), depth + 1);
    }
  };
  walk(tag, 1);
  return order;
}

/** The tags that a tag inherits from, nearest first. */
export function ancestors(state: State, tag: Tag): Tag[] {
  return inheritance(state, tag).map((link) => tagById(state, link.parent_id));
}

/** The tag and its ancestors. */
export function lineage(state: State, tag: Tag): Tag[] {
  return [tag, ...ancestors(state, tag)];
}

/** What builds in a tag are built for: its architectures, or those of its nearest ancestor that names any. */
export function buildArches(state: State, tag: Tag): readonly string[] {
  return lineage(state, tag).find(({ arches }) => arches.length > 0)?.arches ?? [];
}

/** How a tag takes a package: the nearest list in the inheritance that has it decides. */
export function packageStatus(state: State, tag: Tag, name: string): 'listed' | 'blocked' | 'unlisted' {
  for (const { packages } of lineage(state, tag)) {
    const blocked = packages.get(name);
    if (blocked !== undefined) return blocked ? 'blocked' : 'listed';
  }
  return 'unlisted';
}

/** What readTaggedBuilds of the hub takes. `latest` is how many of each package; 0 means all. */
export interface TaggedQuery {
  readonly event?: number | null;
  readonly inherit?: boolean;
  readonly latest?: number;
  readonly package?: string | null;
}

/** A build and the entry by which it is in a tag. */
export interface Tagged {
  readonly build: Build;
  readonly listing: Listing;
}

/**
 * Builds in a tag now or at an event: nearest tag first, in each what was tagged last first. So the first of
 * a package is its latest, whatever its version.
 */
export function taggedBuilds(state: State, tag: Tag, query: TaggedQuery = {}): Tagged[] {
  const { event = null, inherit = false, latest = 0 } = query;
  const count = new Map<string, number>();
  return (inherit ? lineage(state, tag) : [tag]).flatMap(({ id }) =>
    entriesAt(state, id, event).filter(({ build }) => {
      if (typeof query.package === 'string' && build.name !== query.package) return false;
      if (packageStatus(state, tag, build.name) !== 'listed') return false;
      const nth = (count.get(build.name) ?? 0) + 1;
      count.set(build.name, nth);
      return latest === 0 || nth <= latest;
    }),
  );
}

function entriesAt(state: State, tagId: number, event: number | null): Tagged[] {
  const active = (entry: Listing) =>
    event === null
      ? entry.revoke_event === null
      : entry.create_event <= event && (entry.revoke_event === null || entry.revoke_event > event);
  return state.listings
    .filter((entry) => entry.tag_id === tagId && active(entry))
    .sort((a, b) => b.create_event - a.create_event || b.build_id - a.build_id)
    .flatMap((listing) => {
      const build = state.builds[listing.build_id - 1];
      // What was deleted is in no tag, nor was it ever (hub: readTaggedBuilds).
      return build === undefined || build.state === BUILD.DELETED ? [] : [{ build, listing }];
    });
}

/** Whether the tag holds these NVRs, latest or not, which is all that `wait_builds` asks (checkForBuilds). */
export function holdsBuilds(state: State, tag: Tag, nvrs: readonly string[], event: number | null): boolean {
  const held = new Set(taggedBuilds(state, tag, { event, inherit: true }).map(({ build }) => build.nvr));
  return nvrs.every((nvr) => held.has(nvr));
}

/** Events that changed what a repo of the tag would hold, in order (tagLastChangeEvent is the last). */
export function changeEvents(state: State, tag: Tag): number[] {
  const tags = lineage(state, tag);
  const ids = new Set(tags.map(({ id }) => id));
  const listings = state.listings.filter((entry) => ids.has(entry.tag_id));
  const updates = state.updates.filter((update) => ids.has(update.tag_id));
  const events = [
    ...tags.map((each) => each.create_event),
    ...listings.flatMap(({ create_event, revoke_event }) => [create_event, revoke_event ?? create_event]),
    ...updates.map(({ event: id }) => id),
  ];
  return events.sort((a, b) => a - b);
}

/** Whether anything in these very tags changed after an event; what they inherit is not looked at. */
export function changedSince(state: State, event: number, tagIds: readonly XmlValue[]): boolean {
  const after = (each: number | null) => each !== null && each > event;
  return (
    state.tags.some((tag) => tagIds.includes(tag.id) && after(tag.create_event)) ||
    state.updates.some((update) => tagIds.includes(update.tag_id) && after(update.event)) ||
    state.listings.some(
      (entry) => tagIds.includes(entry.tag_id) && (after(entry.create_event) || after(entry.revoke_event)),
    )
  );
}

/** Throws fault 1004 unless the hub's tag policy lets the user change all these tags. */
function assertTagPolicy(state: State, user: User, tags: readonly Tag[]): void {
  const { tag: policy, admins } = state.scenario.policy;
  // A policy binds admins too, unless it says otherwise; without one Koji lets everybody, and this hub admins.
  if (Object.keys(policy).length === 0 && hasPerm(user, 'tag')) return;
  if (admins && hasPerm(user, 'admin')) return;
  const patterns = policy[user.name] ?? [];
  const allowed = tags.every(
    (tag) => isSideTagOf(tag, user) || patterns.some((pattern) => matches(pattern, tag.name)),
  );
  if (!allowed) throw new Fault(FAULT.NOT_ALLOWED, 'policy violation (tag): not covered by policy');
}

/** Why the user may not change the tag's builds now, or null. An admin needs the permission too, or force. */
export function tagAccess(tag: Tag, user: User): string | null {
  if (tag.locked) return 'tag is locked';
  if (tag.perm !== null && !user.perms.includes(tag.perm)) return `tag requires ${tag.perm} permission`;
  return null;
}

function assertTagAccess(tag: Tag, user: User): void {
  const reason = tagAccess(tag, user);
  if (reason !== null) throw new Fault(FAULT.NOT_ALLOWED, reason);
}

/** Throws fault 1003 unless the tag takes builds of this package. */
export function assertListed(state: State, tag: Tag, build: Build): void {
  const status = packageStatus(state, tag, build.name);
  if (status === 'unlisted') throw new Fault(FAULT.TAG, `Package ${build.name} not in list for ${tag.name}`);
  if (status === 'blocked') throw new Fault(FAULT.TAG, `Package ${build.name} blocked in ${tag.name}`);
}

/** What the hub checks before it tags or moves, on the call and again in the task. Throws Faults. */
export function assertMayTag(state: State, user: User, build: Build, tag: Tag, from: Tag | null): void {
  if (build.state !== BUILD.COMPLETE)
    throw new Fault(FAULT.TAG, `build ${build.nvr} not complete: state BUILDING`);
  assertTagAccess(tag, user);
  if (from !== null) assertTagAccess(from, user);
  assertListed(state, tag, build);
  assertTagPolicy(state, user, from === null ? [tag] : [tag, from]);
}

/** What the hub checks before it untags. Throws fault 1004. */
export function assertMayUntag(state: State, user: User, tag: Tag): void {
  assertTagPolicy(state, user, [tag]);
  assertTagAccess(tag, user);
}

/** Tag a build, and take it out of `from` in the same event. Throws fault 1003 with nothing changed. */
export function tagBuild(state: State, user: User, build: Build, tag: Tag, from: Tag | null): void {
  const leaving = from === null ? null : entryOf(state, from, build);
  if (findEntry(state, tag, build) !== undefined) {
    throw new Fault(FAULT.TAG, `build ${build.nvr} already tagged (${tag.name})`);
  }
  const event = newEvent(state);
  if (from !== null && leaving !== null) revoke(state, leaving, event, user, from, build);
  state.listings.push({
    tag_id: tag.id,
    build_id: build.id,
    create_event: event,
    creator_id: user.id,
    revoke_event: null,
    revoker_id: null,
  });
  tell(state, { kind: 'tag', tag: tagInfo(tag), build: buildInfo(state, build), user: userInfo(user) });
}

/** Take a build out of a tag. Throws fault 1003 if it is not in it and `strict` is true. */
export function untagBuild(state: State, user: User, build: Build, tag: Tag, strict: boolean): void {
  if (!strict && findEntry(state, tag, build) === undefined) return;
  revoke(state, entryOf(state, tag, build), newEvent(state), user, tag, build);
}

function revoke(state: State, entry: Listing, event: number, user: User, tag: Tag, build: Build): void {
  entry.revoke_event = event;
  entry.revoker_id = user.id;
  tell(state, { kind: 'untag', tag: tagInfo(tag), build: buildInfo(state, build), user: userInfo(user) });
}

function findEntry(state: State, tag: Tag, build: Build): Listing | undefined {
  return state.listings.find(
    (entry) => entry.tag_id === tag.id && entry.build_id === build.id && entry.revoke_event === null,
  );
}

function entryOf(state: State, tag: Tag, build: Build): Listing {
  const entry = findEntry(state, tag, build);
  if (entry === undefined) throw new Fault(FAULT.TAG, `build ${build.nvr} not in tag ${tag.name}`);
  return entry;
}

/** A side tag of `base`, which is a target too (plugin sidetag). Its id skips one, as the plugin's does. */
export function createSideTag(state: State, user: User, base: Tag): Tag {
  state.lastTagId += 2;
  const id = state.lastTagId;
  const tag: Tag = {
    id,
    name: `${base.name}-side-${id}`,
    arches: base.arches,
    locked: false,
    perm: null,
    extra: { sidetag: true, sidetag_user: user.name, sidetag_user_id: user.id },
    parents: [{ id: base.id, priority: 0 }],
    packages: new Map(),
    create_event: newEvent(state),
    revoke_event: null,
  };
  state.tags.push(tag);
  addTarget(state, tag.name, tag, tag);
  return tag;
}

/** Delete a side tag with its target; what is in it leaves it. Throws Faults 1000 and 1004. */
export function removeSideTag(state: State, user: User, tag: Tag): void {
  if (tag.extra['sidetag'] !== true) throw new Fault(FAULT.GENERIC, `Not a sidetag: ${tag.name}`);
  if (!isSideTagOf(tag, user) && !hasPerm(user, 'admin')) {
    throw new Fault(FAULT.NOT_ALLOWED, 'This is not your sidetag');
  }
  const event = newEvent(state);
  tag.revoke_event = event;
  state.targets.splice(
    state.targets.findIndex((target) => target.build_tag === tag.id),
    1,
  );
  for (const entry of state.listings) {
    if (entry.tag_id !== tag.id || entry.revoke_event !== null) continue;
    entry.revoke_event = event;
    entry.revoker_id = user.id;
  }
}

function isSideTagOf(tag: Tag, user: User): boolean {
  return tag.extra['sidetag_user_id'] === user.id;
}

/** A new build target. */
export function addTarget(state: State, name: string, build_tag: Tag, dest_tag: Tag): void {
  state.lastTargetId += 1;
  state.targets.push({ id: state.lastTargetId, name, build_tag: build_tag.id, dest_tag: dest_tag.id });
}

/** The tags that a build is in now. */
export function tagsOf(state: State, build: Build): Tag[] {
  const ids = new Set(
    state.listings
      .filter((entry) => entry.build_id === build.id && entry.revoke_event === null)
      .map((e) => e.tag_id),
  );
  return state.tags.filter((tag) => ids.has(tag.id) && findTag(state, tag.id) !== undefined);
}
