/** `kmod-gate check` and `diff` on four real kernels and twelve real kmods, which the demo has too. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CheckOptions, check, diff } from '../../src/commands/check.ts';
import { CheckError, UnreadError } from '../../src/commands/error.ts';
import type { Output } from '../../src/commands/text.ts';
import type { Config } from '../../src/config/config.ts';
import { type Kernel, type Kmod, loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { NEW, OLD, SMALL } from '../scenarios/stage.ts';

const DEMO = fileURLToPath(new URL('../../config/demo/', import.meta.url));
const kernel = (version: string) => join(DEMO, `${version}.symvers.gz`);
const KMODS = join(DEMO, 'kmods');
const kmod = (name: string) => join(KMODS, `${name}.modversions`);
const JOOL = kmod('kmod-jool-dkms-4.1.9-1.el9');

const noConfig = async (): Promise<Config> => {
  throw new Error('no configuration is needed');
};

/** What a command printed, and its answer. */
async function run(command: (output: { write(text: string): void; colour: false }) => Promise<boolean>) {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const answer = await command({ write, colour: false });
  return { answer, text };
}
const checked = (options: Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>) =>
  run((output) => check(output, { kmods: [], json: false, config: noConfig, ...options }));
const checkedJson = async (options: Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>) =>
  JSON.parse((await checked({ json: true, ...options })).text);
const compared = (older: string, newer: string, options: { json?: boolean; stablelist?: string } = {}) =>
  run((output) => diff(output, [older, newer], { json: false, config: noConfig, ...options }));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-check-'));
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'stable'), '[list]\n\tmodule_layout\n\tkfree\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('check', () => {
  test('of the kernel that they were built against: all are compatible', async () => {
    const { answer, text } = await checked({ kernel: [kernel('6.1.170')], kmods: [KMODS] });
    expect(answer).toBe(true);
    expect(text.match(/ compatible$/gm)).toHaveLength(12);
    expect(text).toContain('The kernel exports 24618 symbols.');
  });

  test('of the next kernel: what changed, how many of it each needs, and which symbol hits most', async () => {
    const { answer, text } = await checked({
      kernel: [kernel('6.1.176')],
      baseline: [kernel('6.1.170')],
      kmods: [KMODS],
    });
    expect(answer).toBe(false);
    expect(text).toContain('Since the baseline, of 24618 symbols: 7 added, 3 removed, 18107 changed.');
    expect(text).toMatch(/^kmod-jool-dkms-4\.1\.9-1\.el9 +126 +0 +53 +incompatible$/m);
    expect(text).toMatch(/^module_layout +0x160c03af → 0xbce1a965 +vmlinux +kmod-acpi-call.* and 9 more$/m);
  });

  test('of a kernel with all CRCs anew: no kmod loads, and why is said of those large enough to tell', async () => {
    const symvers = gunzipSync(readFileSync(kernel('6.1.170'))).toString();
    const rebuilt = join(folder, 'rebuilt.symvers');
    writeFileSync(
      rebuilt,
      symvers.replaceAll(/^0x(.)/gm, (_, digit) => `0x${digit === '0' ? 1 : 0}`),
    );
    const { answer, text } = await checked({
      kernel: [rebuilt],
      baseline: [kernel('6.1.170')],
      kmods: [KMODS],
    });
    expect(answer).toBe(false);
    expect(text).toContain('Nearly every CRC changed: the compiler or the CRC generator did, not the code.');
    expect(text.match(/ incompatible( |$)/gm)).toHaveLength(12);
    expect(text).toMatch(
      /^kmod-jool-dkms-4\.1\.9-1\.el9 .* incompatible +not one CRC fits: it was built for another kernel or variant, or by another compiler or generator of CRCs$/m,
    );
    expect(text).not.toContain('Symbols that are not as kmods need them');
  });

  test('as JSON: counts, and each symbol with its CRCs', async () => {
    const result = await checkedJson({
      kernel: [kernel('6.1.176')],
      baseline: [kernel('6.1.170')],
      kmods: [JOOL],
    });
    expect(result).toMatchObject({
      kernel: { symbols: 24622 },
      baseline: { symbols: 24618, added: 7, removed: 3, changed: 18107 },
      kmods: [{ name: 'kmod-jool-dkms-4.1.9-1.el9', imports: 126, missing: [], outcome: 'incompatible' }],
    });
    expect(result.kmods[0].changed).toHaveLength(53);
    expect(result.kmods[0].changed).toContainEqual({
      symbol: 'module_layout',
      required: '0x160c03af',
      provided: '0xbce1a965',
      provider: 'vmlinux',
    });
  });

  test('all that a small kmod needs is gone: incompatible where the baseline had it, else nothing is told', async () => {
    const file = (name: string, ...lines: string[]) => {
      writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
      return join(folder, name);
    };
    const options = {
      kernel: [file('now.symvers', '0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL')],
      kmods: [file('small.modversions', '0x00000002\tgone_1', '0x00000003\tgone_2')],
    };
    const then = ['0x00000002\tgone_1\tvmlinux\tEXPORT_SYMBOL', '0x00000003\tgone_2\tvmlinux\tEXPORT_SYMBOL'];
    const baseline = [file('then.symvers', ...then)];
    const { answer, text } = await checked({ ...options, baseline });
    expect(answer).toBe(false);
    expect(text).toMatch(/^small +2 +2 +0 +incompatible$/m);
    expect(text).toMatch(/^gone_1 +0x00000002 → gone +- +small$/m);
    const cause = 'nothing that it needs is in this kernel: wrong architecture, variant or kernel';
    expect(await checkedJson(options)).toMatchObject({ kmods: [{ outcome: 'inconclusive', cause }] });
    const other = file('other.symvers', then[0] ?? '', '0x00000009\tgone_2\tvmlinux\tEXPORT_SYMBOL');
    const result = await checkedJson({ ...options, baseline: [other] });
    expect(result).toMatchObject({ kmods: [{ outcome: 'inconclusive', cause }] });
  });

  test('takes kmods behind the files of the kernel, as a shell hands them over', async () => {
    expect(await checkedJson({ kernel: [kernel('6.1.170'), JOOL, KMODS] })).toMatchObject({
      kernel: { symbols: 24618 },
      kmods: { length: 13 },
    });
  });

  test('goes into folders, and along links', async () => {
    const modules = join(folder, 'weak-updates', 'deep');
    mkdirSync(modules, { recursive: true });
    symlinkSync(JOOL, join(modules, 'jool.modversions'));
    const options = { kernel: [kernel('6.1.170')], kmods: [join(folder, 'weak-updates')] };
    expect(await checkedJson(options)).toMatchObject({ kmods: [{ imports: 126, outcome: 'compatible' }] });
  });

  test('a list of nothing but a kernel and its baseline is a comparison of kernels', async () => {
    const { answer } = await checked({ kernel: [kernel('6.1.192')], baseline: [kernel('6.1.187')] });
    expect(answer).toBe(true);
  });

  test('a listed symbol that changed is a no, though every kmod loads', async () => {
    const options = { kernel: [kernel('6.1.176')], baseline: [kernel('6.1.170')], kmods: [] };
    const { answer, text } = await checked({ ...options, stablelist: join(folder, 'stable') });
    expect(answer).toBe(false);
    expect(text).toContain('Stablelist: 1 listed symbols changed or went: module_layout');
  });

  test.each<[string, () => Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>, RegExp]>([
    [
      'no such kernel',
      () => ({ kernel: ['nope'], kmods: [JOOL] }),
      /^nope: there is no such file, and it is no build/,
    ],
    [
      'no such kmod',
      () => ({ kernel: [kernel('6.1.170')], kmods: ['nope'] }),
      /^nope: there is no such file, and it is no build of a hub either \(NAME-VERSION-RELEASE\)$/,
    ],
    ['no kmod', () => ({ kernel: [kernel('6.1.170')] }), /^no kmod to check: name rpms/],
    [
      'nothing but kmods',
      () => ({ kernel: [KMODS] }),
      /^--kernel: .*kmods is a kmod's; name Module\.symvers/,
    ],
    [
      'an empty folder',
      () => ({ kernel: [join(folder, 'empty')] }),
      /empty: there is no file in this folder$/,
    ],
    [
      'a kernel that is a stablelist',
      () => ({ kernel: [join(folder, 'stable')], kmods: [JOOL] }),
      /no kernel symbol in it; take kernel-core and kernel-modules rpms/,
    ],
    [
      'files of two kernels',
      () => ({ kernel: [kernel('6.1.170'), kernel('6.1.176')], kmods: [JOOL] }),
      /another has .*; take the files of one kernel$/,
    ],
    [
      'a stablelist that is a kmod',
      () => ({
        kernel: [kernel('6.1.170')],
        baseline: [kernel('6.1.170')],
        kmods: [JOOL],
        stablelist: JOOL,
      }),
      /: holds no stablelist$/,
    ],
    [
      'a stablelist with nothing to compare with',
      () => ({ kernel: [kernel('6.1.170')], kmods: [JOOL], stablelist: join(folder, 'stable') }),
      /^--stablelist tells what must not change: name with --baseline/,
    ],
    [
      'a kmod among the files of the kernel',
      () => ({ kernel: [kernel('6.1.170'), JOOL], kmods: [KMODS] }),
      /kmod-jool-dkms.*: is a kmod's, not a kernel's; put all kmods behind --$/,
    ],
    [
      'an rpm that is not there',
      () => ({ kernel: ['kernel-core-6.1.170-47.el9.x86_64.rpm'], kmods: [JOOL] }),
      /^kernel-core-.*\.rpm: there is no such file/,
    ],
  ])('%s is told', async (_, options, expected) => {
    await expect(checked(options())).rejects.toThrow(expected);
  });
});

describe('diff', () => {
  test('of equal kernels is a yes', async () => {
    const { answer, text } = await compared(kernel('6.1.187'), kernel('6.1.187'));
    expect(answer).toBe(true);
    expect(text).toBe('Since the baseline, of 24643 symbols: 0 added, 0 removed, 0 changed.\n');
  });
  test('tells what is gone, what changed, and where', async () => {
    const { answer, text } = await compared(kernel('6.1.170'), kernel('6.1.176'));
    expect(answer).toBe(false);
    expect(text).toMatch(/^Most are in vmlinux \(\d+\)/m);
    expect(text.match(/^- /gm)).toHaveLength(3);
    expect(text).toMatch(/^… and 18097 more; --json has them all$/m);
  });
  test('as JSON has all of it', async () => {
    const { text } = await compared(kernel('6.1.176'), kernel('6.1.187'), { json: true });
    const result = JSON.parse(text);
    expect(result.baseline).toMatchObject({ changed: result.changed.length, removed: result.removed.length });
    expect(result.changed[0]).toEqual({
      symbol: expect.any(String),
      before: expect.stringMatching(/^0x[0-9a-f]{8}$/),
      after: expect.stringMatching(/^0x[0-9a-f]{8}$/),
      provider: expect.any(String),
      stable: false,
    });
  });
});

describe('symbols with the same CRC that are exported in another way', () => {
  const VFS = 'VFS_internal_I_am_really_a_filesystem_and_am_NOT_a_driver';
  const file = (name: string, ...lines: string[]) => {
    const path = join(folder, name);
    writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
    return path;
  };
  const files = () => ({
    older: file(
      'older.symvers',
      '0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t',
      '0x22222222\tcc_mkdec\tvmlinux\tEXPORT_SYMBOL\t',
      '0x33333333\tfilp_open\tvmlinux\tEXPORT_SYMBOL\t',
    ),
    newer: file(
      'newer.symvers',
      '0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t',
      '0x22222222\tcc_mkdec\tvmlinux\tEXPORT_SYMBOL_GPL\t',
      `0x33333333\tfilp_open\tvmlinux\tEXPORT_SYMBOL\t${VFS}`,
    ),
    stablelist: file('listed', '[l]', '\tcc_mkdec', '\tfilp_open'),
  });
  test('diff lists what they were and are; the stablelist is broken', async () => {
    const { older, newer, stablelist } = files();
    const { answer, text } = await compared(older, newer, { stablelist });
    expect(answer).toBe(false);
    expect(text).toContain('0 added, 0 removed, 0 changed, 2 exported in another way.');
    expect(text).toContain('Stablelist: 2 listed symbols changed or went: cc_mkdec, filp_open');
    expect(text).toMatch(/^! cc_mkdec +EXPORT_SYMBOL → EXPORT_SYMBOL_GPL +vmlinux +listed$/m);
    expect(text).toMatch(new RegExp(`^! filp_open +no namespace → namespace ${VFS} +vmlinux +listed$`, 'm'));
  });
  test('the way back is told, and breaks nothing', async () => {
    const { older, newer, stablelist } = files();
    const { answer, text } = await compared(newer, older, { stablelist });
    expect(answer).toBe(true);
    expect(text).toContain('2 exported in another way.\nStablelist: kept\n');
    expect(text).toMatch(/^ {2}cc_mkdec +EXPORT_SYMBOL_GPL → EXPORT_SYMBOL +vmlinux +listed$/m);
  });
  test('check lists them too, and is a no by the stablelist alone', async () => {
    const { older, newer, stablelist } = files();
    const options = { kernel: [newer], baseline: [older], kmods: [] };
    expect((await checked(options)).answer).toBe(true);
    const { answer, text } = await checked({ ...options, stablelist });
    expect(answer).toBe(false);
    expect(text).toMatch(/^cc_mkdec +EXPORT_SYMBOL → EXPORT_SYMBOL_GPL +vmlinux +listed$/m);
  });
  test('JSON has all of it', async () => {
    const { older, newer, stablelist } = files();
    const { text } = await compared(older, newer, { stablelist, json: true });
    const reexported = [
      {
        ...{ symbol: 'cc_mkdec', provider: 'vmlinux', stable: true, narrower: true },
        before: { export_type: 'EXPORT_SYMBOL', namespace: '' },
        after: { export_type: 'EXPORT_SYMBOL_GPL', namespace: '' },
      },
      {
        ...{ symbol: 'filp_open', provider: 'vmlinux', stable: true, narrower: true },
        before: { export_type: 'EXPORT_SYMBOL', namespace: '' },
        after: { export_type: 'EXPORT_SYMBOL', namespace: VFS },
      },
    ];
    expect(JSON.parse(text)).toMatchObject({ baseline: { changed: 0, reexported: 2 }, reexported });
    const options = { kernel: [newer], baseline: [older], kmods: [] };
    expect(await checkedJson(options)).toMatchObject({
      baseline: { reexported: 2 },
      difference: { reexported: reexported.map((it) => ({ ...it, stable: false })) },
    });
  });
});

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
  const config = async () =>
    ({ koji: { server: server.url, authtype: 'noauth', timeout: 2_000 } }) as unknown as Config;
  const small = (name: string) => fileURLToPath(new URL(`../sim/small/${name}`, import.meta.url));
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
  async function told(
    world: Scenario,
    command: (output: Output, config: () => Promise<Config>) => Promise<boolean>,
  ) {
    const server = await serveWorld(createWorld(world));
    const koji = { server: server.url, authtype: 'noauth', timeout: 2_000 };
    try {
      let text = '';
      const write = (more: string) => {
        text += more;
      };
      const output = { write, colour: false } as const;
      const error = await command(output, async () => ({ koji }) as unknown as Config).then(
        () => null,
        (it: unknown) => it,
      );
      return { text, error };
    } finally {
      await server.close();
    }
  }
  const ofKernel = (nvr: string) => scenario((kernel) => (kernel.nvr === nvr ? { unreadable: [WIFI] } : {}));
  const checking = (options: Partial<CheckOptions>) => (output: Output, config: () => Promise<Config>) =>
    check(output, { kernel: [OLD], kmods: [GAMMA, ALPHA], json: false, config, ...options });
  const [GAMMA, ALPHA] = ['kmod-gamma-0.8-1.el9', 'kmod-alpha-1.0-1.el9'] as const;
  const PROBLEM = new RegExp(`^getRPMHeaders: the hub has no file of ${WIFI}-6\\.1\\.170-47\\.el9\\.x86_64 `);

  test('the kernel: what can be told is, and what may be in that rpm is not gone', async () => {
    const { text, error } = await told(ofKernel(OLD), checking({}));
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
    const { text } = await told({ ...world, kmods }, checking({ kmods: [GAMMA] }));
    expect(text).toMatch(/^kmod-gamma-0\.8-1\.el9 +2 +1 +1 +incompatible *$/m);
    expect(text).toMatch(/^wifi_scan +0x0000beef → not known +- +kmod-gamma/m);
  });
  test('as JSON it is among what is unread', async () => {
    const { text } = await told(ofKernel(OLD), checking({ json: true }));
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
    const { text, error } = await told(ofKernel(nvr), (output, config) =>
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
    const { error } = await told(world, checking({}));
    expect(error).toBeInstanceOf(CheckError);
    expect(String(error)).toMatch(
      /kernel-6\.1\.170-47\.el9: nothing tells its symbols for x86_64: 3 of its rpms cannot be read: getRPMHeaders: /,
    );
    // What is damaged for another architecture is nobody's trouble here.
    const { text } = await told(world, checking({ arch: 'aarch64' }));
    expect(text).toMatch(/^kmod-gamma-0\.8-1\.el9 .* compatible *$/m);
  });
  test('a kmod: the others are compared, and it is told last', async () => {
    const world = scenario(() => ({}), { unreadable: ['kmod-gamma'] });
    const { text, error } = await told(world, checking({}));
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
    const { text } = await told(world, checking({ kmods }));
    expect(text).toMatch(
      /^needs-gamma +2 +1 +0 +inconclusive +what it misses may be of a kmod that cannot be/m,
    );
    expect(text).toMatch(/^changed +2 +0 +1 +incompatible *$/m);
    const all = await told(world, checking({ kmods: kmods.slice(1) }));
    expect(all.text).toMatch(/^needs-gamma +2 +1 +0 +incompatible *$/m);
  });
});
