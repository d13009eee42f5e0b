/**
 * What the trials of a bisection share, and what outlives them: patience with the hub, and the side tags and tasks that this
 * or an earlier bisection of the same question has left there. Every build carries the question in `custom_user_metadata`
 * and names its side tag as its target, so that both are found again after a crash. Side tags take no mark of their own:
 * `editSideTag` sets `extra` for administrators alone.
 */
import type { KernelBuild } from '../../core/model.ts';
import { TASK } from '../../core/model.ts';
import * as koji from '../../koji/calls.ts';
import { type Hub, HubError, isUnknown, unwrap } from '../../koji/hub.ts';
import type { Plan } from './plan.ts';

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves when so many ms have passed, or the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Work {
  readonly plan: Plan;
  readonly hub: Hub;
  readonly user: koji.User;
  readonly clock: Clock;
  /** Milliseconds between looks at a running task. */
  readonly poll: number;
  /** Once it fires, nothing new is begun, and what was begun is taken away. */
  readonly stop: AbortSignal;
  /** A line of the story. */
  readonly say: (text: string) => void;
  /** What is going on now, for a terminal. */
  readonly status: (text: string) => void;
  /** Commands for a person, where something could not be taken away. */
  readonly left: string[];
}

/** Somebody has asked to stop. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** In ms: for so long a hub that does not answer is asked again; while tidying up, shorter. */
const PATIENCE = 30 * 60_000;
const PATIENCE_AT_END = 2 * 60_000;
/** In ms, between those tries. */
const PAUSE = 30_000;

/** Sleep, unless it is time to stop: throws Stopped then. */
export async function rest({ clock, stop }: Pick<Work, 'clock' | 'stop'>, ms: number): Promise<void> {
  if (!stop.aborted) await clock.sleep(ms, stop);
  if (stop.aborted) throw new Stopped();
}

/** Ask until the hub answers. Throws HubError where it says no, or is silent for too long; Stopped. */
export async function patiently<T>(work: Work, ask: () => Promise<T>): Promise<T> {
  const start = work.clock.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isSilent(error) || work.clock.now() - start > PATIENCE) throw error;
      work.status(`the hub does not answer: ${error.message}`);
      await rest(work, PAUSE);
    }
  }
}

/** So often a write is sent anew after its reply was lost and nothing came of it. */
const SENT_MOST = 3;

/**
 * Write, and where the reply is lost look for what came of it.
 * @param find what came of it; undefined: nothing, so it may be sent again
 * @throws HubError, Stopped
 */
export async function sent<T>(
  work: Work,
  write: () => Promise<T>,
  find: () => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await patiently(work, write);
    } catch (error) {
      if (!isLost(error)) throw error;
      const found = await find();
      if (found !== undefined) return found;
      if (tries >= SENT_MOST) throw error;
    }
  }
}

/** The same for what must be done although it is time to stop; a lost reply is asked again, so only for what may be done twice. */
async function atEnd<T>({ clock }: Work, ask: () => Promise<T>): Promise<T> {
  const start = clock.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if ((!isSilent(error) && !isLost(error)) || clock.now() - start > PATIENCE_AT_END) throw error;
      await clock.sleep(PAUSE);
    }
  }
}

const isSilent = (error: unknown): error is HubError =>
  error instanceof HubError && error.kind === 'unavailable';
const isLost = (error: unknown): boolean => error instanceof HubError && error.kind === 'unknown';

// ---- marks --------------------------------------------------------------------------------------

/** In the place of a store's id: no gate takes such a build for its own. */
const STORE = 'bisect';

/** What a bisection asks, in the marks of its builds. */
const questionOf = ({ gate, kmod, row, arch }: Plan): string =>
  [gate.name, kmod.buildId, row[0]?.id, row.at(-1)?.id, arch].join('/');

/** The mark of a new build of the kmod against a kernel. */
export const markFor = ({ plan }: Work, kernel: KernelBuild): koji.BuildMark => ({
  attempt: `${questionOf(plan)}/${kernel.id}/${crypto.randomUUID()}`,
  store: STORE,
});

/** Own tasks that a look goes through, newest first. */
const LOOKED_AT = 1_000;

/** A build of this question, by whichever process. */
export interface OwnBuild {
  readonly task: koji.TaskInfo;
  readonly attempt: string;
  /** Id of the kernel that it was made against. */
  readonly kernel: number;
  /** Name of the side tag that it was made in. */
  readonly target: string;
}

/** All builds of one's own, newest first. Goes through the session, so what an earlier write did is seen. */
export const ownBuilds = ({ hub, user }: Work): Promise<koji.TaskInfo[]> =>
  hub.write(
    koji.listTasks({ owner: user.id, method: 'build', decode: true }, { order: '-id', limit: LOOKED_AT }),
  );

/** Those of this question. */
export function ofQuestion(plan: Plan, builds: readonly koji.TaskInfo[]): OwnBuild[] {
  const prefix = `${questionOf(plan)}/`;
  return builds.flatMap((task) => {
    const { store, attempt = '' } = koji.buildMark(task) ?? {};
    if (store !== STORE || !attempt.startsWith(prefix)) return [];
    const kernel = Number(attempt.slice(prefix.length).split('/')[0]);
    return [{ task, attempt, kernel, target: targetOf(task) }];
  });
}

const targetOf = ({ request }: koji.TaskInfo): string => String(request?.[1]);

// ---- side tags ------------------------------------------------------------------------------------

/** One's own side tags of the build tag. */
export const ownSideTags = ({ hub, user, plan }: Work): Promise<koji.SideTag[]> =>
  hub.write(koji.listSideTags({ basetag: plan.base, user: user.id }));

/** The builds that were ever in tags. */
async function everIn({ hub }: Work, tags: readonly koji.SideTag[]): Promise<number[][]> {
  const held = await hub.readAll(tags.map(({ name }) => koji.queryTagContents(name)));
  return tags.map((_, i) => unwrap(held[i]).map(({ build_id }) => build_id));
}

/**
 * A new side tag. Where the reply is lost, the new one in which never anything was is it: whoever else has made one has a
 * build in it within seconds.
 * @throws HubError, Stopped
 */
export async function makeSideTag(work: Work): Promise<koji.SideTag> {
  const { hub, plan, left } = work;
  const known = new Set((await patiently(work, () => ownSideTags(work))).map(({ id }) => id));
  const find = () =>
    atEnd(work, async () => {
      const tags = (await ownSideTags(work)).filter(({ id }) => !known.has(id));
      const held = await everIn(work, tags);
      const fresh = tags.filter((_, i) => held[i]?.length === 0);
      if (fresh.length < 2) return fresh[0];
      left.push(...fresh.map(({ name }) => `koji remove-side-tag ${name}`));
      throw new HubError(
        'refused',
        'createSideTag',
        'its reply was lost, and several new side tags are there: one of them is ours',
      );
    });
  return sent(work, () => hub.write(koji.createSideTag(plan.base)), find);
}

const ALIVE = [TASK.FREE, TASK.OPEN, TASK.ASSIGNED];

/**
 * Cancel what still runs in a side tag, and remove it. One in which somebody has put another build stays. Never rejects: what
 * cannot be taken away is told as commands.
 */
export async function removeSideTag(work: Work, tag: koji.SideTag): Promise<void> {
  const { hub, user, plan, left } = work;
  const mend = [`koji remove-side-tag ${tag.name}`];
  try {
    const live = { owner: user.id, decode: true, state: ALIVE } as const;
    const builds = await atEnd(work, () => hub.write(koji.listTasks({ ...live, method: 'build' })));
    const tagging = await atEnd(work, () => hub.write(koji.listTasks({ ...live, method: 'tagBuild' })));
    const here = [
      ...builds.filter((task) => targetOf(task) === tag.name),
      ...tagging.filter(({ request }) => request?.[0] === tag.id),
    ];
    if (here.length > 0) mend.unshift(`koji cancel ${here.map(({ id }) => id).join(' ')}`);
    for (const { id } of here) await atEnd(work, () => hub.write(koji.cancelTask(id)));
    const held = await atEnd(work, () => hub.read(koji.listTagged(tag.name)));
    const other = held.find(({ build_id }) => !plan.row.some(({ id }) => id === build_id));
    if (other)
      throw new HubError('refused', 'removeSideTag', `it holds ${other.nvr}, which is somebody else's`);
    await atEnd(work, () => hub.write(koji.removeSideTag(tag.name)));
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    // Gone already is what was wanted: by a lost reply, by Koji itself, or by a person.
    if (isUnknown(error) && !(await isThere(work, tag).catch(() => true))) return;
    work.say(`${tag.name} stays: ${error.message}`);
    left.push(...mend);
  }
}

const isThere = async (work: Work, { id }: koji.SideTag): Promise<boolean> =>
  (await atEnd(work, () => ownSideTags(work))).some((tag) => tag.id === id);

/**
 * Take away what an earlier bisection of the same question has left: it was killed, or could not tidy up. A side tag in which
 * no build was made, with no more in it than a kernel, may be of one that was killed just then, or of somebody who is about to
 * use it: that is only told.
 * @param builds all of one's own
 */
export async function removeLeftovers(work: Work, builds: readonly koji.TaskInfo[]): Promise<void> {
  const { plan } = work;
  const tags = await ownSideTags(work);
  const targets = new Set(ofQuestion(plan, builds).map(({ target }) => target));
  for (const tag of tags.filter(({ name }) => targets.has(name))) {
    work.say(`Removes ${tag.name}, which an earlier bisection of the same question has left`);
    await removeSideTag(work, tag);
  }
  const used = new Set(builds.map(targetOf));
  const unused = tags.filter(({ name }) => !used.has(name));
  const held = await everIn(work, unused);
  for (const [i, { name }] of unused.entries())
    if (held[i]?.every((id) => plan.row.some((kernel) => kernel.id === id)))
      work.say(
        `No build was made in ${name} of ${work.user.name}: if nobody is about to use it, "koji remove-side-tag ${name}" removes it`,
      );
}
