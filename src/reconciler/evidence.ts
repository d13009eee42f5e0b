/** What an ended scratch build left on the hub, read once and kept. */

import {
  type ArchEvidence,
  type BuildEvidence,
  type Fault,
  type KernelBuild,
  type KernelRef,
  type LogError,
  TASK,
} from '../core/model.ts';
import { wishesIn } from '../core/pin.ts';
import * as koji from '../koji/calls.ts';
import { type Answer, type Answers, type Hub, HubError, isUnknown } from '../koji/hub.ts';
import type { XmlValue } from '../koji/xmlrpc.ts';
import { createErrorFinder, findRootErrors } from '../logs/buildlog.ts';

/** Logs are read in pieces of this size, in bytes; of root.log, which is only longer before things go wrong, the last. */
const LOG_PIECE = 512 * 1024;
/** So much of build.log's beginning is read, and one piece of its end. */
const LOG_BEGINNING = 15 * LOG_PIECE;

/** koji.BuildrootError: mock could not make the build root. */
const BUILDROOT_FAULT = 1012;

const STATES: Record<number, BuildEvidence['state']> = {
  [TASK.CLOSED]: 'closed',
  [TASK.FAILED]: 'failed',
  [TASK.CANCELED]: 'canceled',
};

/** Whether a task has ended, by its state. */
export const hasEnded = (state: number): boolean => state in STATES;

/** What evidence is read with. */
type Reads = Pick<Hub, 'read' | 'readAll'>;

/** What tells of an ended `build` task what more there is to read. */
export const outlineOf = (task: number) => [koji.getTaskResult(task), koji.getTaskDescendents(task)] as const;
export type Outline = Answers<ReturnType<typeof outlineOf>>;

/**
 * Read the evidence of an ended `build` task: its result, one `buildArch` an architecture, the kernel-devel packages of
 * their build roots, and the first errors of build.log or root.log.
 * @param bears whether something that cannot be read is not waited for any more, and the evidence says so; by default nothing is
 * @param told what the hub has answered to `outlineOf` already
 * @throws HubError where the hub cannot be asked now
 */
export async function readEvidence(
  hub: Reads,
  kernel: KernelBuild,
  task: { readonly id: number; readonly state: number },
  bears: (error: HubError) => boolean = () => false,
  told?: Outline,
): Promise<BuildEvidence> {
  const state = STATES[task.state] ?? 'failed';
  const orElse = <T>(otherwise: (why: string) => T) => {
    return (error: unknown): T => {
      if (!(error instanceof HubError && bears(error))) throw error;
      return otherwise(error.message);
    };
  };
  try {
    const [result, tree] = told ?? (await hub.readAll(outlineOf(task.id)));
    const fault = faultOf(task, result);
    const builds = Object.values(value(tree) ?? {})
      .flat()
      .filter(({ method }) => method === 'buildArch');
    const arches = await Promise.all(
      builds.map((child) =>
        readArch(hub, kernel, child).catch(
          orElse((unread): ArchEvidence => ({ ...nothingOf(child), unread })),
        ),
      ),
    );
    const marked = arches.some(({ errors }) => errors.some(isDependency))
      ? await markKernels(hub, kernel, arches).catch(orElse(() => arches))
      : arches;
    const own = await leaveOthers(hub, kernel, marked).catch(orElse(() => marked));
    return { state, ...(fault && { fault }), arches: own };
  } catch (error) {
    return orElse((unread): BuildEvidence => ({ state, arches: [], unread }))(error);
  }
}

/** A task of which nothing is known but its state. */
const nothingOf = (task: koji.TaskInfo): ArchEvidence => ({
  arch: task.label ?? task.arch,
  task: task.id,
  state: task.state,
  buildroot: null,
  repo: null,
  errors: [],
});

const isDependency = ({ kind }: LogError): boolean => kind === 'dependency';

/** What a build misses is the kernel's own where the kernel's build makes a package of that name, or where it is a path of one. */
async function markKernels(
  hub: Reads,
  kernel: KernelBuild,
  arches: readonly ArchEvidence[],
): Promise<ArchEvidence[]> {
  const made = new Set((await hub.read(koji.listBuildRPMs(kernel.id))).map(({ name }) => name));
  const mark = (error: LogError): LogError =>
    isDependency(error) && isOfKernel(error.identifier ?? '', kernel.name, made)
      ? { ...error, kind: 'kernel' }
      : error;
  return arches.map((arch) => ({ ...arch, errors: arch.errors.map(mark) }));
}

/** Beside this kernel's own devel package, one of another package (`kernel-rt-devel` of kernel-rt) is no other build of it. */
async function leaveOthers(
  hub: Reads,
  kernel: KernelBuild,
  arches: readonly ArchEvidence[],
): Promise<readonly ArchEvidence[]> {
  const both = arches.filter(({ buildroot }) => buildroot?.some(({ id }) => id === kernel.id));
  const devel = both.flatMap(({ buildroot }) => buildroot ?? []);
  const ids = [...new Set(devel.map(({ id }) => id))].filter((id) => id !== kernel.id && id !== 0);
  if (ids.length === 0) return arches;
  const builds = await hub.readAll(ids.map((id) => koji.getBuild(id)));
  const others = new Set(ids.filter((_, i) => (value(builds[i])?.name ?? kernel.name) !== kernel.name));
  return arches.map((arch) =>
    both.includes(arch)
      ? { ...arch, buildroot: arch.buildroot?.filter(({ id }) => !others.has(id)) ?? null }
      : arch,
  );
}

/**
 * `kernel-core = 5.14.0-1`, `kernel-devel-5.14.0-1.el9.x86_64`, `kernel-devel-uname-r = …`, any of them in a rich dependency,
 * `/usr/src/kernels/…`, `/usr/lib/modules/…`.
 */
const isOfKernel = (wanted: string, name: string, made: ReadonlySet<string>): boolean =>
  wishesIn(wanted).some((wish) => {
    if (/^\/(?:usr\/src\/(?:kernels|linux)|(?:usr\/)?lib\/modules)\b/.test(wish)) return true;
    const [asked = ''] = wish.split(/[\s<>=(]/);
    const named = asked.replace(/-uname-r$/, '').replace(/-\d.*$/, '');
    return named === name || made.has(asked) || made.has(named);
  });

async function readArch(hub: Reads, kernel: KernelBuild, task: koji.TaskInfo): Promise<ArchEvidence> {
  const [roots, result] = await hub.readAll([koji.listBuildroots(task.id), koji.getTaskResult(task.id)]);
  const root = (value(roots) ?? []).at(-1);
  const fault = faultOf(task, result);
  return {
    ...nothingOf(task),
    ...(fault && { fault }),
    ...(root && (await readBuildroot(hub, kernel, root))),
    errors: task.state === TASK.FAILED ? await readErrors(hub, task.id, fault) : [],
  };
}

/** The kernels that a build root held (`listRPMs`), and the newest one of the repo that it was made from. */
async function readBuildroot(
  hub: Reads,
  kernel: KernelBuild,
  root: koji.Buildroot,
): Promise<Pick<ArchEvidence, 'buildroot' | 'repo' | 'repoId'>> {
  const [rpms, latest] = await hub.readAll([
    koji.listRPMs({ componentBuildrootID: root.id }),
    koji.getLatestBuilds(root.tag_name, { package: kernel.name, event: root.repo_create_event_id }),
  ]);
  const installed = value(rpms) ?? [];
  const devel = installed.filter(
    (rpm) => rpm.name.startsWith(kernel.name) && /-devel(-matched)?$/.test(rpm.name),
  );
  const newest = value(latest)?.[0];
  return {
    buildroot: installed.length > 0 ? devel.map((rpm) => kernelRef(rpm.build_id, rpm.nvr)) : null,
    repo: newest ? { id: newest.build_id, nvr: newest.nvr } : null,
    repoId: root.repo_id,
  };
}

const kernelRef = (id: number | null, nvr: string): KernelRef => ({ id: id ?? 0, nvr });

/** Whether the package was not even begun, so that only root.log tells why: see mock's exit statuses. */
function rootFailed(fault: Fault | undefined): boolean {
  const status = /mock exited with status (\d+)/.exec(fault?.text ?? '')?.[1];
  return fault?.code === BUILDROOT_FAULT || (status !== undefined && status !== '1' && status !== '10');
}

/** First errors of build.log, else of root.log; an empty list where there is no log that can be read. */
async function readErrors(hub: Reads, task: number, fault: Fault | undefined): Promise<LogError[]> {
  try {
    const files = await hub.read(koji.listTaskOutput(task));
    const size = (name: string) => files[name]?.st_size ?? 0;
    const errors = rootFailed(fault) ? [] : await readBuildLog(hub, task, size('build.log'));
    return errors.length > 0 ? errors : await readRootLog(hub, task, size('root.log'));
  } catch (error) {
    if (isUnknown(error)) return [];
    throw error;
  }
}

/** Piece by piece, and no further than to what is looked for. */
async function readBuildLog(hub: Reads, task: number, size: number): Promise<LogError[]> {
  const finder = createErrorFinder();
  let decoder = new TextDecoder();
  for (let offset = 0; offset < size && !finder.done(); offset += LOG_PIECE) {
    if (offset >= LOG_BEGINNING && size - offset > LOG_PIECE) {
      offset = size - LOG_PIECE;
      decoder = new TextDecoder();
      finder.skip();
    }
    const bytes = await readPiece(hub, task, 'build.log', offset, size);
    finder.push(decoder.decode(bytes, { stream: true }));
  }
  return finder.finish();
}

async function readRootLog(hub: Reads, task: number, size: number): Promise<LogError[]> {
  if (size === 0) return [];
  const bytes = await readPiece(hub, task, 'root.log', Math.max(0, size - LOG_PIECE), size);
  return findRootErrors(new TextDecoder().decode(bytes));
}

const readPiece = (
  hub: Reads,
  task: number,
  name: string,
  offset: number,
  size: number,
): Promise<Uint8Array> =>
  hub.read(koji.downloadTaskOutput(task, name, { offset, size: Math.min(LOG_PIECE, size - offset) }));

/** Undefined where the hub has no such thing. What it only does not say now is no evidence: that throws. */
function value<T>(answer: Answer<T> | undefined): T | undefined {
  if (!answer || answer.ok) return answer?.value;
  if (isUnknown(answer.error)) return undefined;
  throw answer.error;
}

/**
 * A task's fault comes as a struct with `raise_fault=False`, and as a fault when it was cancelled; any other refusal is
 * none of the task's.
 */
function faultOf(
  { state }: Pick<koji.TaskInfo, 'state'>,
  answer: Answer<XmlValue> | undefined,
): Fault | undefined {
  if (!answer || answer.ok) return koji.faultIn(answer?.value);
  if (answer.error.kind !== 'refused' || state !== TASK.CANCELED) throw answer.error;
  return { code: answer.error.code ?? 0, text: answer.error.message };
}
