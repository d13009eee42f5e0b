/**
 * Ways in which a kernel was once blocked or held that should not have been, or left where it stood: part B of the
 * findings, and H1, each as it should be.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Gate, Policy } from '../../src/core/model.ts';
import { type KernelSymbol, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import {
  all,
  type Change,
  DAY,
  FINE,
  HOUR,
  lacks,
  MINUTE,
  NEWEST,
  only,
  policy,
  repo,
  rule,
  STANDS,
  settled,
  withKmod,
  withNewest,
  withRules,
  withTags,
  withTarget,
} from './scenes.ts';
import { NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const set = async (options: StageOptions = {}) => {
  stage = await setStage(options);
};
afterEach(async () => stage.end());
const complete = (nvr: string) => stage.world.completeKernel(nvr, STANDS);

describe('a package that leaves the target once the baseline was fine with it', () => {
  /** NEW passes in the first hour, then the package is gone. */
  const play = async (mode: 'wait' | 'sidetag', before: number | null) => {
    const gone = lacks('kernel-rpm-macros', { kmod: '*', after: HOUR, before });
    await set({ gate: { ...FINE, ...repo(mode) }, scenario: all(withNewest(), withRules(gone)) });
    const begin = stage.world.now();
    complete(NEW);
    expect((await settled(stage, NEW)).verdict).toBe('promote');
    await stage.until('an hour is over', () => stage.world.now() >= begin + HOUR, 90);
    complete(NEWEST);
    return settled(stage, NEWEST);
  };

  // B14
  test.each(['wait', 'sidetag'] as const)(
    'is not blamed on the next kernel, which is held (%s)',
    async (mode) => {
      const { verdict, why, tags } = await play(mode, null);
      expect(verdict).toBe('hold');
      expect(why).toContain('kernel-rpm-macros');
      expect(tags).toEqual(['c9s-gate']);
      expect(stage.scratchBuilds('kmod-alpha').length).toBeGreaterThan(2);
    },
  );

  // B14
  test('and comes back before the tries are used up, costs those tries', async () => {
    expect(await play('wait', HOUR + 6 * MINUTE)).toMatchObject({
      verdict: 'promote',
      tags: ['c9s-candidate'],
    });
  });
});

// B14, and the issue's `evidence_age`
test('what a build with the baseline showed more than a week ago is asked again before a kernel is blamed', async () => {
  const compiler = rule({ result: 'fails', after: 8 * DAY });
  await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: all(withNewest(), withRules(compiler)) });
  complete(NEW);
  expect((await settled(stage, NEW)).verdict).toBe('promote');
  await stage.pass(8 * DAY, 6 * HOUR);
  complete(NEWEST);
  const { verdict, why, tags } = await settled(stage, NEWEST);
  expect(verdict).toBe('promote');
  expect(why).toMatch(/kmod-alpha.*already broken/);
  expect(tags).toEqual(['c9s-candidate']);
});

describe('a build that ran out of memory or processes', () => {
  const linker = ['collect2: fatal error: ld terminated with signal 9 [Killed]', 'compilation terminated.'];
  const shell = [
    '/bin/sh: line 1: 48213 Killed                  LLVM_OBJCOPY="objcopy" pahole -J --btf_base vmlinux alpha.ko',
    'make[3]: *** [/usr/src/kernels/6.1.176-50.el9.x86_64/scripts/Makefile.modfinal:57: alpha.ko] Error 137',
  ];
  const fork = ['fork: retry', 'fork'].map((what) => `/bin/sh: ${what}: Resource temporarily unavailable`);
  const kill = (log: readonly string[], times: number | null) =>
    withRules(rule({ result: 'fails', status: 10, kernel: NEW, log, times }));

  // B15
  test.each([
    ['a shell', shell],
    ['the compiler driver', linker],
    ['fork', fork],
  ])(
    'as %s tells, is the trouble of the machine: it is tried again, then the kernel is held',
    async (_, log) => {
      await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: kill(log, null) });
      complete(NEW);
      const { verdict, why, tags } = await settled(stage, NEW);
      expect(verdict).toBe('hold');
      expect(why).toMatch(/Killed|Error 137|signal 9|Resource temporarily unavailable/);
      expect(stage.scratchBuilds('kmod-alpha').length).toBeGreaterThan(1);
      expect(tags).toEqual(['c9s-gate']);
    },
  );

  // B15
  test('once, costs one try', async () => {
    await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: kill(linker, 1) });
    complete(NEW);
    expect(await settled(stage, NEW)).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(2);
  });
});

describe('a draft kernel that is promoted', () => {
  /** The next build has the id 5. */
  const DRAFT = `${NEW},draft_5`;
  const drafted: Change = (small) => ({
    ...small,
    kernels: small.kernels.map((kernel) => (kernel.nvr === NEW ? { ...kernel, ...splitNvr(DRAFT) } : kernel)),
  });
  const promote = () => stage.world.as('kojiadmin').call('promoteBuild', DRAFT);
  /** What the builds of a kmod wait for. */
  const awaited = (kmod: string) =>
    stage.scratchBuilds(kmod).map(({ request }) => (request[2] as Record<string, unknown>)['wait_builds']);

  // B16
  test('before it is tagged is tried under its own name, and passes', async () => {
    await set({ gate: FINE, scenario: drafted });
    stage.hear();
    stage.world.completeKernel(DRAFT);
    await stage.pass(10 * MINUTE);
    promote();
    stage.world.as('kojiadmin').tagBuild('c9s-gate', NEW);
    expect(await settled(stage, NEW, { hours: 1 })).toMatchObject({
      verdict: 'promote',
      tags: ['c9s-candidate'],
    });
    expect(awaited('kmod-alpha')).toEqual([[NEW]]);
    expect((await stage.run(NEW))?.kernel.nvr).toBe(NEW);
  });

  // B16
  test.each(['wait', 'sidetag'] as const)(
    'while builds wait for it is tried anew under its own name, and passes within the hour (%s)',
    async (mode) => {
      await set({ gate: { ...FINE, ...repo(mode) }, scenario: drafted });
      stage.hear();
      stage.world.completeKernel(DRAFT, STANDS);
      await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
      promote();
      expect(await settled(stage, NEW, { hours: 1 })).toMatchObject({
        verdict: 'promote',
        tags: ['c9s-candidate'],
      });
      expect(awaited('kmod-alpha').at(-1)).toEqual([NEW]);
    },
  );

  // B16
  test('after it was blocked is let through by a waiver for its own name', async () => {
    await set({ gate: { strategy: 'symbols', ...only('kmod-alpha', 'kmod-gamma') }, scenario: drafted });
    stage.world.completeKernel(DRAFT, STANDS);
    expect((await settled(stage, DRAFT)).verdict).toBe('block');
    promote();
    await stage.pass(10 * MINUTE);
    await stage.waive({ kernel: NEW });
    stage.heard();
    await stage.pass(10 * MINUTE);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });
});

describe('a signer that moves a promoted kernel on at once', () => {
  /** Whatever comes into c9s-signing leaves it in the same moment. */
  const play = async (gate: Partial<Gate>) => {
    await set({
      gate: {
        ...only('kmod-beta'),
        strategy: 'symbols-then-rebuild',
        ...gate,
        on_pass: { tag: ['c9s-signing'], untag: ['c9s-gate'] },
      },
      scenario: all(
        withNewest(),
        withTags('c9s-signing', 'c9s-signed'),
        withTarget('kmods9s-signed', ['c9s-signed', 'kmods9s-release']),
        withRules(rule({ kmod: 'kmod-beta', result: 'fails', kernel: NEWEST })),
        (small): Scenario => ({
          ...small,
          policy: { ...small.policy, tag: { ...small.policy.tag, 'kmod-gate': ['c9s-*', 'kmods9s-*'] } },
        }),
      ),
    });
    const signer = stage.world.as('release-manager');
    stage.world.onMessage((event) => {
      if (event.kind !== 'tag' || event.tag['name'] !== 'c9s-signing') return;
      signer.moveBuild('c9s-signing', 'c9s-signed', Number(event.build['id']));
    });
    stage.hear();
    complete(NEW);
    return settled(stage, NEW);
  };

  // B17
  test('is no person who takes over: the run is done, and the kmods are rebuilt', async () => {
    const { verdict, how, tags } = await play({ rebuild: { target: 'kmods9s-signed', draft: true } });
    expect(verdict).toBe('promote');
    expect(how).toBe('done');
    expect(tags).toEqual(['c9s-signed']);
    const real = stage.world
      .tasks()
      .filter(
        ({ method, request }) => method === 'build' && !(request[2] as Record<string, unknown>)['scratch'],
      );
    expect(real.map(({ request }) => request[0])).toContainEqual(expect.stringContaining('kmod-beta'));
  });

  // B17
  test('leaves it the baseline of the next one', async () => {
    await play({ ...policy({ unattributed: 'hold' }) });
    complete(NEWEST);
    const { verdict, why, tags } = await settled(stage, NEWEST);
    expect(verdict).toBe('block');
    expect(why).toMatch(new RegExp(`kmod-beta.*${NEW}`));
    expect(tags).toEqual(['c9s-blocked']);
  });
});

// B18
test.each([
  ['', []],
  [', nor where their file is gone', ['kmod-alpha-tools.i686']],
])('tools of a kmod for 32 bits are no architecture of it%s', async (_, unreadable) => {
  await set({
    gate: { strategy: 'symbols', ...only('kmod-alpha') },
    scenario: withKmod('kmod-alpha', { userspace: ['i686'], unreadable }),
  });
  const lost = stage.world.state.rpms
    .filter(({ isLost }) => isLost)
    .map(({ name, arch }) => `${name}.${arch}`);
  expect(lost).toEqual(unreadable);
  complete(NEW);
  expect(await settled(stage, NEW)).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
});

// B19
test.each(['kernel', 'kernel-core', 'kernel-headers', 'kernel-abi-stablelists'])(
  'a kmod that pins another %s has tested no kernel: the kernel is held, and the pin is named',
  async (name) => {
    const pin = `${name} = 6.1.150-40.el9`;
    await set({
      gate: only('kmod-alpha'),
      scenario: all(withRules(lacks(pin)), (small) => ({
        ...small,
        kernels: small.kernels.map((kernel) => ({
          ...kernel,
          others: ['kernel-headers', 'kernel-abi-stablelists'],
        })),
      })),
    });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('hold');
    expect(why).toContain('tested no kernel');
    expect(why).toContain(pin);
    expect(tags).toEqual(['c9s-gate']);
  },
);

// B20
test.each(['block', 'promote'] as const)(
  'a hold by a person that is released after the longest hold gives people their time anew (after_hold = "%s")',
  async (after_hold) => {
    await set({
      gate: { ...FINE, ...policy({ longest_hold: 2 * HOUR, after_hold }) },
      scenario: withRules(rule({ result: 'init-error' })),
    });
    complete(NEW);
    expect((await settled(stage, NEW)).verdict).toBe('hold');
    await stage.pass(HOUR, MINUTE);
    await stage.order('hold');
    await stage.pass(5 * HOUR, MINUTE);
    await stage.order('release');
    await stage.pass(HOUR, MINUTE);
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    expect((await stage.run(NEW))?.closing).toBeUndefined();
    await stage.pass(2 * HOUR, MINUTE);
    expect(stage.world.tags(NEW)).toEqual([after_hold === 'block' ? 'c9s-blocked' : 'c9s-candidate']);
  },
);

// B21
test.each(['hold', 'pass'] satisfies Policy['inconclusive'][])(
  'a small kmod all of whose symbols are gone, and were all there before, is broken (inconclusive = "%s")',
  async (inconclusive) => {
    await set({
      gate: { strategy: 'symbols', ...only('kmod-alpha', 'kmod-gamma'), ...policy({ inconclusive }) },
      scenario: withKmod('kmod-gamma', { imports: [{ name: 'pci_clear_master', crc: '0x453af477' }] }),
    });
    complete(NEW);
    const { verdict, why, tags } = await settled(stage, NEW);
    expect(verdict).toBe('block');
    expect(why).toMatch(/kmod-gamma.*pci_clear_master/);
    expect(tags).toEqual(['c9s-blocked']);
  },
);

describe('symbols of modules that stand in an rpm of their own', () => {
  const more: KernelSymbol = { name: 'kvm_vcpu_kick', crc: '0x0000beef', vmlinux: false };
  const layout = { name: 'module_layout', crc: '0x160c03af' };
  const wanting = withKmod('kmod-alpha', { imports: [layout, { name: more.name, crc: more.crc }] });

  // B22
  test('are not gone: kernel-rt-kvm', async () => {
    await set({
      gate: { strategy: 'symbols', variant: 'rt', ...only('kmod-alpha') },
      // The baseline had it in kernel-rt-modules.
      scenario: all(wanting, (small) => ({
        ...small,
        kernels: small.kernels.map((kernel) => {
          const symbol = kernel.nvr === OLD ? more : { ...more, rpm: 'kernel-rt-kvm' };
          return { ...kernel, variants: { rt: [...kernel.symbols, symbol] } };
        }),
      })),
    });
    complete(NEW);
    expect(await settled(stage, NEW)).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
  });

  // B22
  test.each(['kernel-default-extra', 'kernel-default-optional'])('are not gone: %s', async (rpm) => {
    const named = (nvr: string) => nvr.replace(/^kernel-/, 'kernel-default-');
    await set({
      gate: { strategy: 'symbols', kernels: ['kernel-default'], ...only('kmod-alpha') },
      scenario: all(wanting, (small) => ({
        ...small,
        kernels: small.kernels.map((kernel) => ({
          ...kernel,
          ...splitNvr(named(kernel.nvr)),
          single: true,
          symbols: [...kernel.symbols, kernel.nvr === OLD ? more : { ...more, rpm }],
        })),
        kmods: small.kmods.map((kmod) => ({ ...kmod, kernel: 'kernel-default' })),
        tags: small.tags.map((tag) => ({
          ...tag,
          packages: tag.packages.includes('kernel') ? ['kernel-default'] : tag.packages,
        })),
      })),
    });
    complete(named(NEW));
    expect(await settled(stage, named(NEW))).toMatchObject({ verdict: 'promote', tags: ['c9s-candidate'] });
  });
});

// H1
test('a blocked kernel leaves the watch tag, also where a newer one was blocked before it', async () => {
  await set({ gate: only('kmod-gamma'), scenario: withNewest() });
  stage.hear();
  for (const nvr of [NEW, NEWEST]) complete(nvr);
  expect(await settled(stage, NEWEST)).toMatchObject({ verdict: 'block', tags: ['c9s-blocked'] });
  const { verdict, how, tags } = await settled(stage, NEW);
  expect(verdict).toBe('block');
  expect(tags).toEqual(['c9s-blocked']);
  expect(how).toBe('done');
});

// H1
test('a blocked kernel leaves the watch tag, also where a newer one was blocked an hour ago', async () => {
  await set({
    gate: { strategy: 'symbols', ...only('kmod-alpha', 'kmod-gamma') },
    scenario: withNewest(),
  });
  complete(NEWEST);
  expect(await settled(stage, NEWEST)).toMatchObject({ verdict: 'block', tags: ['c9s-blocked'] });
  await stage.pass(HOUR, MINUTE);
  complete(NEW);
  expect(await settled(stage, NEW)).toMatchObject({ verdict: 'block', how: 'done', tags: ['c9s-blocked'] });
});
