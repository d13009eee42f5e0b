/** What an ended task of a run's has come to, read and recorded by itself: a log that cannot be read stops no other. */
import { gateNamed } from '../core/gate.ts';
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
import { hasEnded, readEvidence } from './evidence.ts';
import { runKey } from './keys.ts';
import { taggedBuild } from './settle.ts';
import { tieErrors } from './symbols.ts';

/** So often something is read that cannot be read, over some eight minutes; then what is known counts. */
const TRIES_MOST = 8;
/** And what is not refused, but only not answered: a hub in trouble may be well again within the hour. */
const UNANSWERED_MOST = 18;

/** Whether what cannot be read now is to count as unreadable. `tries`: how often it has failed before. */
export const isLastTry = (tries: number, error?: HubError): boolean =>
  tries >= (error && error.kind !== 'refused' ? UNANSWERED_MOST : TRIES_MOST);

/**
 * Look at a task that a run has asked for, and where it has ended, record what it has come to.
 * @param tries how often that has failed
 * @throws HubError where it cannot be read yet
 */
export async function followTask(context: Context, id: number, tries: number): Promise<void> {
  const { gates, hub, store, now, want } = context;
  const owner = await store.ownerOfTask(id);
  if (!owner) return;
  const gate = gateNamed(gates, owner.gate);
  const run = await store.run(owner.run);
  const intent = run?.intents.find(({ receipt, ending }) => receipt?.task === id && !ending);
  if (run && intent) {
    const task = await hub.read(koji.getTaskInfo(id));
    const gone = { at: now(), how: 'failed', why: `the hub does not know task ${id} any more` } as const;
    if (task && !hasEnded(task.state)) return;
    const ending = task
      ? await endingOf(context, gate, run, intent, task, (error) => isLastTry(tries, error))
      : gone;
    // Somebody else may have been faster: no fact is recorded twice.
    if (ending && !(await isOver(context, run, intent))) {
      await store.end(run, intent, ending);
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
  task: koji.TaskInfo,
  bears: (error: HubError) => boolean,
): Promise<Ending | undefined> {
  const { hub, now } = context;
  const { write } = intent;
  if (write.kind === 'rebuild') return readRebuild(hub, task, now());
  if (write.kind === 'tag') return readTagging(hub, taggedBuild(run, intent), write, task, now());
  if (write.kind !== 'scratch-build') return undefined;
  const build = await readEvidence(hub, run.kernel, task, bears);
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
