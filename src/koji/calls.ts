/**
 * The calls that the gate makes, as data: method, arguments, and what of the reply it relies on.
 * Members are spelled as Koji spells them; those that are not named here are dropped. `*_ts` are seconds.
 * Schemas are made once: to make one takes longer than to read a reply with it.
 */
import { z } from 'zod';
import type { Call } from './hub.ts';
import { Double, kwargs, type XmlStruct, type XmlValue } from './xmlrpc.ts';

const id = z.int();
const flag = z.boolean();
const text = z.string();
const names = z.array(text);
const anything = z.custom<XmlValue>(() => true);
/** Whatever a write without a result answers. */
const done = z.unknown().transform((): void => {});

function call<T>(
  method: string,
  reply: z.ZodType<T>,
  positional: readonly XmlValue[] = [],
  keywords: Readonly<Record<string, XmlValue | undefined>> = {},
): Call<T> {
  const given = Object.values(keywords).some((value) => value !== undefined);
  return { method, reply, params: given ? [...positional, kwargs(keywords)] : positional };
}

// ------------------------------------------------------------------------------------------ the hub, users

/** Names of all methods that the hub has, plugins' included. */
export const listMethods = (): Call<string[]> => call('system.listMethods', names);

/** Version of the hub, such as `1.35.3`; hubs before 1.25 may not tell. */
export const getKojiVersion = (): Call<string> => call('getKojiVersion', text);

const user = z.object({ id, name: z.string() });
export type User = z.infer<typeof user>;
const userOrNone = user.nullable();

/** Whom the session belongs to; null without one. Goes by `write`. */
export const getLoggedInUser = (): Call<User | null> => call('getLoggedInUser', userOrNone);

const account = user.extend({
  /** 0: not blocked (koji.USER_STATUS). */
  status: z.int(),
  /** 0: a person, or a program that acts as one (koji.USERTYPES). */
  usertype: z.int(),
});

/** A user by id; null if there is none. */
export const getUser = (userInfo: number): Call<z.infer<typeof account> | null> =>
  call('getUser', accountOrNone, [userInfo]);
const accountOrNone = account.nullable();

const packageOrNone = z.object({ owner_id: id, owner_name: text, blocked: flag }).nullable();

/** Who owns a package in a tag, inherited too; null where the tag does not list it. */
export const getPackageConfig = (tag: string, name: string): Call<z.infer<typeof packageOrNone>> =>
  call('getPackageConfig', packageOrNone, [tag, name]);

/** Whether the session's user has a permission, such as `tag`. Goes by `write`. */
export const hasPerm = (permission: string): Call<boolean> => call('hasPerm', flag, [permission]);

/** The permissions of the session's user, such as `admin`. Goes by `write`. */
export const getPerms = (): Call<string[]> => call('getPerms', names);

const tagAccess = z
  .tuple([z.boolean(), z.boolean(), z.string()])
  .transform(([allowed, override, reason]) => ({ allowed, override, reason }));
export type TagAccess = z.infer<typeof tagAccess>;

/**
 * Whether the tag's lock and permission let the session's user in (`override`: could force it); says nothing of
 * the hub's policy. Goes by `write`.
 */
export const checkTagAccess = (tag: string): Call<TagAccess> => call('checkTagAccess', tagAccess, [tag]);

/** Whether a package is listed in a tag, inheritance included; without it tagging is refused. */
export const checkTagPackage = (tag: string, name: string): Call<boolean> =>
  call('checkTagPackage', flag, [tag, name]);

// ------------------------------------------------------------------------------------------ builds and tags

const build_ = z.object({
  build_id: id,
  nvr: z.string(),
  name: z.string(),
  version: z.string(),
  release: z.string(),
  epoch: z.int().nullable(),
  /** `BUILD` of the model. */
  state: z.int(),
  task_id: id.nullable(),
  owner_name: z.string(),
  volume_name: z.string(),
  /** What it was built from: an SCM URL with the commit, or a source rpm's name (see `scmOf`); null where it was imported. */
  source: z.string().nullish(),
  /** Hubs before 1.33 have no drafts. */
  draft: z.boolean().default(false),
});
export type Build = z.infer<typeof build_>;
const buildOrNone = build_.nullable();

const nvrs = z.array(z.object({ nvr: text }));

/** The builds that a `build` task made. */
export const listBuildsOf = (taskID: number): Call<{ nvr: string }[]> =>
  call('listBuilds', nvrs, [], { taskID });

/** A build by id or NVR; null if there is none. */
export const getBuild = (build: number | string): Call<Build | null> =>
  call('getBuild', buildOrNone, [build]);

const taggedBuild = build_.extend({
  tag_id: id,
  tag_name: z.string(),
  /** The event with which it came into the tag. */
  create_event: z.int(),
});
export type TaggedBuild = z.infer<typeof taggedBuild>;
const taggedBuilds = z.array(taggedBuild);

/**
 * Builds in a tag, last tagged first; at an event of the past if one is given, but for those that were deleted since.
 * `latest`: one a package. `inherit`: also those of parent tags.
 */
export const listTagged = (
  tag: string,
  options: {
    readonly package?: string;
    readonly latest?: boolean;
    readonly inherit?: boolean;
    readonly event?: number;
  } = {},
): Call<TaggedBuild[]> => call('listTagged', taggedBuilds, [tag], options);

/** The last tagged build of each package, inheritance included; at an event of the past if one is given. */
export const getLatestBuilds = (
  tag: string,
  options: { readonly package?: string; readonly event?: number } = {},
): Call<TaggedBuild[]> => call('getLatestBuilds', taggedBuilds, [tag], options);

const tag = z.object({
  id,
  name: z.string(),
  arches: z.string().nullable(),
  locked: z.boolean(),
  perm: z.string().nullable(),
});
export type Tag = z.infer<typeof tag>;
const tags = z.array(tag);
const tagConfig = tag
  .pick({ id: true, name: true, arches: true })
  .extend({ extra: z.record(text, anything).default({}) });
export type TagConfig = z.infer<typeof tagConfig>;

/** Tags that a build is in itself, not by inheritance. */
export const listTags = (build: number): Call<Tag[]> => call('listTags', tags, [], { build });

/** A tag as builds take it: architectures and settings (`rpm.macro.dist`) that it does not name itself are its ancestors'. */
export const getBuildConfig = (name: string): Call<TagConfig> => call('getBuildConfig', tagConfig, [name]);

/** A tag by name; refused if there is none. */
export const getTag = (name: string): Call<Tag> => call('getTag', tag, [name], { strict: true });

const buildTarget = z.object({
  id,
  name: z.string(),
  build_tag: id,
  build_tag_name: z.string(),
  dest_tag: id,
  dest_tag_name: z.string(),
});
export type BuildTarget = z.infer<typeof buildTarget>;

/** A build target by name; refused if there is none. */
export const getBuildTarget = (name: string): Call<BuildTarget> =>
  call('getBuildTarget', buildTarget, [name], { strict: true });

const buildTargetOrNone = buildTarget.nullable();

/** A build target as it was at an event; null if there was none. */
export const buildTargetAt = (name: string, event: number): Call<BuildTarget | null> =>
  call('getBuildTarget', buildTargetOrNone, [name], { event });

const ancestor = z.object({ parent_id: id, name: z.string(), child_id: id, currdepth: z.int() });
export type Ancestor = z.infer<typeof ancestor>;
const ancestors = z.array(ancestor);

/** Every tag that a tag inherits from, in order of precedence. */
export const getFullInheritance = (name: string): Call<Ancestor[]> =>
  call('getFullInheritance', ancestors, [name]);

const event = z.object({ id, ts: z.number() });
export type Event = z.infer<typeof event>;

const eventOrNone = event.nullable();

/** An event by its number; null if there is none. */
export const getEvent = (number: number): Call<Event | null> =>
  call('getEvent', eventOrNone, [number], { strict: false });

/** The hub's last event before a time, in seconds; refused where there was none. */
export const getLastEvent = (before: number): Call<Event> =>
  call('getLastEvent', event, [], { before: new Double(before) });

/** Whether any of these tags themselves changed after an event: kojira's question. For every ancestor too, name it. */
export const tagChangedSinceEvent = (event: number, tags: readonly number[]): Call<boolean> =>
  call('tagChangedSinceEvent', flag, [event, [...tags]]);

const tagListing = z.object({
  build_id: id,
  name: z.string(),
  version: z.string(),
  release: z.string(),
  epoch: z.int().nullable(),
  'tag.name': z.string(),
  /** True while the build is in the tag, else null. */
  active: z.boolean().nullable(),
  create_event: z.int(),
  create_ts: z.number(),
  creator_id: id,
  creator_name: z.string(),
  revoke_event: z.int().nullable(),
  revoke_ts: z.number().nullable(),
  revoker_id: id.nullable(),
  revoker_name: z.string().nullable(),
});
export type TagListing = z.infer<typeof tagListing>;

const history = z.object({ tag_listing: z.array(tagListing).default([]) }).transform((r) => r.tag_listing);

/** Who put a build into which tags, and took it out, and when (`queryHistory`). */
export const queryTagHistory = (build: number): Call<TagListing[]> =>
  call('queryHistory', history, [], { tables: ['tag_listing'], build });

/** All builds that were ever in a tag (`queryHistory`). */
export const queryTagContents = (tag: string): Call<TagListing[]> =>
  call('queryHistory', history, [], { tables: ['tag_listing'], tag });

const tagLife = z
  .object({
    tag_listing: z.array(z.unknown()).default([]),
    tag_config: z.array(z.object({ create_ts: z.number() })).default([]),
  })
  .transform(({ tag_listing, tag_config }) => ({
    /** In seconds; infinite where the hub does not tell. */
    since: Math.min(...tag_config.map(({ create_ts }) => create_ts)),
    /** Whether a build ever was in it. */
    used: tag_listing.length > 0,
  }));

/** Since when there is a tag, and whether it was ever used (`queryHistory`). */
export const queryTagLife = (tag: string): Call<z.infer<typeof tagLife>> =>
  call('queryHistory', tagLife, [], { tables: ['tag_config', 'tag_listing'], tag });

/** The builds of a package that were ever in a tag, each stay once (`queryHistory`). */
export const queryPackageHistory = (tag: string, name: string): Call<TagListing[]> =>
  call('queryHistory', history, [], { tables: ['tag_listing'], tag, package: name });

/** Ask for a build to be tagged; with `fromtag` moved, in one transaction. The reply is the id of a task. */
export const tagBuild = (
  tag: string,
  build: number,
  options: { readonly force?: boolean; readonly fromtag?: string } = {},
): Call<number> => call('tagBuild', id, [tag, build], options);

/** Take a build out of a tag, at once; refused if it is not in it. */
export const untagBuild = (tag: string, build: number): Call<void> => call('untagBuild', done, [tag, build]);

// ------------------------------------------------------------------------------------------ rpms, build roots

const rpm = z.object({
  id,
  name: z.string(),
  version: z.string(),
  release: z.string(),
  nvr: z.string(),
  arch: z.string(),
  /** Null for an rpm of an external repo. */
  build_id: id.nullable(),
});
export type Rpm = z.infer<typeof rpm>;
const rpms = z.array(rpm);

/** The rpms that a build made, the source rpm (`arch: 'src'`) included. */
export const listBuildRPMs = (build: number): Call<Rpm[]> => call('listBuildRPMs', rpms, [build]);

/** The rpms that a build root held. */
export const listRPMs = (where: { readonly componentBuildrootID: number }): Call<Rpm[]> =>
  call('listRPMs', rpms, [], where);

/** Where the hub's rpm is an old one, a text that is no UTF-8 comes as its bytes (koji.get_header_field). */
const headerText = z.union([
  z.string(),
  z.instanceof(Uint8Array).transform((bytes) => Buffer.from(bytes).toString('latin1')),
]);
const texts = z.array(headerText).default([]);
const numbers = z.array(z.int()).default([]);
const rpmHeaders = z.object({
  PROVIDENAME: texts,
  PROVIDEVERSION: texts,
  PROVIDEFLAGS: numbers,
  REQUIRENAME: texts,
  REQUIREVERSION: texts,
  REQUIREFLAGS: numbers,
  DIRNAMES: texts,
});
export type RpmHeaders = z.infer<typeof rpmHeaders>;

/**
 * What an rpm provides and requires, as arrays of equal length, which are a third of the size of `getRPMDeps`, and the
 * folders of its files. Empty where the hub has no such file.
 */
export const getRPMHeaders = (rpmID: number): Call<RpmHeaders> =>
  call('getRPMHeaders', rpmHeaders, [], { rpmID, headers: Object.keys(rpmHeaders.shape) });

const rpmFiles = z
  .object({ BASENAMES: texts, DIRINDEXES: numbers, DIRNAMES: texts })
  .transform(({ BASENAMES, DIRINDEXES, DIRNAMES }) =>
    BASENAMES.map((name, i) => `${DIRNAMES[DIRINDEXES[i] ?? -1] ?? ''}${name}`),
  );

/** The paths of an rpm's files, in shorter words than `listRPMFiles` has. Empty where the hub has no such file. */
export const getRPMFiles = (rpmID: number): Call<string[]> =>
  call('getRPMHeaders', rpmFiles, [], { rpmID, headers: ['BASENAMES', 'DIRINDEXES', 'DIRNAMES'] });

const changelog = z.array(
  z
    .object({ date_ts: z.number(), author: z.string().nullish(), text: z.string().nullish() })
    .transform(({ date_ts: at, author, text }) => ({ at, author: author ?? '', text: text ?? '' })),
);

/** The changelog of a build's source rpm, the newest entry first; `at` in seconds. Empty where the hub has no such file. */
export const getChangelogEntries = (build: number): Call<z.infer<typeof changelog>> =>
  call('getChangelogEntries', changelog, [build]);

const buildroot = z.object({
  id,
  arch: z.string(),
  task_id: id,
  repo_id: id,
  tag_name: z.string(),
  repo_create_event_id: z.int(),
});
export type Buildroot = z.infer<typeof buildroot>;

const buildroots = z.array(buildroot).transform((roots) => roots.sort((a, b) => a.id - b.id));

/** The build roots that a `buildArch` task made, oldest first. */
export const listBuildroots = (taskID: number): Call<Buildroot[]> =>
  call('listBuildroots', buildroots, [], { taskID });

// ------------------------------------------------------------------------------------------ tasks

const taskInfo = z.object({
  id,
  method: z.string(),
  /** `TASK` of the model. */
  state: z.int(),
  arch: z.string(),
  label: z.string().nullable(),
  parent: id.nullable(),
  owner: id.nullable(),
  priority: z.int(),
  create_ts: z.number(),
  start_ts: z.number().nullable(),
  completion_ts: z.number().nullable(),
  /** The task's arguments, where they were asked for. */
  request: z.array(anything).optional(),
});
export type TaskInfo = z.infer<typeof taskInfo>;
const taskOrNone = taskInfo.nullable();
const tasks = z.array(taskInfo);

/** A task; null if there is none. */
export const getTaskInfo = (
  task: number,
  options: { readonly request?: boolean } = {},
): Call<TaskInfo | null> => call('getTaskInfo', taskOrNone, [task], options);

const descendents = z.record(text, tasks);

/** The children of a task and of each of its descendents, by task id. */
export const getTaskDescendents = (
  task: number,
  options: { readonly request?: boolean } = {},
): Call<Record<string, TaskInfo[]>> => call('getTaskDescendents', descendents, [task], options);

/** What a closed task returned, or the fault that it failed with (see `faultIn`); refused for any other task. */
export const getTaskResult = (task: number): Call<XmlValue> =>
  call('getTaskResult', anything, [task], { raise_fault: false });

const faultStruct = z.object({ faultCode: z.int(), faultString: z.string() });

/** The fault in a task's result or in an element of a `multiCall`, if it is one. */
export function faultIn(value: unknown): { readonly code: number; readonly text: string } | undefined {
  const { success, data } = faultStruct.safeParse(value);
  return success ? { code: data.faultCode, text: data.faultString } : undefined;
}

/** Which tasks: filters are joined by "and". `createdAfter` is in seconds. */
export interface TaskFilter {
  readonly owner?: number;
  readonly method?: string;
  /** Decode `request`; without it the reply has it as XML, which is refused here. */
  readonly decode: true;
  readonly createdAfter?: number;
  readonly state?: readonly number[];
}

/** Tasks by filter. `order` is a column, with `-` for descending. */
export const listTasks = (
  { createdAfter, ...filter }: TaskFilter,
  query: { readonly order?: string; readonly limit?: number } = {},
): Call<TaskInfo[]> => {
  const after = createdAfter === undefined ? {} : { createdAfter: new Double(createdAfter) };
  return call('listTasks', tasks, [{ ...filter, ...after }, { ...query }]);
};

/** Options of a scratch build. */
export interface BuildOptions {
  readonly scratch?: true;
  /** A build that may have the NVR of another one, until it is promoted (hub 1.34 and newer). */
  readonly draft?: true;
  /** Build in this repo. For admins only, unless the hub's `build_from_repo_id` policy says otherwise. */
  readonly repo_id?: number;
  /** Build for these architectures alone, with spaces between. */
  readonly arch_override?: string;
  /** Build in a repo that is current when the task starts; `wait_builds` alone takes any repo that holds them. */
  readonly wait_repo?: true;
  /** Wait for a repo that holds these NVRs, be they the newest in it or not. */
  readonly wait_builds?: readonly string[];
  readonly custom_user_metadata?: XmlStruct;
}

/**
 * Start a build. `src` is an SCM URL or a path below the hub's work folder; `priority` is an offset, lower is
 * sooner. The reply is a task id, and says nothing else: even an unknown target is only found by the task.
 */
export const build = (src: string, target: string, options: BuildOptions, priority?: number): Call<number> =>
  call('build', id, [src, target, { ...options }], { priority });

/** Where in version control a build was made from (koji.daemon.SCM.types), if that is where it came from. */
export const scmOf = ({ source }: Pick<Build, 'source'>): string | undefined =>
  source && /^(?:cvs|git|svn)(?:\+\w+)?:\/\//.test(source) ? source : undefined;

/** The SCM URL of a build's source at the head of a branch, and not at the commit that it names after `#`. */
export const atBranch = (source: string, branch: string): string => `${source.split('#')[0]}#${branch}`;

/** Which attempt of which installation a scratch build is. */
export interface BuildMark {
  readonly attempt: string;
  readonly store: string;
}

const MARK = 'kmod-gate';

/** `custom_user_metadata` that `buildMark` finds again. */
export const markBuild = ({ attempt, store }: BuildMark): XmlStruct => ({ [MARK]: { attempt, store } });

const marked = z.object({
  custom_user_metadata: z.object({ [MARK]: z.object({ attempt: z.string(), store: z.string() }) }),
});

/** The mark in a `build` task's request (`[src, target, opts]`), if it has one. */
export function buildMark({ request }: TaskInfo): BuildMark | undefined {
  return marked.safeParse(request?.[2]).data?.custom_user_metadata[MARK];
}

/** Cancel a task and its children; nothing happens to one that ended. Refused for another user's. */
export const cancelTask = (task: number): Call<void> => call('cancelTask', done, [task]);

/** `st_size` travels as a string, since XML-RPC's int is 32 bits. */
const fileStat = z.object({ st_size: z.coerce.number().int() });
export type FileStat = z.infer<typeof fileStat>;
const fileStats = z.record(text, fileStat);

/** A task's files by name. */
export const listTaskOutput = (task: number): Call<Record<string, FileStat>> =>
  call('listTaskOutput', fileStats, [task], { stat: true });

/** base64 in a `<string>`. */
const base64 = z.base64().transform((text): Uint8Array => Buffer.from(text, 'base64'));

/**
 * Bytes of a task's file. A negative offset counts from the end, and beyond the file's size is a fault: take
 * the size from `listTaskOutput` first.
 */
export const downloadTaskOutput = (
  task: number,
  name: string,
  range: { readonly offset: number; readonly size: number },
): Call<Uint8Array> => call('downloadTaskOutput', base64, [task, name], range);

// ------------------------------------------------------------------------------------------ repos, side tags

const repo = z.object({
  id,
  /** The repo holds the tag as it was at this event. */
  create_event: z.int(),
  /** 0 init, 1 ready, 2 expired, 3 deleted, 4 problem. */
  state: z.int(),
});
export type Repo = z.infer<typeof repo>;

const repoRequest_ = z.object({
  id,
  tag_name: z.string(),
  active: z.boolean(),
  tries: z.int(),
  repo_id: id.nullable(),
  task_id: id.nullable(),
});
export type RepoRequest = z.infer<typeof repoRequest_>;

const requested = z.object({ repo: repo.nullable(), request: repoRequest_.nullable() });
const requestStatus = z.object({ repo: repo.nullable(), request: repoRequest_ });

/**
 * Ask for a repo of a tag as it last changed, or as it was at an event (hub 1.35 and newer). Either there is one, and
 * `request` is null, or there is a request, a new one or one that waits already. Who is logged in may ask.
 */
export const repoRequest = (tag: string, at_event?: number): Call<z.infer<typeof requested>> =>
  call('repo.request', requested, [tag], at_event === undefined ? { min_event: 'last' } : { at_event });

const repos = z.array(repo);

/** The newest ready repos of a tag, by its id, that are for build roots (hub 1.35 and newer). */
export const readyRepos = (tag: number, limit: number): Call<Repo[]> =>
  call('repo.query', repos, [
    [
      ['tag_id', '=', tag],
      ['state', '=', 1],
      ['dist', 'IS', false],
    ],
    ['id', 'create_event', 'state'],
    { order: '-create_event', limit },
  ]);

const datedRepo = repo.extend({ create_ts: z.number() });
export type DatedRepo = z.infer<typeof datedRepo>;
const repoOrNone = datedRepo.nullable();

/**
 * The ready repo of a tag that was made last, be it one of the past; with an event the last that was made of it at the
 * event or before, in whatever state. Null if there is none. For hubs that know no requests.
 */
export const getRepo = (tag: string, event?: number): Call<DatedRepo | null> =>
  call('getRepo', repoOrNone, [tag], { event });

const host = z.object({
  id,
  name: z.string(),
  /** Separated by spaces, in Koji's canonical spelling. */
  arches: z.string().nullable(),
  /** False also while it has all the work that it can do. */
  ready: z.boolean(),
});
export type Host = z.infer<typeof host>;
const hosts = z.array(host);

/** Builders; of one channel, such as `createrepo`, or of all. */
export const listHosts = (
  filter: { readonly channelID?: string; readonly enabled?: boolean } = {},
): Call<Host[]> => call('listHosts', hosts, [], filter);

/** How a repo request stands; `repo` is null until it is fulfilled. */
/** Koji's states of repos (koji.REPO_STATES) in which builds may name them: READY and EXPIRED. */
export const REPO_USABLE: readonly number[] = [1, 2];

/** A repo by its id. */
export const repoInfo = (repo: number): Call<RepoState> =>
  call('repoInfo', repoState, [repo], { strict: true });

const repoState = z.object({ id, state: z.int(), tag_name: z.string() });
export type RepoState = z.infer<typeof repoState>;

export const repoCheckRequest = (request: number): Call<z.infer<typeof requestStatus>> =>
  call('repo.checkRequest', requestStatus, [request]);

const sideTag = z.object({ id, name: z.string() });
export type SideTag = z.infer<typeof sideTag>;
const sideTags = z.array(sideTag);

/** A new tag that inherits from `base`, with a build target of the same name. */
export const createSideTag = (base: string): Call<SideTag> => call('createSideTag', sideTag, [base]);

/** Side tags; `user` is a name or an id. */
export const listSideTags = (
  filter: { readonly basetag?: string; readonly user?: number | string } = {},
): Call<SideTag[]> => call('listSideTags', sideTags, [], filter);

/** Remove one's own side tag and its target. */
export const removeSideTag = (name: string): Call<void> => call('removeSideTag', done, [name]);
