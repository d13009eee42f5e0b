/**
 * `kmod-gate bisect`: the first kernel that breaks a kmod, by scratch builds in side tags. Nothing else on the hub is touched,
 * and nothing is left there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { bounds, type Known, mostTries, nextToTry, suspects } from '../core/bisect.ts';
import type { KernelBuild } from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { detectFeatures } from '../koji/features.ts';
import type { Hub } from '../koji/hub.ts';
import type { TypesOf } from '../reconciler/context.ts';
import { typesFrom } from '../reconciler/kerneltypes.ts';
import { visible } from '../report/visible.ts';
import { shownEarlier, shownInStore } from './bisect/known.ts';
import { makePlan, type Plan, type Subject } from './bisect/plan.ts';
import { explainStep } from './bisect/step.ts';
import { type Answer, planText, type Story, storyJson, storyText } from './bisect/told.ts';
import { knownOf, type Tried, tryKernel } from './bisect/trial.ts';
import { type Clock, ofQuestion, ownBuilds, removeLeftovers, Stopped, type Work } from './bisect/work.ts';
import { CheckError } from './error.ts';
import { createScreen } from './progress.ts';
import { webLinks } from './report.ts';
import { clockTime, type Output } from './text.ts';

export interface BisectOptions extends Subject {
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  readonly json: boolean;
  /** Once it fires, all is taken away, and the command ends. */
  readonly stop: AbortSignal;
  /** Where the story goes while it happens, and whether that is a terminal. */
  readonly progress: Output;
  readonly live: boolean;
  /** Real time unless told. */
  readonly clock?: Clock;
  /** Where the types of kernels come from: `topurl` of the configuration unless told. */
  readonly typesOf?: TypesOf;
}

const REAL_TIME: Clock = {
  now: Date.now,
  sleep: (ms, signal) => sleep(ms, undefined, { ...(signal && { signal }) }).catch(() => {}),
};

/**
 * Find the first kernel build that breaks a kmod.
 * @returns whether it was found; with `dryRun`, true
 * @throws CheckError for what cannot be meant or done, HubError
 */
export async function bisect(config: Config, output: Output, options: BisectOptions): Promise<boolean> {
  const hub = connectHub(config.koji);
  try {
    const story = await play(config, hub, output, options);
    const links = webLinks(config.koji.weburl);
    if (options.json) output.write(`${JSON.stringify(storyJson(story, links), null, 2)}\n`);
    else if (story.answer.how !== 'planned') output.write(storyText(output, story, links));
    return story.answer.how === 'found' || story.answer.how === 'planned';
  } finally {
    await hub.close();
  }
}

async function play(config: Config, hub: Hub, output: Output, options: BisectOptions): Promise<Story> {
  const { clock = REAL_TIME, stop, typesOf = typesFrom(config.koji, hub) } = options;
  const plan = await makePlan(hub, config, options);
  const tried = await shownInStore(config, plan, clock.now());
  const most = mostTries(rowOf(plan, tried));
  if (!options.json) output.write(planText({ plan, most }, tried));
  const left: string[] = [];
  const told = { plan, most, tried, left };
  if (options.dryRun) return { ...told, answer: { how: 'planned' } };
  const screen = createScreen(options.progress, options.live);
  const work: Work = {
    ...{ plan, hub, clock, stop, left, poll: config.sweep.poll },
    user: await logIn(config, hub),
    say: (text) => screen.line(`${clockTime(clock.now())}  ${visible(text)}`),
    status: (text) => screen.below(`${visible(text)}\n`),
  };
  try {
    const builds = await ownBuilds(work);
    await removeLeftovers(work, builds);
    for (const [kernel, shown] of await shownEarlier(work, ofQuestion(plan, builds)))
      tried.set(kernel, shown);
    const answer = await search(work, tried);
    const [first] = answer.how === 'found' ? answer.suspects : [];
    if (answer.how !== 'found' || !first) return { ...told, answer };
    return { ...told, answer, step: await explainStep(config, plan, answer.good, first, typesOf) };
  } catch (error) {
    if (!(error instanceof Stopped)) {
      for (const command of left) work.say(`left on the hub; this takes it away: ${command}`);
      throw error;
    }
    return { ...told, answer: { how: 'stopped' } };
  } finally {
    screen.below('');
  }
}

/** Throws CheckError where the hub has no side tags, or nobody is logged in; HubError. */
async function logIn({ koji: { authtype } }: Config, hub: Hub): Promise<koji.User> {
  const { sideTags } = await detectFeatures(hub);
  if (!sideTags)
    throw new CheckError('the hub has no side tags: have its sidetag plugin enabled (Plugins in hub.conf)');
  const user = authtype === 'noauth' ? null : await hub.write(koji.getLoggedInUser());
  if (!user) throw new CheckError('scratch builds need a login: set authtype, and what it needs, in [koji]');
  return user;
}

const rowOf = ({ row }: Plan, tried: ReadonlyMap<number, Tried>): (Known | undefined)[] =>
  row.map(({ id }) => {
    const one = tried.get(id);
    return one && knownOf(one);
  });

/** Both ends first, then what lies between. Adds to `tried` what each kernel shows. Throws as `tryKernel`. */
async function search(work: Work, tried: Map<number, Tried>): Promise<Answer> {
  const { row } = work.plan;
  const good = await shownOf(work, row[0], tried);
  if (good.known !== 'good')
    return { how: good.known === 'bad' ? 'good-is-bad' : 'nothing-shown', kernel: good.kernel };
  const bad = await shownOf(work, row.at(-1), tried);
  if (bad.known !== 'bad')
    return { how: bad.known === 'good' ? 'bad-is-good' : 'nothing-shown', kernel: bad.kernel };
  for (;;) {
    const known = rowOf(work.plan, tried);
    const next = nextToTry(known);
    if (next !== undefined) {
      await shownOf(work, row[next], tried);
      continue;
    }
    const last = row[bounds(known).good] ?? good.kernel;
    const some = suspects(known).flatMap((i) => row[i] ?? []);
    return { how: some.length === 1 ? 'found' : 'unsure', good: last, suspects: some };
  }
}

async function shownOf(work: Work, kernel: KernelBuild | undefined, tried: Map<number, Tried>) {
  if (!kernel) throw new Error('the row has two ends');
  const shown = tried.get(kernel.id) ?? (await tryKernel(work, kernel));
  if (!tried.has(kernel.id)) {
    const why = shown.shows === 'builds' ? '' : `: ${shown.cause}`;
    work.say(`${kernel.nvr} is ${knownOf(shown)}${why}`);
  }
  tried.set(kernel.id, shown);
  return { kernel, known: knownOf(shown) };
}
