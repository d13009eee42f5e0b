/** Build roots: which kernel is in one, and what trying a kmod in it comes to. */
import { Fault } from '../koji/xmlrpc.ts';
import {
  type BuildSubject,
  badBuildLog,
  goodBuildLog,
  missingSymbols,
  NO_METADATA,
  noSuchPackage,
  rootLog,
} from './logs.ts';
import { type Kernel, type Kmod, type Rule, splitNvr } from './scenario.ts';
import {
  type Build,
  type Buildroot,
  FAULT,
  matches,
  newEvent,
  type Outcome,
  type Repo,
  type Rpm,
  type State,
  type Task,
  tagById,
} from './state.ts';
import { taggedBuilds } from './tags.ts';

/** Compilers and tools, from an external repository: rpms that belong to no build of this Koji. */
const TOOLCHAIN = ['gcc-11.4.1-3.el9', 'make-4.3-8.el9', 'elfutils-libelf-devel-0.190-2.el9'];

/** A new buildArch attempt: makes the build root and settles what will come of it. */
export function enterBuildroot(state: State, task: Task, kmod: Kmod, repo: Repo, arch: string): void {
  const build = kernelFor(state, kmod, repo);
  const rule = build && useRule(state, kmod, build, arch, repo);
  const empty = build === undefined || rule?.result === 'mock-error' || rule?.result === 'init-error';
  const rpms = empty ? [] : [...toolchain(state, arch), ...kernelRpmsFor(state, kmod, build, repo, arch)];
  state.buildroots.push(newBuildroot(state, task, repo, arch, rpms));
  task.outcome = build === undefined ? unresolved(kmod, arch) : outcome(state, kmod, build, arch, rule, rpms);
}

/** The attempt is over, however it ended. */
export function leaveBuildroot(state: State, task: Task): void {
  const root = state.buildroots.findLast((each) => each.task_id === task.id && each.retire_event === null);
  if (root !== undefined) root.retire_event = newEvent(state);
}

/**
 * The kernel that the kmod finds in a repo. A repo holds the latest build of each package, so that is the
 * kernel tagged last. A kernel that the spec file pins is found as long as it is tagged at all, as from an
 * external repository.
 */
function kernelFor(state: State, kmod: Kmod, repo: Repo): Build | undefined {
  const found = kernelsIn(state, kmod, repo);
  return kmod.pins === null ? found[0] : found.find((build) => build.nvr === kmod.pins);
}

/** All that are tagged, that which was tagged last first. */
function kernelsIn(state: State, kmod: Kmod, repo: Repo): Build[] {
  const query = { event: repo.create_event, inherit: true, package: kmod.kernel };
  return taggedBuilds(state, tagById(state, repo.tag_id), query).map(({ build }) => build);
}

/** The rule for this try, which counts as one of its `times`. */
function useRule(state: State, kmod: Kmod, kernel: Build, arch: string, { tag_id }: Repo): Rule | undefined {
  const since = state.now - state.start;
  const tag = tagById(state, tag_id);
  const base = tag.extra['sidetag'] === true ? tagById(state, tag.parents[0]?.id ?? tag_id) : tag;
  for (const [i, rule] of state.scenario.rules.entries()) {
    if (!matches(rule.kmod, kmod.name) || !matches(rule.kernel, kernel.nvr) || !matches(rule.arch, arch))
      continue;
    if (!matches(rule.tag ?? '*', base.name)) continue;
    if (since < (rule.after ?? 0) || since >= (rule.before ?? Number.POSITIVE_INFINITY)) continue;
    const key = `${i} ${kmod.name}`;
    const used = state.tries.get(key) ?? 0;
    if (rule.times !== null && used >= rule.times) continue;
    state.tries.set(key, used + 1);
    return rule;
  }
  return undefined;
}

function outcome(
  state: State,
  kmod: Kmod,
  build: Build,
  arch: string,
  rule: Rule | undefined,
  rpms: readonly Rpm[],
): Outcome {
  const subject = { kmod, kernel: kernelSpec(state, build), arch };
  const installed = rpms.map((rpm) => `${rpm.name}-${rpm.version}-${rpm.release}.${rpm.arch}`);
  switch (rule?.result) {
    case 'restart':
    case 'hangs':
      return rule.result;
    case 'mock-error':
      return noBuildroot(
        new Fault(FAULT.BUILD, exitText(`error building package (arch ${arch})`, 30)),
        rule.log,
      );
    case 'init-error':
      return noBuildroot(new Fault(FAULT.BUILDROOT, exitText('could not init mock buildroot', 20)), rule.log);
    case 'traceback':
      return { files: {}, fault: new Fault(FAULT.UNEXPECTED, tracebackText(rule.log)) };
    case 'fails':
      return failed(subject, rule.log, installed, rule.status);
    default:
      return compiled(subject, rule, installed);
  }
}

/** Without a rule the symbols decide: not their CRCs, which a new build takes as they are, but their being there. */
function compiled(subject: BuildSubject, rule: Rule | undefined, installed: readonly string[]): Outcome {
  const { kmod, kernel, arch } = subject;
  const missing = kmod.imports.map((symbol) => symbol.name).filter((name) => !kernel.exports.has(name));
  if (missing.length > 0 && rule?.result !== 'builds') {
    return failed(subject, missingSymbols(kmod, missing), installed);
  }
  const rpms = { [`${kmod.nvr}.${arch}.rpm`]: 'rpm', [`${kmod.nvr}.src.rpm`]: 'rpm' };
  return {
    files: { 'build.log': goodBuildLog(subject), 'root.log': rootLog(installed), ...rpms },
    fault: null,
  };
}

function failed(
  subject: BuildSubject,
  errors: readonly string[],
  installed: readonly string[],
  status = 1,
): Outcome {
  return {
    files: { 'build.log': badBuildLog(subject, errors), 'root.log': rootLog(installed) },
    fault: new Fault(FAULT.BUILD, exitText(`error building package (arch ${subject.arch})`, status)),
  };
}

function unresolved(kmod: Kmod, arch: string): Outcome {
  const wanted = kmod.pins === null ? '' : ` = ${kmod.pins.slice(splitNvr(kmod.pins).name.length + 1)}`;
  const fault = new Fault(FAULT.BUILD, exitText(`error building package (arch ${arch})`, 30));
  return noBuildroot(fault, noSuchPackage(`${kmod.pinned ?? `${kmod.kernel}-devel`}${wanted}`));
}

function noBuildroot(fault: Fault, log: readonly string[]): Outcome {
  return {
    files: { 'root.log': rootLog([], log.length > 0 ? log : NO_METADATA) },
    fault,
  };
}

/** How kojid words mock's exit status, and the log that it points at. */
function exitText(what: string, status: number): string {
  const log = status === 1 ? 'build.log or root.log' : status === 10 ? 'build.log' : 'root.log';
  return `${what}, mock exited with status ${status}; see ${log} for more information`;
}

function tracebackText(log: readonly string[]): string {
  const error = log.length > 0 ? log.join('\n') : 'OSError: [Errno 28] No space left on device';
  return `Traceback (most recent call last):\n${error}\n`;
}

/** A kernel as the scenario has it, whose NVR was another one where it was a draft. */
export function kernelSpec({ scenario }: State, build: Build): Kernel {
  const spec = scenario.kernels.find(({ nvr }) => nvr === (build.promoted?.from ?? build.nvr));
  if (spec === undefined) throw new Error(`${build.nvr} is not a kernel of the scenario`);
  return spec;
}

function newBuildroot(state: State, task: Task, repo: Repo, arch: string, rpms: readonly Rpm[]): Buildroot {
  return {
    id: state.buildroots.length + 1,
    task_id: task.id,
    arch,
    host_id: task.host_id ?? 1,
    tag_id: repo.tag_id,
    repo_id: repo.id,
    create_event: newEvent(state),
    rpms,
    retire_event: null,
  };
}

/** Its -devel, and what the kmod asks for of the newest kernel. */
function kernelRpmsFor(state: State, kmod: Kmod, build: Build, repo: Repo, arch: string): Rpm[] {
  const newest = kernelsIn(state, kmod, repo)[0];
  return state.rpms.filter(
    (rpm) =>
      rpm.arch === arch &&
      ((rpm.build_id === build.id && rpm.name === `${build.name}-devel`) ||
        (rpm.build_id === newest?.id && kmod.also?.includes(rpm.name))),
  );
}

function toolchain(state: State, arch: string): Rpm[] {
  return TOOLCHAIN.map((nvr) => {
    const { name, version, release } = splitNvr(nvr);
    const known = state.rpms.find((rpm) => rpm.build_id === null && rpm.name === name && rpm.arch === arch);
    return (
      known ?? addRpm(state, { build_id: null, name, version, release, arch, provides: [], requires: [] })
    );
  });
}

/** A new row of rpminfo. */
export function addRpm(state: State, rpm: Omit<Rpm, 'id' | 'buildtime'>): Rpm {
  const added = { ...rpm, id: state.rpms.length + 1, buildtime: state.now };
  state.rpms.push(added);
  return added;
}
