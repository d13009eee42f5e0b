/** Rows of the simulated hub as the structs that a real hub sends. */
import { Double, encodeCall, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from './replies.ts';
import {
  type Build,
  type Buildroot,
  digest,
  eventTime,
  type Host,
  type Listing,
  packageId,
  type Rpm,
  row,
  type State,
  type Tag,
  type Target,
  type Task,
  tagById,
  type User,
} from './state.ts';
import type { Link, Tagged } from './tags.ts';

/** A time as PostgreSQL's timestamps travel: Python leaves the fraction out where it is zero. */
export function timeText(ms: number | null): string | null {
  if (ms === null) return null;
  const [date, time = ''] = new Date(ms).toISOString().slice(0, -1).split('T');
  const [seconds, fraction] = time.split('.');
  return `${date} ${seconds}${fraction === '000' ? '' : `.${fraction}000`}+00:00`;
}

/** The same time as seconds since the epoch. */
export function timeSeconds(ms: number | null): Double | null {
  return ms === null ? null : new Double(ms / 1000);
}

/** A user as `getUser` has it. */
export function userInfo(user: User): XmlStruct {
  return { id: user.id, name: user.name, status: 0, usertype: 0, krb_principals: [] };
}

/** A package in a tag as `getPackageConfig` has it. Whom no user's `owns` names belongs to the administrator. */
export function packageConfig(state: State, tag: Tag, name: string, blocked: boolean): XmlStruct {
  const owner = state.users.find(({ owns }) => owns?.includes(name)) ?? row(state.users, 1, 'user');
  return {
    package_id: packageId(state, name),
    package_name: name,
    tag_id: tag.id,
    tag_name: tag.name,
    owner_id: owner.id,
    owner_name: owner.name,
    extra_arches: null,
    blocked,
  };
}

/** A tag as `listTags` has it; `getTag` and messages add `extra`. */
export function tagRow(tag: Tag): XmlStruct {
  return {
    arches: tag.arches.join(' '),
    id: tag.id,
    locked: tag.locked,
    maven_include_all: false,
    maven_support: false,
    name: tag.name,
    perm: tag.perm,
    perm_id: tag.perm === null ? null : 1,
  };
}

/** A tag as `getTag` has it. */
export function tagInfo(tag: Tag): XmlStruct {
  return { ...tagRow(tag), extra: tag.extra };
}

/** A tag as `getBuildConfig` has it: what it does not say itself, the nearest ancestor that does. */
export function buildConfig(tag: Tag, ancestors: readonly Tag[]): XmlStruct {
  const from = tag.arches.length > 0 ? undefined : ancestors.find(({ arches }) => arches.length > 0);
  const arches = (from ?? tag).arches.join(' ');
  const inherited = from === undefined ? null : { id: from.id, name: from.name };
  return {
    ...tagInfo(tag),
    arches: arches === '' ? null : arches,
    extra: Object.assign({}, ...ancestors.toReversed().map(({ extra }) => extra), tag.extra),
    config_inheritance: { extra: {}, arches: inherited },
  };
}

/** A builder as `listHosts` has it. */
export function hostInfo(state: State, { id, ready }: Host): XmlStruct {
  return {
    id,
    user_id: state.users.length + id,
    name: `builder${id}`,
    update_ts: timeSeconds(state.now),
    ready,
    task_load: new Double(0),
    arches: state.scenario.arches.join(' '),
    capacity: new Double(2),
    description: null,
    comment: null,
    enabled: true,
  };
}

/** A target as `getBuildTarget` has it. */
export function targetInfo(state: State, target: Target): XmlStruct {
  return {
    build_tag: target.build_tag,
    build_tag_name: tagById(state, target.build_tag).name,
    dest_tag: target.dest_tag,
    dest_tag_name: tagById(state, target.dest_tag).name,
    id: target.id,
    name: target.name,
  };
}

/** A link as `getFullInheritance` has it. */
export function inheritanceInfo(state: State, link: Link): XmlStruct {
  return {
    intransitive: false,
    maxdepth: null,
    name: tagById(state, link.parent_id).name,
    noconfig: false,
    parent_id: link.parent_id,
    pkg_filter: '',
    priority: link.priority,
    child_id: link.child_id,
    nextdepth: null,
    currdepth: link.depth,
    filter: [],
  };
}

/** What getBuild, listBuilds and listTagged have in common. */
function buildCommon(state: State, build: Build): XmlStruct {
  return {
    build_id: build.id,
    completion_time: timeText(build.completion),
    creation_event_id: build.create_event,
    creation_time: timeText(eventTime(state, build.create_event)),
    draft: build.draft,
    epoch: null,
    name: build.name,
    nvr: build.nvr,
    owner_id: build.owner_id,
    owner_name: row(state.users, build.owner_id, 'user').name,
    package_id: packageId(state, build.name),
    package_name: build.name,
    promoter_id: build.promoted?.by ?? null,
    promoter_name: build.promoted ? row(state.users, build.promoted.by, 'user').name : null,
    promotion_time: timeText(build.promoted?.at ?? null),
    release: build.release,
    start_time: timeText(build.start),
    state: build.state,
    task_id: build.task_id,
    version: build.version,
    volume_id: 0,
    volume_name: 'DEFAULT',
  };
}

/** A build as `listBuilds` has it. */
export function buildRow(state: State, build: Build): XmlStruct {
  return {
    ...buildCommon(state, build),
    completion_ts: timeSeconds(build.completion),
    creation_ts: timeSeconds(eventTime(state, build.create_event)),
    extra: { source: { original_url: `cli-build/${build.task_id}/${build.nvr}.src.rpm` } },
    promotion_ts: timeSeconds(build.promoted?.at ?? null),
    source: build.source,
    start_ts: timeSeconds(build.start),
  };
}

/** A build as `getBuild` has it. */
export function buildInfo(state: State, build: Build): XmlStruct {
  return { ...buildRow(state, build), id: build.id, cg_id: null, cg_name: null };
}

/** A build as `listTagged` and `getLatestBuilds` have it. */
export function taggedInfo(state: State, { build, listing }: Tagged): XmlStruct {
  return {
    ...buildCommon(state, build),
    id: build.id,
    create_event: listing.create_event,
    tag_id: listing.tag_id,
    tag_name: tagById(state, listing.tag_id).name,
  };
}

/** The entry of tag_config as `queryHistory` has it, of a tag that is as it was made; who made it is not known here. */
export const tagConfigInfo = (state: State, { id, name, arches, create_event }: Tag): XmlStruct => ({
  active: true,
  arches: arches.join(' '),
  create_event,
  create_ts: timeSeconds(eventTime(state, create_event)),
  revoke_event: null,
  revoke_ts: null,
  'tag.name': name,
  tag_id: id,
});

/** An entry of tag_listing as `queryHistory` has it; `active` is true or null. */
export function listingInfo(state: State, entry: Listing): XmlStruct {
  const build = row(state.builds, entry.build_id, 'build');
  const revoker = entry.revoker_id === null ? null : row(state.users, entry.revoker_id, 'user').name;
  return {
    active: entry.revoke_event === null ? true : null,
    'build.state': build.state,
    build_id: build.id,
    create_event: entry.create_event,
    create_ts: timeSeconds(eventTime(state, entry.create_event)),
    creator_id: entry.creator_id,
    creator_name: row(state.users, entry.creator_id, 'user').name,
    epoch: null,
    name: build.name,
    release: build.release,
    revoke_event: entry.revoke_event,
    revoke_ts: entry.revoke_event === null ? null : timeSeconds(eventTime(state, entry.revoke_event)),
    revoker_id: entry.revoker_id,
    revoker_name: revoker,
    'tag.name': tagById(state, entry.tag_id).name,
    tag_id: entry.tag_id,
    version: build.version,
  };
}

/** An rpm as `listTaggedRPMS` has it. */
export function rpmRow(rpm: Rpm): XmlStruct {
  const deps = rpm.provides.length + rpm.requires.length;
  return {
    arch: rpm.arch,
    build_id: rpm.build_id,
    buildroot_id: null,
    buildtime: Math.floor(rpm.buildtime / 1000),
    draft: rpm.build_id === null ? null : false,
    epoch: null,
    extra: null,
    id: rpm.id,
    metadata_only: false,
    name: rpm.name,
    payloadhash: digest(`${rpm.name}-${rpm.version}-${rpm.release}.${rpm.arch}`),
    release: rpm.release,
    size: 5000 + 40 * deps,
    version: rpm.version,
  };
}

/** An rpm as `listBuildRPMs` and `listRPMs` have it. */
export function rpmInfo(rpm: Rpm): XmlStruct {
  const external = rpm.build_id === null;
  return {
    ...rpmRow(rpm),
    external_repo_id: external ? 1 : 0,
    external_repo_name: external ? 'toolchain' : 'INTERNAL',
    nvr: `${rpm.name}-${rpm.version}-${rpm.release}`,
  };
}

/** A task as `getTaskInfo` has it without the request. */
export function taskInfo(task: Task): XmlStruct {
  return {
    arch: task.arch,
    awaited: task.awaited,
    channel_id: task.method === 'newRepo' ? 2 : 1,
    completion_time: timeText(task.completion),
    completion_ts: timeSeconds(task.completion),
    create_time: timeText(task.created),
    create_ts: timeSeconds(task.created),
    host_id: task.host_id,
    id: task.id,
    label: task.label,
    method: task.method,
    owner: task.owner,
    parent: task.parent,
    priority: task.priority,
    start_time: timeText(task.start),
    start_ts: timeSeconds(task.start),
    state: task.state,
    waiting: task.waiting,
    weight: new Double(1),
  };
}

/** A task as `listTasks` has it: request and result as XML, or decoded, a result then in a list of one. */
export function taskRow(state: State, task: Task, decode: boolean): XmlStruct {
  const owner = row(state.users, task.owner, 'user');
  return {
    ...taskInfo(task),
    owner_name: owner.name,
    owner_type: 0,
    request: decode ? task.request : encodeCall(task.method, task.request),
    result: decode ? decodedResult(task) : resultXml(task),
  };
}

/** A task with its request, and its result once it has one, as messages have it. */
export function taskNews(task: Task): XmlStruct {
  const info = { ...taskInfo(task), request: task.request };
  return task.result === null ? info : { ...info, result: taskResult(task) };
}

/** What a task came to; a fault as multiCall shows it. */
export function taskResult(task: Task): XmlValue {
  if (task.result === null) return null;
  if ('value' in task.result) return task.result.value;
  return { faultCode: task.result.fault.code, faultString: task.result.fault.text };
}

function decodedResult(task: Task): XmlValue {
  return task.result !== null && 'value' in task.result ? [task.result.value] : taskResult(task);
}

function resultXml(task: Task): string | null {
  if (task.result === null) return null;
  if ('value' in task.result) return encodeResponse(task.result.value);
  return encodeFault(task.result.fault.code, task.result.fault.text);
}

/** A build root as `listBuildroots` has it. */
export function buildrootInfo(state: State, root: Buildroot): XmlStruct {
  const repo = row(state.repos, root.repo_id, 'repo');
  const created = eventTime(state, root.create_event);
  const retired = root.retire_event === null ? null : eventTime(state, root.retire_event);
  return {
    arch: root.arch,
    br_type: 0,
    cg_id: null,
    cg_name: null,
    cg_version: null,
    container_arch: root.arch,
    container_type: 'chroot',
    create_event_id: root.create_event,
    create_event_time: timeText(created),
    create_ts: timeSeconds(created),
    extra: null,
    host_arch: null,
    host_id: root.host_id,
    host_name: `builder${root.host_id}`,
    host_os: null,
    id: root.id,
    repo_create_event_id: repo.create_event,
    repo_create_event_time: timeText(eventTime(state, repo.create_event)),
    repo_id: repo.id,
    repo_state: repo.state,
    retire_event_id: root.retire_event,
    retire_event_time: timeText(retired),
    retire_ts: timeSeconds(retired),
    state: retired === null ? 0 : 3,
    tag_id: root.tag_id,
    tag_name: tagById(state, root.tag_id).name,
    task_id: root.task_id,
  };
}
