/** Sending what was decided. Each write is in the store before it leaves, and its answer goes there too. */

import type { Attempt, Intent, Receipt, Run, Write } from '../core/model.ts';
import { isAttempt } from '../core/trial.ts';
import * as koji from '../koji/calls.ts';
import { type Answer, HubError, isNoMethod } from '../koji/hub.ts';
import type { Context } from './context.ts';

/**
 * Record writes and send them. A refusal is recorded as the write's ending. A write without an answer stays
 * open, and `settle` looks for its effect.
 * @param newest the fact that was the newest when it was decided
 * @throws HubError `unavailable` or `unknown`, OvertakenError where it was decided on an old sight
 */
export async function act(
  context: Context,
  run: Run,
  writes: readonly Write[],
  newest: number,
): Promise<void> {
  const intents = await context.store.intend(run, writes, context.now(), newest);
  const attempts = intents.filter(isAttempt);
  const calls = attempts.map((attempt) => scratchBuild(context, attempt));
  const answers = await context.hub.writeAll(calls, context.permit).catch(refusalOfAll(calls.length));
  let lost: HubError | undefined;
  const receive = async (intent: Intent, answer: Answer<Receipt>) => {
    if (answer.ok) await context.store.receive(run, intent, answer.value);
    else if (answer.error.kind === 'refused') await refuse(context, run, intent, answer.error);
    else lost = answer.error;
  };
  for (const [i, attempt] of attempts.entries()) {
    const answer = answers[i];
    if (answer)
      await receive(
        attempt,
        answer.ok ? { ok: true, value: { at: context.now(), task: answer.value } } : answer,
      );
  }
  for (const intent of intents) {
    const { write } = intent;
    if (write.kind !== 'scratch-build') await receive(intent, await send(context, run, intent, write));
  }
  if (lost) throw lost;
}

/** Where the whole group is refused, each of its calls is. */
const refusalOfAll = (count: number) => (error: unknown) => {
  if (!(error instanceof HubError) || error.kind !== 'refused') throw error;
  return Array.from({ length: count }, () => ({ ok: false, error }) as const);
};

/** The call for an attempt; its id travels along, so that the task is found again after a crash. */
function scratchBuild({ store }: Context, { id, write }: Attempt) {
  const options: koji.BuildOptions = {
    scratch: true,
    ...(write.waitFor && { wait_repo: true, wait_builds: write.waitFor }),
    ...(write.repoId !== undefined && { repo_id: write.repoId }),
    ...(write.arches && { arch_override: write.arches.join(' ') }),
    custom_user_metadata: koji.markBuild({ attempt: id, store: store.installation }),
  };
  return koji.build(write.source, write.target, options, write.priority);
}

/**
 * From where the kmod's build was made from: its place in version control, there from the head of a branch if one is
 * named, else its source rpm.
 */
async function realBuild(
  { hub, store }: Context,
  run: Run,
  { id }: Intent,
  { kmod, buildId, target, draft, branch, waitFor }: Extract<Write, { kind: 'rebuild' }>,
) {
  const srpm = run.kmods.find(({ name }) => name === kmod)?.source ?? '';
  const build = await hub.read(koji.getBuild(buildId));
  const scm = build && koji.scmOf(build);
  const source = scm && branch !== undefined ? koji.atBranch(scm, branch) : (scm ?? srpm);
  const options: koji.BuildOptions = {
    ...(draft && { draft }),
    wait_repo: true,
    wait_builds: waitFor,
    custom_user_metadata: koji.markBuild({ attempt: id, store: store.installation }),
  };
  return koji.build(source, target, options);
}

async function send(
  context: Context,
  run: Run,
  intent: Intent,
  write: Exclude<Write, Attempt['write']>,
): Promise<Answer<Receipt>> {
  try {
    return { ok: true, value: { at: context.now(), ...(await sendOne(context, run, intent, write)) } };
  } catch (error) {
    if (error instanceof HubError) return { ok: false, error };
    throw error;
  }
}

async function sendOne(
  context: Context,
  run: Run,
  intent: Intent,
  write: Exclude<Write, Attempt['write']>,
): Promise<Omit<Receipt, 'at'>> {
  const { hub, permit } = context;
  const build = run.kernel.id;
  switch (write.kind) {
    case 'rebuild':
      return { task: await hub.write(await realBuild(context, run, intent, write), permit) };
    case 'tag': {
      const options = write.from ? { fromtag: write.from } : {};
      return { task: await hub.write(koji.tagBuild(write.tag, write.against?.id ?? build, options), permit) };
    }
    case 'untag':
      await hub.write(koji.untagBuild(write.tag, build), permit);
      return {};
    case 'request-repo': {
      const call = koji.repoRequest(write.tag, write.event);
      // One of the past is only asked of a hub that makes them.
      const answer = await (write.event === undefined
        ? hub.write(call, permit).catch(unknownMethod)
        : hub.write(call, permit));
      if (!answer) return {};
      const { repo, request } = answer;
      return {
        ...(request && { request: request.id }),
        ...(repo && { repo: { id: repo.id, create_event: repo.create_event } }),
      };
    }
    case 'create-side-tag':
      return { sideTag: (await hub.write(koji.createSideTag(write.base), permit)).name };
    case 'remove-side-tag':
      await assertOwn(context, run, write.tag);
      await hub.write(koji.removeSideTag(write.tag), permit);
      return {};
    case 'cancel':
      await hub.write(koji.cancelTask(write.task), permit);
      return {};
  }
}

/** A side tag goes with all that is in it: where somebody has put a build there, it is theirs too. */
async function assertOwn({ hub }: Context, { kernel, intents }: Run, tag: string): Promise<void> {
  const own = intents.flatMap(({ write }) =>
    write.kind === 'tag' && write.tag === tag ? [write.against?.id ?? kernel.id] : [],
  );
  const held = await hub.read(koji.listTagged(tag));
  const other = held.find(({ build_id }) => !own.includes(build_id));
  if (!other) return;
  const why = `it holds ${other.nvr}, which this gate has not put there; take that out, or remove ${tag} by hand`;
  throw new HubError('refused', 'removeSideTag', why);
}

/** Before Koji 1.35 nobody asks for repos: kojira makes them when a tag has changed, and they are waited for. */
function unknownMethod(error: unknown): undefined {
  if (isNoMethod(error)) return undefined;
  throw error;
}

async function refuse({ store, now }: Context, run: Run, intent: Intent, error: HubError): Promise<void> {
  await store.end(run, intent, { at: now(), how: 'failed', why: error.message });
}
