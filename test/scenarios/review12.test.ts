/** What a review of the verdict by cell found: each test states what should hold, and failed when it was written. */
import { afterEach, describe, expect, test } from 'vitest';
import { baselinesOf, type Judged } from '../../src/core/baseline.ts';
import { decide } from '../../src/core/decide.ts';
import { type Baseline, type Gate, type Intent, TASK } from '../../src/core/model.ts';
import { shownBy } from '../../src/core/trial.ts';
import * as facts from '../core/facts.ts';
import {
  all,
  FINE,
  HOUR,
  MINUTE,
  NEWEST,
  only,
  repo,
  rule,
  STANDS,
  settled,
  withArches,
  withNewest,
  withRules,
} from './scenes.ts';
import { NEW, OLD, type Parts, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage | undefined;
const set = async (options: StageOptions = {}): Promise<Stage> => {
  stage = await setStage(options);
  return stage;
};
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});
const { KERNEL, OTHER, GATE } = facts;
const BASELINE = { id: OTHER.id, nvr: OTHER.nvr };

// P1: a wrong promote
test('a new build of a kmod is measured by the kernel that the kmod was last fine with, not only by one let through while an earlier build was already broken', () => {
  const [fine, through]: Baseline[] = [
    { id: 1, nvr: 'kernel-5.14.0-1.el9' },
    { id: 2, nvr: 'kernel-5.14.0-2.el9' },
  ];
  if (!fine || !through) throw new Error('no kernels');
  // Build 8 was bad of itself: it failed with 2, and with 1, with which build 7 had been fine.
  const said: Judged = {
    kmod: 'kmod-a',
    kmodBuild: 8,
    outcome: 'already-broken',
    baseline: fine,
    kernel: through,
  };
  const before: Judged = { ...said, kmodBuild: 7, outcome: 'ok', baseline: null, kernel: fine };
  const ids = baselinesOf(9, { last: said, fine: before }, [{ kernel: through, judged: said }]).map(
    ({ id }) => id,
  );
  // Whether 2 broke the kmod was hidden by build 8; only 1 can tell.
  expect(ids).toContain(fine.id);
});

// P2: a wrong promote
test('kernel-64k-devel of an older build of this kernel beside its own kernel-devel proves nothing', () => {
  const buildroot = [
    { id: KERNEL.id, nvr: 'kernel-devel-5.14.0-70.el9' },
    { id: OTHER.id, nvr: 'kernel-64k-devel-5.14.0-69.el9' },
  ];
  const build = { state: 'closed' as const, arches: [facts.arch({ buildroot })] };
  expect(shownBy({ proof: 'buildroot' }, KERNEL, build, 'x86_64').shows).toBe('nothing');
});

const side = (tag: string, against?: typeof BASELINE): Intent =>
  facts.intent(
    { kind: 'create-side-tag', base: 'try-build', known: [], ...(against && { against }) },
    { receipt: { sideTag: tag }, ending: { at: 0, how: 'done' } },
  );
const SIDETAG: Gate = { ...GATE, build: { ...GATE.build, repo: 'sidetag' } };

describe('an architecture that was not tried because of another', () => {
  const build = (...arches: [string, number][]): Intent =>
    facts.tried('kmod-a', {
      state: 'failed',
      arches: arches.map(([arch, state]) => facts.arch({ arch, state, buildroot: null, repo: null })),
    });
  const alone = { ...facts.kmod('kmod-a'), expected: ['x86_64'] };

  // B1: a loop
  test('of those that nobody expects is tried by itself, although it is the only one that is expected', () => {
    const intents = [build(['s390x', TASK.FAILED], ['x86_64', TASK.CANCELED])];
    expect(facts.stand(facts.run({ kmods: [alone], intents }))[0]).toMatchObject({
      state: 'wanted',
      arches: ['x86_64'],
    });
  });

  // B1, end to end
  test('is not built over and over with the one that fails', async () => {
    const withoutArch = ({ hub, store }: Parts): Parts => ({
      store,
      hub: {
        ...hub,
        // The kmod's build has no rpm of aarch64; its build tag is for both.
        readAll: (async (calls: Parameters<typeof hub.readAll>[0]) =>
          (await hub.readAll(calls)).map((answer) =>
            answer.ok && Array.isArray(answer.value)
              ? {
                  ok: true,
                  value: answer.value.filter(
                    (one) => !(one?.arch === 'aarch64' && String(one?.name).startsWith('kmod-alpha')),
                  ),
                }
              : answer,
          )) as typeof hub.readAll,
      },
    });
    const { world, scratchBuilds } = await set({
      gate: { ...FINE, ...repo('sidetag') },
      scenario: all(
        withArches('aarch64', 'x86_64'),
        (small) => ({ ...small, builders: 1 }),
        withRules(rule({ result: 'fails', arch: 'aarch64' })),
      ),
      around: withoutArch,
    });
    world.completeKernel(NEW, STANDS);
    const { verdict } = await settled(stage as Stage, NEW, { hours: 48 });
    expect(scratchBuilds('kmod-alpha').length).toBeLessThan(5);
    expect(verdict).toBe('promote');
  });

  // B2
  test('is tried by itself and at once, not with the one that the build system spoilt, after its pause', () => {
    const kmod = { ...facts.kmod('kmod-a'), expected: ['aarch64', 'x86_64'] };
    const intents = [build(['aarch64', TASK.FAILED], ['x86_64', TASK.CANCELED])];
    expect(facts.stand(facts.run({ kmods: [kmod], intents }))[0]).toMatchObject({
      state: 'wanted',
      arches: ['x86_64'],
      notBefore: 0,
    });
  });
});

// B3
test('a baseline that the hub does not tag any more (its build was deleted) cannot be tried: the run goes on to a verdict', () => {
  const hour = 3_600_000;
  const refused = (n: number): Intent =>
    facts.intent(
      { kind: 'tag', tag: 'side-2', against: BASELINE },
      { ending: { at: n * hour, how: 'failed', why: 'build is not in state COMPLETE: DELETED' } },
      n * hour,
    );
  const intents = [
    facts.tried('kmod-a', facts.FAILS),
    side('side-1'),
    side('side-2', BASELINE),
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(refused),
  ];
  const kmods = [{ ...facts.kmod('kmod-a'), baselines: [BASELINE] }];
  const seen = facts.seen({ kmods, intents }, { sideTags: ['side-1', 'side-2'], now: 10.5 * hour });
  const { state, verdict } = decide(SIDETAG, { poll: 30_000 }, seen);
  // It stayed so for `longest_run`, a week.
  expect(state).not.toContain('held: cannot tag');
  expect(verdict).toBeDefined();
});

describe('a kernel that was promoted', () => {
  // B4
  test('and is taken out of the pass tag by hand is not rebuilt for, also where the side tag of its run still holds it', () => {
    const gate: Gate = { ...SIDETAG, rebuild: { target: 'release', draft: false } };
    const verdict = { at: 5, verdict: 'promote' as const, reasons: [] };
    const tagged = facts.intent(
      { kind: 'tag', tag: 'candidate', from: 'gate' },
      { receipt: { task: 3 }, ending: { at: 6, how: 'done' } },
      6,
    );
    const intents = [side('side-1'), facts.tried('kmod-a', facts.BUILDS), tagged];
    const none = { count: 0, first: [] };
    const changed = { arch: 'x86_64', imports: 2, answer: 'incompatible' as const, cause: null };
    const symbols = {
      change: null,
      stablelist: null,
      kmods: [{ kmod: 'kmod-a', arches: [{ ...changed, missing: none, changed: none, fromBroken: none }] }],
    };
    const kmods = [facts.kmod('kmod-a')];
    const strategy = 'symbols-then-rebuild' as const;
    const seen = facts.seen({ strategy, symbols, kmods, intents, verdict });
    const passed = [facts.came('candidate', 'kmod-gate', 9), facts.left('gate', 'kmod-gate', 9)];
    const untagged = [...passed, facts.left('candidate', 'ada', 10)];
    const writes = (moves: typeof passed, before: string[], sideTags: string[]) =>
      decide(gate, { poll: 30_000 }, { ...seen, ...facts.history(moves, before), sideTags }).writes.map(
        ({ kind }) => kind,
      );
    expect(writes(passed, [], [])).toEqual(['rebuild']);
    expect(writes(untagged, [], [])).toEqual([]);
    expect(writes(untagged, ['side-1'], ['side-1'])).not.toContain('rebuild');
  });

  // B5
  test('and was taken out by hand since it was bad: of an older one that passes it is told who must act', async () => {
    const { world } = await set({ gate: FINE, scenario: withNewest() });
    world.completeKernel(NEWEST, STANDS);
    expect((await settled(stage as Stage, NEWEST)).verdict).toBe('promote');
    world.as('release-manager').untagBuild('c9s-candidate', NEWEST);
    world.completeKernel(NEW, STANDS);
    const { why } = await settled(stage as Stage, NEW);
    expect(why).toMatch(/a person must act|tag .* by hand/);
  });
});

describe('a stablelist', () => {
  const withoutFilesOf =
    (nvr: string) =>
    ({ hub, store }: Parts): Parts => ({
      store,
      hub: {
        ...hub,
        readAll: (async (calls: Parameters<typeof hub.readAll>[0]) => {
          const gone = new Set(
            calls.flatMap(({ method, params }) =>
              method === 'getRPMHeaders' ? [JSON.stringify(params)] : [],
            ),
          );
          const answers = await hub.readAll(calls);
          if (gone.size === 0) return answers;
          const build = stage?.buildId(nvr);
          const ids = new Set(
            stage?.world.state.rpms.filter((rpm) => rpm.build_id === build).map(({ id }) => id),
          );
          return answers.map((answer, i) =>
            answer.ok &&
            calls[i]?.method === 'getRPMHeaders' &&
            [...ids].some(
              (id) =>
                JSON.stringify(calls[i]?.params).includes(`:${id},`) ||
                JSON.stringify(calls[i]?.params).includes(`:${id}}`),
            )
              ? {
                  ok: true,
                  value: Object.fromEntries(Object.keys(answer.value as object).map((key) => [key, []])),
                }
              : answer,
          );
        }) as typeof hub.readAll,
      },
    });

  // B6
  test('that could not be compared with a baseline, and was waived once, is measured by the kernel that passed then', async () => {
    const { world, waive } = await set({
      gate: {
        strategy: 'symbols',
        stablelist: { effect: 'block', symbols: { '*': ['seq_printf'] } },
        ...only('kmod-alpha'),
      },
      scenario: withNewest(),
      around: withoutFilesOf(OLD),
    });
    await waive({ kmod: 'stablelist', kernel: NEW });
    world.completeKernel(NEW, STANDS);
    expect(await settled(stage as Stage, NEW)).toMatchObject({ verdict: 'promote' });
    await (stage as Stage).pass(HOUR, MINUTE);
    world.completeKernel(NEWEST, STANDS);
    const { verdict, why } = await settled(stage as Stage, NEWEST);
    expect(why).toContain(`stablelist: kept since ${NEW}`);
    expect(verdict).toBe('promote');
  });

  // B7
  test('that only warns is compared with the kernel before, and not for ever with the one before the first change', async () => {
    const { world } = await set({
      gate: {
        strategy: 'symbols',
        stablelist: { effect: 'warn', symbols: { '*': ['seq_printf'] } },
        ...only('kmod-alpha'),
      },
      scenario: withNewest(),
    });
    world.completeKernel(NEW, STANDS);
    expect(await settled(stage as Stage, NEW)).toMatchObject({ verdict: 'promote' });
    world.completeKernel(NEWEST, STANDS);
    expect((await settled(stage as Stage, NEWEST)).why).toContain(`stablelist: kept since ${NEW}`);
  });
});
