/** Robots of the field that empty the pass tag as soon as a kernel is in it: signers, compose tools, release scripts. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Gate } from '../../src/core/model.ts';
import {
  all,
  type Change,
  MINUTE,
  NEWEST,
  only,
  policy,
  rule,
  STANDS,
  settled,
  withNewest,
  withRules,
  withTags,
  withTarget,
} from './scenes.ts';
import { NEW, OLD, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage.end());

/** What a robot does with a build that has come into c9s-signing. */
type Deed = (robot: ReturnType<Stage['world']['as']>, nvr: string) => void;

const DEEDS: Record<string, { deed: Deed; tags: string[] }> = {
  'a signer that moves it on': {
    deed: (robot, nvr) => robot.moveBuild('c9s-signing', 'c9s-candidate', nvr),
    tags: ['c9s-candidate'],
  },
  'a compose tool that tags it elsewhere first': {
    deed: (robot, nvr) => {
      robot.tagBuild('c9s-released', nvr);
      robot.untagBuild('c9s-signing', nvr);
    },
    tags: ['c9s-released'],
  },
};

const allowed: Change = (small) => ({
  ...small,
  policy: {
    ...small.policy,
    tag: { ...small.policy.tag, 'release-manager': ['c9s-*'], 'kmod-gate': ['c9s-*', 'kmods9s-*'] },
  },
});

/** Two kernels, one after the other: NEW is fine with kmod-beta, which must be rebuilt, and NEWEST breaks it. */
async function play(deed: Deed, delay: number, gate: Partial<Gate>) {
  stage = await setStage({
    gate: { ...only('kmod-beta'), ...gate, on_pass: { tag: ['c9s-signing'], untag: ['c9s-gate'] } },
    scenario: all(
      withNewest(),
      withTags('c9s-signing', 'c9s-released'),
      withTarget('kmods9s-next', ['c9s-candidate', 'c9s-released', 'kmods9s-release']),
      withRules(rule({ kmod: 'kmod-beta', result: 'fails', kernel: NEWEST })),
      allowed,
    ),
  });
  const robot = stage.world.as('release-manager');
  const waiting: { at: number; nvr: string }[] = [];
  stage.world.onMessage((event) => {
    if (event.kind === 'tag' && event.tag['name'] === 'c9s-signing')
      waiting.push({ at: stage.world.now() + delay, nvr: String(event.build['nvr']) });
  });
  const work = () => {
    for (const { at, nvr } of waiting.splice(0))
      if (at <= stage.world.now()) deed(robot, nvr);
      else waiting.push({ at, nvr });
  };
  stage.hear();
  stage.world.completeKernel(NEW, STANDS);
  await stage.until(`${NEW} is through and moved on`, async () => {
    work();
    const run = await stage.run(NEW);
    return run?.closing && waiting.length === 0 && !stage.world.tags(NEW).includes('c9s-signing');
  });
  return stage.run(NEW);
}

/** Sources of the builds that `on_pass.rebuild` has asked for. */
const realBuilds = () =>
  stage.world
    .tasks()
    .filter(({ method, request }) => method === 'build' && request[1] === 'kmods9s-next')
    .map(({ request }) => String(request[0]));

describe.each(Object.entries(DEEDS))('%s', (_, { deed, tags }) => {
  test.each([
    ['in the same moment', 0],
    ['after ten seconds', 10_000],
    ['after ten minutes', 10 * MINUTE],
  ])('%s: the run is done, the kmods are rebuilt, and it is the baseline of the next', async (_, delay) => {
    const run = await play(deed, delay, {
      strategy: 'symbols-then-rebuild',
      rebuild: { target: 'kmods9s-next', draft: true },
      ...policy({ unattributed: 'hold' }),
    });
    expect(run?.verdict?.verdict).toBe('promote');
    expect(run?.closing?.how).toBe('done');
    expect(stage.world.tags(NEW)).toEqual(tags);
    expect(realBuilds()).toContainEqual(expect.stringContaining('/kmod-beta/'));
    expect((await stage.said(NEW)) ?? '').not.toContain('hand');

    stage.world.completeKernel(NEWEST, STANDS);
    const next = await settled(stage, NEWEST);
    expect(next.verdict).toBe('block');
    expect(next.why).toContain(`it builds against ${NEW}`);
    expect(next.why).not.toContain(OLD);
  });
});

test('a person who takes it out of the pass tag, to no other, is no robot', async () => {
  const run = await play((robot, nvr) => robot.untagBuild('c9s-signing', nvr), 0, {
    strategy: 'symbols-then-rebuild',
    rebuild: { target: 'kmods9s-next', draft: true },
  });
  expect(run?.closing?.how).toBe('taken-over');
  expect(run?.closing?.why).toContain('taken out of c9s-signing by release-manager');
  expect(realBuilds()).toEqual([]);
});
