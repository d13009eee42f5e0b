/** Ways in which a kernel once passed that should not have: part A of the findings, each as it should be. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Gate, Strategy } from '../../src/core/model.ts';
import {
  all,
  DAY,
  FINE,
  HOUR,
  lacks,
  MINUTE,
  NEWEST,
  only,
  otherGate,
  policy,
  repo,
  rule,
  STANDS,
  settled,
  withArches,
  withKmod,
  withNewest,
  withRules,
  withTags,
  withTarget,
} from './scenes.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const set = async (options: StageOptions = {}) => {
  stage = await setStage(options);
};
afterEach(async () => stage.end());
const complete = (nvr: string) => stage.world.completeKernel(nvr, STANDS);
const by = (user: string) => stage.world.as(user);
/** By symbols kmod-alpha fits, and kmod-gamma needs one that is gone in NEW. */
const SYMBOLS: Partial<Gate> = { strategy: 'symbols', ...only('kmod-alpha', 'kmod-gamma') };

describe('a target that lacks a package', () => {
  // A1
  test('tells nothing of the kmods: they are tried again, then the kernel is held, and the package is named', async () => {
    await set({ gate: repo('sidetag'), scenario: withRules(lacks('kernel-rpm-macros', { kmod: '*' })) });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('hold');
    expect(tags).toEqual(['c9s-gate']);
    expect(why).toContain('kernel-rpm-macros');
    expect(why).not.toContain('already broken');
    const tries = stage.scratchBuilds('kmod-alpha').length;
    expect(tries).toBeGreaterThan(1);
    await stage.pass(3 * HOUR, MINUTE);
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(tries);
  });

  // A1
  test('for one try costs that try', async () => {
    const once = lacks('kernel-rpm-macros', { kmod: '*', times: 1 });
    await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: withRules(once) });
    complete(NEW);
    expect(await settled(stage, NEW)).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
  });

  // A3
  test.each(['block', 'hold'] as const)(
    'with the baseline does not excuse a kmod that this kernel breaks: it is unattributed, here "%s"',
    async (unattributed) => {
      const rules = [rule({ result: 'fails', kernel: NEW }), lacks('libfoo-devel', { kernel: OLD })];
      await set({
        gate: { ...FINE, ...repo('sidetag'), ...policy({ unattributed }) },
        scenario: withRules(...rules),
      });
      complete(NEW);
      const { verdict, why, tags } = await settled(stage, NEW);
      expect(verdict).toBe(unattributed);
      expect(why).toContain('libfoo-devel');
      expect(why).not.toContain('already broken');
      expect(tags).toEqual([unattributed === 'hold' ? 'c9s-gate' : 'c9s-blocked']);
    },
  );
});

describe('a kmod that is already broken on one architecture', () => {
  const overrides = () =>
    stage
      .scratchBuilds('kmod-alpha')
      .map(({ request }) => (request[2] as Record<string, unknown>)['arch_override']);

  // A2
  test('is tried alone on the other, which Koji cancelled, and blocks the kernel that breaks it there', async () => {
    const broken = '/builddir/build/BUILD/kmod-alpha-1.0/neon.c:40:1: error: unknown type name ‘neon_t’';
    await set({
      gate: { ...FINE, ...repo('sidetag') },
      scenario: all(
        withArches('x86_64', 'aarch64'),
        // With one builder the first architecture fails while the second waits.
        (small) => ({ ...small, builders: 1 }),
        withRules(
          rule({ result: 'fails', arch: 'x86_64' }),
          rule({ result: 'fails', arch: 'aarch64', kernel: NEW, log: [broken] }),
        ),
      ),
    });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('block');
    expect(why).toMatch(/kmod-alpha.*aarch64.*neon\.c/);
    expect(overrides()).toContain('aarch64');
    expect(tags).toEqual(['c9s-blocked']);
  });

  // A2
  test('and that a builder spoils on the other holds the kernel, and the machine is named', async () => {
    await set({
      gate: { ...FINE, ...repo('sidetag') },
      scenario: all(
        withArches('x86_64', 'aarch64'),
        withRules(
          rule({ result: 'fails', arch: 'x86_64' }),
          rule({ result: 'traceback', arch: 'aarch64', kernel: NEW }),
        ),
      ),
    });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('hold');
    expect(why).toMatch(/kmod-alpha.*aarch64.*No space left on device/);
    expect(tags).toEqual(['c9s-gate']);
  });

  // A2
  test('and is fine on the other, where it is tried alone, does not block', async () => {
    await set({
      gate: { ...FINE, ...repo('sidetag') },
      scenario: all(
        withArches('x86_64', 'aarch64'),
        (small) => ({ ...small, builders: 1 }),
        withRules(rule({ result: 'fails', arch: 'x86_64' })),
      ),
    });
    complete(NEW);
    const { verdict, tags } = await settled(stage, NEW);
    expect(overrides()).toContain('aarch64');
    expect(verdict).toBe('promote');
    expect(tags).toEqual(['c9s-candidate']);
  });
});

describe('a kernel is no baseline for what was broken in it', () => {
  const month = () => stage.pass(30 * DAY, 6 * HOUR);
  const [alphaAndGamma, scenario] = [only('kmod-alpha', 'kmod-gamma'), withNewest()];
  const strategies: Strategy[] = ['symbols', 'rebuild'];

  // A4
  test.each(strategies)(
    'where a waiver let it through (%s): the next, as broken, is blocked, since when is told',
    async (strategy) => {
      await set({ gate: { strategy, ...alphaAndGamma, ...repo('sidetag') }, scenario });
      await stage.waive({ until: stage.world.now() + DAY });
      complete(NEW);
      expect(await settled(stage, NEW)).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
      await month();
      complete(NEWEST);
      const { verdict, why, tags } = await settled(stage, NEWEST);
      expect(verdict).toBe('block');
      expect(why).toMatch(new RegExp(`kmod-gamma.*${NEW}`));
      expect(tags).toEqual(['c9s-blocked']);
    },
  );

  // A4
  test.each(strategies)('where a person moved it on by hand (%s)', async (strategy) => {
    await set({ gate: { strategy, ...alphaAndGamma, ...repo('sidetag') }, scenario });
    complete(NEW);
    expect((await settled(stage, NEW)).verdict).toBe('block');
    by('release-manager').moveBuild('c9s-blocked', 'c9s-candidate', NEW);
    await stage.pass(HOUR, MINUTE);
    complete(NEWEST);
    const { verdict, why, tags } = await settled(stage, NEWEST);
    expect(verdict).toBe('block');
    expect(why).toContain('kmod-gamma');
    expect(tags).toEqual(['c9s-blocked']);
  });

  // A4
  test('where the end of a hold let it through', async () => {
    await set({
      gate: {
        ...alphaAndGamma,
        ...policy({ unattributed: 'hold', longest_hold: 2 * HOUR, after_hold: 'promote' }),
      },
      // With the baseline nothing can be said of kmod-gamma.
      scenario: all(scenario, withRules(lacks('libfoo-devel', { kmod: 'kmod-gamma', kernel: OLD }))),
    });
    complete(NEW);
    expect((await settled(stage, NEW)).verdict).toBe('hold');
    await stage.pass(3 * HOUR, MINUTE);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
    complete(NEWEST);
    const { verdict, why } = await settled(stage, NEWEST);
    expect(verdict).toBe('hold');
    expect(why).toContain('kmod-gamma');
  });

  // A5
  test('where another gate, which tries other kmods, let it into a shared pass tag', async () => {
    const other = otherGate({
      strategy: 'symbols',
      ...only('kmod-alpha'),
      on_fail: { tag: ['c9s-other-blocked'], untag: ['c9s-other-gate'] },
    });
    await set({
      gate: SYMBOLS,
      others: [other],
      scenario: all(scenario, withTags('c9s-other-gate', 'c9s-other-blocked')),
    });
    stage.world.completeKernel(NEW, { tag: 'c9s-other-gate' });
    expect((await settled(stage, NEW, { gate: 'other' })).verdict).toBe('promote');
    by('release-manager').tagBuild('c9s-gate', NEW);
    expect((await settled(stage, NEW)).verdict).toBe('block');
    expect(stage.world.tags(NEW)).toContain('c9s-candidate');
    complete(NEWEST);
    const { verdict, why, tags } = await settled(stage, NEWEST);
    expect(verdict).toBe('block');
    expect(why).toContain('kmod-gamma');
    expect(tags).toEqual(['c9s-blocked']);
  });
});

// A6
test('a gate that promotes a kernel leaves it in the fail tag into which another gate has blocked it', async () => {
  const other = otherGate({
    strategy: 'symbols',
    ...only('kmod-alpha'),
    on_pass: { tag: ['c9s-other-candidate'], untag: ['c9s-other-gate'] },
  });
  await set({
    gate: SYMBOLS,
    others: [other],
    scenario: withTags('c9s-other-gate', 'c9s-other-candidate'),
  });
  complete(NEW);
  expect((await settled(stage, NEW)).verdict).toBe('block');
  by('release-manager').tagBuild('c9s-other-gate', NEW);
  expect((await settled(stage, NEW, { gate: 'other' })).verdict).toBe('promote');
  expect(stage.world.tags(NEW)).toEqual(['c9s-blocked', 'c9s-other-candidate']);
});

describe('a gate whose pass tag is that of a gate which blocks the kernel', () => {
  const other = otherGate({ strategy: 'symbols', ...only('kmod-alpha') });
  const blockedByOne = async (more: Partial<Gate>) => {
    await set({
      gate: SYMBOLS,
      others: [{ ...other, ...more }],
      scenario: withTags('c9s-other-gate'),
    });
    complete(NEW);
    expect((await settled(stage, NEW)).verdict).toBe('block');
    by('release-manager').tagBuild('c9s-other-gate', NEW);
  };
  const said = () => stage.store.lastSaid('other', stage.buildId(NEW));
  const isHeld = async () => (await said())?.startsWith('held: gate c9s blocks it');

  test('waits for a person, and does as the first gate once that lets the kernel through', async () => {
    await blockedByOne({});
    await stage.until('it is held', isHeld);
    expect(await said()).toContain('c9s-candidate');
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked', 'c9s-other-gate']);
    await stage.waive();
    stage.heard();
    await stage.until('it is let in', () => stage.world.tags(NEW).includes('c9s-candidate'));
    expect((await settled(stage, NEW, { gate: 'other' })).verdict).toBe('promote');
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('does not wait for longer than the gate holds any kernel', async () => {
    await blockedByOne(policy({ longest_hold: HOUR }));
    await stage.until('it is held', isHeld);
    const { how, tags } = await settled(stage, NEW, { gate: 'other' });
    expect(how).toBe('superseded');
    expect(tags).toEqual(['c9s-blocked', 'c9s-other-gate']);
  });
});

// A7
test('what fails in the target of another gate is no excuse in this one', async () => {
  const other = otherGate({
    ...only('kmod-alpha'),
    build: { ...GATE.build, target: 'kmods9s-other' },
    on_pass: { tag: ['c9s-other-candidate'], untag: ['c9s-other-gate'] },
    on_fail: { tag: ['c9s-other-blocked'], untag: ['c9s-other-gate'] },
  });
  const tags = ['c9s-other-gate', 'c9s-other-candidate', 'c9s-other-blocked'];
  const fails = [
    rule({ result: 'fails', tag: 'kmods9s-other-build' }),
    rule({ result: 'fails', kernel: NEWEST }),
  ];
  await set({
    gate: FINE,
    others: [other],
    scenario: all(
      withNewest(),
      withTags(...tags),
      withTarget('kmods9s-other', ['c9s-other-gate']),
      withRules(...fails),
    ),
  });
  complete(NEW);
  expect((await settled(stage, NEW)).verdict).toBe('promote');
  by('release-manager').tagBuild('c9s-other-gate', NEW);
  expect((await settled(stage, NEW, { gate: 'other' })).verdict).toBe('block');
  complete(NEWEST);
  const { verdict, why, tags: now } = await settled(stage, NEWEST);
  expect(verdict).toBe('block');
  expect(why).toMatch(new RegExp(`kmod-alpha.*${NEW}`));
  expect(now).toEqual(['c9s-blocked']);
});

describe('what a kmod was built against is shown by kernel-devel alone', () => {
  const pinning = (also: string) =>
    all(withKmod('kmod-alpha', { pins: OLD, also: [also] }), (small) => ({
      ...small,
      kernels: small.kernels.map((kernel) => ({ ...kernel, others: ['kernel-tools-libs-devel'] })),
    }));

  // A8
  test.each([
    ['another devel package of this build, beside an old kernel-devel', 'kernel-tools-libs-devel'],
    ['kernel-devel of this build, beside an older one', 'kernel-devel'],
  ])('%s, proves nothing', async (_, also) => {
    await set({ gate: FINE, scenario: pinning(also) });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('hold');
    expect(why).toMatch(/kmod-alpha.*kernel-devel-6\.1\.170-47\.el9/);
    expect(tags).toEqual(['c9s-gate']);
  });
});

describe('an architecture that was wanted, and that Koji left out', () => {
  const wanted: [string, Partial<Gate>][] = [
    ['by the gate', { arches: ['x86_64', 'aarch64'] }],
    [
      'for the kmod',
      {
        kmods: {
          ...GATE.kmods,
          include: FINE.kmods?.include ?? [],
          arches: { 'kmod-al*': ['x86_64', 'aarch64'] },
        },
      },
    ],
    ['by the rpms that the kmod has', {}],
  ];
  // A9
  test.each(wanted)('(%s) is not fine: the kernel is held, and it is named', async (_, gate) => {
    // Everything is made for both, and the build tag has only one of them.
    const arches = ['x86_64', 'aarch64'];
    await set({ gate: { ...FINE, ...gate }, scenario: (small) => ({ ...small, arches }) });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('hold');
    expect(why).toMatch(/kmod-alpha.*aarch64/);
    expect(tags).toEqual(['c9s-gate']);
  });
});

// A10
test('a waiver for every kernel does not bring an old one back, though a release has emptied the pass tag', async () => {
  await set({ gate: SYMBOLS, scenario: withNewest(OLD) });
  complete(NEW);
  expect((await settled(stage, NEW)).verdict).toBe('block');
  complete(NEWEST);
  expect((await settled(stage, NEWEST)).verdict).toBe('promote');
  for (const nvr of [OLD, NEWEST]) by('release-manager').untagBuild('c9s-candidate', nvr);
  await stage.pass(10 * MINUTE);
  await stage.waive({ kernel: 'kernel-*' });
  stage.heard();
  await stage.pass(20 * MINUTE);
  expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
});

describe('a waiver that is over before the tags move', () => {
  /** The stage begins on a Monday at 08:00 UTC. */
  const QUIET = policy({ quiet: [{ from: 7 * 60, to: 12 * 60 }] });
  const end = async () => {
    const [waiver] = await stage.store.waivers();
    if (waiver) await stage.store.endWaiver(waiver, 'ada', stage.world.now(), []);
    stage.heard();
  };
  const blocked = async () => {
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('block');
    expect(why).toContain('kmod-gamma');
    expect(tags).toEqual(['c9s-blocked']);
  };

  // A11
  test('since a person ended it in the quiet time: the kernel is blocked', async () => {
    await set({ gate: { ...SYMBOLS, ...QUIET } });
    await stage.waive();
    complete(NEW);
    await stage.until('it would pass', async () => (await stage.said(NEW))?.includes('quiet time'));
    await end();
    await stage.pass(5 * HOUR, MINUTE);
    await blocked();
  });

  // A11
  test('since it expired in the quiet time: the kernel is blocked', async () => {
    await set({ gate: { ...SYMBOLS, ...QUIET } });
    await stage.waive({ until: stage.world.now() + 2 * HOUR });
    complete(NEW);
    await stage.until('it would pass', async () => (await stage.said(NEW))?.includes('quiet time'));
    await stage.pass(5 * HOUR, MINUTE);
    await blocked();
  });

  // A11
  test('since a person ended it while another held the kernel: the kernel is blocked', async () => {
    await set({ gate: { ...SYMBOLS, ...QUIET } });
    await stage.waive();
    complete(NEW);
    await stage.until('it would pass', async () => (await stage.said(NEW))?.includes('quiet time'));
    await stage.order('hold');
    await stage.pass(5 * HOUR, MINUTE);
    await end();
    await stage.order('release');
    await stage.pass(10 * MINUTE);
    await blocked();
  });
});

describe('with after_hold = "promote"', () => {
  const SOON = policy({ longest_run: HOUR, longest_hold: HOUR, after_hold: 'promote' });
  const blocked = async () => {
    await stage.pass(4 * HOUR, MINUTE);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    expect((await stage.run(NEW))?.verdict?.verdict).toBe('block');
  };

  // A12
  test('an empty list of kmods never passes: the kernel is blocked in the end', async () => {
    await set({ gate: { ...only('nothing-*'), ...SOON } });
    complete(NEW);
    await blocked();
  });

  // A12
  test('a run of which nothing was judged in time never passes: the kernel is blocked in the end', async () => {
    await set({ gate: { ...FINE, ...SOON }, scenario: withRules(rule({ kmod: '*', result: 'hangs' })) });
    complete(NEW);
    await blocked();
  });
});

// A13
test('a symbol that is wanted of the kernel is not had of a kmod that exports one of that name', async () => {
  const exports = { pci_clear_master: '0x453af477' };
  await set({ gate: SYMBOLS, scenario: withKmod('kmod-alpha', { exports }) });
  complete(NEW);
  const { verdict, why, tags } = await settled(stage, NEW);
  expect(verdict).toBe('block');
  expect(why).toMatch(/kmod-gamma.*pci_clear_master/);
  expect(tags).toEqual(['c9s-blocked']);
});

// Found by the simulation, seed 91182
test('a kernel that passed while another one was tried excuses nothing that was fine with it', async () => {
  const fails = [OLD, NEWEST].map((kernel) => rule({ result: 'fails', kernel }));
  await set({
    gate: { ...FINE, ...repo('sidetag'), ...policy({ supersede: 'keep' }) },
    scenario: all(withNewest(), withRules(...fails)),
  });
  stage.hear();
  complete(NEW);
  await stage.until(`${NEW} is tried`, () => stage.scratchBuilds('kmod-alpha').length > 0);
  complete(NEWEST);
  const begins = async () => stage.store.latestRun('c9s', stage.buildId(NEWEST));
  await stage.until(`${NEWEST} stands before the gate`, begins);
  expect((await begins())?.baseline?.nvr).toBe(OLD);
  const { verdict, why, tags } = await settled(stage, NEWEST);
  expect(verdict).toBe('block');
  expect(why).toContain(`it builds against ${NEW}`);
  expect(tags).toEqual(['c9s-blocked']);
});
