/** What a hub has that can be looked at: it is asked for its newest, and nothing is known beforehand. */
import { z } from 'zod';
import { BUILD, type Gate, TASK } from '../../src/core/model.ts';
import * as koji from '../../src/koji/calls.ts';
import { type Answer, type Call, type Hub, unwrap } from '../../src/koji/hub.ts';
import { kwargs } from '../../src/koji/xmlrpc.ts';

/** Each is undefined where the hub has none. */
export interface Things {
  /** The newest kernel that is in a tag, with the tag and its entry there. */
  readonly kernel: koji.TaggedBuild | undefined;
  /** The gate's target, or that of a newest build. */
  readonly target: koji.BuildTarget | undefined;
  /** The newest `build` task that ended so. */
  readonly closed: koji.TaskInfo | undefined;
  readonly failed: koji.TaskInfo | undefined;
  readonly canceled: koji.TaskInfo | undefined;
  /** A closed `buildArch` of a newest build, the files of which are still there. */
  readonly buildArch: koji.TaskInfo | undefined;
  /** Id of the newest request for a repo (Koji 1.35 and newer). */
  readonly repoRequest: number | undefined;
}

/** How far back is looked. */
const NEWEST = 20;

/** Ask the hub. Throws HubError where it does not answer. */
export async function discover(hub: Hub, gate: Gate | undefined): Promise<Things> {
  const [closed = [], failed = [], canceled = []] = await Promise.all(
    [TASK.CLOSED, TASK.FAILED, TASK.CANCELED].map((state) => hub.read(newestBuildTasks(state))),
  );
  const [requests] = await hub.readAll([newestRepoRequest]);
  return {
    kernel: await findKernel(hub, gate?.kernels ?? ['kernel']),
    target: await findTarget(hub, gate?.build ? [gate.build.target] : closed.flatMap(targetOf)),
    closed: closed[0],
    failed: failed[0],
    canceled: canceled[0],
    buildArch: await findBuildArch(hub, closed),
    repoRequest: orUndefined(requests)?.[0]?.id,
  };
}

const newestBuildTasks = (state: number) =>
  koji.listTasks({ method: 'build', decode: true, state: [state] }, { order: '-id', limit: NEWEST });

const newestBuilds = (packageID: string): Call<{ build_id: number; name: string }[]> => ({
  method: 'listBuilds',
  params: [kwargs({ packageID, state: BUILD.COMPLETE, queryOpts: { order: '-build_id', limit: NEWEST } })],
  reply: z.array(z.object({ build_id: z.int(), name: z.string() })),
});

const newestRepoRequest: Call<{ id: number }[]> = {
  method: 'repo.queryQueue',
  params: [kwargs({ fields: ['id'], opts: { order: '-id', limit: 1 } })],
  reply: z.array(z.object({ id: z.int() })),
};

async function findKernel(hub: Hub, packages: readonly string[]): Promise<koji.TaggedBuild | undefined> {
  const builds = (await hub.readAll(packages.map(newestBuilds))).flatMap(unwrap);
  for (const { build_id, name } of builds) {
    for (const tag of await hub.read(koji.listTags(build_id))) {
      const listed = await hub.read(koji.listTagged(tag.name, { package: name }));
      const found = listed.find((build) => build.build_id === build_id);
      if (found) return found;
    }
  }
  return undefined;
}

/** The second argument of a `build`; null for one that is built for no target. */
function targetOf({ request }: koji.TaskInfo): string[] {
  const target = request?.[1];
  return typeof target === 'string' ? [target] : [];
}

async function findTarget(hub: Hub, names: readonly string[]): Promise<koji.BuildTarget | undefined> {
  const answers = await hub.readAll([...new Set(names)].map(koji.getBuildTarget));
  return answers.map(orUndefined).find((target) => target !== undefined);
}

async function findBuildArch(hub: Hub, builds: readonly koji.TaskInfo[]): Promise<koji.TaskInfo | undefined> {
  for (const { id } of builds) {
    const children = Object.values(await hub.read(koji.getTaskDescendents(id))).flat();
    for (const child of children.filter(
      ({ method, state }) => method === 'buildArch' && state === TASK.CLOSED,
    )) {
      const files = await hub.read(koji.listTaskOutput(child.id));
      if (Object.values(files).some(({ st_size }) => st_size > 0)) return child;
    }
  }
  return undefined;
}

/** Undefined where the hub refuses: it has no such thing. Throws what is no answer. */
export function orUndefined<T>(answer: Answer<T> | undefined): T | undefined {
  if (answer?.ok === false && answer.error.kind === 'refused') return undefined;
  return unwrap(answer);
}
