/** What an ended task of a run's has come to, read and recorded by itself: a log that cannot be read stops no other. */
import { activeOf } from '../core/builds.ts';
import { gateNamed } from '../core/gate.ts';
import { standings } from '../core/judge.ts';
import {
  type BuildEvidence,
  type Ending,
  type Gate,
  type Intent,
  type Run,
  TASK,
  type Write,
} from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { HubError, unwrap } from '../koji/hub.ts';
import { wantCauses } from './causes.ts';
import type { Context } from './context.ts';
import { hasEnded, type Outline, outlineOf, readEvidence } from './evidence.ts';
import { runKey, taskKey } from './keys.ts';
import { taggedBuild } from './settle.ts';
import { tieErrors } from './symbols.ts';

/** So often something is read that cannot be read, over some eight minutes; then what is known counts. */
const TRIES_MOST = 8;
/** And what is not refused, but only not answered: a hub in trouble may be well again within the hour. */
const UNANSWERED_MOST = 18;

/** Whether what cannot be read now is to count as unreadable. `tries`: how often it has failed before. */
export const isLastTry = (tries: number, error?: HubError): boolean =>
  tries >= (error && error.kind !== 'refused' ? UNANSWERED_MOST : TRIES_MOST);

/** What ends within so many ms is read in one request, as long as the run waits for more. */
const GATHERED = 5_000;

/** Of runs that wait for more builds: the tasks that are to be read together, and when. */
export type Gathering = Map<string, { readonly due: number; readonly tasks: Set<number> }>;

/**
 * Whether a task of a run is read later, with others that end soon: nothing waits for it but the other builds of the run.
 * The last one, and one whose end lets another build begin, is read at once, and so are all that were left until then.
 */
function isLater({ gathering, now, want }: Context, gate: Gate, run: Run, id: number): boolean {
  const known = gathering.get(run.id);
  const tasks = known?.tasks ?? new Set();
  // Each comes twice: it is left, and then read.
  if (tasks.delete(id)) return false;
  const running = activeOf(run).filter(
    ({ receipt }) => receipt?.task !== id && !tasks.has(receipt?.task ?? 0),
  );
  const isWaitedFor =
    running.length === 0 || standings(gate, run, now()).some(({ state }) => state === 'wanted');
  if (isWaitedFor) {
    for (const task of tasks) want(taskKey(task));
    return false;
  }
  const due = known && known.due > now() ? known.due : now() + GATHERED;
  gathering.set(run.id, { due, tasks: tasks.add(id) });
  want(taskKey(id), due);
  return true;
}

/**
 * Look at a task that a run has asked for, and where it has ended, record what it has come to.
 * @param tries how often that has failed
 * @throws HubError where it cannot be read yet
 */
export async function followTask(context: Context, id: number, tries: number): Promise<void> {
  const { gates, together, store, now, want, polled, gathering } = context;
  const owner = await store.ownerOfTask(id);
  if (!owner) return;
  const gate = gateNamed(gates, owner.gate);
  const run = await store.run(owner.run);
  const intent = run?.intents.find(({ receipt, ending }) => receipt?.task === id && !ending);
  if (run && intent) {
    if (tries === 0 && intent.write.kind === 'scratch-build' && isLater(context, gate, run, id)) return;
    const [info, ...told] = await together.readAll([koji.getTaskInfo(id), ...outlineOf(id)]);
    const task = unwrap(info);
    const gone = { at: now(), how: 'failed', why: `the hub does not know task ${id} any more` } as const;
    if (task && !hasEnded(task.state)) return;
    const bears = (error: HubError) => isLastTry(tries, error);
    const ending = task ? await endingOf(context, gate, run, intent, { task, told }, bears) : gone;
    polled.delete(id);
    // Somebody else may have been faster: no fact is recorded twice.
    if (ending && !(await isOver(context, run, intent))) {
      await store.end(run, intent, ending);
      if (gathering.get(run.id)?.tasks.size === 0) gathering.delete(run.id);
      if (ending.how === 'failed') wantCauses(context);
    }
  }
  want(runKey(owner.gate, owner.build));
}

async function isOver({ store }: Context, { id }: Run, intent: Intent): Promise<boolean> {
  const run = await store.run(id);
  return run?.intents.find((one) => one.id === intent.id)?.ending !== undefined;
}

async function endingOf(
  context: Context,
  gate: Gate,
  run: Run,
  intent: Intent,
  { task, told }: { readonly task: koji.TaskInfo; readonly told: Outline },
  bears: (error: HubError) => boolean,
): Promise<Ending | undefined> {
  const { hub, together, now } = context;
  const { write } = intent;
  if (write.kind === 'rebuild') return readRebuild(hub, task, now());
  if (write.kind === 'tag') return readTagging(hub, taggedBuild(run, intent), write, task, now());
  if (write.kind !== 'scratch-build') return undefined;
  const build = await readEvidence(
    { read: hub.read, readAll: together.readAll },
    run.kernel,
    task,
    bears,
    told,
  );
  const tied = write.against ? build : await tie(context, gate, run, build, write.kmod, bears);
  const at = now();
  if (tied.state === 'closed') return { at, how: 'done', build: tied };
  return { at, how: 'failed', why: tied.fault?.text ?? tied.state, build: tied };
}

/** With the kernel difference beside the errors; without, where that cannot be read. */
async function tie(
  context: Context,
  gate: Gate,
  run: Run,
  build: BuildEvidence,
  kmod: string,
  bears: (error: HubError) => boolean,
): Promise<BuildEvidence> {
  try {
    return await tieErrors(context, gate, run, build, kmod);
  } catch (error) {
    if (error instanceof HubError && bears(error)) return build;
    throw error;
  }
}

/** What a real build came to: the build's name, or the fault. */
async function readRebuild(hub: Context['hub'], task: koji.TaskInfo, at: number): Promise<Ending> {
  const [builds, result] = await hub.readAll([koji.listBuildsOf(task.id), koji.getTaskResult(task.id)]);
  const made = unwrap(builds).at(-1)?.nvr;
  if (task.state === TASK.CLOSED) return { at, how: 'done', ...(made && { nvr: made }) };
  if (task.state === TASK.CANCELED) return { at, how: 'failed', why: 'cancelled' };
  const fault = result.ok ? koji.faultIn(result.value)?.text : result.error.message;
  return { at, how: 'failed', why: fault ?? `task ${task.id} failed` };
}

/**
 * What became of a `tagBuild` task. One that closed has tagged the kernel: where it is not there any more, a person took it
 * away. One that failed may have found it there already.
 */
async function readTagging(
  hub: Context['hub'],
  build: number,
  { tag, from }: Extract<Write, { kind: 'tag' }>,
  task: koji.TaskInfo,
  at: number,
): Promise<Ending> {
  if (task.state === TASK.CLOSED) return { at, how: 'done' };
  const [tags, result] = await hub.readAll([koji.listTags(build), koji.getTaskResult(task.id)]);
  const names = unwrap(tags).map(({ name }) => name);
  if (names.includes(tag) && !(from && names.includes(from))) return { at, how: 'done' };
  const fault = result.ok ? koji.faultIn(result.value)?.text : result.error.message;
  return { at, how: 'failed', why: fault ?? `task ${task.id} ended, yet the tags are not as asked` };
}
