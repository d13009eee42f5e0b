/** Finished builds of kernels and kmods: their tasks, their rpms, and what those provide and require. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { addRpm } from './buildroot.ts';
import { rootLog, writtenLog } from './logs.ts';
import { finishRepo, initRepo } from './repos.ts';
import type { Kernel, Kmod, Scenario } from './scenario.ts';
import { buildInfo, taskNews, userInfo } from './shapes.ts';
import {
  BUILD,
  type Build,
  type Dep,
  digest,
  FAULT,
  findBuild,
  newEvent,
  packageId,
  type Rpm,
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

/** rpm's dependency flags: EQUAL; the same found by a generator; LESS|EQUAL on a feature of rpm. */
const EQUAL = 8;
const FOUND_REQUIRES = 16392;
const RPMLIB = 16777226;

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
  addRpm(state, rpmOf(build, spec.name, 'src', []));
  const arches = ('imports' in spec && spec.arches) || state.scenario.arches;
  for (const arch of arches) buildArch(state, owner, task, spec, build, arch);
  // 32-bit tools beside 64-bit modules, as multilib repositories want them.
  const others = 'imports' in spec ? (spec.userspace ?? []).filter((arch) => !arches.includes(arch)) : [];
  for (const arch of others) addRpm(state, rpmOf(build, `${spec.name}-tools`, arch, []));
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
  const rpms = 'symbols' in spec ? kernelRpms(spec, build, arch) : kmodRpms(spec, build, arch);
  const names = rpms.map((rpm) => `${addRpm(state, rpm).name}-${build.version}-${build.release}.${arch}.rpm`);
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
  addRpm(state, rpmOf(build, name, 'src', []));
  for (const { arch, kernel } of built) {
    const crcs = new Map(kernel?.symbols.map((symbol) => [symbol.name, symbol.crc]));
    const imports = kmod.imports.map((of) => ({ ...of, crc: crcs.get(of.name) ?? of.crc }));
    for (const rpm of kmodRpms({ ...kmod, imports }, build, arch)) addRpm(state, rpm);
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

type NewRpm = Omit<Rpm, 'id' | 'buildtime'>;

function rpmOf(
  build: Build,
  name: string,
  arch: string,
  provides: readonly Dep[],
  requires: readonly Dep[] = [],
): NewRpm {
  const { id, version } = build;
  const release = build.release.replace(/,draft_\d+$/, '');
  const own = arch === 'src' ? [] : selfProvides(name, `${version}-${release}`, arch);
  return { build_id: id, name, version, release, arch, provides: [...provides, ...own], requires };
}

/** What rpm itself makes every package provide: its name, and its name with the ISA. */
function selfProvides(name: string, version: string, arch: string): Dep[] {
  const isa = arch.replace('x86_64', 'x86-64').replace('aarch64', 'aarch-64');
  return [name, `${name}(${isa})`].map((provided) => ({ name: provided, version, flags: EQUAL }));
}

/**
 * vmlinux's exports are in -core, those of modules in -modules, unless all are one rpm, and some in an rpm of their own;
 * and so for each variant.
 */
function kernelRpms(kernel: Kernel, build: Build, arch: string): NewRpm[] {
  const { name, version, release, variants, single, others } = kernel;
  const uname = { version: `${version}-${release}.${arch}`, flags: EQUAL };
  const partsOf = (prefix: string, symbols: Kernel['symbols']) => {
    const exported = (from: Kernel['symbols']) =>
      from.map((symbol) => ({ name: `kernel(${symbol.name})`, version: symbol.crc, flags: EQUAL }));
    const itself = { name: 'kernel-uname-r', ...uname };
    const apart = [...new Set(symbols.flatMap(({ rpm }) => rpm ?? []))].map((rpm) =>
      rpmOf(build, `${prefix}-${rpm}`, arch, exported(symbols.filter((symbol) => symbol.rpm === rpm))),
    );
    const rest = symbols.filter(({ rpm }) => rpm === undefined);
    const files = [`/lib/modules/${uname.version}/vmlinuz`];
    if (single) return [{ ...rpmOf(build, prefix, arch, [...exported(rest), itself]), files }, ...apart];
    const [core, modules] = [true, false].map((vmlinux) =>
      exported(rest.filter((symbol) => symbol.vmlinux === vmlinux)),
    );
    return [
      ...apart,
      rpmOf(build, `${prefix}-modules`, arch, modules ?? []),
      { ...rpmOf(build, `${prefix}-core`, arch, [...(core ?? []), itself]), files },
    ];
  };
  return [
    ...partsOf(name, kernel.symbols),
    ...(single ? [] : [rpmOf(build, name, arch, [])]),
    rpmOf(build, `${name}-devel`, arch, [{ name: `${name}-devel-uname-r`, ...uname }]),
    ...Object.entries(variants).flatMap(([variant, symbols]) => partsOf(`${name}-${variant}`, symbols)),
    ...(others ?? []).map((other) => rpmOf(build, other, arch, [])),
  ];
}

function kmodRpms({ name, imports, variants, exports, needs }: Kmod, build: Build, arch: string): NewRpm[] {
  const ksyms = (symbols: Kmod['exports'], flags: number) =>
    Object.entries(symbols).map(([symbol, version]) => ({ name: `ksym(${symbol})`, version, flags }));
  const rpmlib = { name: 'rpmlib(CompressedFileNames)', version: '3.0.4-1', flags: RPMLIB };
  const importing = (rpm: string, symbols: Kmod['imports']) => {
    const found = symbols.map(({ name: symbol, crc }) => ({
      name: `kernel(${symbol})`,
      version: crc,
      flags: FOUND_REQUIRES,
    }));
    const others = ksyms(needs, FOUND_REQUIRES);
    return rpmOf(build, rpm, arch, ksyms(exports, EQUAL), [...found, ...others, rpmlib]);
  };
  const others = Object.entries(variants).map(([variant, own]) => importing(`${name}-${variant}`, own));
  return [importing(name, imports), ...others];
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
