/** The tables of a simulated Koji as plain data, its clock and its events. Times are milliseconds since the epoch. */
import { createHash } from 'node:crypto';
import { matcher } from '../core/names.ts';
import { Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import type { Nvr, Scenario } from './scenario.ts';

/** Koji's fault codes (koji.GenericError.faultCode and its subclasses). */
export const FAULT = {
  UNEXPECTED: 1,
  GENERIC: 1000,
  AUTH: 1002,
  TAG: 1003,
  NOT_ALLOWED: 1004,
  BUILD: 1005,
  AUTH_EXPIRED: 1007,
  SEQUENCE: 1008,
  RETRY: 1009,
  BUILDROOT: 1012,
  OFFLINE: 1014,
  PARAMETER: 1019,
} as const;

/** koji.TASK_STATES, and as much of BUILD_STATES and REPO_STATES as occurs here. */
export const TASK = { FREE: 0, OPEN: 1, CLOSED: 2, CANCELED: 3, ASSIGNED: 4, FAILED: 5 } as const;
export const BUILD = { BUILDING: 0, COMPLETE: 1, DELETED: 2 } as const;
export const REPO = { INIT: 0, READY: 1, EXPIRED: 2 } as const;

/** `perms` as Koji names them; `admin` has all. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly password: string | null;
  readonly perms: readonly string[];
  /** Packages, in whatever tag. */
  readonly owns?: readonly string[];
}

/** A session of a user. */
export interface Session {
  readonly id: number;
  readonly key: string;
  readonly user: User;
  readonly start: number;
  /** Number of the last call that wrote something; Koji does not keep those of calls that only read. */
  callnum: number | null;
  state: 'live' | 'expired' | 'closed';
}

/** A moment of the hub's history; every change of a tag is one. */
export interface Event {
  readonly id: number;
  readonly time: number;
}

/** A tag; its inheritance and package list do not change. */
export interface Tag {
  readonly id: number;
  readonly name: string;
  readonly arches: readonly string[];
  readonly locked: boolean;
  /** The permission that it takes to change its builds. */
  readonly perm: string | null;
  readonly extra: XmlStruct;
  /** Tag ids in order of priority. */
  readonly parents: readonly { readonly id: number; readonly priority: number }[];
  /** Package name to whether it is blocked. */
  readonly packages: ReadonlyMap<string, boolean>;
  readonly create_event: number;
  revoke_event: number | null;
}

/** A build target, by tag ids. */
export interface Target {
  readonly id: number;
  readonly name: string;
  readonly build_tag: number;
  readonly dest_tag: number;
}

/** A row of tag_listing: a build was in a tag from one event to another. */
export interface Listing {
  readonly tag_id: number;
  readonly build_id: number;
  readonly create_event: number;
  readonly creator_id: number;
  revoke_event: number | null;
  revoker_id: number | null;
}

/** A build; its rpms name it. */
export interface Build extends Nvr {
  readonly id: number;
  /** Its release ends with `,draft_ID`, which the names of its rpms do not have. */
  readonly draft: boolean;
  readonly owner_id: number;
  readonly task_id: number;
  readonly create_event: number;
  readonly start: number;
  completion: number | null;
  state: number;
  /** The SCM URL with its commit, or the name of the source rpm, that it was built from; null where it was imported. */
  readonly source: string | null;
  /** Who made a draft a build like any other, when, and the NVR that it had before. */
  readonly promoted?: { readonly by: number; readonly at: number; readonly from: string };
}

/** A dependency of an rpm, with rpm's flags. */
export interface Dep {
  readonly name: string;
  readonly version: string;
  readonly flags: number;
}

/** An rpm. `build_id` is null for one that comes from an external repository. */
export interface Rpm {
  readonly id: number;
  readonly build_id: number | null;
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly arch: string;
  readonly buildtime: number;
  readonly provides: readonly Dep[];
  readonly requires: readonly Dep[];
  /** Paths of its files; a byte that is no UTF-8 is a lone surrogate, as Python reads it. Absent: none. */
  readonly files?: readonly string[];
  /** The hub has no file of it any more. */
  readonly isLost?: boolean;
}

/** The build root of one buildArch attempt. */
export interface Buildroot {
  readonly id: number;
  readonly task_id: number;
  readonly arch: string;
  readonly host_id: number;
  readonly tag_id: number;
  readonly repo_id: number;
  readonly create_event: number;
  /** What was installed; empty where the build root could not be made. */
  readonly rpms: readonly Rpm[];
  retire_event: number | null;
}

/** A repo: what its tag held at `create_event`. */
export interface Repo {
  readonly id: number;
  readonly tag_id: number;
  readonly task_id: number;
  readonly create_event: number;
  readonly begin_event: number;
  readonly created: number;
  state: number;
  state_time: number;
}

/** A row of repo_queue. */
export interface RepoRequest {
  readonly id: number;
  readonly tag_id: number;
  readonly owner: number;
  readonly priority: number;
  /** What the repo must hold at least; or the one event that it is of. */
  readonly min_event: number | null;
  readonly at_event: number | null;
  readonly created: number;
  updated: number;
  active: boolean;
  task_id: number | null;
  tries: number;
  repo_id: number | null;
}

/** What a buildArch comes to: files it leaves, and the fault that it fails with. */
export type Outcome =
  | 'restart'
  | 'hangs'
  | { readonly files: Readonly<Record<string, string>>; readonly fault: Fault | null };

/** A row of task, and what the simulation knows of it. */
export interface Task {
  readonly id: number;
  readonly method: string;
  readonly request: readonly XmlValue[];
  readonly arch: string;
  readonly label: string | null;
  readonly parent: number | null;
  readonly owner: number;
  readonly priority: number;
  readonly created: number;
  state: number;
  host_id: number | null;
  start: number | null;
  completion: number | null;
  /** Whether it waits for subtasks, and whether its parent waits for it. */
  waiting: boolean | null;
  awaited: boolean | null;
  result: { readonly value: XmlValue } | { readonly fault: Fault } | null;
  /** When something happens to it next; null while it waits for other tasks, or is done. */
  due: number | null;
  /** Of a `build`: the tag of its build roots, and the repo once it has one. */
  plan: { readonly build_tag: number; repo_id: number | null } | null;
  /** Of an open `buildArch`: what it will come to. */
  outcome: Outcome | null;
  /** Name to content of what it uploaded, with the time of upload. */
  readonly files: Map<string, { readonly content: string; readonly time: number }>;
}

/** What people and programs on the message bus would hear; structs are as the hub's replies have them. */
export type WorldEvent = { readonly id: number; readonly at: number } & (
  | {
      readonly kind: 'build';
      readonly old: number | null;
      readonly build: XmlStruct;
      readonly task: XmlStruct;
    }
  | {
      readonly kind: 'tag' | 'untag';
      readonly tag: XmlStruct;
      readonly build: XmlStruct;
      readonly user: XmlStruct;
    }
  | {
      readonly kind: 'task';
      readonly old: number | null;
      readonly task: XmlStruct;
      /** The name of the task's owner. */
      readonly owner: string;
    }
  | {
      readonly kind: 'promote';
      readonly build: XmlStruct;
      readonly draft_release: string;
      readonly user: XmlStruct;
    }
  | { readonly kind: 'repo-init' | 'repo-done'; readonly tag: XmlStruct; readonly repo: XmlStruct }
);

/** An event before it has a number and a time. */
export type News = WorldEvent extends infer E ? (E extends WorldEvent ? Omit<E, 'id' | 'at'> : never) : never;

/** A whole Koji. */
export interface State {
  readonly scenario: Scenario;
  /** What the clock showed when the world began. */
  readonly start: number;
  now: number;
  builders: number;
  /** How many of them make repos too; null: all. */
  repo_builders: number | null;
  /** Names of tags whose repos cannot be made. */
  broken_repos: readonly string[];
  /** The operator's words during a planned outage. */
  offline: string | null;
  /** Whether the call at hand changed anything. */
  wrote: boolean;
  readonly users: User[];
  readonly sessions: Session[];
  readonly events: Event[];
  /** Package names; a package's id is its index plus one. */
  readonly packages: string[];
  readonly tags: Tag[];
  /** The sequence of tag ids, which has gaps. */
  lastTagId: number;
  readonly targets: Target[];
  lastTargetId: number;
  readonly listings: Listing[];
  /** Changes of tags that are no tagging (tag_updates). */
  readonly updates: { readonly tag_id: number; readonly event: number }[];
  readonly builds: Build[];
  readonly rpms: Rpm[];
  readonly buildroots: Buildroot[];
  readonly repos: Repo[];
  readonly requests: RepoRequest[];
  readonly tasks: Task[];
  /** Tasks that are not done. */
  readonly live: Set<Task>;
  /** How often a rule was used, by rule and kmod. */
  readonly tries: Map<string, number>;
  /** News that no listener has heard yet. */
  readonly outbox: WorldEvent[];
  newsCount: number;
}

/** A world with nothing but its users in it. `now` is what its clock shows. */
export function emptyState(scenario: Scenario, now: number): State {
  return {
    scenario,
    start: now,
    now,
    builders: scenario.builders,
    repo_builders: scenario.repo_builders,
    broken_repos: scenario.broken_repos,
    offline: null,
    wrote: false,
    users: scenario.users.map((user, i) => ({ id: i + 1, ...user })),
    sessions: [],
    events: [],
    packages: [],
    tags: [],
    lastTagId: 0,
    targets: [],
    lastTargetId: 0,
    listings: [],
    updates: [],
    builds: [],
    rpms: [],
    buildroots: [],
    repos: [],
    requests: [],
    tasks: [],
    live: new Set(),
    tries: new Map(),
    outbox: [],
    newsCount: 0,
  };
}

/** A new event at this moment; returns its id. */
export function newEvent(state: State): number {
  state.wrote = true;
  const id = state.events.length + 1;
  state.events.push({ id, time: state.now });
  return id;
}

/** When an event was. */
export function eventTime(state: State, id: number): number {
  return row(state.events, id, 'event').time;
}

/** News for the message bus, told once the call or the step is over. */
export function tell(state: State, news: News): void {
  state.newsCount += 1;
  state.outbox.push({ ...news, id: state.newsCount, at: state.now });
}

/** The row with this id of a table whose ids count from 1 without gaps. Throws fault 1000. */
export function row<T>(table: readonly T[], id: number, what: string): T {
  const found = table[id - 1];
  if (found === undefined) throw new Fault(FAULT.GENERIC, `No such ${what}: ${id}`);
  return found;
}

/** The tag of that name or id, if it is not deleted. */
export function findTag(state: State, ref: XmlValue): Tag | undefined {
  return state.tags.find((tag) => tag.revoke_event === null && (tag.id === ref || tag.name === ref));
}

/** Like `findTag`; throws the fault of the hub's get_tag with strict. */
export function tagOf(state: State, ref: XmlValue): Tag {
  return findTag(state, ref) ?? refuse(`No such tagInfo: ${python(ref)}`);
}

/** The tag with that id, deleted or not. */
export function tagById(state: State, id: number): Tag {
  return state.tags.find((tag) => tag.id === id) ?? refuse(`No such tagInfo: ${id}`);
}

/** The build of that NVR or id. */
export function findBuild(state: State, ref: XmlValue): Build | undefined {
  return state.builds.find((build) => build.id === ref || build.nvr === ref);
}

/** Like `findBuild`; throws the fault of the hub's get_build with strict. */
export function buildOf(state: State, ref: XmlValue): Build {
  return findBuild(state, ref) ?? refuse(`No such build: ${python(ref)}`);
}

/** The user of that name or id. */
export function findUser(state: State, ref: XmlValue): User | undefined {
  return state.users.find((user) => user.id === ref || user.name === ref);
}

/** Like `findUser`; throws fault 1000. */
export function userOf(state: State, ref: XmlValue): User {
  return findUser(state, ref) ?? refuse(`No such user: ${python(ref)}`);
}

/** Koji's hasPerm: permission or administrator. */
export function hasPerm(user: User, perm: string): boolean {
  return user.perms.includes(perm) || user.perms.includes('admin');
}

/** A builder. One that went away is enabled, and not ready. */
export interface Host {
  readonly id: number;
  readonly ready: boolean;
}

/** The builders of a channel, as Koji names it: `createrepo` has fewer where the scenario says so. */
export function hostsIn(state: State, channel: 'default' | 'createrepo'): Host[] {
  const all = Math.max(state.builders, state.scenario.builders);
  const length = channel === 'createrepo' ? Math.min(all, state.repo_builders ?? all) : all;
  return Array.from({ length }, (_, i) => ({ id: i + 1, ready: i < state.builders }));
}

/** The id of a package; a new one if the name is new. */
export function packageId(state: State, name: string): number {
  const known = state.packages.indexOf(name);
  return known === -1 ? state.packages.push(name) : known + 1;
}

/** 32 hex digits that depend on nothing but the text: a stand-in for checksums. */
export function digest(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** Whether `text` matches a shell pattern with `*` and `?`. */
export const matches = (pattern: string, text: string): boolean => matcher([pattern])(text);

/** A value as Python's %r writes it, in the few shapes that faults quote. */
export function python(value: XmlValue): string {
  if (value === null) return 'None';
  return typeof value === 'string' ? `'${value}'` : String(value);
}

function refuse(text: string): never {
  throw new Fault(FAULT.GENERIC, text);
}
