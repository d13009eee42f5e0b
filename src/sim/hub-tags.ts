/** The hub's methods about tags and targets. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { arg, type Caller, integer, list, loggedIn, lookUp, type Methods, query } from './arguments.ts';
import { lastChange } from './repos.ts';
import {
  buildConfig,
  inheritanceInfo,
  packageConfig,
  tagInfo,
  tagRow,
  targetInfo,
  timeSeconds,
} from './shapes.ts';
import { buildOf, FAULT, findTag, hasPerm, python, type Tag, tagOf, userOf } from './state.ts';
import {
  ancestors,
  assertMayTag,
  assertMayUntag,
  changedSince,
  createSideTag,
  inheritance,
  packageStatus,
  removeSideTag,
  tagAccess,
  tagsOf,
  untagBuild,
} from './tags.ts';
import { makeTask } from './tasks.ts';

/** Looking at tags, and changing them. Parameters that no gate uses are taken and not heeded. */
export const TAG_METHODS: Methods = {
  'getTag tagInfo strict? event? blocked?': ({ state }, args) => {
    const ref = arg(args, 'tagInfo');
    return lookUp(findTag(state, ref), arg(args, 'strict'), `No such tagInfo: ${python(ref)}`, tagInfo);
  },
  'listTags build? package? perms? queryOpts? pattern?': ({ state }, args) => {
    const build = arg(args, 'build');
    const tags =
      build === null
        ? state.tags.filter((tag) => tag.revoke_event === null)
        : tagsOf(state, buildOf(state, build));
    return query(tags.map(tagRow), arg(args, 'queryOpts'));
  },
  'getBuildConfig tag event?': ({ state }, args) => {
    const tag = tagOf(state, arg(args, 'tag'));
    return buildConfig(tag, ancestors(state, tag));
  },
  'getPackageConfig tag pkg event?': ({ state }, args) => {
    const [tag, name] = [tagOf(state, arg(args, 'tag')), String(arg(args, 'pkg'))];
    const status = packageStatus(state, tag, name);
    return status === 'unlisted' ? null : packageConfig(state, tag, name, status === 'blocked');
  },
  'getFullInheritance tag event? reverse?': ({ state }, args) =>
    inheritance(state, tagOf(state, arg(args, 'tag'))).map((link) => inheritanceInfo(state, link)),
  'getBuildTarget info event? strict?': ({ state }, args) => {
    const ref = arg(args, 'info');
    const found = state.targets.find((target) => target.name === ref || target.id === ref);
    return lookUp(found, arg(args, 'strict'), `No such build target: ${ref}`, (target) =>
      targetInfo(state, target),
    );
  },
  'getBuildTargets info? event? buildTagID? destTagID? queryOpts?': ({ state }, args) => {
    const build = arg(args, 'buildTagID');
    const found = state.targets.filter((target) => build === null || target.build_tag === build);
    return query(
      found.map((target) => targetInfo(state, target)),
      arg(args, 'queryOpts'),
    );
  },
  'checkTagAccess tag_id user_id?': (caller, args) => {
    const ref = arg(args, 'user_id');
    const user = ref === null ? loggedIn(caller) : userOf(caller.state, ref);
    const reason = tagAccess(tagOf(caller.state, arg(args, 'tag_id')), user);
    return [reason === null, hasPerm(user, 'admin'), reason ?? ''];
  },
  'checkTagPackage tag pkg': ({ state }, args) => {
    const tag = findTag(state, arg(args, 'tag'));
    return tag !== undefined && packageStatus(state, tag, String(arg(args, 'pkg'))) === 'listed';
  },
  'tagLastChangeEvent tag before?': ({ state }, args) => lastChange(state, tagOf(state, arg(args, 'tag'))),
  'tagChangedSinceEvent event taglist': ({ state }, args) =>
    changedSince(state, integer(args, 'event'), list(arg(args, 'taglist'))),
  'getEvent id strict?': ({ state }, args) => {
    const found = state.events.find(({ id }) => id === arg(args, 'id'));
    return lookUp(found, arg(args, 'strict') ?? true, 'query returned no rows', ({ id, time }) => ({
      id,
      ts: timeSeconds(time),
    }));
  },
  'getLastEvent before? strict?': ({ state }, args) => {
    const before = arg(args, 'before');
    const last = state.events.findLast(({ time }) => typeof before !== 'number' || time / 1000 < before);
    if (last === undefined) throw new Fault(FAULT.GENERIC, 'query returned no rows');
    return { id: last.id, ts: timeSeconds(last.time) };
  },
  'tagBuild tag build force? fromtag?': (caller, args) =>
    tagTask(caller, arg(args, 'tag'), arg(args, 'build'), arg(args, 'fromtag')),
  'moveBuild tag1 tag2 build force?': (caller, args) =>
    tagTask(caller, arg(args, 'tag2'), arg(args, 'build'), arg(args, 'tag1')),
  'untagBuild tag build strict? force?': (caller, args) => {
    const { state } = caller;
    const user = loggedIn(caller);
    const tag = tagOf(state, arg(args, 'tag'));
    const build = buildOf(state, arg(args, 'build'));
    assertMayUntag(state, user, tag);
    untagBuild(state, user, build, tag, arg(args, 'strict') !== false);
    return null;
  },
  'createSideTag basetag debuginfo? suffix?': (caller, args) => {
    const user = loggedIn(caller);
    const { name, id } = createSideTag(caller.state, user, tagOf(caller.state, arg(args, 'basetag')));
    return { name, id, task_id: null, request: null };
  },
  'removeSideTag sidetag': (caller, args) => {
    const user = loggedIn(caller);
    removeSideTag(caller.state, user, tagOf(caller.state, arg(args, 'sidetag')));
    return null;
  },
  'listSideTags basetag? user? queryOpts?': ({ state }, args) => {
    const base = arg(args, 'basetag') === null ? null : tagOf(state, arg(args, 'basetag')).id;
    const owner = arg(args, 'user') === null ? null : userOf(state, arg(args, 'user')).id;
    const found = state.tags.filter(
      (tag) =>
        tag.revoke_event === null &&
        tag.extra['sidetag'] === true &&
        (base === null || tag.parents.some((parent) => parent.id === base)) &&
        (owner === null || tag.extra['sidetag_user_id'] === owner),
    );
    const show = ({ id, name, extra }: Tag) => ({
      id,
      name,
      user_id: String(extra['sidetag_user_id']),
      user_name: extra['sidetag_user'] ?? null,
    });
    return query(found.map(show), arg(args, 'queryOpts'));
  },
};

/** tagBuild and moveBuild only check; the task that they make does it. */
function tagTask(caller: Caller, tagRef: XmlValue, buildRef: XmlValue, fromRef: XmlValue): number {
  const { state } = caller;
  const user = loggedIn(caller);
  const build = buildOf(state, buildRef);
  const tag = tagOf(state, tagRef);
  const from = fromRef === null ? null : tagOf(state, fromRef);
  assertMayTag(state, user, build, tag, from);
  const request = [tag.id, build.id, false, from?.id ?? null];
  return makeTask(state, { method: 'tagBuild', request, owner: user.id, priority: 10 }).id;
}
