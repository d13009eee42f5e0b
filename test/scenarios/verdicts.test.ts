/** Whose fault a failure is, and how persons overrule the gate: on a Koji in memory over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Gate, Order, Run, Waiver } from '../../src/core/model.ts';
import type { Call } from '../../src/koji/hub.ts';
import { type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { HOUR, NEWEST, policy, repo, rule, STANDS } from './scenes.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const set = async (options: StageOptions = {}) => {
  stage = await setStage(options);
};
afterEach(async () => stage.end());

/** Without kmod-gamma, whose symbol is gone in NEW, every kmod builds. */
const FINE: Partial<Gate> = { kmods: { ...GATE.kmods, exclude: ['kmod-gamma'] } };
const withRules =
  (...rules: Rule[]) =>
  (scenario: Scenario): Scenario => ({ ...scenario, rules });
/** One more kernel, newer than NEW and the same otherwise. */
const withNewest =
  (...rules: Rule[]) =>
  (scenario: Scenario): Scenario => {
    const model = scenario.kernels.find(({ nvr }) => nvr === NEW);
    if (!model) throw new Error('no model');
    return { ...scenario, rules, kernels: [...scenario.kernels, { ...model, ...splitNvr(NEWEST) }] };
  };
/** No kernel has ever passed. */
const withoutBaseline = (scenario: Scenario): Scenario => ({
  ...scenario,
  kernels: scenario.kernels.map((kernel) =>
    kernel.nvr === OLD ? { ...kernel, tags: ['c9s-build'] } : kernel,
  ),
});
const reasons = (run: Run) => run.verdict?.reasons ?? [];
const waive = (more?: Partial<Waiver>) => stage.waive(more);
const order = (kind: Order['kind'], kmod?: string) => stage.order(kind, kmod);
const held = (what: string) =>
  stage.until(`it is held: ${what}`, async () => (await stage.said(NEW))?.includes(what));
const pass = async (ms: number) => {
  const end = stage.world.now() + ms;
  while (stage.world.now() < end) await stage.step();
};

describe('the baseline', () => {
  test('sidetag: a kmod that fails there too is already broken, and does not block', async () => {
    await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: withRules(rule({ result: 'fails' })) });
    stage.hear();
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW);
    expect(run.verdict).toMatchObject({ verdict: 'promote' });
    expect(reasons(run)).toEqual([
      `kmod-alpha-1.0-1.el9 (already broken): does not build on x86_64: alpha.c:12: too few arguments to function ‘f’; nor does it build against ${OLD}`,
      `1 of 2 kmods builds against ${NEW}`,
    ]);
    expect(stage.world.tags(OLD)).toEqual(['c9s-build', 'c9s-candidate']);
    expect((await stage.store.kernels()).map(({ nvr }) => nvr)).toEqual([NEW]);
    expect(stage.world.call({ method: 'listSideTags', params: [] })).toEqual([]);
  });

  test('sidetag: a kmod that builds there is broken by this kernel', async () => {
    await set({ gate: repo('sidetag') });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW);
    expect(run.verdict?.verdict).toBe('block');
    expect(reasons(run)[0]).toMatch(
      new RegExp(`^kmod-gamma-0.8-1.el9: does not build on x86_64: .*; it builds against ${OLD}$`),
    );
    // The error names a symbol that the baseline had.
    expect(reasons(run)[0]).toMatch(
      / \(pci_clear_master is gone from this kernel, in kernel-(core|modules)\); it builds/,
    );
  });

  test.each(['wait', 'pin'] as const)(
    '%s: what its own run showed counts, and is not built again',
    async (mode) => {
      const scenario = withNewest(rule({ result: 'fails', kernel: NEWEST }));
      await set({ gate: { ...FINE, ...repo(mode) }, scenario });
      stage.world.completeKernel(NEW, STANDS);
      expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
      stage.world.completeKernel(NEWEST, STANDS);
      const run = await stage.closed(NEWEST);
      expect(run.verdict?.verdict).toBe('block');
      expect(reasons(run)[0]).toContain(
        `; it builds against ${NEW}, as run c9s/${stage.buildId(NEW)}/1 showed`,
      );
      expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(2);
    },
  );

  test.each(['wait', 'pin'] as const)(
    '%s: a kmod that is new is tried in a repo that still holds it',
    async (mode) => {
      const only = (include: string[]): Gate => ({
        ...GATE,
        ...repo(mode),
        kmods: { ...GATE.kmods, include },
      });
      await set({ gate: only(['kmod-beta']), scenario: withNewest(rule({ result: 'fails' })) });
      stage.world.completeKernel(NEW, STANDS);
      await stage.closed(NEW);
      await stage.restart([only(['kmod-alpha', 'kmod-beta'])]);
      stage.world.completeKernel(NEWEST, STANDS);
      const run = await stage.closed(NEWEST);
      expect(run.verdict?.verdict).toBe('promote');
      expect(reasons(run)[0]).toContain(`; nor does it build against ${NEW}`);
      const [candidate, baseline] = stage.scratchBuilds('kmod-alpha');
      const found = run.baselineRepos[stage.buildId(NEW)]?.repo;
      expect(candidate?.request[2]).not.toMatchObject({ repo_id: found });
      expect(baseline?.request[2]).toMatchObject({ repo_id: found });
    },
  );

  test.each([
    ['block', 'block'],
    ['hold', 'hold'],
    ['pass', 'promote'],
  ] as const)(
    'unattributed = "%s": where no kernel has passed yet the verdict is %s',
    async (unattributed, verdict) => {
      await set({ gate: policy({ unattributed }), scenario: withoutBaseline });
      stage.world.completeKernel(NEW, STANDS);
      await stage.until('there is a verdict', async () => (await stage.run(NEW))?.verdict);
      const run = (await stage.run(NEW)) as Run;
      expect(run.verdict?.verdict).toBe(verdict);
      expect(run.baseline).toBeNull();
      expect(reasons(run)[0]).toContain('; no kernel has passed yet to compare with');
    },
  );

  test('may be configured, and one that the hub does not know is said', async () => {
    await set({ gate: { ...FINE, baseline: 'kernel-1-1' } });
    stage.world.completeKernel(NEW, STANDS);
    await held('the hub knows no build kernel-1-1; mend baseline in gate c9s');
    await stage.restart([{ ...GATE, ...FINE, baseline: OLD }]);
    expect((await stage.closed(NEW)).baseline).toEqual({ id: stage.buildId(OLD), nvr: OLD });
  });

  test('four architectures: the one on which it newly fails is named', async () => {
    const arches = ['x86_64', 'aarch64', 'ppc64le', 's390x'];
    await set({
      gate: { ...FINE, ...repo('sidetag') },
      scenario: (small) => ({
        ...small,
        arches,
        tags: small.tags.map((tag) => (tag.arches.length > 0 ? { ...tag, arches } : tag)),
        rules: [rule({ result: 'fails', arch: 's390x', kernel: NEW })],
      }),
    });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW);
    expect(run.verdict?.verdict).toBe('block');
    expect(reasons(run)[0]).toMatch(/^kmod-alpha-1.0-1.el9: does not build on s390x: .*; it builds against/);
  });
});

describe('architectures', () => {
  test('a gate tries its own, a kmod those that are said of it', async () => {
    const arches = ['x86_64', 'aarch64'];
    await set({
      gate: {
        arches: ['x86_64', 'aarch64'],
        kmods: { ...GATE.kmods, exclude: ['kmod-gamma'], arches: { 'kmod-al*': ['x86_64'] } },
      },
      scenario: (small) => ({
        ...small,
        arches,
        tags: small.tags.map((tag) => (tag.arches.length > 0 ? { ...tag, arches } : tag)),
        rules: [rule({ result: 'fails', arch: 'aarch64' })],
      }),
    });
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(stage.scratchBuilds('kmod-alpha')[0]?.request[2]).toMatchObject({ arch_override: 'x86_64' });
    expect(stage.scratchBuilds('kmod-beta')[0]?.request[2]).toMatchObject({
      arch_override: 'x86_64 aarch64',
    });
  });
});

describe('trouble', () => {
  test('a builder that fails twice and then works costs two tries', async () => {
    await set({ gate: FINE, scenario: withRules(rule({ result: 'traceback', times: 2 })) });
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(3);
  });

  test('mock that fails for hours: held, and then what the gate chose', async () => {
    await set({
      gate: { ...FINE, ...policy({ longest_hold: 2 * HOUR }) },
      scenario: withRules(rule({ result: 'mock-error' })),
    });
    stage.world.completeKernel(NEW, STANDS);
    await held('or it is blocked at');
    const run = await stage.closed(NEW, 180);
    expect(run.verdict?.verdict).toBe('block');
    expect(reasons(run)[0]).toBe('held for 2 h 0 min, and nobody acted');
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('retries of a run are capped', async () => {
    await set({
      gate: { ...FINE, ...policy({ retries: { kmod: 9, run: 3, day: 100 } }) },
      scenario: withRules(rule({ kmod: '*', result: 'mock-error' })),
    });
    stage.world.completeKernel(NEW, STANDS);
    await held('the run has used up its 3 retries');
    expect(stage.scratchBuilds('kmod-alpha').length + stage.scratchBuilds('kmod-beta').length).toBe(5);
  });

  test('a build that hangs is cancelled, tried again, and then it is over', async () => {
    await set({
      gate: { ...FINE, ...policy({ longest_build: HOUR }) },
      scenario: withRules(rule({ result: 'hangs' })),
    });
    stage.world.completeKernel(NEW, STANDS);
    await stage.until('it is held', async () => (await stage.said(NEW))?.startsWith('held: kmod-alpha'), 300);
    expect(await stage.said(NEW)).toMatch(
      /kmod-alpha-1.0-1.el9 \(inconclusive\): its build did not end within 1 h/,
    );
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(3);
  });

  test('a run that takes too long is judged by what is known', async () => {
    await set({
      gate: { ...FINE, ...policy({ longest_run: 2 * HOUR, inconclusive: 'pass' }) },
      scenario: withRules(rule({ result: 'hangs' })),
    });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW, 180);
    expect(run.verdict?.verdict).toBe('promote');
    expect(reasons(run)).toContain('kmod-alpha-1.0-1.el9 (inconclusive): not judged in time');
    expect(stage.world.tasks().filter(({ state }) => state < 2 || state === 4)).toEqual([]);
  });
});

describe('a newer kernel', () => {
  test.each(['cancel', 'finish'] as const)(
    'supersede = "%s" ends the run of the older one',
    async (supersede) => {
      await set({ gate: { ...FINE, ...repo('sidetag'), ...policy({ supersede }) }, scenario: withNewest() });
      stage.hear();
      stage.world.completeKernel(NEW, STANDS);
      await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
      stage.world.completeKernel(NEWEST, STANDS);
      const older = await stage.closed(NEW);
      expect(older.closing).toMatchObject({ how: 'superseded', why: expect.stringContaining(NEWEST) });
      const own = (task: { request: readonly unknown[] }) =>
        JSON.stringify(task.request).includes(`"${older.id}/`);
      const states = stage.world
        .tasks()
        .filter(own)
        .map(({ state }) => state);
      expect(new Set(states)).toEqual(new Set([supersede === 'cancel' ? 3 : 2]));
      expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
      expect((await stage.closed(NEWEST)).verdict?.verdict).toBe('promote');
    },
  );

  test('one that is blocked supersedes nothing', async () => {
    const broken = rule({ result: 'fails', kernel: NEWEST });
    await set({
      gate: { ...FINE, ...repo('sidetag'), ...policy({ supersede: 'cancel' }) },
      scenario: withNewest(broken),
    });
    stage.hear();
    stage.world.completeKernel(NEWEST, STANDS);
    await stage.closed(NEWEST);
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).closing?.how).toBe('done');
  });
});

describe('a waiver', () => {
  const waived = 'waived by ada: the vendor knows';
  test('that is there before: the kernel passes, and the verdict says why', async () => {
    await set();
    await waive({ kernel: 'kernel-6.1.*', kmod: 'kmod-g*' });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW);
    expect(run.verdict?.verdict).toBe('promote');
    expect(reasons(run)[0]).toContain(`kmod-gamma-0.8-1.el9 (${waived}): does not build on x86_64`);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('that comes while the kernel is held lets it through at once', async () => {
    await set({ gate: FINE, scenario: withRules(rule({ result: 'init-error' })) });
    stage.world.completeKernel(NEW, STANDS);
    await held('held: kmod-alpha');
    await waive({ kmod: 'kmod-alpha' });
    stage.heard();
    expect((await stage.closed(NEW, 2)).verdict?.verdict).toBe('promote');
  });

  test('that comes after a block takes the kernel out of the blocked ones', async () => {
    await set();
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).closing?.how).toBe('done');
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    await waive();
    stage.heard();
    await stage.until('it is let through', () => stage.world.tags(NEW).includes('c9s-candidate'), 2);
    const run = await stage.closed(NEW);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
    expect(run.verdict?.verdict).toBe('promote');
    // With the kernel, and with the baseline: nothing is built anew.
    expect(stage.scratchBuilds('kmod-gamma')).toHaveLength(2);
    expect(await stage.story()).toContain('opened again: a waiver by ada lets it through: the vendor knows');
  });

  test('is found by the sweep, too', async () => {
    await set();
    stage.world.completeKernel(NEW, STANDS);
    await stage.closed(NEW);
    await waive();
    await stage.restart();
    await stage.until('it is let through', () => stage.world.tags(NEW).includes('c9s-candidate'), 10);
  });

  test('for a kernel that a person has moved since changes nothing', async () => {
    await set();
    stage.world.completeKernel(NEW, STANDS);
    await stage.closed(NEW);
    stage.world.as('release-manager').untagBuild('c9s-blocked', NEW);
    await waive();
    stage.heard();
    await pass(5 * 60_000);
    expect((await stage.run(NEW))?.closing?.how).toBe('done');
    expect(stage.world.tags(NEW)).toEqual([]);
  });

  test('does not let an older kernel take the place of a newer one', async () => {
    await set({ scenario: withNewest() });
    stage.world.completeKernel(NEW, STANDS);
    await stage.closed(NEW);
    await waive({ kernel: NEWEST });
    stage.world.completeKernel(NEWEST, STANDS);
    await stage.closed(NEWEST);
    await waive();
    stage.heard();
    await pass(5 * 60_000);
    expect((await stage.run(NEW))?.verdict?.verdict).toBe('block');
    expect(await stage.said(NEW)).toBe(
      `stays out: ${NEWEST} is newer and came into c9s-candidate already: an older kernel does not take its place, so ${NEW} stays where it is; where that is wrong, tag it by hand`,
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('that was ended, has expired, or is for the next kernel, says nothing of this one', async () => {
    await set({ scenario: withNewest() });
    const id = await waive();
    const [ended] = await stage.store.waivers();
    expect(ended?.id).toBe(id);
    if (ended) await stage.store.endWaiver(ended, 'ada', stage.world.now(), []);
    await waive({ until: stage.world.now() + 60_000 });
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('block');
    await waive({ kernel: 'next' });
    stage.heard();
    await pass(5 * 60_000);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
    stage.world.completeKernel(NEWEST, STANDS);
    expect((await stage.closed(NEWEST)).verdict?.verdict).toBe('promote');
  });

  test('in observe mode says what would be done now', async () => {
    await set({ gate: { mode: 'observe' } });
    stage.world.completeKernel(NEW, STANDS);
    expect((await stage.closed(NEW)).closing?.why).toBe('would move the kernel from c9s-gate to c9s-blocked');
    await waive();
    stage.heard();
    await pass(60_000);
    expect((await stage.run(NEW))?.closing?.why).toBe('would move the kernel from c9s-gate to c9s-candidate');
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  });
});

describe('an order', () => {
  test('hold keeps the kernel where it is, release lets the verdict be carried out', async () => {
    await set({ gate: FINE });
    stage.world.completeKernel(NEW, STANDS);
    await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
    await order('hold');
    await held('held by ada: says so');
    await pass(HOUR);
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    await order('release');
    await stage.closed(NEW, 2);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('retry tries again what was not fine, and nothing else', async () => {
    await set({ gate: FINE, scenario: withRules(rule({ result: 'mock-error', times: 3 })) });
    stage.world.completeKernel(NEW, STANDS);
    await held('held: kmod-alpha');
    await order('retry');
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(4);
    expect(stage.scratchBuilds('kmod-beta')).toHaveLength(1);
  });

  test('retry of a kmod by name tries it again although it was fine', async () => {
    await set({ gate: FINE, scenario: withRules(rule({ result: 'mock-error', times: 3 })) });
    stage.world.completeKernel(NEW, STANDS);
    await held('held: kmod-alpha');
    await order('retry', 'kmod-*');
    await stage.closed(NEW);
    expect(stage.scratchBuilds('kmod-beta')).toHaveLength(2);
  });

  test('cancel ends the run, its builds, and nothing else', async () => {
    await set({ gate: { ...FINE, ...repo('sidetag') } });
    stage.world.completeKernel(NEW, STANDS);
    await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
    await order('cancel');
    expect((await stage.closed(NEW)).closing).toMatchObject({
      how: 'cancelled',
      why: 'cancelled by ada: says so',
    });
    expect(stage.scratchBuilds('kmod-alpha').map(({ state }) => state)).toEqual([3]);
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    expect(stage.world.call({ method: 'listSideTags', params: [] })).toEqual([]);
  });
});

test('nothing is promoted in a quiet time, and then it is', async () => {
  // The stage begins on a Monday at 08:00 UTC.
  await set({ gate: { ...FINE, ...policy({ quiet: [{ from: 7 * 60, to: 12 * 60 }] }) } });
  stage.world.completeKernel(NEW, STANDS);
  await held('promote: waits for 2026-01-05 12:00 UTC, the end of the quiet time');
  expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  await stage.closed(NEW, 5 * 60);
  expect(stage.world.now()).toBeGreaterThanOrEqual(Date.UTC(2026, 0, 5, 12));
  expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
});

test('more advisory kmods than the gate takes block', async () => {
  await set({
    gate: {
      ...repo('sidetag'),
      ...policy({ advisory_limit: 0 }),
      kmods: { ...GATE.kmods, advisory: ['kmod-gamma'] },
    },
  });
  stage.world.completeKernel(NEW, STANDS);
  const run = await stage.closed(NEW);
  expect(run.verdict?.verdict).toBe('block');
  expect(reasons(run)[0]).toBe('1 advisory kmod broken by this kernel, where the gate takes 0');
});

describe('rebuilds after a promotion', () => {
  /** kmod-alpha needs a symbol of kmod-beta; both must be rebuilt, since the CRC of seq_printf changes. */
  const chain = (small: Scenario): Scenario => {
    const beta = small.kmods.find(({ name }) => name === 'kmod-beta');
    return {
      ...small,
      policy: {
        ...small.policy,
        tag: { ...small.policy.tag, 'kmod-gate': ['c9s-*', 'kmods9s-*'] },
        srpm: ['kmod-gate'],
      },
      // What is rebuilt sees the kernels that have passed.
      tags: [
        ...small.tags,
        {
          name: 'kmods9s-released-build',
          inherits: ['c9s-candidate', 'kmods9s-release'],
          packages: [],
          blocked: [],
          locked: false,
          perm: null,
          arches: ['x86_64'],
          dist: '.el9_7',
        },
      ],
      targets: [
        ...small.targets,
        { name: 'kmods9s', build_tag: 'kmods9s-released-build', dest_tag: 'kmods9s-release' },
      ],
      kmods: small.kmods.map((kmod) => ({
        ...kmod,
        imports: beta?.imports ?? [],
        ...(kmod.name === 'kmod-beta' && { exports: { beta_register: '0x00000007' } }),
        ...(kmod.name === 'kmod-alpha' && { needs: { beta_register: '0x00000007' } }),
      })),
    };
  };
  const gate = (draft: boolean): Partial<Gate> => ({
    ...FINE,
    strategy: 'symbols-then-rebuild',
    rebuild: { target: 'kmods9s', draft },
  });

  test('are made in the order of their needs, each with a repo that has what it needs', async () => {
    await set({ gate: gate(true), scenario: chain });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW, 120);
    expect(run.closing?.why).toMatch(
      /^moved from c9s-gate to c9s-candidate; rebuilt kmod-alpha-1\.0-1\.el9_7,draft_\d+, kmod-beta-2\.1-3\.el9_7,draft_\d+$/,
    );
    const real = stage.world.tasks().filter(({ method, request }) => {
      const options = request[2] as Record<string, unknown> | undefined;
      return method === 'build' && options?.['draft'] === true;
    });
    expect(real.map(({ request }) => String(request[0]).split('/').at(-1))).toEqual([
      'kmod-beta-2.1-3.el9.src.rpm',
      'kmod-alpha-1.0-1.el9.src.rpm',
    ]);
    const beta = stage.world.state.builds.find(({ draft, name }) => draft && name === 'kmod-beta');
    expect(real[1]?.request[2]).toMatchObject({ wait_repo: true, wait_builds: [NEW, beta?.nvr] });
    expect(stage.world.tags(beta?.id ?? 0)).toEqual(['kmods9s-release']);
    const roots = stage.world.state.buildroots.filter(
      ({ tag_id }) => tag_id === stage.world.state.tags.length,
    );
    const kernels = roots.flatMap(({ rpms }) => rpms.flatMap(({ build_id }) => build_id ?? []));
    expect(new Set(kernels)).toEqual(new Set([stage.buildId(NEW)]));
    expect(reasons(run)).toContain('needs a rebuild: kmod-alpha, kmod-beta');
  });

  const withoutDist = (small: Scenario): Scenario => {
    const { tags, ...rest } = chain(small);
    return { ...rest, tags: tags.map(({ dist: _, ...tag }) => tag) };
  };
  test.each([
    ['real builds', false, 'Build already exists (id=3, state=COMPLETE)'],
    ['drafts', true, 'Target build already exists: kmod-beta-2.1-3.el9 (id=3)'],
  ])('%s that a name is taken for say what to bump', async (_what, draft, why) => {
    await set({ gate: gate(draft), scenario: withoutDist });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW, 120);
    expect(run.closing?.why).toContain(
      `kmod-beta: ${why}: a release is only built once; bump the release of kmod-beta`,
    );
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('come from the head of a branch, or again from the source rpm of which a build was made', async () => {
    const scm = 'git+https://git.example.org/kmods/kmod-beta';
    const { rebuild } = gate(false);
    await set({
      gate: { ...gate(false), rebuild: { ...rebuild, target: 'kmods9s', draft: false, branch: 'c9s' } },
      scenario: (small) => {
        const { kmods, ...rest } = chain(small);
        return {
          ...rest,
          kmods: kmods.map((kmod) => (kmod.name === 'kmod-beta' ? { ...kmod, scm, head: '4.el9' } : kmod)),
        };
      },
    });
    // As kojid records it of a build that was made from a source rpm.
    const alpha = stage.world.state.builds.findIndex(({ name }) => name === 'kmod-alpha');
    const imported = stage.world.state.builds[alpha];
    if (imported) stage.world.state.builds[alpha] = { ...imported, source: `${imported.nvr}.src.rpm` };
    stage.world.completeKernel(NEW, STANDS);
    const { closing } = await stage.closed(NEW, 120);
    expect(closing?.why).toContain('rebuilt kmod-alpha-1.0-1.el9_7, kmod-beta-2.1-4.el9_7');
    const sources = stage.world.tasks().flatMap(({ method, request }) => {
      const isReal = method === 'build' && (request[2] as Record<string, unknown>)['wait_repo'] === true;
      return isReal && request[1] === 'kmods9s' ? [request[0]] : [];
    });
    expect(sources).toEqual([
      `${scm}#c9s`,
      '../packages/kmod-alpha/1.0/1.el9/src/kmod-alpha-1.0-1.el9.src.rpm',
    ]);
  });

  test.each(['build', 'multiCall'])('are made once, though replies to %s are lost', async (method) => {
    let count = 0;
    await set({
      gate: gate(true),
      scenario: chain,
      // Each lost reply costs real time: of many calls only some.
      faults: (name) =>
        name === method && ++count % (method === 'build' ? 2 : 5) === 1 ? 'drop-after' : 'none',
    });
    stage.world.completeKernel(NEW, STANDS);
    await stage.closed(NEW, 240);
    expect(stage.world.state.builds.filter(({ draft }) => draft)).toHaveLength(2);
  });
});

test('drafts with one NVR stand side by side, each judged by its own builds', async () => {
  const drafts = [`${NEW},draft_7`, `${NEW},draft_8`] as const;
  await set({
    gate: { ...FINE, ...repo('sidetag') },
    scenario: (small) => {
      const model = small.kernels.find(({ nvr }) => nvr === NEW);
      if (!model) throw new Error('no model');
      return {
        ...small,
        kernels: [...small.kernels, ...drafts.map((nvr) => ({ ...model, ...splitNvr(nvr) }))],
        rules: [rule({ result: 'fails', kernel: drafts[0] })],
      };
    },
  });
  for (const nvr of drafts) stage.world.completeKernel(nvr, STANDS);
  const [first, second] = [await stage.closed(drafts[0]), await stage.closed(drafts[1])];
  expect([first.verdict?.verdict, second.verdict?.verdict]).toEqual(['block', 'promote']);
  expect(stage.world.tags(drafts[0])).toEqual(['c9s-blocked']);
  expect(stage.world.tags(drafts[1])).toEqual(['c9s-candidate']);
});

describe('a build root with another kernel', () => {
  const pinning =
    (pins: string) =>
    (small: Scenario): Scenario => ({
      ...small,
      kmods: small.kmods.map((kmod) => (kmod.name === 'kmod-alpha' ? { ...kmod, pins } : kmod)),
    });
  test('a pinned kernel that is no longer there is found out, and not tried again', async () => {
    await set({ gate: FINE, scenario: pinning('kernel-5.14.0-1.el9') });
    stage.world.completeKernel(NEW, STANDS);
    await held('held: kmod-alpha');
    expect(reasons((await stage.run(NEW)) as Run)[0]).toBe(
      `kmod-alpha-1.0-1.el9 (inconclusive): tested no kernel on x86_64: its BuildRequires pin kernel-devel = 5.14.0-1.el9, which cannot be installed; the kernel under test is ${NEW}`,
    );
    expect(stage.scratchBuilds('kmod-alpha')).toHaveLength(1);
  });
  test('a pinned kernel that is there is found out, both are named', async () => {
    await set({ gate: { ...FINE, ...repo('sidetag') }, scenario: pinning(OLD) });
    stage.world.completeKernel(NEW, STANDS);
    await held('held: kmod-alpha');
    expect(reasons((await stage.run(NEW)) as Run)[0]).toContain(
      'tested the wrong kernel on x86_64: kernel-devel-6.1.170-47.el9',
    );
    expect(reasons((await stage.run(NEW)) as Run)[0]).toContain(
      `and not ${NEW}; its BuildRequires pin another kernel`,
    );
  });
  test('a repo that does not hold the kernel is said to be stale, and another one is waited for', async () => {
    // A hub whose repo requests are answered with the repo that is there, as one does where kojira hangs.
    let stale = 2;
    await set({
      gate: FINE,
      around: ({ hub, store }) => ({
        store,
        hub: {
          ...hub,
          writeAll: ((calls: readonly Call<unknown>[]) =>
            hub.writeAll(
              calls.map((call) => {
                if (call.method !== 'build' || stale-- <= 0) return call;
                const [src, target, options] = call.params;
                const { wait_repo: _, wait_builds: __, ...rest } = options as Record<string, never>;
                return { ...call, params: [src ?? null, target ?? null, rest] };
              }),
            )) as typeof hub.writeAll,
        },
      }),
    });
    stage.world.completeKernel(NEW, STANDS);
    const run = await stage.closed(NEW);
    expect(run.verdict?.verdict).toBe('promote');
    expect(await stage.story()).toContain(
      `tested the wrong kernel on x86_64: kernel-devel-6.1.170-47.el9 and not ${NEW}; the repo did not hold this one: was it regenerated?`,
    );
  });
});
