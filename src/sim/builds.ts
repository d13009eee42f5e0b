/** Finished builds of kernels and kmods: their tasks, and their rpms. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { addRpm } from './buildroot.ts';
import { rootLog, writtenLog } from './logs.ts';
import { finishRepo, initRepo } from './repos.ts';
import { importsFor, type NewRpm, orLost, rpmOf, rpmsOf, sourceRpm } from './rpms.ts';
import type { Kernel, Kmod, Scenario } from './scenario.ts';
import { buildInfo, taskNews, userInfo } from './shapes.ts';
import {
  BUILD,
  type Build,
  digest,
  FAULT,
  findBuild,
  hasPerm,
  newEvent,
  packageId,
  row,
  type State,
  TASK,
  type Tag,
  type Task,
  tell,
  type User,
} from './state.ts';
import { tagsOf } from './tags.ts';
import { makeTask, tellTask, upload } from './tasks.ts';

/** Let a build be complete: build task, rpms, messages, all at this moment and on behalf of `owner`. */
export function importBuild(state: State, owner: User, spec: Kernel | Kmod): Build {
  const src = `cli-build/${spec.nvr}/${spec.nvr}.src.rpm`;
  const task = makeTask(state, {
    method: 'build',
    request: [src, spec.tags[0] ?? 'none', {}],
    owner: owner.id,
  });
  runNow(state, task);
  packageId(state, spec.name);
  const { nvr, name, version, release } = spec;
  const build: Build = {
    id: state.builds.length + 1,
    ...{ nvr, name, version, release },
    draft: /,draft_\d+$/.test(release),
    owner_id: owner.id,
    task_id: task.id,
    create_event: newEvent(state),
    start: state.now,
    completion: null,
    state: BUILD.BUILDING,
    source: 'scm' in spec && spec.scm ? `${spec.scm}#${digest(spec.nvr)}` : null,
  };
  state.builds.push(build);
  tell(state, { kind: 'build', old: null, build: buildInfo(state, build), task: taskNews(task) });
  addTo(state, build, sourceRpm(spec));
  const arches = ('imports' in spec && spec.arches) || state.scenario.arches;
  for (const arch of arches) buildArch(state, owner, task, spec, build, arch);
  // 32-bit tools beside 64-bit modules, as multilib repositories want them.
  const others = 'imports' in spec ? (spec.userspace ?? []).filter((arch) => !arches.includes(arch)) : [];
  for (const arch of others) addTo(state, build, orLost(spec, rpmOf(spec, `${spec.name}-tools`, arch)));
  build.state = BUILD.COMPLETE;
  build.completion = state.now;
  tell(state, { kind: 'build', old: BUILD.BUILDING, build: buildInfo(state, build), task: taskNews(task) });
  closeNow(state, task, { build_id: build.id });
  return build;
}

function buildArch(
  state: State,
  owner: User,
  parent: Task,
  spec: Kernel | Kmod,
  build: Build,
  arch: string,
): void {
  const request = [parent.request[0] ?? null, spec.tags[0] ?? 'none', arch, true, {}];
  const task = makeTask(state, { method: 'buildArch', request, owner: owner.id, parent, label: arch, arch });
  runNow(state, task);
  const rpms = rpmsOf(spec, arch, state.scenario.kernels);
  const names = rpms.map(
    (rpm) => `${addTo(state, build, rpm).name}-${build.version}-${build.release}.${arch}.rpm`,
  );
  const files = Object.fromEntries([...names, `${build.nvr}.src.rpm`].map((name) => [name, 'rpm']));
  const paths = upload(state, task, {
    'build.log': writtenLog(names, arch),
    'root.log': rootLog([]),
    ...files,
  });
  closeNow(state, task, {
    rpms: paths.filter((path) => path.endsWith(`.${arch}.rpm`)),
    srpms: paths.filter((path) => path.endsWith('.src.rpm')),
    logs: paths.filter((path) => path.endsWith('.log')),
    brootid: null,
  });
}

/**
 * What a `build` task that was no scratch build leaves behind. Its modules import the symbols with the CRCs of the kernel
 * that they were built against.
 * @param made its sources, with the release that it gets
 */
export function importReal(
  state: State,
  task: Task,
  made: { readonly kmod: Kmod; readonly release: string; readonly source: string; readonly draft: boolean },
  built: readonly { readonly arch: string; readonly kernel: Kernel | undefined }[],
): Build {
  const { kmod, source, draft } = made;
  const id = state.builds.length + 1;
  const release = `${made.release}${draft ? `,draft_${id}` : ''}`;
  const { name, version } = kmod;
  const build: Build = {
    id,
    ...{ nvr: `${name}-${version}-${release}`, name, version, release, draft, source },
    owner_id: task.owner,
    task_id: task.id,
    create_event: newEvent(state),
    start: task.start ?? state.now,
    completion: state.now,
    state: BUILD.COMPLETE,
  };
  state.builds.push(build);
  addTo(state, build, sourceRpm(build));
  for (const { arch, kernel } of built) {
    const built_for = kernel && kmod.built_for?.length ? [kernel.nvr] : [];
    const imports = importsFor(kmod, kernel);
    const spec = { ...kmod, release, imports, built_for, unreadable: [] };
    for (const rpm of rpmsOf(spec, arch, state.scenario.kernels)) addTo(state, build, rpm);
  }
  tell(state, {
    kind: 'build',
    old: BUILD.BUILDING,
    build: buildInfo(state, build),
    task: taskNews(task),
  });
  return build;
}

/**
 * A draft becomes a build like any other (hub: _promote_build): the same id and rpms under the NVR without `,draft_ID`,
 * for good. Throws Faults 1000 and 1004.
 */
export function promoteBuild(state: State, user: User, draft: Build): Build {
  const refuse = (why: string): never => {
    throw new Fault(FAULT.GENERIC, `Cannot promote build ${draft.nvr}. Reason: ${why}`);
  };
  if (!draft.draft) refuse('Not a draft build');
  const release = draft.release.replace(/,draft_\d+$/, '');
  const nvr = `${draft.name}-${draft.version}-${release}`;
  const taken = findBuild(state, nvr);
  if (taken) refuse(`Target build exists: ${nvr}(#${taken.id})`);
  if (draft.owner_id !== user.id && !user.perms.includes('draft-promoter')) {
    const why = 'Only draft-promoter and build owner can do this via default policy';
    throw new Fault(FAULT.NOT_ALLOWED, `policy violation (draft_promotion): ${why}`);
  }
  const promoted = { by: user.id, at: state.now, from: draft.nvr };
  const build = { ...draft, nvr, release, draft: false, promoted };
  state.builds[draft.id - 1] = build;
  for (const tag of tagsOf(state, build)) state.updates.push({ tag_id: tag.id, event: newEvent(state) });
  tell(state, {
    kind: 'promote',
    build: buildInfo(state, build),
    draft_release: draft.release,
    user: userInfo(user),
  });
  return build;
}

const addTo = (state: State, { id }: Build, rpm: NewRpm) => addRpm(state, { ...rpm, build_id: id });

/**
 * Delete a build that is in no tag (hub: delete_build): its files go, its rows stay. Throws Faults 1000 and 1004.
 */
export function deleteBuild(state: State, user: User, build: Build): void {
  if (!hasPerm(user, 'admin')) throw new Fault(FAULT.NOT_ALLOWED, 'admin permission required');
  const tags = tagsOf(state, build).map((tag) => tag.name);
  if (tags.length > 0) throw new Fault(FAULT.GENERIC, `Cannot delete build, tagged: ${tags.join(', ')}`);
  build.state = BUILD.DELETED;
  state.wrote = true;
}

/** A repo of the tag as it is now, with the task that made it. */
export function importRepo(state: State, owner: User, tag: Tag): void {
  const task = makeTask(state, { method: 'newRepo', request: [tag.name], owner: owner.id });
  runNow(state, task);
  initRepo(state, task, tag);
  closeNow(state, task, finishRepo(state, task));
}

function runNow(state: State, task: Task): void {
  task.state = TASK.OPEN;
  task.host_id = 1;
  task.start = state.now;
  task.due = null;
}

function closeNow(state: State, task: Task, value: XmlValue): void {
  task.state = TASK.CLOSED;
  task.result = { value };
  task.completion = state.now;
  if (task.awaited) task.awaited = false;
  state.live.delete(task);
  tellTask(state, task, TASK.OPEN);
}

/** The kernel of that NVR in the scenario. Throws an Error that lists the others. */
export function kernelOf(scenario: Scenario, nvr: string): Kernel {
  const kernel = scenario.kernels.find((each) => each.nvr === nvr);
  if (kernel !== undefined) return kernel;
  const known = scenario.kernels.map((each) => each.nvr).join(', ');
  throw new Error(`no kernel ${nvr} in the scenario, only: ${known}`);
}

/** The administrator, whom builds that nobody asked for belong to. */
export function administrator(state: State): User {
  return row(state.users, 1, 'user');
}
