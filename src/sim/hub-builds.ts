/** The hub's methods about builds, rpms and build roots. */
import { Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import {
  type Args,
  arg,
  integer,
  list,
  loggedIn,
  lookUp,
  type Methods,
  optionalInteger,
  query,
} from './arguments.ts';
import { deleteBuild, promoteBuild } from './builds.ts';
import { rpmHeader } from './rpms.ts';
import {
  buildInfo,
  buildRow,
  buildrootInfo,
  listingInfo,
  rpmInfo,
  rpmRow,
  tagConfigInfo,
  taggedInfo,
} from './shapes.ts';
import {
  BUILD,
  buildOf,
  FAULT,
  findBuild,
  python,
  type Rpm,
  row,
  type State,
  tagOf,
  userOf,
} from './state.ts';
import { type TaggedQuery, taggedBuilds } from './tags.ts';

/** Parameters that no gate uses are taken and not heeded. */
export const BUILD_METHODS: Methods = {
  'getBuild buildInfo strict?': ({ state }, args) => {
    const ref = arg(args, 'buildInfo');
    const missing = `No such build: ${python(ref)}`;
    return lookUp(findBuild(state, ref), arg(args, 'strict'), missing, (build) => buildInfo(state, build));
  },
  'promoteBuild build force?': (caller, args) => {
    const { state } = caller;
    const user = loggedIn(caller);
    return buildInfo(state, promoteBuild(state, user, buildOf(state, arg(args, 'build'))));
  },
  'deleteBuild build strict? min_ref_age?': (caller, args) => {
    deleteBuild(caller.state, loggedIn(caller), buildOf(caller.state, arg(args, 'build')));
    return true;
  },
  'listBuilds packageID? userID? taskID? prefix? state? volumeID? source? createdBefore? createdAfter? completeBefore? completeAfter? type? typeInfo? queryOpts?':
    ({ state }, args) => {
      const [ref, task, wanted] = [arg(args, 'packageID'), arg(args, 'taskID'), arg(args, 'state')];
      const user = arg(args, 'userID') === null ? null : userOf(state, arg(args, 'userID')).id;
      const after = arg(args, 'completeAfter');
      const found = state.builds.filter(
        (build) =>
          (ref === null || build.name === ref || build.name === state.packages[Number(ref) - 1]) &&
          (user === null || build.owner_id === user) &&
          (task === null || build.task_id === task) &&
          (wanted === null || build.state === wanted) &&
          (typeof after !== 'number' || (build.completion ?? 0) > after * 1000),
      );
      return query(
        found.map((build) => buildRow(state, build)),
        arg(args, 'queryOpts'),
      );
    },
  'getLatestBuilds tag event? package? type?': ({ state }, args) =>
    tagged(state, args, { inherit: true, latest: 1 }),
  'listTagged tag event? inherit? prefix? latest? package? owner? type? strict? extra?': (
    { state },
    args,
  ) => {
    const [prefix, owner] = [arg(args, 'prefix'), arg(args, 'owner')];
    return tagged(state, args, taggedQuery(args)).filter(
      (build) =>
        (typeof prefix !== 'string' || String(build['name']).startsWith(prefix.toLowerCase())) &&
        (owner === null || build['owner_name'] === owner),
    );
  },
  'listTaggedRPMS tag event? inherit? latest? package? arch? rpmsigs? owner? type? strict? extra?': (
    { state },
    args,
  ) => {
    const builds = tagged(state, args, taggedQuery(args));
    const ids = new Set(builds.map((build) => build['build_id']));
    const arches = list(arg(args, 'arch'));
    const rpms = state.rpms.filter(
      (rpm) => ids.has(rpm.build_id) && (arches.length === 0 || arches.includes(rpm.arch)),
    );
    return [rpms.map(rpmRow), builds];
  },
  'listBuildRPMs build': ({ state }, args) => {
    const build = buildOf(state, arg(args, 'build'));
    return state.rpms.filter((rpm) => rpm.build_id === build.id).map(rpmInfo);
  },
  'listRPMs buildID? buildrootID? imageID? componentBuildrootID? hostID? arches? queryOpts?': (
    { state },
    args,
  ) => {
    const root = optionalInteger(args, 'componentBuildrootID');
    const build = optionalInteger(args, 'buildID');
    const installed = root === null ? state.rpms : (state.buildroots[root - 1]?.rpms ?? []);
    const arches = list(arg(args, 'arches'));
    const found = installed.filter(
      (rpm) =>
        (build === null || rpm.build_id === build) && (arches.length === 0 || arches.includes(rpm.arch)),
    );
    const show = (rpm: Rpm) =>
      root === null ? rpmInfo(rpm) : { ...rpmInfo(rpm), component_buildroot_id: root, is_update: false };
    return query(found.map(show), arg(args, 'queryOpts'));
  },
  'getRPMDeps rpmID depType? queryOpts? strict?': ({ state }, args) => {
    const rpm = row(state.rpms, integer(args, 'rpmID'), 'RPM');
    const wanted = arg(args, 'depType');
    const deps = [
      ...(wanted === null || wanted === 0 ? rpm.requires.map((dep) => ({ ...dep, type: 0 })) : []),
      ...(wanted === null || wanted === 1 ? rpm.provides.map((dep) => ({ ...dep, type: 1 })) : []),
    ];
    return query(deps, arg(args, 'queryOpts'));
  },
  'getRPMHeaders rpmID? taskID? filepath? headers? strict?': ({ state }, args) => {
    const id = integer(args, 'rpmID');
    const rpm = state.rpms[id - 1];
    const build = rpm && rpm.build_id !== null ? row(state.builds, rpm.build_id, 'build') : undefined;
    const why =
      (!rpm && `No such rpm: ${id}`) ||
      (!build && `External rpm: ${id}`) ||
      (build?.state === BUILD.DELETED && `Build ${build.nvr} is deleted`) ||
      (rpm?.isLost && `Missing rpm file: ${rpm.name}-${rpm.version}-${rpm.release}.${rpm.arch}.rpm`);
    if (why && arg(args, 'strict') === true) throw new Fault(FAULT.GENERIC, why);
    if (!rpm || why) return {};
    return Object.fromEntries(
      list(arg(args, 'headers')).map((name) => [String(name), rpmHeader(rpm, String(name))]),
    );
  },
  'getChangelogEntries buildID? taskID? filepath? author? before? after? queryOpts? strict?': (
    { state },
    args,
  ) => {
    const { nvr } = buildOf(state, arg(args, 'buildID'));
    const written = state.scenario.kernels.find((kernel) => kernel.nvr === nvr)?.changelog ?? [];
    const date = (at: number) => new Date(1000 * at).toISOString().slice(0, 19).replace('T', ' ');
    const entries = written.map(({ at, author, text }) => ({ date: date(at), date_ts: at, author, text }));
    return query(entries, arg(args, 'queryOpts'));
  },
  'queryHistory tables? build? tag? package? active? queryOpts?': ({ state }, args) => {
    const tables = list(arg(args, 'tables'));
    const told = Object.fromEntries(
      tables.map((table) => [String(table), historyOf(state, String(table), args)]),
    );
    if (tables.length > 0) return told;
    throw new Fault(
      FAULT.GENERIC,
      'the simulation does not tell the history of all tables at once: name some',
    );
  },
  'listBuildroots hostID? tagID? state? rpmID? archiveID? taskID? buildrootID? queryOpts?': (
    { state },
    args,
  ) => {
    const [task, id] = [optionalInteger(args, 'taskID'), optionalInteger(args, 'buildrootID')];
    const found = state.buildroots.filter(
      (root) => (task === null || root.task_id === task) && (id === null || root.id === id),
    );
    return query(
      found.map((root) => buildrootInfo(state, root)),
      arg(args, 'queryOpts'),
    );
  },
};

function taggedQuery(args: Args): TaggedQuery {
  const latest = arg(args, 'latest');
  return {
    inherit: arg(args, 'inherit') === true,
    latest: typeof latest === 'boolean' ? Number(latest) : Number(latest ?? 0),
  };
}

function tagged(state: State, args: Args, query: TaggedQuery): XmlStruct[] {
  const name = arg(args, 'package');
  const full = {
    ...query,
    event: optionalInteger(args, 'event'),
    package: name === null ? null : String(name),
  };
  return taggedBuilds(state, tagOf(state, arg(args, 'tag')), full).map((each) => taggedInfo(state, each));
}

function historyOf(state: State, table: string, args: Args): XmlValue {
  if (table === 'tag_listing') return history(state, args);
  const [tag, ...others] = ['tag', 'build', 'package', 'active', 'queryOpts'].map((name) => arg(args, name));
  if (table === 'tag_config' && tag !== null && others.every((one) => one === null))
    return [tagConfigInfo(state, tagOf(state, tag ?? null))];
  throw new Fault(FAULT.GENERIC, `the simulation has no such history of ${table}`);
}

/** Rows of tag_listing as queryHistory has them; `active` is true or null, never false. */
function history(state: State, args: Args): XmlValue {
  const build = arg(args, 'build') === null ? null : buildOf(state, arg(args, 'build')).id;
  const tag = arg(args, 'tag') === null ? null : tagOf(state, arg(args, 'tag')).id;
  const [name, active] = [arg(args, 'package'), arg(args, 'active')];
  const found = state.listings.filter(
    (entry) =>
      (build === null || entry.build_id === build) &&
      (tag === null || entry.tag_id === tag) &&
      (name === null || row(state.builds, entry.build_id, 'build').name === name) &&
      (active === null || (entry.revoke_event === null) === active),
  );
  return query(
    found.map((entry) => listingInfo(state, entry)),
    arg(args, 'queryOpts'),
  );
}
