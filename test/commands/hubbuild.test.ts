/** `kmod-gate check` and `diff` on builds of a hub: kernels, kmods, and all kmods of a tag. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CheckOptions, check, diff } from '../../src/commands/check.ts';
import { CheckError, UnreadError } from '../../src/commands/error.ts';
import type { Output } from '../../src/commands/text.ts';
import type { Config } from '../../src/config/config.ts';
import { type Kernel, type Kmod, loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { NEW, OLD, SMALL } from '../scenarios/stage.ts';
import { checked, checkedJson, hubConfig, JOOL, kernel, told } from './checked.ts';

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-hubbuild-'));
afterAll(() => rmSync(folder, { recursive: true }));
/** The symbols of the small hub's kernels and kmods, in files. */
const small = (name: string) => fileURLToPath(new URL(`../sim/small/${name}`, import.meta.url));

/** What a command tells of a hub of its own. */
async function toldOf(
  world: Scenario,
  command: (output: Output, config: () => Promise<Config>) => Promise<boolean>,
) {
  const server = await serveWorld(createWorld(world));
  try {
    return await told((output) => command(output, async () => hubConfig(server.url)));
  } finally {
    await server.close();
  }
}

describe('builds on the hub', () => {
  let server: WorldServer;
  /** kmod-beta is built for rt too, against a kernel that has none of the CRCs. */
  const withVariant = (small: Scenario): Scenario => ({
    ...small,
    kmods: small.kmods.map((of) =>
      of.name === 'kmod-beta'
        ? { ...of, variants: { rt: of.imports.map((symbol) => ({ ...symbol, crc: '0x00000bad' })) } }
        : of,
    ),
  });
  beforeAll(async () => {
    server = await serveWorld(createWorld(withVariant(loadScenario(SMALL))));
  });
  afterAll(() => server.close());
  const config = async () => hubConfig(server.url);
  const BETA = 'kmod-beta-2.1-3.el9';

  test('a kernel is read by its NVR or build id', async () => {
    const options = { kmods: [small('beta.modversions')], config };
    expect(await checkedJson({ kernel: [OLD], ...options })).toMatchObject({
      kernel: { symbols: 6 },
      kmods: [{ outcome: 'compatible' }],
    });
    expect(await checkedJson({ kernel: ['1'], ...options })).toMatchObject({ kernel: { symbols: 6 } });
  });
  test('a kernel that is not there, or not for that architecture, is told', async () => {
    const options = { kmods: [small('beta.modversions')], config };
    await expect(checked({ kernel: ['kernel-1-1'], ...options })).rejects.toThrow(
      /the hub has no such build$/,
    );
    await expect(checked({ kernel: [OLD], arch: 's390x', ...options })).rejects.toThrow(
      /its rpms provide no symbol for s390x, but for x86_64: see --arch$/,
    );
  });

  test('a kmod too, by NVR or id, of which the rpms for that kernel count', async () => {
    const id = createWorld(withVariant(loadScenario(SMALL))).build('kmod-gamma-0.8-1.el9')?.id;
    const result = await checkedJson({ kernel: [OLD], kmods: [BETA, String(id)], config });
    expect(result.kmods).toMatchObject([
      { name: BETA, imports: 2, outcome: 'compatible' },
      { name: 'kmod-gamma-0.8-1.el9', imports: 3, outcome: 'compatible' },
    ]);
  });
  test('kmods against files, and beside files', async () => {
    const { kmods } = await checkedJson({
      kernel: [small('6.1.176.symvers')],
      kmods: ['kmod-gamma-0.8-1.el9', small('alpha.modversions')],
      config,
    });
    expect(kmods).toMatchObject([
      { name: 'alpha', outcome: 'compatible' },
      { name: 'kmod-gamma-0.8-1.el9', outcome: 'incompatible', missing: [{ symbol: 'pci_clear_master' }] },
    ]);
  });
  test('kmods behind the kernel, as a shell hands them over', async () => {
    const { kmods } = await checkedJson({ kernel: [OLD, BETA, small('alpha.modversions')], config });
    expect(kmods).toMatchObject([{ name: 'alpha' }, { name: BETA }]);
  });
  test('a file of that name wins', async () => {
    const here = process.cwd();
    process.chdir(folder);
    try {
      writeFileSync(BETA, readFileSync(small('alpha.modversions')));
      expect(await checkedJson({ kernel: [kernel('6.1.170')], kmods: [BETA] })).toMatchObject({
        kmods: [{ name: BETA }],
      });
    } finally {
      process.chdir(here);
    }
  });
  test.each<[string, Partial<CheckOptions>, RegExp]>([
    ['that is not there', { kmods: ['kmod-beta-9-9'] }, /^kmod-beta-9-9: there is no such file, and the hub/],
    [
      'that has nothing for that architecture',
      { kernel: [small('6.1.176.symvers')], kmods: [BETA], arch: 's390x' },
      /^kmod-beta-2\.1-3\.el9: it has no rpm for s390x, but for x86_64: see --arch$/,
    ],
    [
      'for several variants, and the kernel does not tell which it is',
      { kernel: [small('6.1.176.symvers')], kmods: [BETA] },
      /^kmod-beta-2\.1-3\.el9: it has rpms for several variants of the kernel \(plain, rt\): see --variant$/,
    ],
  ])('a kmod %s is told', async (_, options, expected) => {
    await expect(checked({ kernel: [OLD], config, ...options })).rejects.toThrow(expected);
  });
  test('the variant of a kernel in files may be told', async () => {
    const options = { kernel: [small('6.1.176.symvers')], kmods: [BETA], variant: 'rt', config };
    expect(await checkedJson(options)).toMatchObject({
      kmods: [{ changed: [{ required: '0x00000bad' }, { required: '0x00000bad' }] }],
    });
  });
});

describe('the kmods of a tag', () => {
  /** With a tag that inherits the kmods, a build of tools alone, and kernels; and one of kernels alone. */
  const withTags = (small: Scenario): Scenario => ({
    ...small,
    tags: small.tags.flatMap((tag) => {
      if (tag.name === 'kmods9s-release') return { ...tag, packages: [...tag.packages, 'tools'] };
      if (tag.name !== 'c9s-frozen') return tag;
      const open = { ...tag, packages: [], locked: false };
      return [
        { ...open, name: 'all', inherits: ['kmods9s-release', 'c9s-build'] },
        { ...open, name: 'kernels', inherits: ['c9s-build'] },
      ];
    }),
    kmods: small.kmods.flatMap((of) =>
      of.name === 'kmod-alpha' ? [of, { ...of, name: 'tools', imports: [] }] : of,
    ),
  });
  let world: World;
  let server: WorldServer;
  beforeEach(async () => {
    world = createWorld(withTags(loadScenario(SMALL)));
    server = await serveWorld(world);
    return () => server.close();
  });
  const config = async () => hubConfig(server.url);
  const NEW_SYMBOLS = small('6.1.176.symvers');

  test('are all builds whose rpms need symbols, inherited ones too, asked for in few requests', async () => {
    const options = { kernel: [NEW_SYMBOLS], kmodsTag: 'all', config };
    const { kmods, passed_over } = await checkedJson(options);
    expect(kmods).toMatchObject([
      { name: 'kmod-alpha-1.0-1.el9', outcome: 'compatible' },
      { name: 'kmod-beta-2.1-3.el9', outcome: 'incompatible' },
      { name: 'kmod-gamma-0.8-1.el9', outcome: 'incompatible' },
    ]);
    // The kernel, and the tools.
    expect(passed_over).toEqual({ 'builds that are no kmods': 2 });
    expect(server.requests.map(({ method }) => method)).toEqual([
      'getLatestBuilds',
      'multiCall',
      'multiCall',
    ]);
  });
  test('stand beside those that are named, each once', async () => {
    const result = await checkedJson({
      ...{ kernel: [OLD], kmods: [JOOL, 'kmod-beta-2.1-3.el9'], kmodsTag: 'kmods9s-release', config },
    });
    expect(result.kmods.map(({ name }: { name: string }) => name)).toEqual([
      ...[
        'kmod-jool-dkms-4.1.9-1.el9',
        'kmod-beta-2.1-3.el9',
        'kmod-alpha-1.0-1.el9',
        'kmod-gamma-0.8-1.el9',
      ],
    ]);
  });
  test('of which an rpm cannot be read are told, and are not fine', async () => {
    const i = world.state.rpms.findIndex(({ name, arch }) => name === 'kmod-alpha' && arch === 'x86_64');
    const rpm = world.state.rpms[i];
    if (rpm) world.state.rpms[i] = { ...rpm, provides: [] };
    const { text, error } = await told((output) =>
      check(output, { kernel: [NEW_SYMBOLS], kmods: [], kmodsTag: 'all', json: true, config }),
    );
    const problem = expect.stringMatching(
      /^getRPMHeaders: the hub has no file of kmod-alpha-1\.0-1\.el9\.x86_64 /,
    );
    expect((error as UnreadError).problems).toEqual([problem]);
    const { kmods, unread } = JSON.parse(text);
    expect(kmods.map(({ name }: { name: string }) => name)).toEqual([
      'kmod-beta-2.1-3.el9',
      'kmod-gamma-0.8-1.el9',
    ]);
    expect(unread).toEqual([{ file: 'kmod-alpha-1.0-1.el9.x86_64.rpm', problem }]);
  });
  test('of which none can be read: that is said, and not that there is none', async () => {
    for (const [i, rpm] of world.state.rpms.entries())
      if (rpm.name.startsWith('kmod-')) world.state.rpms[i] = { ...rpm, provides: [] };
    const { text, error } = await told((output) =>
      check(output, { kernel: [NEW_SYMBOLS], kmods: [], kmodsTag: 'all', json: true, config }),
    );
    expect((error as UnreadError).problems).toHaveLength(3);
    expect(JSON.parse(text)).toMatchObject({ kmods: [], unread: { length: 3 } });
  });
  test('a tag without any, and one that is not there, are told', async () => {
    const options = { kernel: [NEW_SYMBOLS], config };
    await expect(checked({ ...options, kmodsTag: 'kernels' })).rejects.toThrow(
      '--kmods-tag kernels: there is no kmod for x86_64 in it (passed over: 1 build that is no kmod)',
    );
    await expect(checked({ ...options, kmodsTag: 'nowhere' })).rejects.toThrow(/getLatestBuilds: .*nowhere/);
  });
});

describe('a build on the hub of which an rpm cannot be read', () => {
  const WIFI = 'kernel-modules-wireless';
  const wifi = ['wifi_scan', 'wifi_stop'].map((name) => ({
    ...{ name, crc: '0x0000beef', vmlinux: false, rpm: WIFI },
  }));
  /** kmod-gamma needs wifi_scan too. */
  const scenario = (change: (kernel: Kernel) => Partial<Kernel>, gamma: Partial<Kmod> = {}) => {
    const small = loadScenario(SMALL);
    const more = small.kernels.map((kernel) => ({
      ...kernel,
      built: true,
      tags: [],
      symbols: [...kernel.symbols, ...wifi],
    }));
    return {
      ...small,
      arches: ['x86_64', 'aarch64'],
      kernels: more.map((kernel) => ({ ...kernel, ...change(kernel) })),
      kmods: small.kmods.map((kmod) => {
        const imports = [...kmod.imports, { name: 'wifi_scan', crc: '0x0000beef' }];
        return kmod.name === 'kmod-gamma' ? { ...kmod, imports, ...gamma } : kmod;
      }),
    };
  };
  const ofKernel = (nvr: string) => scenario((kernel) => (kernel.nvr === nvr ? { unreadable: [WIFI] } : {}));
  const checking = (options: Partial<CheckOptions>) => (output: Output, config: () => Promise<Config>) =>
    check(output, { kernel: [OLD], kmods: [GAMMA, ALPHA], json: false, config, ...options });
  const [GAMMA, ALPHA] = ['kmod-gamma-0.8-1.el9', 'kmod-alpha-1.0-1.el9'] as const;
  const PROBLEM = new RegExp(`^getRPMHeaders: the hub has no file of ${WIFI}-6\\.1\\.170-47\\.el9\\.x86_64 `);

  test('the kernel: what can be told is, and what may be in that rpm is not gone', async () => {
    const { text, error } = await toldOf(ofKernel(OLD), checking({}));
    expect(error).toBeInstanceOf(UnreadError);
    expect((error as UnreadError).problems).toEqual([expect.stringMatching(PROBLEM)]);
    expect(text).toMatch(
      /^The kernel may export more than that: 1 of its rpms cannot be read: getRPMHeaders/m,
    );
    expect(text).toMatch(/^kmod-alpha-1\.0-1\.el9 .* compatible *$/m);
    expect(text).toMatch(
      /^kmod-gamma-0\.8-1\.el9 +4 +1 +0 +inconclusive +the kernel may have what it misses: not all/m,
    );
    expect(text).not.toContain('gone');
  });
  test('what changed has changed all the same, and what is not there is not known', async () => {
    const imports = [
      { name: 'seq_printf', crc: '0x00000bad' },
      { name: 'wifi_scan', crc: '0x0000beef' },
    ];
    const world = ofKernel(OLD);
    const kmods = world.kmods.map((kmod) => ({ ...kmod, imports }));
    const { text } = await toldOf({ ...world, kmods }, checking({ kmods: [GAMMA] }));
    expect(text).toMatch(/^kmod-gamma-0\.8-1\.el9 +2 +1 +1 +incompatible *$/m);
    expect(text).toMatch(/^wifi_scan +0x0000beef → not known +- +kmod-gamma/m);
  });
  test('as JSON it is among what is unread', async () => {
    const { text } = await toldOf(ofKernel(OLD), checking({ json: true }));
    expect(JSON.parse(text)).toMatchObject({
      kernel: { partial: expect.stringMatching(/^1 of its rpms cannot be read/) },
      kmods: [{ outcome: 'inconclusive' }, { outcome: 'compatible' }],
      unread: [{ file: `${WIFI}-6.1.170-47.el9.x86_64.rpm`, problem: expect.stringMatching(PROBLEM) }],
    });
  });
  test.each([
    [OLD, 'baseline', /^The baseline may export more than that: 1 of its rpms/m, ' 0 added, 1 removed,'],
    [NEW, 'kernel', /^The kernel may export more than that: 1 of its rpms/m, ' 0 added, 0 removed,'],
  ])('diff, %s is the %s: what is not known is neither new nor gone', async (nvr, _, partial, counts) => {
    const options = { json: false, arch: 'x86_64' };
    const { text, error } = await toldOf(ofKernel(nvr), (output, config) =>
      diff(output, [OLD, NEW], { ...options, config }),
    );
    expect(error).toBeInstanceOf(UnreadError);
    expect(text).toMatch(partial);
    expect(text).toContain(counts);
    expect(text).not.toContain('wifi_');
  });
  test('none for an architecture can be read: that is said, and not that it is for others', async () => {
    const parts = ['kernel-core', 'kernel-modules', WIFI].map((name) => `${name}.x86_64`);
    const world = scenario(() => ({ unreadable: parts }));
    const { error } = await toldOf(world, checking({}));
    expect(error).toBeInstanceOf(CheckError);
    expect(String(error)).toMatch(
      /kernel-6\.1\.170-47\.el9: nothing tells its symbols for x86_64: 3 of its rpms cannot be read: getRPMHeaders: /,
    );
    // What is damaged for another architecture is nobody's trouble here.
    const { text } = await toldOf(world, checking({ arch: 'aarch64' }));
    expect(text).toMatch(/^kmod-gamma-0\.8-1\.el9 .* compatible *$/m);
  });
  test('a kmod: the others are compared, and it is told last', async () => {
    const world = scenario(() => ({}), { unreadable: ['kmod-gamma'] });
    const { text, error } = await toldOf(world, checking({}));
    expect((error as UnreadError).problems).toEqual([
      expect.stringMatching(/^getRPMHeaders: the hub has no file of kmod-gamma-0\.8-1\.el9\.x86_64 /),
    ]);
    expect(text).toMatch(/^kmod-alpha-1\.0-1\.el9 .* compatible *$/m);
    expect(text).not.toContain('kmod-gamma');
  });
  test('a kmod: what another one has of nobody may be had of it', async () => {
    const world = scenario(() => ({}), { unreadable: ['kmod-gamma'] });
    const list = (name: string, symbol: string) => {
      const file = join(folder, `${name}.modversions`);
      writeFileSync(file, `0x00000001\t${symbol}\n0x160c03af\tmodule_layout\n`);
      return file;
    };
    const kmods = [GAMMA, list('needs-gamma', 'gamma_has_it'), list('changed', 'seq_printf')];
    const { text } = await toldOf(world, checking({ kmods }));
    expect(text).toMatch(
      /^needs-gamma +2 +1 +0 +inconclusive +what it misses may be of a kmod that cannot be/m,
    );
    expect(text).toMatch(/^changed +2 +0 +1 +incompatible *$/m);
    const all = await toldOf(world, checking({ kmods: kmods.slice(1) }));
    expect(all.text).toMatch(/^needs-gamma +2 +1 +0 +incompatible *$/m);
  });
});

describe('an rpm of a kernel that gives no symbol, and whose namesake gives a thousand', () => {
  const EXTRA = 'kernel-modules-extra';
  const many = Array.from({ length: 1000 }, (_, i) => ({
    ...{ name: `m_${i}`, crc: '0x00000001', rpm: EXTRA, vmlinux: false },
  }));
  /** @param damaged the kernel whose rpm gives none */
  const scenario = (damaged: string): Scenario => {
    const { kernels, kmods, ...rest } = loadScenario(SMALL);
    return {
      ...rest,
      kernels: kernels.map((kernel) => ({
        ...{ ...kernel, built: true },
        ...(kernel.nvr === damaged ? { others: [EXTRA] } : { symbols: [...kernel.symbols, ...many] }),
      })),
      kmods: kmods.map((of) => ({ ...of, imports: [...of.imports, { name: 'm_7', crc: '0x00000001' }] })),
    };
  };
  const ALPHA = 'kmod-alpha-1.0-1.el9';

  test('of the kernel: what it gave is not gone, and that is told last', async () => {
    const { text, error } = await toldOf(scenario(NEW), (output, config) =>
      check(output, { kernel: [NEW], baseline: [OLD], kmods: [ALPHA], json: false, config }),
    );
    expect((error as UnreadError).problems).toEqual([
      `${EXTRA} provides no symbol, and that of the baseline provided 1000`,
    ]);
    expect(text).toMatch(
      /^kmod-alpha-1\.0-1\.el9 +4 +1 +0 +inconclusive +the kernel may have what it misses/m,
    );
    expect(text).toContain(' 0 added, 0 removed,');
    expect(text).not.toContain('gone');
  });
  test.each([
    [OLD, '0 added, 1 removed,'],
    [NEW, '0 added, 0 removed,'],
  ])('diff, %s is damaged: neither new nor gone', async (damaged, counts) => {
    const { text, error } = await toldOf(scenario(damaged), (output, config) =>
      diff(output, [OLD, NEW], { json: false, config }),
    );
    expect(error).toBeInstanceOf(UnreadError);
    expect(text).toContain(counts);
  });
});
