/** What people read of a run: H7 and H9 of the findings, each as it should be. */
import { afterEach, describe, expect, test } from 'vitest';
import { explain, explanationText, listRuns, webLinks } from '../../src/commands/report.ts';
import { splitNvr } from '../../src/sim/scenario.ts';
import {
  all,
  FINE,
  lacks,
  MINUTE,
  only,
  repo,
  rule,
  STANDS,
  settled,
  withArches,
  withRules,
} from './scenes.ts';
import { NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const set = async (options: StageOptions) => {
  stage = await setStage(options);
};
afterEach(() => stage.end());

/** What `explain` says of NEW, and the same as data. */
async function explained() {
  const { store, gate, world } = stage;
  const links = webLinks('https://koji.example.org/koji');
  const seen = await explain({ store, gates: [gate], links, now: () => world.now() }, NEW);
  if (!seen) throw new Error('not seen');
  const text = explanationText({ write() {}, colour: false }, seen);
  return { text, kmod: seen.runs[0]?.kmods[0] };
}

/** Scratch builds of kmod-alpha in the order in which they were asked for, by task id. */
const builds = () =>
  stage
    .scratchBuilds('kmod-alpha')
    .map(({ id }) => id)
    .toSorted((a, b) => a - b);

describe('a retry of one kmod', () => {
  /** Of two kmods one lacks a package: the kernel is held. */
  const held = async () => {
    await set({ gate: FINE, scenario: withRules(lacks('foo-devel', { kernel: NEW })) });
    stage.world.completeKernel(NEW, STANDS);
    expect((await settled(stage, NEW)).verdict).toBe('hold');
    await stage.until('it says who must act', async () => (await stage.said(NEW))?.includes('must act'));
  };
  const listed = async () =>
    (await listRuns({ store: stage.store, links: webLinks('') }, { limit: 1 }))?.runs[0];

  // H9
  test('that is accepted ends the words that a person must act, also while the gate has not heard of it', async () => {
    await held();
    expect(await listed()).toMatchObject({ status: 'held', state: expect.stringContaining('must act') });
    await stage.order('retry', 'kmod-alpha');
    const state = 'waits to be tried again, as ada asked';
    expect(await listed()).toMatchObject({ status: 'running', state });
    const [now] = (await explained()).text.split('History');
    expect(now).toContain(state);
    expect(now).not.toContain('must act');
    await stage.until('it is held again', async () => (await stage.said(NEW))?.includes('must act'), 12 * 60);
  });

  // H9
  test('is told with how many it is', async () => {
    await held();
    await stage.order('retry', 'kmod-alpha');
    await stage.pass(MINUTE);
    const story = await stage.story();
    expect(story.match(/.*kmods? to try.*/g)).toEqual([
      'stands before the gate: 2 kmods to try',
      '1 of 2 kmods to try again',
    ]);
    await stage.order('retry');
    await stage.pass(MINUTE);
    expect(await stage.story()).toContain('tries again what is not fine of 2 kmods');
  });
});

// H9
test('a repo that a policy does not let it name is said with the mend, and asked for once', async () => {
  await set({
    gate: { ...only('kmod-alpha'), ...repo('pin') },
    scenario: (small) => ({ ...small, policy: { ...small.policy, repo_id: [] } }),
  });
  stage.world.completeKernel(NEW, STANDS);
  const { verdict, why } = await settled(stage, NEW);
  expect(verdict).toBe('hold');
  expect(why).toMatch(
    /policy violation \(build_from_repo_id\).*; the hub's policy build_from_repo_id must let the gate do that \(deploy\/koji-setup\.md\), then "kmod-gate retry"/,
  );
  expect(builds()).toHaveLength(1);
});

// H9
test('a message of long ago announces no kernel that is older than what has passed', async () => {
  const LONG_AGO = 'kernel-6.1.150-40.el9';
  await set({
    gate: FINE,
    scenario: (small) => {
      const [model] = small.kernels;
      if (!model) throw new Error('no kernel');
      return {
        ...small,
        kernels: [{ ...model, ...splitNvr(LONG_AGO), tags: ['c9s-build'] }, ...small.kernels],
      };
    },
  });
  for (const start of [1, 2]) {
    if (start > 1) await stage.restart();
    stage.hint({ kind: 'build', id: stage.buildId(LONG_AGO) });
    await stage.pass(MINUTE);
  }
  expect(await stage.story()).toBe('');
  // One that is newer, and will be tagged, is news.
  stage.world.completeKernel(NEW, {});
  stage.hint({ kind: 'build', id: stage.buildId(NEW) });
  await stage.pass(MINUTE);
  expect(await stage.story()).toContain('waits to be tagged into c9s-gate');
});

describe('the task of a broken kmod', () => {
  // H7
  test('is the one that shows the break, not the one that was fine with the baseline', async () => {
    await set({
      gate: { ...only('kmod-alpha'), ...repo('sidetag') },
      scenario: withRules(rule({ result: 'fails', kernel: NEW })),
    });
    stage.world.completeKernel(NEW, STANDS);
    expect((await settled(stage, NEW)).verdict).toBe('block');
    const [broken, fine] = builds();
    const { text, kmod } = await explained();
    expect(text).toMatch(new RegExp(`kmod-alpha-1\\.0-1\\.el9 {2}\\S+taskID=${broken} {2}`));
    expect(text).not.toContain('tries');
    expect(kmod?.tasks).toMatchObject([
      { id: broken, shows: true },
      { id: fine, against: OLD },
    ]);
  });

  // H7
  test('is the one of the architecture that breaks, and every try of this kernel counts', async () => {
    await set({
      gate: { ...only('kmod-alpha'), ...repo('sidetag') },
      scenario: all(
        withArches('x86_64', 'aarch64'),
        withRules(
          rule({ result: 'fails', kernel: NEW, arch: 'x86_64' }),
          rule({ result: 'init-error', kernel: NEW, arch: 'aarch64', times: 1 }),
        ),
      ),
    });
    stage.world.completeKernel(NEW, STANDS);
    expect((await settled(stage, NEW)).verdict).toBe('block');
    const { text, kmod } = await explained();
    const own = kmod?.tasks.filter(({ against }) => against === undefined) ?? [];
    expect(own.length).toBeGreaterThan(1);
    const shows = own.find((one) => one.shows)?.id;
    const failed = stage.world
      .tasks()
      .filter(({ method, state, parent, arch }) => method === 'buildArch' && state === 5 && parent && arch);
    expect(failed.filter(({ label }) => label === 'x86_64').map(({ parent }) => parent)).toContain(shows);
    expect(text).toContain(`taskID=${shows}, ${own.length} tries  `);
  });
});
