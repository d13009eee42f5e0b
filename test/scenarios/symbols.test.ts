/**
 * Gates that judge by symbols, alone or beside rebuilds. Of the kernel NEW kmod-alpha needs nothing that changed,
 * kmod-beta a symbol with another CRC, kmod-gamma one that is gone.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { explain, newestReports } from '../../src/commands/report.ts';
import type { Gate, Run, Strategy } from '../../src/core/model.ts';
import type { Call } from '../../src/koji/hub.ts';
import { reportOf } from '../../src/report/report.ts';
import { type Kernel, loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { GATE, NEW, OLD, SMALL, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
const LINKS = { task: () => undefined, build: () => undefined };
/** As `explain` has it, with every symbol. */
const report = async (run: Run) =>
  reportOf(GATE, run, undefined, LINKS, 0, [], await stage.store.symbolDetail(run));
afterEach(async () => stage.end());

/** The whole way of NEW through a gate of that strategy. */
async function play(strategy: Strategy, gate: Partial<Gate> = {}, options: StageOptions = {}) {
  stage = await setStage({ ...options, gate: { strategy, ...gate } });
  stage.world.completeKernel(NEW, { tag: GATE.watch });
  const run = await stage.closed(NEW);
  const { kmods, verdict, reasons } = await report(run);
  return {
    run,
    verdict,
    reasons,
    outcomes: kmods.map(({ name, outcome }) => `${name} ${outcome}`),
    symbols: Object.fromEntries(kmods.map(({ name, symbols }) => [name, symbols])),
    builds: kmods.map(({ name }) => stage.scratchBuilds(name).length),
  };
}
const without = (...exclude: string[]) => ({ kmods: { ...GATE.kmods, exclude } });
/** All that loads as it is. */
const FITTING = without('kmod-beta', 'kmod-gamma');

describe('symbols', () => {
  test('decide alone, with no build and no build target', async () => {
    const played = await play('symbols', { build: null });
    expect(played.verdict).toBe('block');
    expect(played.outcomes).toEqual(['kmod-alpha ok', 'kmod-beta broken', 'kmod-gamma broken']);
    expect(played.reasons).toEqual([
      `kmod-beta-2.1-3.el9: does not load on x86_64: 1 of its 2 symbols has another CRC (seq_printf: 0xac8427d8 → 0x2529ebe1, in kernel-core); it loads into ${OLD} as it is`,
      `kmod-gamma-0.8-1.el9: does not load on x86_64: 1 of its 3 symbols is gone (pci_clear_master); it loads into ${OLD} as it is`,
      `1 of 3 kmods loads into ${NEW} as it is`,
    ]);
    expect(played.builds).toEqual([0, 0, 0]);
    expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
  });

  test('are judged in the moment in which the kernel is there, before any repo has it', async () => {
    const { run } = await play('symbols', without('kmod-beta', 'kmod-gamma'));
    expect(run.verdict?.verdict).toBe('promote');
    expect((run.verdict?.at ?? Number.POSITIVE_INFINITY) - run.startedAt).toBe(0);
    expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
  });

  test('are in the report with CRCs, old and new, and the rpm that has them now', async () => {
    const { run, symbols } = await play('symbols');
    expect(symbols['kmod-beta']).toEqual([
      {
        arch: 'x86_64',
        imports: 2,
        answer: 'incompatible',
        cause: null,
        missing: [],
        from_kmods: [],
        from_broken: [],
        changed: [
          { symbol: 'seq_printf', required: '0xac8427d8', provided: '0x2529ebe1', provider: 'kernel-core' },
        ],
      },
    ]);
    const { blame } = await report(run);
    expect(blame).toEqual([
      {
        arch: 'x86_64',
        symbol: 'pci_clear_master',
        provided: null,
        provider: null,
        listed: false,
        kmods: [{ name: 'kmod-gamma', required: '0x453af477' }],
      },
      {
        arch: 'x86_64',
        symbol: 'seq_printf',
        provided: '0x2529ebe1',
        provider: 'kernel-core',
        listed: false,
        kmods: [{ name: 'kmod-beta', required: '0xac8427d8' }],
      },
    ]);
    expect(await stage.story()).toContain(
      'by their symbols 1 of 3 kmods loads as built; not kmod-beta, kmod-gamma',
    );
  });

  test('are in what explains one kernel, and not in the list of runs', async () => {
    await play('symbols');
    const reports = { store: stage.store, gates: [stage.gate], links: LINKS };
    const [listed] = await newestReports(reports, 1);
    const explained = (await explain(reports, NEW))?.runs[0];
    expect(explained?.blame).toHaveLength(2);
    expect(explained?.kmods.map(({ symbols }) => symbols?.length)).toEqual([1, 1, 1]);
    const kmods = explained?.kmods.map(({ symbols: _, ...kmod }) => kmod);
    const { blame: _, ...rest } = { ...explained, kmods };
    expect(listed).toStrictEqual(rest);
  });

  test('of an rpm are asked for once ever', async () => {
    const asked = () =>
      stage.server.requests.flatMap(({ inner }) => inner.filter((name) => name === 'getRPMHeaders'));
    await play('symbols');
    const first = asked().length;
    expect(first).toBeGreaterThan(0);
    stage.world.as('kojiadmin').moveBuild('c9s-blocked', 'c9s-gate', NEW);
    await stage.until('a second run is over', async () => {
      const run = await stage.run(NEW);
      return run?.generation === 2 && run.closing;
    });
    expect(asked()).toHaveLength(first);
  });

  test('that nothing can be said of hold the kernel', async () => {
    const { verdict, reasons } = await play(
      'symbols',
      { mode: 'observe' },
      { scenario: (small) => ({ ...small, kmods: small.kmods.map((kmod) => ({ ...kmod, imports: [] })) }) },
    );
    expect(verdict).toBe('hold');
    expect(reasons[0]).toBe(
      'kmod-alpha-1.0-1.el9 (inconclusive): none of its rpms requires a symbol of a kernel',
    );
  });
});

test('a kmod of which not one CRC fits, nor did before, is already broken, and that is the reason; no symbol is blamed', async () => {
  const gone = Array.from({ length: 19 }, (_, i) => ({ name: `gone_${i}`, crc: '0x00000001' }));
  const { outcomes, reasons, run } = await play('symbols', without('kmod-gamma'), {
    scenario: (small) => ({
      ...small,
      kmods: small.kmods.map((kmod) => ({
        ...kmod,
        imports:
          kmod.name === 'kmod-alpha'
            ? [{ name: 'kfree', crc: '0x00000bad' }, ...gone]
            : (small.kmods[0]?.imports ?? []),
      })),
    }),
  });
  expect(outcomes).toEqual(['kmod-alpha already-broken', 'kmod-beta ok']);
  expect(reasons[0]).toMatch(
    /^kmod-alpha-1\.0-1\.el9 \(already broken\): does not load on x86_64: not one CRC fits: .*; 19 of its 20 symbols are gone/,
  );
  expect((await report(run)).blame).toEqual([]);
});

const NO_FILE = {
  PROVIDENAME: [],
  PROVIDEVERSION: [],
  PROVIDEFLAGS: [],
  REQUIRENAME: [],
  REQUIREVERSION: [],
  REQUIREFLAGS: [],
};
/** The hub answers for the files of a build as Koji does where they are gone. */
const withoutFilesOf =
  (nvr: string, rpm?: string): NonNullable<StageOptions['around']> =>
  ({ hub, store }) => {
    const isGone = (id: unknown) =>
      stage.world.state.rpms.some(
        (it) =>
          it.id === id &&
          it.build_id === stage.world.build(nvr)?.id &&
          (rpm === undefined || it.name === rpm),
      );
    const readAll = async (calls: readonly Call<unknown>[]) =>
      (await hub.readAll(calls)).map((answer, i) => {
        const { rpmID } = (calls[i]?.params.at(-1) ?? {}) as { rpmID?: number };
        return calls[i]?.method === 'getRPMHeaders' && isGone(rpmID) ? { ok: true, value: NO_FILE } : answer;
      });
    return { store, hub: { ...hub, readAll: readAll as typeof hub.readAll } };
  };

describe('an rpm whose file the hub has no more', () => {
  test('is no rpm without symbols: nothing is judged, and what is missing is said', async () => {
    stage = await setStage({ gate: { strategy: 'symbols' }, around: withoutFilesOf(NEW) });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('it is said', async () => (await stage.said(NEW))?.includes('has no file of kernel-'));
    expect((await stage.run(NEW))?.symbols).toBeUndefined();
  });
  test('and a person who moves the kernel meanwhile wins', async () => {
    stage = await setStage({ gate: { strategy: 'symbols' }, around: withoutFilesOf(NEW) });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('it is said', async () => (await stage.said(NEW))?.includes('has no file'));
    stage.world.as('release-manager').moveBuild('c9s-gate', 'c9s-candidate', NEW);
    expect((await stage.closed(NEW)).closing?.how).toBe('taken-over');
  });
  test('of the baseline: a stablelist is not kept, the kernel is held', async () => {
    stage = await setStage({
      gate: {
        strategy: 'symbols',
        stablelist: { effect: 'block', symbols: { '*': ['seq_printf'] } },
        ...FITTING,
      },
      around: withoutFilesOf(OLD),
    });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    const { verdict } = (await stage.run(NEW)) as Run;
    expect(verdict?.verdict).toBe('hold');
    expect(verdict?.reasons[0]).toMatch(
      `stablelist: ${OLD} cannot be compared with: getRPMHeaders: the hub has no file`,
    );
  });
});

/** kmod-alpha alone, and kernels that export more in rpms of their own; a kernel's rpms may be there without any symbol. */
const withRpms =
  (
    kernels: Readonly<Record<string, { symbols?: Readonly<Record<string, string>>; others?: string[] }>>,
    imports: readonly string[],
  ) =>
  (small: Scenario): Scenario => ({
    ...small,
    kmods: small.kmods.map((kmod) => ({
      ...kmod,
      imports: [...kmod.imports, ...imports.map((name) => ({ name, crc: '0x00000001' }))],
    })),
    kernels: small.kernels.map((kernel) => {
      const { symbols = {}, others } = kernels[kernel.nvr] ?? {};
      const more = Object.entries(symbols).map(([name, rpm]) => ({
        ...{ name, crc: '0x00000001', rpm, vmlinux: false },
      }));
      return { ...kernel, symbols: [...kernel.symbols, ...more], ...(others && { others }) };
    }),
  });

describe('a kernel of which not all is known', () => {
  const wifi = { wifi_a: 'kernel-modules-wireless', wifi_b: 'kernel-modules-wireless' };
  const both = { [OLD]: { symbols: wifi }, [NEW]: { symbols: wifi } };
  const without = (nvr: string) => withoutFilesOf(nvr, 'kernel-modules-wireless');
  test('as an rpm cannot be read: what that may export is not gone, what changed has changed', async () => {
    const { outcomes, reasons, symbols, verdict } = await play(
      'symbols',
      { mode: 'observe' },
      { scenario: withRpms(both, ['wifi_a']), around: without(NEW) },
    );
    expect(verdict).toBe('block');
    expect(outcomes).toEqual(['kmod-alpha inconclusive', 'kmod-beta broken', 'kmod-gamma inconclusive']);
    expect(reasons).toContainEqual(
      expect.stringMatching(
        /^kmod-alpha-1\.0-1\.el9 \(inconclusive\): its symbols on x86_64 tell nothing: the kernel may have what it misses: not all that it exports is known: 1 of its rpms cannot be read: getRPMHeaders: the hub has no file of kernel-modules-wireless-6\.1\.176-50\.el9\.x86_64 \(rpm \d+\); it misses wifi_a$/,
      ),
    );
    expect(reasons.join('\n')).not.toContain('gone');
    expect(symbols['kmod-beta']?.[0]).toMatchObject({ missing: [], changed: [{ symbol: 'seq_printf' }] });
  });
  test('promotes where nothing is missing', async () => {
    const { verdict } = await play('symbols', FITTING, {
      scenario: withRpms(both, []),
      around: without(NEW),
    });
    expect(verdict).toBe('promote');
  });
  test('as a baseline: what it may have had is not what this kernel broke', async () => {
    const scenario = withRpms({ [OLD]: { symbols: wifi } }, ['wifi_a']);
    const { outcomes, reasons } = await play('symbols', { mode: 'observe', ...FITTING }, { scenario });
    expect([outcomes, reasons[0]]).toEqual([
      ['kmod-alpha broken'],
      expect.stringContaining('is gone (wifi_a)'),
    ]);
    await stage.end();
    const partly = await play('symbols', { mode: 'observe', ...FITTING }, { scenario, around: without(OLD) });
    expect(partly.outcomes).toEqual(['kmod-alpha unattributed']);
    expect(partly.run.symbols?.change?.arches[0]).toMatchObject({
      added: 0,
      partial: { why: expect.stringContaining('no file of kernel-modules-wireless-6.1.170') },
    });
  });
  test.each([
    [
      'wifi_a',
      'hold',
      /^stablelist: since \S+ nothing is known of 1 listed symbol on x86_64: 1 of its rpms cannot/,
    ],
    ['kfree', 'promote', /^stablelist: kept since kernel-6/],
  ])('keeps the promise of what is known alone: %s', async (listed, expected, reason) => {
    const { verdict, reasons, run } = await play(
      'symbols',
      { mode: 'observe', stablelist: { effect: 'block', symbols: { '*': [listed] } }, ...FITTING },
      { scenario: withRpms(both, []), around: without(NEW) },
    );
    expect([verdict, reasons[0]]).toEqual([expected, expect.stringMatching(reason)]);
    expect(run.symbols?.change?.arches[0]).toMatchObject({ removed: 0, listed: [] });
  });

  const many = (rpm: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`m_${i}`, rpm]));
  test.each<[string, number, Record<string, string>, string, RegExp]>([
    [
      'of thousands none is left: its rpm is damaged',
      1000,
      {},
      'inconclusive',
      /: kernel-modules-extra provides no symbol, and that of kernel-6\.1\.170-47\.el9 provided 1000; it misses m_7$/,
    ],
    ['of a few none is left: they are gone', 999, {}, 'broken', /1 of its \d+ symbols is gone \(m_7\)/],
    [
      'they have moved to another rpm: one that is not there is gone',
      1000,
      Object.fromEntries(
        Object.entries(many('kernel-modules-other', 1000)).filter(([name]) => name !== 'm_7'),
      ),
      'broken',
      /1 of its \d+ symbols is gone \(m_7\)/,
    ],
  ])('%s', async (_, count, now, outcome, reason) => {
    const kernels = {
      [OLD]: { symbols: many('kernel-modules-extra', count) },
      [NEW]: { symbols: now, others: ['kernel-modules-extra'] },
    };
    const { outcomes, reasons } = await play(
      'symbols',
      { mode: 'observe', ...FITTING },
      { scenario: withRpms(kernels, ['m_7']) },
    );
    expect([outcomes, reasons[0]]).toEqual([[`kmod-alpha ${outcome}`], expect.stringMatching(reason)]);
  });
  test('the same damage, once it was let through: what is not there is not gone', async () => {
    const damaged = { symbols: {}, others: ['kernel-modules-extra'] };
    const again = 'kernel-6.1.177-50.el9';
    stage = await setStage({
      gate: { strategy: 'symbols', ...FITTING },
      scenario: (small) => {
        const kernels = small.kernels.flatMap((kernel) =>
          kernel.nvr === NEW ? [kernel, { ...kernel, nvr: again, version: '6.1.177' }] : [kernel],
        );
        const rpms = {
          [OLD]: { symbols: many('kernel-modules-extra', 1000) },
          [NEW]: damaged,
          [again]: damaged,
        };
        return withRpms(rpms, ['m_7'])({ ...small, kernels });
      },
    });
    await stage.waive({ kmod: 'kmod-alpha' });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('promote');
    stage.world.completeKernel(again, { tag: GATE.watch });
    await stage.until('a verdict', async () => (await stage.run(again))?.verdict);
    const run = (await stage.run(again)) as Run;
    expect(run.baseline?.nvr).toBe(NEW);
    expect(run.verdict?.verdict).toBe('hold');
    expect(run.verdict?.reasons[0]).toContain(`kernel-modules-extra provides no symbol, and that of ${OLD}`);
  });
  test('a baseline whose rpm is damaged: what is gone now was not gone before', async () => {
    const kernels = {
      [OLD]: { others: ['kernel-modules-extra'] },
      [NEW]: { symbols: many('kernel-modules-extra', 1001) },
    };
    const { outcomes, reasons } = await play(
      'symbols',
      { mode: 'observe', ...FITTING },
      { scenario: withRpms(kernels, ['gone_since']) },
    );
    expect(outcomes).toEqual(['kmod-alpha unattributed']);
    expect(reasons[0]).toContain('gone_since');
  });
});

describe('a hundred kmods', () => {
  const hundred = (small: Scenario): Scenario => {
    const [alpha] = small.kmods;
    if (!alpha) throw new Error('no kmod');
    const kmods = Array.from({ length: 100 }, (_, i) => {
      const name = `kmod-n${i}`;
      return { ...alpha, name, nvr: `${name}-1.0-1.el9` };
    });
    const names = kmods.map(({ name }) => name);
    const tags = small.tags.map((tag) =>
      tag.name === 'kmods9s-release' ? { ...tag, packages: [...tag.packages, ...names] } : tag,
    );
    return { ...small, kmods, tags };
  };
  test('and a kernel are compared in six requests', async () => {
    stage = await setStage({ gate: { strategy: 'symbols', mode: 'observe' }, scenario: hundred });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    stage.hint({ kind: 'build', id: stage.buildId(NEW) });
    const before = stage.server.requests.length;
    await stage.until('it is judged', async () => (await stage.run(NEW))?.verdict);
    const { requests } = stage.server;
    expect((await stage.run(NEW))?.symbols?.kmods).toHaveLength(100);
    const asked = requests
      .slice(before)
      .filter(({ method, inner }) =>
        [method, ...inner].some((name) => name === 'getRPMHeaders' || name === 'listBuildRPMs'),
      );
    expect(asked.length).toBeLessThanOrEqual(6);
  });
});

test('a kernel that is one rpm, as SUSE has them, is judged like one of parts', async () => {
  const { outcomes } = await play(
    'symbols',
    {},
    {
      scenario: (small) => ({
        ...small,
        kernels: small.kernels.map((kernel) => ({ ...kernel, single: true })),
      }),
    },
  );
  expect(outcomes).toEqual(['kmod-alpha ok', 'kmod-beta broken', 'kmod-gamma broken']);
});

describe('a variant of the kernel', () => {
  const scenario = (small: Scenario): Scenario => {
    const old = small.kernels.find(({ nvr }) => nvr === OLD)?.symbols ?? [];
    return { ...small, kernels: small.kernels.map((kernel) => ({ ...kernel, variants: { rt: old } })) };
  };
  test('has symbols of its own, and a gate that looks at them', async () => {
    const rt = await play('symbols', { variant: 'rt' }, { scenario });
    expect(rt.verdict).toBe('promote');
    await stage.end();
    const plain = await play('symbols', {}, { scenario });
    expect(plain.verdict).toBe('block');
  });
  test('that the build does not make tells nothing', async () => {
    const { verdict, reasons } = await play('symbols', { variant: '64k', mode: 'observe' }, { scenario });
    expect(verdict).toBe('hold');
    expect(reasons[0]).toContain('its symbols on x86_64 tell nothing: this kernel is not built for x86_64');
  });

  /** A hub on which nothing of a 64k kernel is built for x86_64. */
  const without64k: NonNullable<StageOptions['around']> = ({ hub, store }) => {
    const cut = <T>(answer: T): T =>
      Array.isArray(answer)
        ? (answer.filter(({ name, arch }) => arch !== 'x86_64' || !`${name}-`.includes('-64k-')) as T)
        : answer;
    const read: typeof hub.read = async (call) => {
      const answer = await hub.read(call);
      return call.method === 'listBuildRPMs' ? cut(answer) : answer;
    };
    const readAll = async (calls: readonly Call<unknown>[]) =>
      (await hub.readAll(calls)).map((answer, i) =>
        calls[i]?.method === 'listBuildRPMs' && answer.ok ? { ...answer, value: cut(answer.value) } : answer,
      );
    return { store, hub: { ...hub, read, readAll: readAll as typeof hub.readAll } };
  };

  describe('and kmods that make an rpm for each', () => {
    /** Of kmod-alpha the plain one loads into NEW, and that for rt needs what the rt kernel has with another CRC. */
    const both = (small: Scenario): Scenario => ({
      ...scenario(small),
      kmods: small.kmods
        .filter(({ name }) => name === 'kmod-alpha')
        .map((kmod) => ({
          ...kmod,
          variants: { rt: kmod.imports.map((of) => ({ ...of, crc: '0x00000bad' })) },
        })),
    });
    test.each([
      ['', 'promote', `1 of 1 kmod loads into ${NEW} as it is`],
      ['rt', 'hold', 'kmod-alpha-1.0-1.el9 (already broken): does not load on x86_64: '],
    ])('of variant "%s" only its own rpm counts: %s', async (variant, expected, reason) => {
      const { verdict, reasons } = await play('symbols', { variant, mode: 'observe' }, { scenario: both });
      expect(verdict).toBe(expected);
      expect(reasons.join('\n')).toContain(reason);
    });
    test('that is built for one architecture alone, as 64k is: the others do not count', async () => {
      const old = loadScenario(SMALL).kernels.find(({ nvr }) => nvr === OLD)?.symbols ?? [];
      const { verdict, run } = await play(
        'symbols',
        { variant: '64k' },
        {
          scenario: (small) => ({
            ...small,
            arches: ['x86_64', 'aarch64'],
            kernels: small.kernels.map((kernel) => ({ ...kernel, variants: { '64k': old } })),
            kmods: small.kmods.map((kmod) => ({ ...kmod, variants: { '64k': kmod.imports } })),
          }),
          around: without64k,
        },
      );
      expect(verdict).toBe('promote');
      expect(run.symbols?.kmods[0]?.arches.map(({ arch }) => arch)).toEqual(['aarch64']);
    });
    test('of a third one: it is said that none is for it', async () => {
      const { verdict, reasons, run } = await play(
        'symbols',
        { variant: '64k', mode: 'observe' },
        { scenario: both },
      );
      expect(verdict).toBe('hold');
      expect(reasons[0]).toBe(
        'kmod-alpha-1.0-1.el9 (inconclusive): its symbols on x86_64 tell nothing: none of it is for this variant of the kernel, of which it requires nothing',
      );
      expect(run.symbols?.kmods[0]?.arches).toMatchObject([
        { imports: 0, missing: { count: 0 }, changed: { count: 0 } },
      ]);
    });
  });
});

describe('a kmod for exact kernels', () => {
  const RELEASE = { old: '6.1.170-47.el9.x86_64', fresh: '6.1.176-50.el9.x86_64' } as const;
  /** seq_printf as OLD has it, and as NEW has it. */
  const [then, now] = ['0xac8427d8', '0x2529ebe1'].map((crc) => [{ name: 'seq_printf', crc }]);
  /** kmod-alpha with an rpm for each of these kernels. */
  const rpmsFor =
    (variants: Readonly<Record<string, typeof then>>) =>
    (small: Scenario): Scenario => ({
      ...small,
      kmods: small.kmods
        .filter(({ name }) => name === 'kmod-alpha')
        .map((kmod) => ({ ...kmod, imports: [], variants: variants as (typeof kmod)['variants'] })),
    });
  test('of which one rpm is for this kernel is judged by that', async () => {
    const both = rpmsFor({ [RELEASE.old]: then, [RELEASE.fresh]: now });
    const { verdict, reasons } = await play('symbols', {}, { scenario: both });
    expect([verdict, reasons]).toEqual(['promote', [`1 of 1 kmod loads into ${NEW} as it is`]]);
  });
  test('of which no rpm is for this kernel: for which they are is the reason', async () => {
    const old = rpmsFor({
      '6.1.100-1.el9.x86_64': now?.map((of) => ({ ...of, crc: '0x00000bad' })),
      [RELEASE.old]: then,
    });
    const { verdict, reasons, symbols, run } = await play('symbols', {}, { scenario: old });
    expect(verdict).toBe('block');
    expect(reasons[0]).toBe(
      `kmod-alpha-1.0-1.el9: does not load on x86_64: it is built for 6.1.100-1.el9.x86_64 and ${RELEASE.old}, and not for this kernel; 1 of its 1 symbol has another CRC (seq_printf: 0xac8427d8 → 0x2529ebe1, in kernel-core); it loads into ${OLD} as it is`,
    );
    expect(symbols['kmod-alpha']?.[0]?.remarks).toMatchObject([
      { kind: 'built-for', kernels: ['6.1.100-1.el9.x86_64', RELEASE.old] },
    ]);
    expect((await report(run)).blame).toEqual([]);
  });

  /** A hub on which the rpms of kmod-alpha require more. */
  const requiring =
    (name: string, version: string): NonNullable<StageOptions['around']> =>
    ({ hub, store }) => {
      const readAll = async (calls: readonly Call<unknown>[]) =>
        (await hub.readAll(calls)).map((answer, i) => {
          const { rpmID } = (calls[i]?.params.at(-1) ?? {}) as { rpmID?: number };
          const rpm = stage.world.state.rpms.find(({ id }) => id === rpmID);
          if (!answer.ok || calls[i]?.method !== 'getRPMHeaders' || rpm?.name !== 'kmod-alpha') return answer;
          const headers = answer.value as {
            REQUIRENAME: string[];
            REQUIREVERSION: string[];
            REQUIREFLAGS: number[];
          };
          const REQUIRENAME = [...headers.REQUIRENAME, name];
          const REQUIREVERSION = [...headers.REQUIREVERSION, version];
          const REQUIREFLAGS = [...headers.REQUIREFLAGS, 8];
          return { ok: true, value: { ...headers, REQUIRENAME, REQUIREVERSION, REQUIREFLAGS } };
        });
      return { store, hub: { ...hub, readAll: readAll as typeof hub.readAll } };
    };
  test('that requires another one by name cannot be installed with this one, though its symbols fit', async () => {
    const around = requiring('kernel-uname-r', RELEASE.old);
    const { verdict, reasons } = await play('symbols', FITTING, { around });
    expect(verdict).toBe('block');
    expect(reasons[0]).toBe(
      `kmod-alpha-1.0-1.el9: does not load on x86_64: it requires kernel-uname-r = ${RELEASE.old}, and this kernel has ${RELEASE.fresh}; it loads into ${OLD} as it is`,
    );
  });
  test('that requires what nothing tells of is inconclusive', async () => {
    const around = requiring('kabi-modules', RELEASE.old);
    const { verdict, reasons } = await play('symbols', { mode: 'observe', ...FITTING }, { around });
    expect(verdict).toBe('hold');
    expect(reasons[0]).toBe(
      `kmod-alpha-1.0-1.el9 (inconclusive): its symbols on x86_64 tell nothing: it requires of the kernel what nothing tells of this one; it requires kabi-modules = ${RELEASE.old}, and nothing tells whether this kernel has that`,
    );
  });
  test('that requires this one loads', async () => {
    const { verdict } = await play('symbols', FITTING, {
      around: requiring('kernel-uname-r', RELEASE.fresh),
    });
    expect(verdict).toBe('promote');
  });
});

test('a kernel for a level of the architecture loads what is built for the architecture', async () => {
  const around: StageOptions['around'] = ({ hub, store }) => {
    const levelled = <T>(answer: T): T =>
      Array.isArray(answer)
        ? (answer.map((rpm) =>
            rpm.arch === 'x86_64' && rpm.name.startsWith('kernel') ? { ...rpm, arch: 'x86_64_v2' } : rpm,
          ) as T)
        : answer;
    const read: typeof hub.read = async (call) => {
      const answer = await hub.read(call);
      return call.method === 'listBuildRPMs' ? levelled(answer) : answer;
    };
    return { store, hub: { ...hub, read } };
  };
  const { verdict, run } = await play('symbols', FITTING, { around });
  expect(verdict).toBe('promote');
  expect(run.symbols?.kmods[0]?.arches).toMatchObject([{ arch: 'x86_64', answer: 'compatible' }]);
});

describe('what an older version kept of rpms, which tells symbols alone', () => {
  const asked = () =>
    stage.server.requests.flatMap(({ inner }) => inner.filter((name) => name === 'getRPMHeaders')).length;
  /** A second run on NEW, after the store was made one of an older version. */
  async function again() {
    const ids = stage.world.state.rpms.map(({ id }) => id);
    const kept = await stage.store.rpmSymbols(ids);
    await stage.store.keepRpmSymbols(
      new Map([...kept].map(([id, { provides, requires }]) => [id, { provides, requires }])),
    );
    const before = asked();
    stage.world.as('kojiadmin').moveBuild('c9s-candidate', 'c9s-gate', NEW);
    await stage.until('a second run is over', async () => {
      const run = await stage.run(NEW);
      return run?.generation === 2 && run.closing;
    });
    const rows = await stage.store.rpmSymbols([...kept.keys()]);
    const whole = [...rows.values()].filter(({ packaging }) => packaging).length;
    return { rows: rows.size, whole, asked: asked() - before, run: await stage.run(NEW) };
  }
  test('is asked for again, once', async () => {
    await play('symbols', FITTING);
    const second = await again();
    expect(second.rows).toBeGreaterThan(3);
    expect(second).toMatchObject({ whole: second.rows, asked: second.rows });
    expect(second.run?.verdict?.verdict).toBe('promote');
  });
  test('does where the hub has the file no more', async () => {
    let gone = false;
    const around: StageOptions['around'] = ({ hub, store }) => ({
      store,
      hub: {
        ...hub,
        readAll: (async (calls: readonly Call<unknown>[]) =>
          (await hub.readAll(calls)).map((answer, i) =>
            gone && calls[i]?.method === 'getRPMHeaders'
              ? { ok: true, value: { PROVIDENAME: [], PROVIDEVERSION: [], PROVIDEFLAGS: [] } }
              : answer,
          )) as typeof hub.readAll,
      },
    });
    await play('symbols', FITTING, { around });
    gone = true;
    const second = await again();
    expect(second.whole).toBe(0);
    expect(second.run?.verdict?.verdict).toBe('promote');
  });
});

describe('symbols-then-rebuild', () => {
  test('spares the builds of what loads as it is; what builds anew is ok', async () => {
    const played = await play('symbols-then-rebuild', without('kmod-gamma'));
    expect(played.verdict).toBe('promote');
    expect(played.builds).toEqual([0, 1]);
    expect(played.reasons).toEqual([
      `1 of 2 kmods loads into ${NEW} as it is, 1 more builds against it`,
      'needs a rebuild: kmod-beta',
    ]);
  });
  test('blocks what neither loads nor builds', async () => {
    const played = await play('symbols-then-rebuild');
    expect(played.verdict).toBe('block');
    expect(played.outcomes).toEqual(['kmod-alpha ok', 'kmod-beta ok', 'kmod-gamma broken']);
    expect(played.builds).toEqual([0, 1, 1]);
  });
});

describe('symbols-and-rebuild', () => {
  test('blocks what builds but does not load', async () => {
    const played = await play('symbols-and-rebuild', without('kmod-gamma'));
    expect(played.verdict).toBe('block');
    expect(played.outcomes).toEqual(['kmod-alpha ok', 'kmod-beta broken']);
    expect(played.builds).toEqual([1, 1]);
  });
});

describe('a stablelist', () => {
  const list = (...symbols: string[]) => ({ symbols: { x86_64: symbols } });

  test('blocks a kernel that breaks the promise, although every kmod builds', async () => {
    const stablelist = { effect: 'block', ...list('seq_printf', 'kfree', 'pci_clear_master') } as const;
    const { verdict, reasons, run } = await play('rebuild', { stablelist, ...without('kmod-gamma') });
    expect(verdict).toBe('block');
    expect(reasons).toEqual([
      `stablelist: since ${OLD} 2 listed symbols changed or went on x86_64 (pci_clear_master, seq_printf)`,
      `2 of 2 kmods build against ${NEW}`,
    ]);
    expect(run.symbols?.change?.arches).toEqual([
      {
        arch: 'x86_64',
        common: 5,
        added: 0,
        removed: 1,
        changed: 1,
        everything: false,
        listed: [
          { symbol: 'pci_clear_master', before: 0x453af477, after: null, provider: 'kernel-core' },
          { symbol: 'seq_printf', before: 0xac8427d8, after: 0x2529ebe1, provider: 'kernel-core' },
        ],
      },
    ]);
  });
  test('is named in the report of the symbols that hit kmods', async () => {
    const { run } = await play('symbols', { stablelist: { effect: 'warn', ...list('seq_printf') } });
    const { blame } = await report(run);
    expect(blame?.map(({ symbol, listed }) => [symbol, listed])).toEqual([
      ['pci_clear_master', false],
      ['seq_printf', true],
    ]);
  });
  test('only tells of it where it shall only warn', async () => {
    const stablelist = { effect: 'warn', ...list('seq_printf') } as const;
    const { verdict, reasons } = await play('rebuild', { stablelist, ...without('kmod-gamma') });
    expect(verdict).toBe('promote');
    expect(reasons[0]).toBe(
      `stablelist (warning): since ${OLD} 1 listed symbol changed or went on x86_64 (seq_printf)`,
    );
  });
  test('of symbols that stayed as they were is kept', async () => {
    const stablelist = { effect: 'block', symbols: { '*': ['kfree', 'never_was_there'] } } as const;
    const { verdict, reasons } = await play('symbols', { stablelist, ...without('kmod-beta', 'kmod-gamma') });
    expect(verdict).toBe('promote');
    expect(reasons[0]).toBe(`stablelist: kept since ${OLD}`);
  });
  test('that has none for an architecture does not keep it: the kernel is held', async () => {
    stage = await setStage({
      gate: {
        strategy: 'symbols',
        stablelist: { effect: 'block', symbols: { s390x: ['kfree'] } },
        ...FITTING,
      },
    });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('a verdict', async () => (await stage.run(NEW))?.verdict);
    expect((await stage.run(NEW))?.verdict).toMatchObject({
      verdict: 'hold',
      reasons: [`stablelist: since ${OLD} there is no list for x86_64`, expect.any(String)],
    });
  });
  describe('with CRCs', () => {
    const [THEN, NOW] = [0xac8427d8, 0x2529ebe1];
    const withCrcs = (crcs: Readonly<Record<string, number>>, arch = 'x86_64') => ({
      effect: 'block' as const,
      symbols: { '*': Object.keys(crcs) },
      exports: {
        [arch]: new Map(
          Object.entries(crcs).map(([name, crc]) => [name, { name, crc, provider: 'vmlinux' }] as const),
        ),
      },
    });
    const KFREE = 0x037a0cba;
    /** Nothing has passed before. */
    const FIRST = { on_pass: { tag: ['kmods9s-gate-dest'], untag: [] }, mode: 'observe' } as const;

    test('is kept by the CRCs that it has, with no kernel to compare with', async () => {
      const stablelist = withCrcs({ kfree: KFREE, seq_printf: NOW });
      const first = await play('rebuild', { stablelist, ...FIRST, ...FITTING });
      expect([first.verdict, first.reasons[0]]).toEqual([
        'promote',
        'stablelist: kept, with the CRCs that it has',
      ]);
    });
    test('is kept where a kernel is as it has it again, though the last one was not', async () => {
      const stablelist = withCrcs({ kfree: KFREE, seq_printf: NOW });
      const { verdict, reasons } = await play('rebuild', { stablelist, ...FITTING });
      expect([verdict, reasons[0]]).toEqual(['promote', 'stablelist: kept, with the CRCs that it has']);
    });
    test('is broken by another CRC and by what is gone, and both CRCs are told', async () => {
      const stablelist = withCrcs({ kfree: 1, seq_printf: NOW, never_was_there: 2 });
      const { verdict, reasons, run } = await play('rebuild', { stablelist, ...FIRST, ...FITTING });
      expect([verdict, reasons[0]]).toEqual([
        'block',
        "stablelist: 2 listed symbols are not as the list has them on x86_64 (never_was_there: listed CRC 0x00000002, gone, kfree: listed CRC 0x00000001, kernel's 0x037a0cba)",
      ]);
      expect((await report(run)).since_list).toEqual([
        {
          arch: 'x86_64',
          listed: [
            { symbol: 'never_was_there', before: 2, after: null, provider: 'vmlinux' },
            { symbol: 'kfree', before: 1, after: KFREE, provider: 'kernel-core' },
          ],
        },
      ]);
    });
    test('is named in the report of the symbols that hit kmods', async () => {
      const { run } = await play('symbols', { stablelist: withCrcs({ seq_printf: THEN }) });
      const { blame } = await report(run);
      expect(blame?.flatMap(({ symbol, listed }) => (listed ? symbol : []))).toEqual(['seq_printf']);
    });
    test('on another architecture counts there alone: here what changes since the baseline does', async () => {
      const stablelist = withCrcs({ seq_printf: THEN }, 's390x');
      const { verdict, reasons } = await play('rebuild', { stablelist, ...FITTING });
      expect([verdict, reasons[0]]).toEqual([
        'block',
        `stablelist: since ${OLD} 1 listed symbol changed or went on x86_64 (seq_printf)`,
      ]);
    });
    test('tells nothing of what an rpm may have that cannot be read', async () => {
      const wifi = { wifi_a: 'kernel-modules-wireless' };
      const unread = (change: Partial<Kernel>) => (small: Scenario) => {
        const world = withRpms({ [OLD]: { symbols: wifi }, [NEW]: { symbols: wifi } }, [])(small);
        const kernels = world.kernels.map((it) => (it.nvr === NEW ? { ...it, ...change } : it));
        return { ...world, kernels };
      };
      const scenario = unread({ unreadable: ['kernel-modules-wireless'] });
      const stablelist = withCrcs({ kfree: KFREE, wifi_a: 1 });
      const { verdict, reasons } = await play(
        'symbols',
        { mode: 'observe', stablelist, ...FITTING },
        { scenario },
      );
      expect(verdict).toBe('hold');
      expect(reasons[0]).toMatch(
        /^stablelist: nothing is known of 1 listed symbol on x86_64: 1 of its rpms cannot be read: /,
      );
    });
  });
  test('blocks with no kmod at all', async () => {
    const stablelist = { effect: 'block', ...list('seq_printf') } as const;
    const { verdict } = await play('rebuild', { stablelist, ...without('kmod-*') });
    expect(verdict).toBe('block');
  });
  test('says that there is nothing to compare with before a first kernel has passed', async () => {
    const stablelist = { effect: 'block', ...list('seq_printf') } as const;
    const { verdict, reasons } = await play('rebuild', {
      stablelist,
      on_pass: { tag: ['kmods9s-gate-dest'], untag: [] },
      mode: 'observe',
      ...without('kmod-gamma'),
    });
    expect(verdict).toBe('promote');
    expect(reasons[0]).toBe('stablelist: no kernel has passed yet to compare with');
  });
});
