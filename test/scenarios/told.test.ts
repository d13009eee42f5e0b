/** What people read of a run: H7 and H9 of the findings, each as it should be. */
import { afterEach, describe, expect, test } from 'vitest';
import { explain, explanationText, webLinks } from '../../src/commands/report.ts';
import { all, only, repo, rule, STANDS, settled, withArches, withRules } from './scenes.ts';
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
