/** What rpms ask of a kernel. rpm's own judgement of the same is in test/symbols/layouts.test.ts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareKmod } from '../../src/kabi/compare.ts';
import { type Dependency, describeDependency, overlaps, SENSE } from '../../src/kabi/evr.ts';
import type { Kmod } from '../../src/kabi/model.ts';
import {
  builtFor,
  kernelRpms,
  nameWithoutKernel,
  type Packaging,
  packagingOf,
  unmetRequirements,
} from '../../src/kabi/requires.ts';

/** `kernel >= 5.14.0`, or a name alone. */
function dependency(text: string): Dependency {
  // A boolean one is all name.
  if (text.startsWith('(')) return { name: text, flags: 0, version: '' };
  const [name = '', sign = '', version = ''] = text.split(' ');
  const bits = { '<': SENSE.LESS, '>': SENSE.GREATER, '=': SENSE.EQUAL } as const;
  const flags = [...sign].reduce((all, one) => all | bits[one as keyof typeof bits], 0);
  return { name, flags, version };
}
const arrays = (texts: readonly string[]) => {
  const all = texts.map(dependency);
  return {
    names: all.map(({ name }) => name),
    versions: all.map(({ version }) => version),
    flags: all.map(({ flags }) => flags),
  };
};
const packaging = (
  requires: readonly string[],
  provides: readonly string[] = [],
  folders: readonly string[] = [],
): Packaging => packagingOf({ requires: arrays(requires), provides: arrays(provides), folders });

describe('what a dependency asks of a version', () => {
  test.each<[string, string, boolean]>([
    ['x', 'x = 1', true],
    ['x = 1', 'x', true],
    ['x = 1', 'x = 1-5', true],
    ['x = 1-5', 'x = 1', true],
    ['x = 1-5', 'x = 1-6', false],
    ['x >= 1-5', 'x = 1-6', true],
    ['x > 1', 'x = 1-6', false],
    ['x >= 1.10', 'x = 1.9', false],
    ['x < 5.14.0-400', 'x = 5.14.0-503.el9', false],
    ['x < 5.14.0-400', 'x = 5.14.0-362.el9', true],
    ['x <= 2', 'x = 2', true],
    ['x = 1:1', 'x = 1', false],
    ['x >= 2', 'x = 1:1', true],
    ['x = 0:1', 'x = 1', true],
    ['x >= 2', 'x <= 1', false],
    ['x >= 2', 'x <= 3', true],
    ['x > 2', 'x < 2', false],
    ['x = 5.14.0-427.el9.x86_64', 'x = 5.14.0-503.el9.x86_64', false],
    ['x >= 5.14.0~rc1', 'x = 5.14.0', true],
  ])('%s of what is %s: %s', (asked, provided, expected) => {
    expect(overlaps(dependency(asked), dependency(provided))).toBe(expected);
    expect(overlaps(dependency(provided), dependency(asked))).toBe(expected);
  });
  test('is written as it was read', () => {
    const sign = fc.constantFrom('=', '<', '<=', '>', '>=');
    fc.assert(
      fc.property(sign, fc.stringMatching(/^\d{1,3}(\.\d{1,3}){0,2}(-\d{1,3})?$/), (it, version) => {
        expect(describeDependency(dependency(`x ${it} ${version}`))).toBe(`x ${it} ${version}`);
      }),
    );
  });
});

test('of thousands of lines those are kept that are no symbols, files, modules, or rpm’s own', () => {
  const lines = ['kernel(printk) = 1', 'rpmlib(FileDigests) <= 4', '/bin/sh', 'kernel >= 5', 'kernel >= 5'];
  const found = packaging(
    lines,
    ['kmod(a.ko)', 'ksym(a) = 1', 'kmod-a = 1-1'],
    [
      '/lib/modules/5.14.0-70.el9.x86_64/extra/a/',
      '/usr/lib/modules/5.14.0-80.el9.x86_64/',
      '/lib/modules/5.14.0-90.el9.x86_64/weak-updates/a/',
      '/lib/modules/kabi-rhel90/',
      '/lib/modules/',
      '/usr/share/doc/kmod-a/',
    ],
  );
  expect(found).toEqual({
    requires: [dependency('kernel >= 5')],
    provides: [dependency('kmod-a = 1-1')],
    releases: ['5.14.0-70.el9.x86_64', '5.14.0-80.el9.x86_64'],
  });
});

const CORE = { name: 'kernel-core', packaging: packaging([], ['kernel-core = 5.14.0-503.el9']) };
const EL = kernelRpms('kernel', [CORE], 'x86_64');
const RT = kernelRpms(
  'kernel-rt',
  [
    {
      name: 'kernel-rt-core',
      packaging: packaging(
        [],
        ['kernel-rt-core = 5.14.0-503.el9', 'kernel-uname-r = 5.14.0-503.el9.x86_64+rt'],
      ),
    },
  ],
  'x86_64',
);

describe('a kernel', () => {
  test('tells its release by what it provides, its folder, or its name', () => {
    expect(EL.releases).toEqual(['5.14.0-503.el9.x86_64']);
    expect(RT.releases).toEqual(['5.14.0-503.el9.x86_64+rt']);
    const folders = ['/lib/modules/6.4.0-9-default/kernel/'];
    const suse = {
      name: 'kernel-default',
      packaging: packaging([], ['kernel-default = 6.4.0-9.1'], folders),
    };
    expect(kernelRpms('kernel-default', [suse], 'x86_64').releases).toEqual(['6.4.0-9-default']);
    expect(kernelRpms('kernel-rt', [{ name: 'kernel-rt', packaging: packaging([]) }], 'x86_64')).toEqual({
      prefix: 'kernel-rt',
      provides: [],
      evr: null,
      releases: [],
    });
  });

  test.each<[string, string]>([
    ['kernel', 'met'],
    ['kernel >= 5.14.0-70', 'met'],
    ['kernel >= 5.14.0-570', '5.14.0-503.el9'],
    ['kernel < 5.14.0-400', '5.14.0-503.el9'],
    ['kernel-core = 5.14.0-503.el9', 'met'],
    ['kernel-modules-extra', 'met'],
    ['kernel-modules-core = 5.14.0-427.el9', '5.14.0-503.el9'],
    ['kernel-uname-r = 5.14.0-503.el9.x86_64', 'met'],
    ['kernel-uname-r = 5.14.0-427.el9.x86_64', '5.14.0-503.el9.x86_64'],
    ['kernel-core-uname-r >= 5.14.0-570.el9', '5.14.0-503.el9.x86_64'],
    ['kernel-modules-uname-r = 5.14.0-503.el9.x86_64', 'met'],
    ['kabi-modules = 5.14.0-503.el9.x86_64', 'met'],
    ['kabi-modules = 5.14.0-70.el9.x86_64', 'untold'],
    ['kernel-rt-core >= 9', 'met'],
    ['kernel-devel = 1', 'met'],
    ['kernel-firmware >= 9', 'met'],
    ['bash >= 99', 'met'],
    ['(kernel >= 5.14.0-70 with kernel < 5.15)', 'met'],
    ['(kernel >= 5.14.0-70 with kernel < 5.14.0-400)', '5.14.0-503.el9'],
    ['(kernel < 5.14.0-400 or kernel >= 5.14.0-500)', 'met'],
    ['(kernel < 5.14.0-400 or kernel-core >= 6)', '5.14.0-503.el9'],
    ['(kernel < 5.14.0-400 or bash >= 99)', 'met'],
    ['(kernel < 5.14.0-400 and bash >= 99)', '5.14.0-503.el9'],
    ['(kernel without kernel >= 5.14.0-500)', '5.14.0-503.el9'],
    ['(kernel < 5 if kernel-core)', '5.14.0-503.el9'],
    ['(kernel < 5 if kernel-core < 5 else kernel >= 5)', 'met'],
    ['(kernel < 5 if bash)', 'met'],
    ['(kernel < 5 unless kernel-core)', 'met'],
    ['((kernel < 5 or kernel > 6) and libfoo.so.1(64bit))', '5.14.0-503.el9'],
    ['(kernel < 5', 'met'],
    ['(kernel < 5 nor kernel > 6)', 'met'],
  ])('of which an rpm requires %s: %s', (asked, expected) => {
    const found = unmetRequirements(packaging([asked]), EL);
    expect(found.map(({ provided }) => provided ?? 'untold')).toEqual(expected === 'met' ? [] : [expected]);
    expect(found.every(({ requires }) => requires === asked)).toBe(true);
  });
  test('of which a variant is required by its own name', () => {
    const unmet = (asked: string) => unmetRequirements(packaging([asked]), RT).length;
    expect(['kernel-rt >= 5', 'kernel-rt-core = 5.14.0-503.el9', 'kernel >= 99'].map(unmet)).toEqual([
      0, 0, 0,
    ]);
    expect(['kernel-rt < 5', 'kernel-uname-r = 5.14.0-503.el9.x86_64'].map(unmet)).toEqual([1, 1]);
  });
  test('what a kmod provides itself is met', () => {
    const own = ['kernel-modules = 5.14.0-570.el9', 'kabi-modules = 5.14.0-70.el9.x86_64'];
    expect(unmetRequirements(packaging(own, own), EL)).toEqual([]);
    expect(unmetRequirements(packaging(['foo-kmod-common >= 2'], ['foo-kmod-common = 1']), EL)).toEqual([]);
  });
  test('known by its symbols alone tells nothing of a version', () => {
    const asked = [
      'kernel',
      'kernel-modules-core',
      'kernel >= 99',
      'kernel-uname-r = 1',
      'bash >= 9',
      'kernel-devel = 1',
    ];
    expect(unmetRequirements(packaging(asked), undefined)).toEqual([
      { requires: 'kernel >= 99', provided: null },
      { requires: 'kernel-uname-r = 1', provided: null },
    ]);
  });
});

describe('the kernel that a package is built for', () => {
  const path = ['/lib/modules/5.14.0-70.el9.x86_64/extra/'];
  test.each<[string, string, Packaging, string[]]>([
    [
      'it requires',
      'kmod-a',
      packaging(['kernel-uname-r = 5.14.0-427.el9.x86_64'], [], path),
      ['5.14.0-427.el9.x86_64'],
    ],
    ['its folder', 'kmod-a', packaging(['kernel-uname-r >= 5'], [], path), ['5.14.0-70.el9.x86_64']],
    ['its name', 'kmod-a-5.14.0-427.el9.x86_64', packaging([]), ['5.14.0-427.el9.x86_64']],
    [
      'its name, of a variant',
      'kmod-a-5.14.0-427.el9.x86_64+rt',
      packaging([]),
      ['5.14.0-427.el9.x86_64+rt'],
    ],
    ['not told', 'kmod-nvidia-535.104', packaging(['kernel >= 5']), []],
  ])('%s', (_, name, it, expected) => expect(builtFor(name, it)).toEqual(expected));
  test('is no part of what names have in common', () => {
    expect(nameWithoutKernel('kmod-a-5.14.0-427.el9.x86_64')).toBe('kmod-a');
    expect(nameWithoutKernel('kmod-nvidia-535.104')).toBe('kmod-nvidia-535.104');
  });
});

describe('a kmod', () => {
  const KERNEL = {
    arch: 'x86_64',
    variant: '',
    symbols: new Map([['printk', { name: 'printk', crc: 1, provider: 'kernel-core' }]]),
  };
  const kmod = (asks: Packaging, crcs: number[] = [1]): Kmod => ({
    name: 'kmod-a-1-1',
    arch: 'x86_64',
    variant: null,
    kernelImports: crcs.map((crc) => ({ symbol: 'printk', crc })),
    kmodImports: [],
    imports: [],
    exports: new Map(),
    packaging: asks,
  });
  const told = (it: Kmod, rpms = true) => {
    const { answer, cause, remarks } = compareKmod(it, rpms ? { ...KERNEL, rpms: EL } : KERNEL);
    return [answer, cause, ...remarks.map(({ kind }) => kind)];
  };
  const OLD = ['/lib/modules/5.14.0-70.el9.x86_64/extra/a/'];
  test('that keeps to the kABI is for every kernel whose CRCs fit, though its folder is that of an older one', () => {
    const weak = packaging(['kernel >= 5.14.0-70.el9', 'kernel-modules >= 5.14.0-70.el9'], [], OLD);
    expect(told(kmod(weak))).toEqual(['compatible', null]);
  });
  test('that requires another kernel is broken, and no symbol of it is told to be so', () => {
    expect(told(kmod(packaging(['kernel < 5.14.0-400'])))).toEqual(['incompatible', null, 'requires']);
    expect(told(kmod(packaging(['kernel < 5.14.0-400']), []))).toEqual(['incompatible', null, 'requires']);
  });
  test('that requires what nothing tells of', () => {
    const asked = packaging(['kabi-modules = 5.14.0-70.el9.x86_64']);
    expect(told(kmod(asked))).toEqual(['inconclusive', 'untold-requirement', 'untold']);
    expect(told(kmod(asked), false)).toEqual(['compatible', null, 'untold']);
  });
  test('with modules for several kernels fits where one is in this kernel’s folder, and is broken where none fits', () => {
    const both = packaging([], [], [...OLD, '/lib/modules/5.14.0-503.el9.x86_64/extra/a/']);
    expect(told(kmod(both, [9, 1]))).toEqual(['compatible', null, 'several-crcs']);
    expect(told(kmod(packaging([], [], OLD), [9, 1]))).toEqual([
      'inconclusive',
      'several-kernels',
      'several-crcs',
    ]);
    expect(told(kmod(both, [9, 8]))).toEqual(['incompatible', null, 'several-crcs']);
  });
});
