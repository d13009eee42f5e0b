/** With a shared build tag a baseline is tried in a repo of the hub's, whoever had it made, or in one of the past. */
import { afterEach, describe, expect, test } from 'vitest';
import { type Gate, TASK } from '../../src/core/model.ts';
import { HubError } from '../../src/koji/hub.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { HOUR, policy, repo, rule, STANDS } from './scenes.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
afterEach(async () => stage.end());

/** READY repos are 1, deleted ones 3 (koji.REPO_STATES). */
const DELETED = 3;

/** kmod-alpha has never built, kmod-gamma breaks with NEW. The store is new: the gate has never built anything. */
async function set({ gate, scenario, ...options }: StageOptions = {}): Promise<void> {
  const broken = (small: Scenario): Scenario => ({
    ...small,
    rules: [rule({ kmod: 'kmod-alpha', result: 'fails' })],
  });
  const kmods = { ...GATE.kmods, include: ['kmod-alpha', 'kmod-beta'] };
  stage = await setStage({
    ...options,
    gate: { kmods, ...gate },
    scenario: (small) => broken(scenario?.(small) ?? small),
  });
}

/** The hub lets go of all repos that it has: only what is made from now on is there. */
const forget = () => {
  for (const one of stage.world.state.repos) one.state = DELETED;
};
const newRepos = () => stage.world.tasks().filter(({ method }) => method === 'newRepo');
/** The repos that were asked for of the past, each by what the builds with it were tried against. */
const asked = () => stage.world.state.requests.flatMap(({ at_event }) => at_event ?? []);
const alreadyBroken = `; nor does it build against ${OLD}`;

async function closedWith(verdict: string, reason: string): Promise<void> {
  const run = await stage.closed(NEW, 240);
  expect(run.verdict?.verdict).toBe(verdict);
  expect(run.verdict?.reasons.join()).toContain(reason);
}

describe.each(['wait', 'pin'] as const)('repo = "%s": a gate with a new store', (mode) => {
  const gate = repo(mode);

  test('tries the baseline in a repo that the hub has ready', async () => {
    await set({ gate });
    stage.world.completeKernel(NEW, STANDS);
    const before = newRepos().length;
    await closedWith('promote', alreadyBroken);
    expect(stage.scratchBuilds('kmod-alpha').at(-1)?.request[2]).toMatchObject({ repo_id: 1 });
    // One with the kernel; none of the past.
    expect(newRepos().length - before).toBe(1);
    expect(asked()).toEqual([]);
  });

  test('has one made of the time when the baseline was the newest kernel', async () => {
    await set({ gate });
    forget();
    stage.world.completeKernel(NEW, STANDS);
    await closedWith('promote', alreadyBroken);
    const came = stage.world.state.listings.find(({ build_id }) => build_id === stage.buildId(NEW));
    expect(asked()).toEqual([(came?.create_event ?? 0) - 1]);
    const made = stage.world.state.repos.find(({ create_event }) => create_event === asked()[0]);
    const last = stage.scratchBuilds('kmod-alpha').at(-1);
    expect(last?.request[2]).toMatchObject({ repo_id: made?.id });
    expect(await stage.story()).toContain(`request a repo of kmods9s-build with ${OLD}`);
  });

  test('has it made once, though the process is killed after every look', async () => {
    await set({ gate });
    forget();
    stage.world.completeKernel(NEW, STANDS);
    await stage.until('it is decided', async () => {
      await stage.restart();
      return (await stage.run(NEW))?.closing;
    });
    await closedWith('promote', alreadyBroken);
    expect(asked()).toHaveLength(1);
  });

  test.each(['drop-after', 'drop-before'] as const)(
    'has it made once, though calls are lost: %s',
    async (fault) => {
      let lost = 0;
      const faults: StageOptions['faults'] = (name) =>
        name === 'repo.request' && lost++ < 4 ? fault : 'none';
      await set({ gate, faults });
      forget();
      stage.world.completeKernel(NEW, STANDS);
      await closedWith('promote', alreadyBroken);
      expect(asked()).toHaveLength(1);
      expect(lost).toBeGreaterThan(1);
    },
  );
});

test('a request that the hub has forgotten is made anew', async () => {
  let forgot = 0;
  const around: StageOptions['around'] = ({ hub, store }) => ({
    store,
    hub: {
      ...hub,
      read: (call) => {
        if (call.method !== 'repo.checkRequest' || forgot++ > 0) return hub.read(call);
        return Promise.reject(new HubError('refused', call.method, 'No such request', { code: 1000 }));
      },
    },
  });
  await set({ around });
  forget();
  stage.world.completeKernel(NEW, STANDS);
  await closedWith('promote', alreadyBroken);
  const run = await stage.run(NEW);
  const requests = run?.intents.filter(({ write }) => write.kind === 'request-repo') ?? [];
  expect(requests.map(({ ending }) => ending?.how)).toEqual(['failed', 'done']);
  // The hub had made it all the same, and makes no second one.
  expect(asked()).toHaveLength(1);
});

test('a repo of the past stays ready for the next who wants it', async () => {
  await set({ gate: { ...repo('wait'), ...policy({ supersede: 'keep' }) } });
  forget();
  stage.world.completeKernel(NEW, STANDS);
  await closedWith('promote', alreadyBroken);
  const made = stage.world.state.repos.find(({ create_event }) => create_event === asked()[0]);
  expect(made?.state).toBe(1);
});

test('a repo that cannot be made is tried three times, and then nothing shows whose fault it is', async () => {
  await set({ gate: policy({ unattributed: 'hold', longest_hold: HOUR }) });
  forget();
  stage.world.completeKernel(NEW, STANDS);
  await stage.until('it builds', () => stage.scratchBuilds('kmod-alpha').length > 0);
  await stage.until('the repo with the kernel is there', () =>
    stage.world.tasks().some(({ method, state }) => method === 'buildArch' && state === TASK.OPEN),
  );
  stage.world.state.broken_repos = ['kmods9s-build'];
  await stage.until('it is judged', async () => (await stage.run(NEW))?.verdict, 60 * 12);
  const run = await stage.run(NEW);
  expect(run?.verdict?.reasons.join()).toMatch(
    new RegExp(`${OLD} cannot be tried: repo request \\d+ ended without a repo`),
  );
});

describe('a hub before Koji 1.35', () => {
  const old = (scenario: Scenario): Scenario => ({
    ...scenario,
    hub: { version: '1.34.1', lacks: ['repo.request', 'repo.checkRequest', 'repo.get', 'repo.query'] },
  });

  test('still has what kojira made when the baseline was the newest kernel', async () => {
    await set({ scenario: old });
    stage.world.completeKernel(NEW, STANDS);
    await closedWith('promote', alreadyBroken);
  });

  test('makes none of the past', async () => {
    await set({ scenario: old });
    forget();
    stage.world.completeKernel(NEW, STANDS);
    await closedWith(
      'block',
      `nothing shows whether it builds against ${OLD}: no repo of kmods9s-build holds that one any more, and the hub makes none of the past (before Koji 1.35)`,
    );
  });
});

test('a baseline that never was in the build tag cannot be tried there', async () => {
  const elsewhere: (small: Scenario) => Scenario = (small) => ({
    ...small,
    kernels: small.kernels.map((kernel) =>
      kernel.nvr === OLD ? { ...kernel, tags: ['c9s-candidate'] } : kernel,
    ),
  });
  const gate: Partial<Gate> = policy({ unattributed: 'block' });
  await set({ gate, scenario: elsewhere });
  stage.world.completeKernel(NEW, STANDS);
  await closedWith(
    'block',
    `nothing shows whether it builds against ${OLD}: it never was the newest kernel of kmods9s-build`,
  );
});
