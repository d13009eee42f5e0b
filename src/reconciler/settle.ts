/**
 * What became of writes that have no ending yet. One with a receipt is followed to its end; one without
 * lost its reply, or the process died: then its effect is looked for, and found or declared lost.
 */
import type { Intent, Receipt, Run, Write } from '../core/model.ts';
import { isBuild } from '../core/rebuild.ts';
import { mayComeOf } from '../core/tags.ts';
import * as koji from '../koji/calls.ts';
import { isUnknown, unwrap } from '../koji/hub.ts';
import type { Context } from './context.ts';
import { hasEnded } from './evidence.ts';
import { taskKey } from './keys.ts';
import { movesIn } from './observe.ts';

/**
 * Bring the open intents of a run up to date, as far as their replies and receipts tell; what ended tasks have come to is
 * read apart (follow.ts).
 */
export async function settle(context: Context, run: Run): Promise<Settled> {
  const open = run.intents.filter((intent) => !intent.ending);
  const ended = await findEnded(context, open);
  for (const intent of open.filter(({ write, receipt }) => write.kind === 'request-repo' && receipt))
    await followRepo(context, run, intent);
  for (const intent of open.filter(({ write, receipt }) => receipt && isDoneByReply(write))) {
    await context.store.end(run, intent, { at: context.now(), how: 'done' });
  }
  const lost = open.filter(({ receipt }) => !receipt);
  const now = context.now();
  const { settle: patience } = context.pace;
  // What the gate before has sent may arrive for as long after its last moment as after that of asking.
  const from = ({ askedAt }: Intent) => Math.max(askedAt, context.began ?? askedAt) + patience;
  const due = lost.filter((intent) => from(intent) <= now);
  if (due.length > 0) await findLost(context, run, due);
  const later = lost.filter((intent) => !due.includes(intent)).map(from);
  return { ended, ...(later.length > 0 && { lostUntil: Math.min(...later) }) };
}

/** What is left of the open intents of a run. */
export interface Settled {
  /** Whether tasks have ended, and what they have come to is still to be read. */
  readonly ended: boolean;
  /** When the next lost one may be looked for; absent: none is lost. */
  readonly lostUntil?: number;
}

/** Tasks and repos are followed to their end; anything else is done when it is answered. */
function isDoneByReply({ kind }: Write): boolean {
  return kind !== 'scratch-build' && kind !== 'rebuild' && kind !== 'tag' && kind !== 'request-repo';
}

/**
 * Tasks that have ended, or of which the hub does not say so, want to be read. Returns whether any has surely ended. Builds may
 * be many and take long, and messages tell of their ends, so each is asked for once in a while.
 */
async function findEnded(
  { together, want, polled, pace, now }: Context,
  open: readonly Intent[],
): Promise<boolean> {
  const running = open.flatMap(({ receipt }) => receipt?.task ?? []);
  const tags = new Set(open.flatMap(({ write, receipt }) => (write.kind === 'tag' && receipt?.task) || []));
  // Half of the pause, so that who looks again after it does ask.
  const isKnown = (id: number) => (polled.get(id)?.at ?? Number.NEGATIVE_INFINITY) > now() - pace.poll / 2;
  const asked = running.filter((id) => tags.has(id) || (!polled.get(id)?.ended && !isKnown(id)));
  const answers = await together.readAll(asked.map((task) => koji.getTaskInfo(task)));
  for (const [i, id] of asked.entries()) {
    const answer = answers[i];
    const ended = answer?.ok === true && (!answer.value || hasEnded(answer.value.state));
    if (answer?.ok) polled.set(id, { at: now(), ended });
    if (ended || !answer?.ok) want(taskKey(id));
  }
  return running.some((id) => polled.get(id)?.ended);
}

/** The build that a write tags: the run's kernel, or its baseline. */
export const taggedBuild = ({ kernel }: Run, { write }: Intent): number =>
  (write.kind === 'tag' ? write.against?.id : undefined) ?? kernel.id;

/**
 * A requested repo counts once it is there and its newest kernel is this one, or the baseline that it is for. Where the hub knows no requests,
 * any newer repo may be the one.
 */
async function followRepo({ hub, store, now }: Context, run: Run, intent: Intent): Promise<void> {
  const { write, receipt } = intent;
  if (write.kind !== 'request-repo' || !receipt) return;
  const { repo, over } = await repoSoFar(hub, write.tag, receipt);
  const fail = (why: string) => store.end(run, intent, { at: now(), how: 'failed', why });
  if (!repo) return over ? fail(`repo request ${receipt.request} ended without a repo`) : undefined;
  const [latest] = await hub.read(
    koji.getLatestBuilds(write.tag, { package: run.kernel.name, event: repo.create_event }),
  );
  if (latest?.build_id === (write.against ?? run.kernel).id)
    return store.end(run, intent, { at: now(), how: 'done', repo: repo.id });
  if (over) await fail(`repo ${repo.id} of ${write.tag} holds ${latest?.nvr ?? 'no kernel'}`);
}

/** The repo that a request has brought, and whether nothing more will come of it. */
async function repoSoFar(
  hub: Context['hub'],
  tag: string,
  { repo, request }: Receipt,
): Promise<{ repo: Receipt['repo'] | null; over: boolean }> {
  if (repo) return { repo, over: true };
  if (request === undefined) return { repo: await hub.read(koji.getRepo(tag)), over: false };
  const status = await hub.read(koji.repoCheckRequest(request)).catch((error: unknown) => {
    // The hub forgets a request a day after it is done: what came of it is not known, and it is made anew.
    if (isUnknown(error)) return undefined;
    throw error;
  });
  if (!status) return { repo: null, over: true };
  return { repo: status.repo, over: status.repo !== null || !status.request.active };
}

// ---- lost replies -------------------------------------------------------------------------------
// All looks go through the session: after a write of this process without an answer the hub client ends that
// write's session first, so that what a look sees is final. For a write of an earlier process `pace.settle`
// gives it time to arrive.

async function findLost(context: Context, run: Run, lost: readonly Intent[]): Promise<void> {
  const builds = lost.filter(isBuild);
  if (builds.length > 0) await findBuilds(context, run, builds);
  for (const intent of lost.filter((intent) => !isBuild(intent))) await findOther(context, run, intent);
}

/** Own tasks that a look goes through, newest first; by number, since the hub's clock may differ from ours. */
const LOOKED_AT = 1_000;

async function findBuilds(
  { hub, store, now, user }: Context,
  run: Run,
  lost: readonly Intent[],
): Promise<void> {
  const mine = await hub.write(
    koji.listTasks(
      { owner: await user(), method: 'build', decode: true },
      { order: '-id', limit: LOOKED_AT },
    ),
  );
  const found = new Map<string, number>();
  for (const task of mine) {
    const mark = koji.buildMark(task);
    if (mark?.store === store.installation) found.set(mark.attempt, task.id);
  }
  for (const intent of lost) {
    const task = found.get(intent.id);
    if (task !== undefined) await store.receive(run, intent, { at: now(), task });
    else await store.end(run, intent, { at: now(), how: 'lost' });
  }
}

async function findOther(context: Context, run: Run, intent: Intent): Promise<void> {
  const { store, now } = context;
  const seen = await lookFor(context, run, intent);
  if (seen === 'done') await store.end(run, intent, { at: now(), how: 'done' });
  else if (seen === undefined) await store.end(run, intent, { at: now(), how: 'lost' });
  else await store.receive(run, intent, seen);
}

/** The trace that a write left on the hub: it is done, or running under this receipt, or there is none. */
async function lookFor(context: Context, run: Run, intent: Intent): Promise<'done' | Receipt | undefined> {
  const { hub, now, user } = context;
  const { write } = intent;
  switch (write.kind) {
    case 'tag':
    case 'untag': {
      // The task before the history: one that ends between the two looks is in it by then.
      const build = taggedBuild(run, intent);
      const task = write.kind === 'tag' ? await findTagTask(context, build, write.tag) : undefined;
      if (task) return { at: now(), task: task.id };
      // Also what somebody has undone since was done.
      const history = movesIn(await hub.write(koji.queryTagHistory(build)), await user());
      return history.some((move) => move.tag === write.tag && mayComeOf(write, run, move))
        ? 'done'
        : undefined;
    }
    case 'remove-side-tag': {
      const tags = await hub.write(koji.listSideTags({ user: await user() }));
      return tags.some(({ name }) => name === write.tag) ? undefined : 'done';
    }
    case 'cancel': {
      const task = await hub.write(koji.getTaskInfo(write.task));
      return task && !hasEnded(task.state) ? undefined : 'done';
    }
    case 'create-side-tag':
      // Nothing tells whose a side tag is, so a new one is asked for; what is left is removed later.
      return undefined;
    case 'request-repo':
    case 'rebuild':
    case 'scratch-build':
      // A repo request may be sent again: the hub answers with the one that it has.
      return undefined;
  }
}

/** An own task that still has to tag a build into a tag. */
async function findTagTask(
  { hub, user }: Context,
  build: number,
  name: string,
): Promise<koji.TaskInfo | undefined> {
  const tasks = await hub.write(
    koji.listTasks(
      { owner: await user(), method: 'tagBuild', decode: true },
      { order: '-id', limit: LOOKED_AT },
    ),
  );
  const [tag] = await hub.readAll([koji.getTag(name)]);
  // People remove side tags: nothing is on its way into one that is gone.
  if (!tag.ok && isUnknown(tag.error)) return undefined;
  const { id } = unwrap(tag);
  return tasks.find(
    ({ state, request }) => !hasEnded(state) && request?.[0] === id && request?.[1] === build,
  );
}
