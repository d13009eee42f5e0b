/** What an ended scratch build left on the hub, read once and kept. */
import { findErrors } from '../core/buildlog.ts';
import {
  type ArchEvidence,
  type BuildEvidence,
  type Fault,
  type KernelBuild,
  type KernelRef,
  type LogError,
  TASK,
} from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { type Answer, type Hub, HubError } from '../koji/hub.ts';
import type { XmlValue } from '../koji/xmlrpc.ts';

/** build.log is read in pieces of this size, and no more than `LOG_MOST` of it, in bytes. */
const LOG_PIECE = 512 * 1024;
const LOG_MOST = 16 * LOG_PIECE;

const STATES: Record<number, BuildEvidence['state']> = {
  [TASK.CLOSED]: 'closed',
  [TASK.FAILED]: 'failed',
  [TASK.CANCELED]: 'canceled',
};

/** Whether a task has ended, by its state. */
export const hasEnded = (state: number): boolean => state in STATES;

/**
 * Read the evidence of ended `build` tasks: results, one `buildArch` an architecture, the kernel-devel
 * packages of their build roots, and the first errors of build.log.
 * @returns in the order of `tasks`
 * @throws HubError where the hub cannot be asked now
 */
export async function readEvidence(
  hub: Hub,
  kernel: KernelBuild,
  tasks: readonly { readonly id: number; readonly state: number }[],
): Promise<BuildEvidence[]> {
  const results = await hub.readAll(tasks.map((task) => koji.getTaskResult(task.id)));
  const trees = await hub.readAll(tasks.map((task) => koji.getTaskDescendents(task.id)));
  return Promise.all(
    tasks.map(async (task, i): Promise<BuildEvidence> => {
      const children = Object.values(value(trees[i]) ?? {}).flat();
      const builds = children.filter((child) => child.method === 'buildArch');
      const fault = faultOf(results[i]);
      return {
        state: STATES[task.state] ?? 'failed',
        ...(fault && { fault }),
        arches: await Promise.all(builds.map((child) => readArch(hub, kernel, child))),
      };
    }),
  );
}

async function readArch(hub: Hub, kernel: KernelBuild, task: koji.TaskInfo): Promise<ArchEvidence> {
  const [roots, result] = await hub.readAll([koji.listBuildroots(task.id), koji.getTaskResult(task.id)]);
  const root = (value(roots) ?? []).at(-1);
  const fault = faultOf(result);
  return {
    arch: task.label ?? task.arch,
    task: task.id,
    state: task.state,
    ...(fault && { fault }),
    ...(root ? await readBuildroot(hub, kernel, root) : { buildroot: null, repo: null }),
    errors: task.state === TASK.FAILED ? await readErrors(hub, task.id) : [],
  };
}

/** The kernels that a build root held (`listRPMs`), and the newest one of the repo that it was made from. */
async function readBuildroot(
  hub: Hub,
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

/** The log's first errors; an empty list where there is no log that can be read. */
async function readErrors(hub: Hub, task: number): Promise<LogError[]> {
  try {
    return findErrors(await readLog(hub, task));
  } catch (error) {
    if (error instanceof HubError && error.kind === 'refused') return [];
    throw error;
  }
}

async function readLog(hub: Hub, task: number): Promise<string> {
  const output = await hub.read(koji.listTaskOutput(task));
  const size = Math.min(output['build.log']?.st_size ?? 0, LOG_MOST);
  let log = '';
  for (let offset = 0; offset < size; offset += LOG_PIECE) {
    const bytes = await hub.read(
      koji.downloadTaskOutput(task, 'build.log', { offset, size: Math.min(LOG_PIECE, size - offset) }),
    );
    log += Buffer.from(bytes).toString('utf8');
  }
  return log;
}

/** Undefined where the hub has no such thing. What it only cannot say now is no evidence: that throws. */
function value<T>(answer: Answer<T> | undefined): T | undefined {
  if (!answer || answer.ok) return answer?.value;
  if (answer.error.kind !== 'refused') throw answer.error;
  return undefined;
}

/** A task's fault comes as a struct with `raise_fault=False`, and as a fault when it was cancelled. */
function faultOf(answer: Answer<XmlValue> | undefined): Fault | undefined {
  const result = value(answer);
  if (answer?.ok !== false) return koji.faultIn(result);
  return { code: answer.error.code ?? 0, text: answer.error.message };
}
