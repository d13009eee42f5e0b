/** One scenario for each thing that the gate promises about a run, on a Koji in memory over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import { standings } from '../../src/core/judge.ts';
import type { Building, Gate, Hint } from '../../src/core/model.ts';
import { isAttempt } from '../../src/core/trial.ts';
import { type Answer, HubError } from '../../src/koji/hub.ts';
import { type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { GATE, NEW, OLD, type Parts, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const set = async (options?: StageOptions) => {
  stage = await setStage(options);
};
afterEach(async () => stage.end());

const GATE_TAG = { tag: GATE.watch };
const NEWEST = 'kernel-6.1.187-53.el9';
const MODES = ['wait', 'pin', 'sidetag'] as const;
const repo = (mode: Building['repo'], max_active = 20): Building => ({
  ...GATE.build,
  repo: mode,
  max_active,
});
/** Without kmod-gamma, whose symbol is gone in NEW, every kmod builds. */
const FINE: Gate['kmods'] = { ...GATE.kmods, exclude: ['kmod-gamma'] };

const withRule =
  (rule: Partial<Rule> & Pick<Rule, 'kmod' | 'result'>) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    rules: [{ kernel: '*', arch: '*', log: [], times: null, ...rule }, ...scenario.rules],
  });
/** One more kernel, newer than NEW and the same otherwise. */
const withNewest = (scenario: Scenario): Scenario => {
  const model = scenario.kernels.find(({ nvr }) => nvr === NEW);
  return { ...scenario, kernels: model ? [...scenario.kernels, { ...model, ...splitNvr(NEWEST) }] : [] };
};
/** One of each kmod; and of the broken one another, against the baseline, where a side tag can be had for it. */
/** What fails is tried with the baseline, too: nothing else is built twice. */
const expectBuilds = () => {
  for (const { name } of stage.world.state.scenario.kmods)
    expect(stage.scratchBuilds(name)).toHaveLength(name === 'kmod-gamma' ? 2 : 1);
};
const sideTags = () => stage.world.call({ method: 'listSideTags', params: [] });

describe('the main job', () => {
  test.each(MODES)('repo = "%s": a kernel that every kmod builds against is promoted', async (mode) => {
    await set({ gate: { kmods: FINE, build: repo(mode) } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    const run = await stage.closed(NEW);
    expect(run.verdict).toMatchObject({ verdict: 'promote', reasons: [`2 of 2 kmods build against ${NEW}`] });
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
    expect(sideTags()).toEqual([]);
  });

  test.each(MODES)('repo = "%s": a kernel that a kmod no longer builds against is blocked', async (mode) => {
    await set({ gate: { build: repo(mode) } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    const run = await stage.closed(NEW);
    expect(run.verdict?.reasons[0]).toMatch(
      /^kmod-gamma-0.8-1.el9: does not build on x86_64: .*pci_clear_master/,
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expect(sideTags()).toEqual([]);
  });

  test('every message lost: the sweep finds the kernel', async () => {
    await set();
    await stage.step();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('every message three times, newest first: nothing happens twice', async () => {
    await set();
    const heard: Hint[][] = [];
    stage.hear((hints) => {
      heard.unshift(hints);
      for (const again of [...heard, hints, hints]) again.forEach(stage.hint);
    });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expectBuilds();
  });

  test('a complete kernel that is not in the watch tag yet waits for the tag', async () => {
    await set({ gate: { kmods: FINE } });
    stage.hear();
    stage.world.completeKernel(NEW);
    await stage.until('it waits', async () => (await stage.said(NEW))?.startsWith('waits to'), 5);
    expect(await stage.said(NEW)).toBe('waits to be tagged into c9s-gate');
    stage.world.as('kojiadmin').tagBuild('c9s-gate', NEW);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('scratch builds keep to max_active, and carry who asked for them', async () => {
    await set({ gate: { build: repo('wait', 1) } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    const alive = () =>
      stage.world
        .tasks()
        .filter(({ method, parent, state }) => method === 'build' && !parent && state !== 2 && state !== 5);
    await stage.until('it is decided', async () => {
      expect(alive().length).toBeLessThanOrEqual(1);
      return (await stage.run(NEW))?.closing;
    });
    expect(stage.scratchBuilds('kmod-alpha')[0]?.request[2]).toMatchObject({
      scratch: true,
      custom_user_metadata: { 'kmod-gate': { attempt: `c9s/${stage.buildId(NEW)}/1/kmod-alpha/1` } },
    });
  });

  test('observe mode tries everything and touches no tag', async () => {
    await set({ gate: { mode: 'observe' } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    const run = await stage.closed(NEW);
    expect(run.closing).toMatchObject({
      how: 'observed',
      why: 'would move the kernel from c9s-gate to c9s-blocked',
    });
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  });
});

describe('several kernels', () => {
  test.each(['wait', 'pin'] as const)(
    'repo = "%s": the newest goes first, the older does not take its place',
    async (mode) => {
      await set({ scenario: withNewest, gate: { kmods: FINE, build: repo(mode) } });
      stage.world.completeKernel(NEW, GATE_TAG);
      stage.world.completeKernel(NEWEST, GATE_TAG);
      await stage.until('the newest is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
      expect(await stage.said(NEW)).toContain(
        `waits for its turn: ${NEWEST} is the newest kernel in kmods9s-build`,
      );
      expect((await stage.closed(NEWEST)).closing?.how).toBe('done');
      const older = await stage.closed(NEW);
      expect(older).toMatchObject({ verdict: { verdict: 'promote' }, closing: { how: 'superseded' } });
      expect(stage.world.tags(NEWEST)).toEqual(['c9s-candidate']);
      expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    },
  );

  test('repo = "sidetag": side by side, each against itself', async () => {
    await set({ scenario: withNewest, gate: { kmods: FINE, build: repo('sidetag') } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    stage.world.completeKernel(NEWEST, GATE_TAG);
    await stage.until('both are tried', () => stage.scratchBuilds('kmod-alpha').length === 2, 10);
    for (const nvr of [NEW, NEWEST]) expect((await stage.closed(nvr)).verdict?.verdict).toBe('promote');
    expect(sideTags()).toEqual([]);
  });

  test('a newer kernel that arrives while the older is built: no result counts for the wrong kernel', async () => {
    await set({ scenario: withNewest, gate: { build: repo('wait', 1) } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('the older is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
    stage.world.completeKernel(NEWEST, GATE_TAG);
    await stage.closed(NEWEST);
    await stage.closed(NEW);
    for (const run of await stage.store.runs(9)) {
      expect(run.verdict?.verdict).toBe('block');
      for (const { attempts } of standings(GATE, run, 0)) {
        const ending = attempts.filter(({ write }) => !write.against).at(-1)?.ending;
        const arches = ending && ending.how !== 'lost' ? ending.build?.arches : undefined;
        expect(arches?.map(({ repo: held }) => held?.id)).toEqual([run.kernel.id]);
      }
    }
  });
});

describe('an old hub', () => {
  /** Koji 1.28: sessions in the URL, kojira makes the repos, and no side tags. */
  const old = (scenario: Scenario): Scenario => ({
    ...scenario,
    hub: {
      version: '1.28.1',
      lacks: [
        'repo.request',
        'repo.checkRequest',
        'repo.get',
        'createSideTag',
        'removeSideTag',
        'listSideTags',
      ],
    },
  });

  test.each(['wait', 'pin'] as const)('is enough for repo = "%s"', async (mode) => {
    await set({ scenario: old, gate: { kmods: FINE, build: repo(mode) } });
    stage.world.completeKernel(NEW, GATE_TAG);
    const { verdict, intents } = await stage.closed(NEW);
    expect(verdict?.verdict).toBe('promote');
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
    const story = await stage.story();
    if (mode === 'pin') expect(story).toContain('waits for a repo of kmods9s-build');
    expect(intents.filter(isAttempt)).toHaveLength(2);
  });

  test('says at the run what it lacks for repo = "sidetag"', async () => {
    await set({ scenario: old, gate: { kmods: FINE, build: repo('sidetag') } });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is said', async () =>
      (await stage.said(NEW))?.includes('listSideTags: Invalid method'),
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  });
});

describe('order of tagging', () => {
  test('two kernels judged at once: the older does not become the latest', async () => {
    await set({ scenario: withNewest, gate: { kmods: FINE, build: repo('sidetag') } });
    stage.world.completeKernel(NEW, GATE_TAG);
    stage.world.completeKernel(NEWEST, GATE_TAG);
    await stage.closed(NEWEST);
    await stage.closed(NEW);
    const latest = stage.world.call({ method: 'getLatestBuilds', params: ['c9s-candidate', null, 'kernel'] });
    expect(latest).toMatchObject([{ nvr: NEWEST }]);
  });
});

describe('several gates', () => {
  const other = (gate: Partial<Gate>): Gate => ({ ...GATE, ...gate });
  test('one that cannot work does not keep the others from it', async () => {
    await set({ others: [other({ name: 'broken', watch: 'no-such-tag' })] });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });
  test('an observing one beside an enforcing one comes to its verdict too, by what it has tried by then', async () => {
    const tryout = other({ name: 'tryout', mode: 'observe', build: repo('wait', 1) });
    await set({ gate: { kmods: FINE }, others: [tryout] });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    await stage.until('both are done', async () => (await stage.store.liveRuns()).length === 0);
    const run = await stage.store.latestRun('tryout', stage.buildId(NEW));
    expect(run?.verdict?.verdict).toBe('hold');
    expect(run?.verdict?.reasons.join()).toMatch(/kmod-gamma.*not judged in time/);
    expect(run?.closing).toMatchObject({ how: 'observed', why: 'would hold, and change no tag' });
  });
  test.each(['wait', 'sidetag'] as const)(
    'one that is configured no more ends its runs, and tidies up (%s)',
    async (how) => {
      await set({ gate: { build: repo(how) } });
      stage.hear();
      stage.world.completeKernel(NEW, GATE_TAG);
      await stage.until('it is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
      await stage.restart([other({ name: 'another', kernels: ['kernel-rt'] })]);
      const { closing } = await stage.closed(NEW);
      expect(closing).toMatchObject({ how: 'cancelled', why: 'the configuration has no gate c9s any more' });
      expect([...stage.world.state.live].filter(({ method }) => method === 'build')).toEqual([]);
      expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
      await stage.restart();
      const again = async () => ((await stage.run(NEW))?.generation ?? 0) > 1;
      await stage.until('it is configured again, and tries the kernel anew', again);
      expect(await stage.closed(NEW)).toMatchObject({ closing: { how: 'done' } });
    },
  );
});

describe('a busy hub', () => {
  test('asks for little: other packages are looked at once, other tags never', async () => {
    await set();
    await stage.step();
    const idle = stage.server.requests.length;
    const kmod = stage.buildId('kmod-alpha-1.0-1.el9');
    for (let i = 0; i < 50; i++) {
      stage.hint({ kind: 'build', id: kmod });
      stage.hint({ kind: 'tag', name: `f42-updates-${i}` });
      stage.hint({ kind: 'task', id: 900 + i });
      await stage.step();
    }
    const asked = stage.server.requests.slice(idle).map(({ method, inner }) => [method, ...inner]);
    expect(asked.filter(([method]) => method === 'getBuild')).toHaveLength(1);
    // The rest is the sweep, every five minutes.
    expect(asked.length).toBeLessThan(5);
  });
});

describe('people', () => {
  test('who untag the kernel win: builds are cancelled, nothing is tagged', async () => {
    await set();
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
    stage.world.as('kojiadmin').untagBuild('c9s-gate', NEW);
    const run = await stage.closed(NEW);
    expect(run.closing).toMatchObject({ how: 'taken-over', why: 'taken out of c9s-gate by kojiadmin' });
    expect(stage.world.tags(NEW)).toEqual([]);
    expect(
      stage.world
        .tasks()
        .filter(({ method, state }) => method === 'build' && (state === 0 || state === 1 || state === 4)),
    ).toEqual([]);
  });

  test('who tag a blocked kernel into the watch tag again get another run', async () => {
    await set();
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    stage.world.as('kojiadmin').moveBuild('c9s-blocked', 'c9s-gate', NEW);
    await stage.until('a second run', async () => (await stage.run(NEW))?.generation === 2);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('who mend what blocked it and tag it in again, too: it leaves the blocked ones for the candidates', async () => {
    await set({
      scenario: withRule({ kmod: 'kmod-alpha', result: 'fails', times: 1, log: ['a.c:1:1: error: no'] }),
      gate: { kmods: FINE },
    });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('block');
    stage.world.as('kojiadmin').tagBuild('c9s-gate', NEW);
    await stage.until('a second run', async () => (await stage.run(NEW))?.generation === 2);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('who cancel a build get a hold that says so', async () => {
    await set();
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
    stage.world.as('kojiadmin').call('cancelTask', stage.scratchBuilds('kmod-alpha')[0]?.id ?? 0);
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    expect((await stage.run(NEW))?.verdict?.reasons).toContain(
      'kmod-alpha-1.0-1.el9 (inconclusive): its build on x86_64 was cancelled by a person',
    );
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(1);
  });
});

describe('trouble', () => {
  test('of the build system is tried again, and passes', async () => {
    await set({
      gate: { kmods: FINE },
      scenario: withRule({ kmod: 'kmod-alpha', result: 'mock-error', times: 2 }),
    });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(3);
  });

  test('of the build system that stays: the kernel is held, with the reason, and tries are counted', async () => {
    await set({
      gate: { kmods: FINE, build: repo('sidetag') },
      scenario: withRule({ kmod: 'kmod-alpha', result: 'mock-error' }),
    });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is held', async () => (await stage.said(NEW))?.startsWith('held: kmod-alpha'));
    expect(await stage.said(NEW)).toMatch(
      /^held: kmod-alpha-1.0-1.el9 \(inconclusive\): trouble in the build system .*, after 3 tries; a person must act: kmod-gate retry or waive, or tag or untag/,
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(3);
    expect(sideTags()).toEqual([]);
  });

  test('a spec file that pins another kernel is found out', async () => {
    const pin = (scenario: Scenario): Scenario => ({
      ...scenario,
      kmods: scenario.kmods.map((kmod) => (kmod.name === 'kmod-alpha' ? { ...kmod, pins: OLD } : kmod)),
    });
    await set({ gate: { kmods: FINE, build: repo('sidetag') }, scenario: pin });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    expect((await stage.run(NEW))?.verdict?.verdict).toBe('hold');
  });

  test('a refused tag is held with the words of the hub, and tried again', async () => {
    const unlisted = (scenario: Scenario): Scenario => ({
      ...scenario,
      tags: scenario.tags.map((tag) => (tag.name === 'c9s-candidate' ? { ...tag, packages: [] } : tag)),
      kernels: scenario.kernels.map((kernel) => ({
        ...kernel,
        tags: kernel.tags.filter((tag) => tag !== 'c9s-candidate'),
      })),
    });
    await set({ gate: { kmods: FINE }, scenario: unlisted });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is held', async () => (await stage.said(NEW))?.startsWith('held:'));
    expect(await stage.said(NEW)).toMatch(
      /^held: cannot move the kernel from c9s-gate to c9s-candidate: .*Package kernel not in list for c9s-candidate/,
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  });

  test('a side tag that somebody removed is no reason to wait for ever', async () => {
    await set({ gate: { build: repo('sidetag') } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    const [made] = sideTags() as { name: string }[];
    stage.world.as('kojiadmin').call('removeSideTag', made?.name ?? '');
    await stage.closed(NEW, 10);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  // FINDINGS, G: what somebody has put there goes with it.
  test('a side tag in which somebody has put a build of theirs stays', async () => {
    await set({ gate: { build: repo('sidetag') } });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    const [made] = sideTags() as { name: string }[];
    const { as, tags } = stage.world;
    as('kojiadmin').tagBuild(made?.name ?? '', OLD);
    await stage.pass(30 * 60_000);
    expect(tags(OLD)).toContain(made?.name);
    expect(await stage.said(NEW)).toContain(
      `cannot remove the side tag ${made?.name}: it holds ${OLD}, which this gate has not put there`,
    );
    as('kojiadmin').untagBuild(made?.name ?? '', OLD);
    await stage.closed(NEW, 120);
    expect((sideTags() as { name: string }[]).map(({ name }) => name)).not.toContain(made?.name);
  });

  test('a side tag that somebody removed while the kernel was on its way there is made anew', async () => {
    let lost = 0;
    const faults: StageOptions['faults'] = (method) => {
      if (method !== 'tagBuild' || lost++ > 0) return 'none';
      const [made] = sideTags() as { name: string }[];
      stage.world.as('kojiadmin').call('removeSideTag', made?.name ?? '');
      return 'drop-before';
    };
    await set({ gate: { build: repo('sidetag') }, faults });
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).closing?.how).toBe('done');
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('a log that the hub cannot give is no reason to wait for ever', async () => {
    const refused = new HubError('refused', 'downloadTaskOutput', 'OSError: [Errno 13] Permission denied');
    const around = ({ hub, store }: Parts): Parts => ({
      store,
      hub: {
        ...hub,
        read: (call) => (call.method === refused.method ? Promise.reject(refused) : hub.read(call)),
      },
    });
    await set({ around });
    stage.hear();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    expect((await stage.run(NEW))?.verdict?.verdict).toBe('hold');
  });

  test('what the hub cannot say now is asked again, and is no evidence', async () => {
    let busy = 3;
    const locked: Answer<never> = {
      ok: false,
      error: new HubError('unavailable', 'listBuildroots', 'locked'),
    };
    const around = ({ hub, store }: Parts): Parts => {
      const readAll: typeof hub.readAll = async (calls) => {
        const answers = await hub.readAll(calls);
        const asks = calls.some(({ method }) => method === 'listBuildroots');
        return asks && busy-- > 0 ? (answers.map(() => locked) as unknown as typeof answers) : answers;
      };
      return { store, hub: { ...hub, readAll } };
    };
    await set({ around, gate: { kmods: FINE } });
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(busy).toBeLessThanOrEqual(0);
    for (const name of ['kmod-alpha', 'kmod-beta']) expect(stage.scratchBuilds(name)).toHaveLength(1);
  });

  test('a hub that is offline for an hour only costs that hour', async () => {
    await set();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is tried', () => stage.scratchBuilds('kmod-alpha').length > 0);
    stage.world.offline('database upgrade');
    for (let minutes = 0; minutes < 60; minutes += 15) {
      await stage.step();
      stage.world.tick(15 * 60_000);
    }
    stage.world.offline(null);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(1);
  });

  test('a login that fails is held in words, costs no try, and goes on once it is mended', async () => {
    let broken = true;
    const failed = new HubError('unavailable', 'login', 'login: client.pem: the certificate has expired');
    const refuse = () => Promise.reject(failed);
    const around = ({ hub, store }: Parts): Parts => ({
      store,
      hub: {
        ...hub,
        write: (call) => (broken ? refuse() : hub.write(call)),
        writeAll: (calls) => (broken ? refuse() : hub.writeAll(calls)),
      },
    });
    await set({ around, gate: { kmods: FINE } });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is held', async () =>
      (await stage.said(NEW))?.startsWith('held: cannot log in: login: client.pem'),
    );
    for (let i = 0; i < 100; i++) await stage.step();
    broken = false;
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    for (const name of ['kmod-alpha', 'kmod-beta']) expect(stage.scratchBuilds(name)).toHaveLength(1);
  });

  test('sessions that expire are begun anew', async () => {
    await set();
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is decided', async () => {
      stage.world.expireSessions();
      return (await stage.run(NEW))?.closing;
    });
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  /** Every write of a run, its reply lost once: the effect is found, and nothing is done twice. */
  test.each([
    ['wait', 'multiCall'],
    ['wait', 'tagBuild'],
    ['pin', 'repo.request'],
    ['sidetag', 'createSideTag'],
    ['sidetag', 'removeSideTag'],
    ['sidetag', 'tagBuild'],
  ] as const)('repo = "%s": the reply to %s is lost', async (mode, method) => {
    const lost = { count: 0, requests: 0 };
    const faults: StageOptions['faults'] = (name) => {
      const submits =
        name === method &&
        (method !== 'multiCall' || stage.server.requests.at(-1)?.inner.includes('build') === true);
      if (!submits || lost.count++ > 0) return 'none';
      return 'drop-after';
    };
    await set({ gate: { build: repo(mode) }, faults });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    expect(lost.count).toBeGreaterThan(0);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expectBuilds();
    expect(sideTags()).toEqual([]);
  });

  test.each([
    ['wait', 'multiCall'],
    ['wait', 'tagBuild'],
    ['sidetag', 'createSideTag'],
  ] as const)('repo = "%s": %s never arrives', async (mode, method) => {
    let dropped = 0;
    const faults: StageOptions['faults'] = (name) =>
      name === method && dropped++ < 3 ? 'drop-before' : 'none';
    await set({ gate: { build: repo(mode) }, faults });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expectBuilds();
  });

  test('a group of builds that is refused as a whole: its builds end with the reason, and are sent again later', async () => {
    let refused = 0;
    const around = ({ hub, store }: Parts): Parts => ({
      store,
      hub: {
        ...hub,
        writeAll: (calls) =>
          refused++ === 0
            ? Promise.reject(new HubError('refused', 'multiCall', 'multiCall: HTTP 413 Payload Too Large'))
            : hub.writeAll(calls),
      },
    });
    await set({ gate: { kmods: FINE }, around });
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(await stage.story()).toContain('HTTP 413 Payload Too Large');
  });

  test('the reply to tagBuild is lost, and its task ends while it is looked for', async () => {
    const slow = (scenario: Scenario): Scenario => ({
      ...scenario,
      timing: { ...scenario.timing, tag: 60_000 },
    });
    const faults: StageOptions['faults'] = (method) => {
      if (method === 'listTasks') stage.world.tick(60_000);
      return method === 'tagBuild' ? 'drop-after' : 'none';
    };
    await set({ gate: { kmods: FINE }, scenario: slow, faults });
    stage.world.completeKernel(NEW, GATE_TAG);
    expect((await stage.closed(NEW)).closing?.how).toBe('done');
    expect(stage.server.requests.map(({ method }) => method)).toContain('listTasks');
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test.each(MODES)('repo = "%s": a process that is killed after every look changes nothing', async (mode) => {
    await set({ gate: { build: repo(mode) } });
    stage.world.completeKernel(NEW, GATE_TAG);
    await stage.until('it is decided', async () => {
      await stage.restart();
      return (await stage.run(NEW))?.closing;
    });
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expectBuilds();
    expect(sideTags()).toEqual([]);
  });
});
