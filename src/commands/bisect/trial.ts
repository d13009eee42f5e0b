/** One step of a bisection: the kmod built against one kernel, in a side tag of its own, which is gone afterwards. */
import type { Known } from '../../core/bisect.ts';
import { pauseBefore } from '../../core/cell.ts';
import type { KernelBuild } from '../../core/model.ts';
import { shownBy, type Trial } from '../../core/trial.ts';
import { span } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import { HubError } from '../../koji/hub.ts';
import { hasEnded, readEvidence } from '../../reconciler/evidence.ts';
import { isLastTry } from '../../reconciler/follow.ts';
import { CheckError } from '../error.ts';
import {
  makeSideTag,
  markFor,
  ofQuestion,
  ownBuilds,
  patiently,
  removeSideTag,
  rest,
  sent,
  type Work,
} from './work.ts';

/** What is known of the kmod with one kernel. */
export interface Tried extends Pick<Trial, 'shows' | 'cause'> {
  /** The `build` tasks that were made for it, the newest last. */
  readonly tasks: readonly number[];
  /** How it is known: built now, by an earlier bisection of the same question, or by a run of the gate, which is named. */
  readonly by: 'built' | 'earlier' | { readonly run: string };
}

/** What it is called. */
export const knownOf = ({ shows }: Pick<Tried, 'shows'>): Known =>
  (({ builds: 'good', fails: 'bad', nothing: 'skipped' }) as const)[shows];

/** In ms: tagging takes seconds, and is looked at no more seldom than this. */
const TAGGING_POLL = 5_000;

/**
 * Build the kmod against a kernel; what shows nothing by the machine's fault is built again, so often as the gate's policy
 * has it. Whatever happens, the side tag is gone at the end.
 * @throws HubError, CheckError where a person has cancelled it, Stopped
 */
export async function tryKernel(work: Work, kernel: KernelBuild): Promise<Tried> {
  const { plan } = work;
  const tag = await makeSideTag(work);
  const tasks: number[] = [];
  try {
    // Before any build: where the side tag inherits the kernel, `wait_builds` holds without it being the newest there.
    await tagInto(work, kernel, tag);
    for (;;) {
      const task = await submit(work, kernel, tag);
      tasks.push(task);
      work.say(`${kernel.nvr}: task ${task} in ${tag.name}`);
      const trial = await follow(work, kernel, task);
      const isOver =
        trial.shows !== 'nothing' || !trial.again || tasks.length > plan.gate.policy.retries.kmod;
      if (isOver) return { shows: trial.shows, cause: trial.cause, tasks, by: 'built' };
      const pause = pauseBefore(tasks.length);
      work.say(`${kernel.nvr}: ${trial.cause}; again in ${span(pause)}`);
      await rest(work, pause);
    }
  } finally {
    await removeSideTag(work, tag);
  }
}

/** @returns the task, found by its mark where the reply was lost */
async function submit(work: Work, kernel: KernelBuild, tag: koji.SideTag): Promise<number> {
  const { plan, hub } = work;
  const mark = markFor(work, kernel);
  const call = koji.build(
    plan.kmod.source,
    tag.name,
    {
      scratch: true,
      arch_override: plan.arch,
      wait_repo: true,
      wait_builds: [kernel.nvr],
      custom_user_metadata: koji.markBuild(mark),
    },
    plan.gate.build.priority,
  );
  return sent(
    work,
    () => hub.write(call),
    async () => {
      const mine = ofQuestion(plan, await patiently(work, () => ownBuilds(work)));
      return mine.find(({ attempt }) => attempt === mark.attempt)?.task.id;
    },
  );
}

/** Where the reply is lost it is asked again: that the kernel is there already is as good as done. */
async function tagInto(work: Work, { id, nvr }: KernelBuild, tag: koji.SideTag): Promise<void> {
  const { hub } = work;
  const task = await sent(
    work,
    () => hub.write(koji.tagBuild(tag.name, id)),
    async () => undefined,
  );
  await ended(work, task, `tags it into ${tag.name}`, Math.min(TAGGING_POLL, work.poll));
  const tags = await patiently(work, () => hub.read(koji.listTags(id)));
  if (tags.some(({ name }) => name === tag.name)) return;
  const result = await patiently(work, () => hub.read(koji.getTaskResult(task))).catch(() => null);
  const why = koji.faultIn(result)?.text ?? `task ${task} says why`;
  throw new CheckError(`${nvr} cannot be tagged into a side tag of ${work.plan.base}: ${why}`);
}

/** Wait until a task has ended; undefined where it has not at a time. */
async function ended(
  work: Work,
  id: number,
  what: string,
  poll = work.poll,
  until = Number.POSITIVE_INFINITY,
): Promise<koji.TaskInfo | undefined> {
  const { hub, clock } = work;
  const start = clock.now();
  for (;;) {
    const task = await patiently(work, () => hub.read(koji.getTaskInfo(id)));
    if (!task) throw new HubError('refused', 'getTaskInfo', `the hub does not know task ${id} any more`);
    if (hasEnded(task.state)) return task;
    if (clock.now() >= until) return undefined;
    work.status(`task ${id} ${what}, ${span(clock.now() - start)}`);
    await rest(work, poll);
  }
}

/** What a build comes to. One that takes too long is cancelled. */
async function follow(work: Work, kernel: KernelBuild, id: number): Promise<Trial> {
  const { plan, hub, clock } = work;
  const { longest_build: longest } = plan.gate.policy;
  const until = longest === null ? undefined : clock.now() + longest;
  const task = await ended(work, id, `builds ${plan.kmod.nvr} against ${kernel.nvr}`, work.poll, until);
  if (!task) {
    await patiently(work, () => hub.write(koji.cancelTask(id)));
    const cause = `its build did not end within ${span(longest ?? 0)}`;
    return { shows: 'nothing', cause, whose: 'time', again: true };
  }
  const trial = await judge(work, kernel, task);
  // Whoever cancels it has a reason, which may be another bisection of the same question.
  if (trial.whose === 'person') throw new CheckError(`task ${id} was cancelled, so the bisection ends here`);
  return trial;
}

/** What an ended build shows, by the gate's own rules of evidence. What cannot be read is read again, for a while. */
export async function judge(work: Work, kernel: KernelBuild, task: koji.TaskInfo): Promise<Trial> {
  const { plan, hub } = work;
  for (let tries = 0; ; tries++) {
    const last = isLastTry(tries);
    try {
      const evidence = await readEvidence(hub, kernel, task, () => last);
      return shownBy(plan.gate.policy, kernel, evidence, plan.arch, true);
    } catch (error) {
      if (last || !(error instanceof HubError)) throw error;
      work.status(`what task ${task.id} has left cannot be read yet: ${error.message}`);
      await rest(work, work.poll);
    }
  }
}
