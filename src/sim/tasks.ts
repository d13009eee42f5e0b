/** Tasks: how they wait for builders, run, end, and what each kind of them does. */
import { Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import { struct } from './arguments.ts';
import { enterBuildroot, kernelSpec, leaveBuildroot } from './buildroot.ts';
import { importReal } from './builds.ts';
import { assertBuildPolicies, assertImportable, isScm, kmodFromSource, type Made, madeOf } from './real.ts';
import {
  defaultMinEvent,
  finishRepo,
  initRepo,
  lastChange,
  readyRepo,
  regenerate,
  repoInfo,
  repoUser,
  requestDue,
  requestRepo,
  requeueRequests,
} from './repos.ts';
import type { Kernel } from './scenario.ts';
import { taskNews } from './shapes.ts';
import {
  buildOf,
  FAULT,
  hostsIn,
  REPO,
  type Repo,
  row,
  type State,
  TASK,
  type Tag,
  type Task,
  tagById,
  tagOf,
  tell,
  userOf,
} from './state.ts';
import { assertMayTag, buildArches, holdsBuilds, tagBuild } from './tags.ts';

/** What a new task is made of; a subtask takes the rest from its parent (make_task). */
export interface TaskOrder {
  readonly method: string;
  readonly request: readonly XmlValue[];
  readonly owner: number;
  readonly priority?: number;
  readonly parent?: Task;
  readonly label?: string;
  readonly arch?: string;
}

/** A task that is FREE until a builder takes it. */
export function makeTask(state: State, order: TaskOrder): Task {
  const { parent } = order;
  const task: Task = {
    id: state.tasks.length + 1,
    method: order.method,
    request: order.request,
    arch: order.arch ?? 'noarch',
    label: order.label ?? null,
    parent: parent?.id ?? null,
    owner: order.owner,
    priority: order.priority ?? (parent ? parent.priority - 1 : 20),
    created: state.now,
    state: TASK.FREE,
    host_id: null,
    start: null,
    completion: null,
    waiting: null,
    awaited: parent ? true : null,
    result: null,
    due: state.now + state.scenario.timing.assign,
    plan: null,
    outcome: null,
    files: new Map(),
  };
  state.tasks.push(task);
  state.live.add(task);
  state.wrote = true;
  tellTask(state, task, null);
  return task;
}

/** Tell that a task is in another state than `old`. */
export function tellTask(state: State, task: Task, old: number | null): void {
  tell(state, { kind: 'task', old, task: taskNews(task), owner: userOf(state, task.owner).name });
}

/** Subtasks, in the order in which they were made. */
export function childrenOf(state: State, task: Task): Task[] {
  return state.tasks.filter((each) => each.parent === task.id);
}

/** Cancel a task and all below it; what is done stays done. */
export function cancelTask(state: State, task: Task): void {
  if (!state.live.has(task)) return;
  state.wrote = true;
  end(state, task, TASK.CANCELED);
  for (const child of childrenOf(state, task)) cancelTask(state, child);
}

/** What a finished task came to. Throws the fault that it failed with, and 1000 for one that is not done. */
export function resultOf(task: Task): XmlValue {
  if (task.state === TASK.CANCELED) throw new Fault(FAULT.GENERIC, `Task ${task.id} is canceled`);
  if (task.result === null) throw new Fault(FAULT.GENERIC, `Task ${task.id} is not finished`);
  if ('fault' in task.result) throw task.result.fault;
  return task.result.value;
}

// ------------------------------------------------------------------------------------------- their life

/** When something happens next, or null if nothing will without a call. */
export function nextMoment(state: State): number | null {
  const moments = state.requests.map((request) => requestDue(state, request));
  // A free task that is overdue lacks a builder, and gets one at somebody else's moment.
  for (const task of state.live) {
    if (task.state !== TASK.FREE || (task.due ?? 0) > state.now) moments.push(task.due);
  }
  return moments.reduce((first, at) => (at === null || (first !== null && first <= at) ? first : at), null);
}

/** Let happen what is due now. */
export function step(state: State): void {
  for (const task of [...state.live]) {
    if (state.live.has(task) && task.state !== TASK.FREE && isDue(state, task.due)) progress(state, task);
  }
  if (state.scenario.hub.lacks.includes('repo.request')) regenerate(state);
  for (const request of state.requests) {
    if (!isDue(state, requestDue(state, request))) continue;
    const tag = { id: request.tag_id, name: tagById(state, request.tag_id).name };
    const event = request.at_event === null ? {} : { event: request.at_event };
    const order = {
      method: 'newRepo',
      request: [tag, { opts: {}, ...event, __starstar: true }],
      priority: 15,
    };
    request.task_id = makeTask(state, { ...order, owner: repoUser(state).id }).id;
    request.tries += 1;
    request.updated = state.now;
  }
  assignTasks(state);
}

function isDue(state: State, at: number | null): boolean {
  return at !== null && at <= state.now;
}

/** Builders take free tasks by priority, then age. Each runs one mock at a time, and any number of light tasks. */
function assignTasks(state: State): void {
  const free = [...state.live].filter((task) => task.state === TASK.FREE && isDue(state, task.due));
  for (const task of free.sort((a, b) => a.priority - b.priority || a.id - b.id)) {
    const host = idleHost(state, task);
    if (host === null) continue;
    task.host_id = host;
    task.due = state.now + state.scenario.timing.open;
    setState(state, task, TASK.ASSIGNED);
  }
}

/** Null also where no builder is for such a task, however long it waits. */
function idleHost(state: State, { method, arch }: Task): number | null {
  if (arch !== 'noarch' && !state.scenario.arches.includes(arch)) return null;
  const channel = hostsIn(state, method === 'newRepo' ? 'createrepo' : 'default');
  const hosts = channel.filter(({ ready }) => ready).map(({ id }) => id);
  if (!KINDS[method]?.mock) return hosts[0] ?? null;
  const busy = new Set<number | null>();
  for (const task of state.live)
    if (task.state !== TASK.FREE && KINDS[task.method]?.mock) busy.add(task.host_id);
  return hosts.find((host) => !busy.has(host)) ?? null;
}

function progress(state: State, task: Task): void {
  const kind = KINDS[task.method];
  if (kind === undefined) throw new Error(`no task method ${task.method}`);
  task.due = null;
  try {
    if (task.state === TASK.ASSIGNED) {
      task.start = state.now;
      setState(state, task, TASK.OPEN);
      const wait = kind.begin(state, task);
      task.due = wait === null ? null : state.now + wait;
      return;
    }
    const value = kind.work(state, task);
    if (value === undefined) return;
    task.result = { value };
    end(state, task, TASK.CLOSED);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    task.result = { fault: error };
    for (const child of childrenOf(state, task)) cancelTask(state, child);
    end(state, task, TASK.FAILED);
  }
}

function end(state: State, task: Task, to: number): void {
  if (task.method === 'buildArch') leaveBuildroot(state, task);
  if (to === TASK.CLOSED && task.waiting) task.waiting = false;
  task.completion = state.now;
  task.due = null;
  state.live.delete(task);
  setState(state, task, to);
  requeueRequests(state, task);
  const parent = task.parent === null ? undefined : row(state.tasks, task.parent, 'task');
  if (parent?.state === TASK.OPEN) parent.due = state.now;
}

/** Every builder dies and comes back: what they had begun is free again. */
export function freeTasks(state: State): void {
  for (const task of state.live) {
    const begun = task.state === TASK.ASSIGNED || task.state === TASK.OPEN;
    if (begun && task.method === 'buildArch') freeTask(state, task);
  }
}

/** The builder died: the hub frees the task for another. */
function freeTask(state: State, task: Task): void {
  leaveBuildroot(state, task);
  task.host_id = null;
  task.start = null;
  task.due = state.now + state.scenario.timing.assign;
  setState(state, task, TASK.FREE);
}

function setState(state: State, task: Task, to: number): void {
  const old = task.state;
  task.state = to;
  tellTask(state, task, old);
}

// ------------------------------------------------------------------------------------------- their work

interface Kind {
  /** Whether it needs a builder to itself. */
  readonly mock: boolean;
  /** The task opens; returns milliseconds to its work, null for never. Throws the fault that it fails with. */
  begin(state: State, task: Task): number | null;
  /** Called when its time has come, and when a subtask is done. Returns its result, or undefined to go on. */
  work(state: State, task: Task): XmlValue | undefined;
}

const KINDS: Readonly<Record<string, Kind>> = {
  build: { mock: false, begin: planBuild, work: workBuild },
  waitrepo: { mock: false, begin: () => 0, work: workWaitRepo },
  rebuildSRPM: { mock: true, begin: (state) => state.scenario.timing.srpm, work: workSrpm },
  buildSRPMFromSCM: { mock: true, begin: (state) => state.scenario.timing.srpm, work: workSrpm },
  buildArch: { mock: true, begin: beginBuildArch, work: workBuildArch },
  tagBuild: { mock: false, begin: (state) => state.scenario.timing.tag, work: workTagBuild },
  newRepo: { mock: false, begin: beginNewRepo, work: finishRepo },
};

function buildError(text: string): Fault {
  return new Fault(FAULT.BUILD, text);
}

/** Where a `build` builds: the target's build tag, and the repo that the caller named. */
function planBuild(state: State, task: Task): number {
  const [, target = null, options] = task.request;
  const opts = struct(options ?? null);
  if (opts['arch_override'] && !opts['scratch']) {
    throw buildError('arch_override is only allowed for scratch builds');
  }
  const found = state.targets.find((each) => each.name === target || each.id === target);
  const repo = typeof opts['repo_id'] === 'number' ? usableRepo(state, opts['repo_id']) : null;
  if (found === undefined) throw new Fault(FAULT.GENERIC, `unknown build target: ${target}`);
  if (repo !== null && repo.tag_id !== found.build_tag) {
    const names = [repo.tag_id, found.build_tag].map((id) => tagById(state, id).name);
    throw buildError(`Repo/Target mismatch: ${names.join('/')}`);
  }
  assertBuildPolicies(state, task, opts);
  task.plan = { build_tag: found.build_tag, repo_id: repo?.id ?? null };
  return 0;
}

function usableRepo(state: State, id: number): Repo {
  const repo = state.repos[id - 1];
  if (repo === undefined) throw buildError(`No such repo: ${id}`);
  if (repo.state !== REPO.READY && repo.state !== REPO.EXPIRED) throw buildError(`Bad repo: ${id} (INIT)`);
  return repo;
}

/** Takes up where the subtasks that are there leave off: repo, source rpm, one build each architecture. */
function workBuild(state: State, task: Task): XmlValue | undefined {
  if (task.plan === null) throw new Error(`task ${task.id} was never opened`);
  const tag = tagById(state, task.plan.build_tag);
  task.plan.repo_id ??= repoFor(state, task, tag);
  const { repo_id } = task.plan;
  if (repo_id === null) return undefined;
  const srpm = srpmFor(state, task, tag, repo_id);
  if (srpm === null) return undefined;
  const opts = struct(task.request[2] ?? null);
  const builds = childrenOf(state, task).filter((child) => child.method === 'buildArch');
  const real = opts['scratch'] ? null : realBuild(state, task, tag, opts);
  if (builds.length === 0) {
    if (real) assertImportable(state, real.dest, real.made);
    const arches = archList(state, tag, opts, kmodFromSource(state, srpm)?.arches ?? null);
    for (const [i, arch] of arches.entries()) {
      const request = [srpm, tag.id, arch, i === 0, { repo_id }];
      subtask(state, task, { method: 'buildArch', request, label: arch, arch });
    }
    return undefined;
  }
  const results = builds.map((child) => collect(child));
  if (results.some((result) => result === undefined)) return undefined;
  if (real && !importResult(state, task, real, builds)) return undefined;
  const files = (name: string) =>
    results.flatMap((result) => struct(result ?? null)[name] ?? []) as XmlValue[];
  return { srpms: files('srpms'), rpms: files('rpms'), logs: files('logs') };
}

function subtask(state: State, parent: Task, order: Omit<TaskOrder, 'owner' | 'parent'>): void {
  parent.waiting = true;
  makeTask(state, { ...order, owner: parent.owner, parent });
}

/** A subtask's result, undefined while it runs. Throws the fault that it failed with. */
function collect(child: Task): XmlValue | undefined {
  if (child.completion === null) return undefined;
  child.awaited = false;
  return resultOf(child);
}

/**
 * The repo to build from, or null while a waitrepo subtask waits for one. As in kojid, a ready repo that holds
 * the builds of `wait_builds` will do however old it is, unless `wait_repo` asks for a current one.
 */
function repoFor(state: State, task: Task, tag: Tag): number | null {
  const waiter = childrenOf(state, task).find((child) => child.method === 'waitrepo');
  if (waiter !== undefined) {
    const repo = collect(waiter);
    return repo === undefined ? null : Number(struct(repo)['id']);
  }
  const opts = struct(task.request[2] ?? null);
  const nvrs = nvrList(opts['wait_builds']);
  const asked = opts['wait_repo'] ? lastChange(state, tag) : null;
  let min_event = asked;
  if (holdsBuilds(state, tag, nvrs, null)) {
    const min = asked ?? defaultMinEvent(state, tag);
    const { repo, request } = requestRepo(state, userOf(state, task.owner), tag, min);
    if (repo !== null && holdsBuilds(state, tag, nvrs, repo.create_event)) return repo.id;
    min_event ??= request?.min_event ?? null;
  }
  subtask(state, task, { method: 'waitrepo', request: [tag.name, null, nvrs, min_event] });
  return null;
}

function nvrList(value: XmlValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((nvr) => typeof nvr === 'string') : [];
}

/** Minutes after which a waitrepo task gives up. */
const WAIT_REPO_TIMEOUT = 120;

function workWaitRepo(state: State, task: Task): XmlValue | undefined {
  const [name = null, , builds, min = null] = task.request;
  const tag = tagOf(state, name);
  const nvrs = nvrList(builds);
  const min_event = typeof min === 'number' ? min : 0;
  const ready = readyRepo(state, tag, min_event);
  if (ready !== undefined && holdsBuilds(state, tag, nvrs, ready.create_event)) return repoInfo(state, ready);
  if (state.now - (task.start ?? state.now) > WAIT_REPO_TIMEOUT * 60_000) {
    const what =
      nvrs.length === 0 ? `a new ${tag.name} repo` : `${nvrs.join(', ')} to appear in the ${tag.name} repo`;
    throw new Fault(FAULT.GENERIC, `Unsuccessfully waited ${WAIT_REPO_TIMEOUT}:00 for ${what}`);
  }
  if (holdsBuilds(state, tag, nvrs, null)) {
    const since = nvrs.length === 0 ? min_event : lastChange(state, tag);
    requestRepo(state, userOf(state, task.owner), tag, since);
  }
  task.due = state.now + state.scenario.timing.wait_repo;
  return undefined;
}

/** Path of the source rpm, or null while a subtask makes it. */
function srpmFor(state: State, task: Task, tag: Tag, repo_id: number): string | null {
  const src = String(task.request[0]);
  const opts = struct(task.request[2] ?? null);
  const maker = childrenOf(state, task).find((child) => child.label === 'srpm');
  if (maker !== undefined) {
    const made = collect(maker);
    return made === undefined ? null : String(struct(made)['srpm']);
  }
  const scm = isScm(src);
  if (!scm && opts['scratch'] && opts['rebuild_srpm'] === false) return src;
  const request = [src, tag.id, { repo_id, scratch: opts['scratch'] ?? null }];
  subtask(state, task, { method: scm ? 'buildSRPMFromSCM' : 'rebuildSRPM', request, label: 'srpm' });
  return null;
}

function workSrpm(state: State, task: Task): XmlValue {
  const src = String(task.request[0]);
  const kmod = kmodFromSource(state, src);
  if (kmod === undefined && task.method === 'buildSRPMFromSCM') {
    throw new Fault(
      FAULT.GENERIC,
      `Error running git command "git clone -n ${src}", see checkout.log for details`,
    );
  }
  if (kmod === undefined) {
    const error = `requests.exceptions.HTTPError: 404 Client Error: Not Found for url: ${src}`;
    throw new Fault(FAULT.UNEXPECTED, `Traceback (most recent call last):\n${error}\n`);
  }
  const srpm = upload(state, task, { [`${kmod.nvr}.src.rpm`]: 'rpm' })[0] ?? '';
  return { srpm, logs: [], source: { source: src, url: src } };
}

/** What a real build is to make, and the tag that it is to come into. */
function realBuild(state: State, task: Task, tag: Tag, opts: XmlStruct): { made: Made; dest: Tag } {
  const target = state.targets.find((each) => each.name === task.request[1]);
  const made = madeOf(state, task, tag, opts);
  if (made === undefined || target === undefined)
    throw buildError(`${task.request[0]} is not a source package`);
  return { made, dest: tagById(state, target.dest_tag) };
}

/** Import what was built and tag it into the target's destination; false while that goes on. */
function importResult(
  state: State,
  task: Task,
  { made, dest }: ReturnType<typeof realBuild>,
  builds: readonly Task[],
): boolean {
  const tagging = childrenOf(state, task).find((child) => child.method === 'tagBuild');
  if (tagging) return collect(tagging) !== undefined;
  // Another build of the same name may have been faster.
  assertImportable(state, dest, made);
  const built = builds.map(({ id, label }) => ({ arch: label ?? '', kernel: kernelIn(state, id) }));
  const build = importReal(state, task, made, built);
  subtask(state, task, { method: 'tagBuild', request: [dest.id, build.id, false, null, true] });
  return false;
}

/** The kernel whose devel package was in a task's build root. */
function kernelIn(state: State, task: number): Kernel | undefined {
  const root = state.buildroots.findLast(({ task_id }) => task_id === task);
  const ids = new Set(root?.rpms.map(({ build_id }) => build_id));
  const build = state.builds.find(({ id }) => ids.has(id));
  return build && kernelSpec(state, build);
}

/** kojid's getArchList: ExclusiveArch, or what a scratch build asks for instead; and of that what the tag has. */
function archList(state: State, tag: Tag, opts: XmlStruct, exclusive: readonly string[] | null): string[] {
  const all = buildArches(state, tag);
  if (all.length === 0) throw buildError(`No arches for tag ${tag.name} [${tag.id}]`);
  const override = opts['arch_override'];
  const asked =
    typeof override === 'string' && override !== ''
      ? [...new Set(override.split(/\s+/))]
      : (exclusive ?? all);
  const arches = asked.filter((arch) => all.includes(arch));
  if (arches.length === 0) throw buildError('No matching arches were found');
  return arches;
}

function beginBuildArch(state: State, task: Task): number | null {
  const [srpm, , arch, , opts] = task.request;
  const kmod = kmodFromSource(state, String(srpm));
  if (kmod === undefined) throw buildError(`SRPM file missing: ${srpm}`);
  const repo = row(state.repos, Number(struct(opts ?? null)['repo_id']), 'repo');
  enterBuildroot(state, task, kmod, repo, String(arch));
  return task.outcome === 'hangs' ? null : (kmod.build_time ?? state.scenario.timing.build_arch);
}

function workBuildArch(state: State, task: Task): XmlValue | undefined {
  const { outcome } = task;
  if (outcome === 'restart') freeTask(state, task);
  if (outcome === null || typeof outcome === 'string') return undefined;
  const keepSrpm = task.request[3] === true;
  const kept = Object.entries(outcome.files).filter(([name]) => keepSrpm || !name.endsWith('.src.rpm'));
  const paths = upload(state, task, Object.fromEntries(kept));
  if (outcome.fault !== null) throw outcome.fault;
  const root = state.buildroots.findLast((each) => each.task_id === task.id);
  return {
    rpms: paths.filter((path) => path.endsWith('.rpm') && !path.endsWith('.src.rpm')),
    srpms: paths.filter((path) => path.endsWith('.src.rpm')),
    logs: paths.filter((path) => path.endsWith('.log')),
    brootid: root?.id ?? null,
  };
}

/** Keep a task's files; returns their paths below the hub's work folder. */
export function upload(state: State, task: Task, files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).map(([name, content]) => {
    task.files.set(name, { content, time: state.now });
    return `tasks/${task.id % 10_000}/${task.id}/${name}`;
  });
}

function workTagBuild(state: State, task: Task): XmlValue {
  const [tagRef = null, buildRef = null, , fromRef = null] = task.request;
  const owner = userOf(state, task.owner);
  const build = buildOf(state, buildRef);
  const tag = tagOf(state, tagRef);
  const from = fromRef === null ? null : tagOf(state, fromRef);
  assertMayTag(state, owner, build, tag, from);
  tagBuild(state, owner, build, tag, from);
  return null;
}

function beginNewRepo(state: State, task: Task): number {
  const [spec = null, keywords = null] = task.request;
  const tag = tagOf(state, typeof spec === 'object' ? (struct(spec)['id'] ?? null) : spec);
  const { event } = struct(keywords);
  initRepo(state, task, tag, typeof event === 'number' ? event : null);
  if (state.broken_repos.includes(tag.name)) {
    throw new Fault(
      FAULT.GENERIC,
      `failed to create repo: createrepo_c for ${tag.name} exited with status 1`,
    );
  }
  return state.scenario.timing.new_repo;
}
