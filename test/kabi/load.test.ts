/** What the kernel asks of a module beside CRCs (Linux: kernel/module/main.c, version.c, include/linux/license.h). */
import { describe, expect, test } from 'vitest';
import { compareKmod, compareKmods } from '../../src/kabi/compare.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import type { ExportedSymbol, Kmod, Loading } from '../../src/kabi/model.ts';
import { describeRemark } from '../../src/kabi/remark.ts';
import { parseSymvers } from '../../src/kabi/text.ts';

const SYMVERS = [
  '0x00000001\tmodule_layout\tvmlinux\tEXPORT_SYMBOL_GPL\t',
  '0x00000002\tplain\tvmlinux\tEXPORT_SYMBOL\t',
  '0x00000003\tgpl\tvmlinux\tEXPORT_SYMBOL_GPL\t',
  '0x00000004\tspaced\tvmlinux\tEXPORT_SYMBOL\tCRYPTO_INTERNAL',
  '0x00000005\tfor_kvm\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm-amd,kvm-intel*,vfio',
  '0x00000000\twithout_crc\tvmlinux\tEXPORT_SYMBOL\t',
].join('\n');
const KERNEL = { arch: null, variant: null, symbols: parseSymvers(SYMVERS, 'symvers') };
/** The same as an rpm tells it. */
const UNTOLD = {
  ...KERNEL,
  symbols: new Map(
    [...KERNEL.symbols].map(([name, { crc, provider }]) => [name, { name, crc, provider }] as const),
  ),
};

const crcOf = (symbol: string) => KERNEL.symbols.get(symbol)?.crc ?? 9;
const module = (
  symbols: readonly string[],
  loading: Partial<Loading> = {},
  more: Partial<Kmod> = {},
): Kmod => ({
  name: 'mod',
  arch: null,
  variant: null,
  kernelImports: [],
  kmodImports: [],
  imports: ['module_layout', ...symbols].map((symbol) => ({ symbol, crc: crcOf(symbol) })),
  exports: new Map(),
  loading: {
    license: 'GPL',
    namespaces: [],
    vermagic: '5.14.0 SMP mod_unload modversions',
    weak: [],
    unversioned: [],
    exports: [],
    ...loading,
  },
  ...more,
});
const told = (it: Kmod, kernel: Parameters<typeof compareKmod>[1] = KERNEL, others: readonly Kmod[] = []) => {
  const { answer, remarks, missing, changed } = compareKmod(it, kernel, others);
  const gone = [...missing, ...changed].map(({ symbol }) => symbol);
  return [answer, ...gone, ...remarks.map(describeRemark)].join('; ');
};

describe('what is exported to GPL modules only', () => {
  test.each([
    ['GPL', true],
    ['GPL v2', true],
    ['GPL and additional rights', true],
    ['Dual BSD/GPL', true],
    ['Dual MIT/GPL', true],
    ['Dual MPL/GPL', true],
    ['MIT', false],
    ['BSD', false],
    ['GPLv2', false],
    ['Proprietary', false],
    [null, false],
  ])('a module of license %s has: %s', (license, has) => {
    const expected = `incompatible; gpl is exported to GPL modules only, and its license is ${license ?? 'not told'}`;
    expect(told(module(['plain', 'gpl'], { license }))).toBe(has ? 'compatible' : expected);
    expect(told(module(['plain'], { license }))).toBe('compatible');
    expect(told(module(['plain', 'gpl'], { license }), UNTOLD)).toBe('compatible');
  });
  test('by another module counts too, and is not there for who may do without it', () => {
    const gpl: ExportedSymbol = { name: 'theirs', crc: 9, provider: 'b', exportType: 'EXPORT_SYMBOL_GPL' };
    const giver = module([], {}, { name: 'b', exports: new Map([['theirs', gpl]]) });
    expect(told(module(['theirs'], { license: 'MIT' }), KERNEL, [giver])).toBe(
      'incompatible; theirs is exported to GPL modules only, and its license is MIT',
    );
    expect(told(module(['gpl'], { license: 'MIT', weak: ['gpl'] }))).toBe('compatible');
  });
});

describe('a namespace', () => {
  test.each<[string, string, string[], string]>([
    ['mod', 'spaced', ['CRYPTO_INTERNAL'], 'compatible'],
    [
      'mod',
      'spaced',
      ['CRYPTO'],
      'incompatible; spaced is in the namespace CRYPTO_INTERNAL, which it does not import',
    ],
    ['kvm_amd', 'for_kvm', [], 'compatible'],
    ['kvm-amd', 'for_kvm', [], 'compatible'],
    ['kvm_intel_old', 'for_kvm', [], 'compatible'],
    ['vfio', 'for_kvm', [], 'compatible'],
    [
      'vfio_pci',
      'for_kvm',
      [],
      'incompatible; for_kvm is exported to the modules kvm-amd,kvm-intel*,vfio only',
    ],
    [
      'mod',
      'for_kvm',
      ['module:kvm-amd,kvm-intel*,vfio'],
      'incompatible; for_kvm is exported to the modules kvm-amd,kvm-intel*,vfio only',
    ],
  ])('%s needs %s and imports %j', (name, symbol, namespaces, expected) => {
    expect(told(module([symbol], { namespaces }, { name }))).toBe(expected);
    expect(told(module([symbol], { namespaces }, { name }), UNTOLD)).toBe('compatible');
  });
});

describe('an undefined symbol without a CRC', () => {
  const nobody = 'incompatible; it needs gone, of which it has no CRC, and which nobody exports';
  test('must be exported by somebody', () => {
    expect(told(module([], { unversioned: ['plain', 'without_crc'] }))).toBe('compatible');
    expect(told(module([], { unversioned: ['gone'] }))).toBe(nobody);
    const giver = module([], { exports: ['gone'] }, { name: 'b' });
    expect(told(module([], { unversioned: ['gone'] }), KERNEL, [giver])).toBe('compatible');
    expect(told(module([], { unversioned: ['gone'], exports: ['gone'] }))).toBe('compatible');
  });
  test('is not told by rpms, which name what has a CRC', () => {
    expect(told(module([], { unversioned: ['gone'] }), UNTOLD)).toBe('compatible');
  });
  test('is held to licenses and namespaces as well', () => {
    expect(told(module([], { license: 'MIT', unversioned: ['gpl', 'spaced'] }))).toBe(
      'incompatible; gpl is exported to GPL modules only, and its license is MIT; spaced is in the namespace CRYPTO_INTERNAL, which it does not import',
    );
  });
  test('of a module without any CRC decides where nobody exports it', () => {
    const bare = (unversioned: string[]) => module([], { unversioned }, { imports: [], unversioned: true });
    expect(told(bare(['gone']))).toBe(nobody);
    expect(told(bare(['plain']))).toBe('inconclusive');
  });
});

test('a weak symbol may be missing, and where it is there it must fit', () => {
  expect(told(module(['plain', 'gone'], { weak: ['gone'] }))).toBe('compatible');
  expect(told(module(['plain', 'gone']))).toBe('incompatible; gone');
  const other = { ...module([], { weak: ['plain'] }), imports: [{ symbol: 'plain', crc: 77 }] };
  expect(told(other)).toBe('incompatible; plain');
});

describe('vermagic', () => {
  const kernel = (...vermagics: string[]) =>
    combineKernel([
      { name: 'symvers', arch: null, variant: null, exports: KERNEL.symbols },
      ...vermagics.map((vermagic) => module([], { vermagic })),
    ]);
  test.each<[string, string[], string]>([
    ['5.14.0 SMP mod_unload modversions ', ['6.1 SMP mod_unload modversions'], 'compatible'],
    ['5.14.0 SMP mod_unload modversions', [], 'compatible'],
    [
      '5.14.0 SMP mod_unload modversions',
      ['6.1 SMP preempt mod_unload modversions'],
      'incompatible; its vermagic says "SMP mod_unload modversions", that of this kernel "SMP preempt mod_unload modversions"',
    ],
    ['5.14.0 SMP mod_unload modversions', ['6.1 SMP preempt', '6.1 SMP'], 'compatible'],
  ])('%s of a kernel whose modules have %j: %s', (vermagic, kernels, expected) => {
    expect(told(module(['plain'], { vermagic }), kernel(...kernels))).toBe(expected);
  });
});

test('a module that needs one that the kernel refuses does not load either', () => {
  const exports = new Map([['of_b', { name: 'of_b', crc: 9, provider: 'b' }]]);
  const b = module(['gpl'], { license: 'MIT' }, { name: 'b', exports });
  const found = compareKmods([module(['of_b']), b], KERNEL);
  expect(found.map(({ answer }) => answer)).toEqual(['incompatible', 'incompatible']);
});

describe('a kernel of which not all is known', () => {
  const partly = { ...KERNEL, partial: 'a file could not be read' };
  test.each<[string, Kmod, string]>([
    ['may have what is missing', module(['nobody_has']), 'inconclusive; nobody_has'],
    ['may export what has no CRC', module(['plain'], { unversioned: ['nobody_has'] }), 'compatible'],
    [
      'refuses for good what its license forbids, whatever else is missing',
      module(['gpl', 'nobody_has'], { license: 'Proprietary' }),
      'incompatible; nobody_has; gpl is exported to GPL modules only, and its license is Proprietary',
    ],
    [
      'has another CRC for good, of a kmod that gives it too',
      module(['nobody_has'], {}, { kmodImports: [{ symbol: 'of_kmod', crc: 1 }] }),
      'incompatible; nobody_has; of_kmod',
    ],
  ])('%s', (_, it, expected) => {
    const giver: Kmod = {
      ...module([]),
      name: 'giver',
      exports: new Map([['of_kmod', { name: 'of_kmod', crc: 2, provider: 'giver' }]]),
    };
    expect(told(it, partly, [giver])).toBe(expected);
  });
});
