import { describe, expect, test } from 'vitest';
import { compareKmod } from '../../src/kabi/compare.ts';
import { forKernel, type KmodRpm, kmodOfBuild, variantsOfRpms } from '../../src/kabi/kmod.ts';
import type { KernelSymbols, Kmod } from '../../src/kabi/model.ts';
import { describeRemark } from '../../src/kabi/remark.ts';
import { parseDependency } from '../../src/kabi/rpm.ts';

/** `NAME[.ARCH] NEED…`: a need is `SYMBOL=CRC`, with SUSE `FLAVOUR:SYMBOL=CRC`, offered where it begins with `+`. */
function rpm(text: string): KmodRpm {
  const [nameArch = '', ...words] = text.split(' ');
  const [name = '', arch = 'x86_64'] = nameArch.split('.');
  const parse = (word: string) => {
    const [symbol = '', crc = ''] = word.replace('+', '').split('=');
    const form = symbol.includes(':') || word.startsWith('+') ? 'ksym' : 'kernel';
    return parseDependency(`${form}(${symbol})`, crc) ?? [];
  };
  const offered = words.filter((word) => word.startsWith('+'));
  const needed = words.filter((word) => !word.startsWith('+'));
  return { name, arch, provides: offered.flatMap(parse), requires: needed.flatMap(parse) };
}

/** Its name alone: whatever it exports. */
const ANY = { arch: 'x86_64', variant: null, symbols: new Map() };

const EL = ['', 'debug', 'rt', '64k', '64k-debug'];

describe('the variant that an rpm is for', () => {
  test.each<[string, string[], (string | null)[], string[]?]>([
    ['one rpm may be for any', ['kmod-foo a=1'], [null]],
    ['a name that ends with a variant of the kernel', ['kmod-foo-rt a=1'], ['rt']],
    ['the longest such ending', ['kmod-foo-64k-debug a=1'], ['64k-debug']],
    ['one beside it is for the plain kernel', ['kmod-foo a=1', 'kmod-foo-rt a=1'], ['', 'rt']],
    ['of another architecture too', ['kmod-foo.x86_64 a=1', 'kmod-foo-64k.aarch64 a=1'], ['', '64k']],
    ['a part of a kmod is for any', ['kmod-foo a=1', 'kmod-foo-extra a=1 b=2'], [null, null]],
    ['what cannot be loaded beside another', ['kmod-foo a=1 b=1', 'kmod-foo-rt a=2 b=1'], ['', 'rt'], ['']],
    [
      'CRCs of two architectures say nothing',
      ['kmod-foo.x86_64 a=1', 'kmod-foo-x.aarch64 a=2'],
      [null, null],
    ],
    ['what needs no symbols', ['kmod-foo-rt'], []],
    ['flavours of SUSE', ['foo-kmp-default default:a=1', 'foo-kmp-rt rt:a=2'], ['default', 'rt']],
    ['a flavour, whatever its name says', ['odd-rt azure:a=1'], ['azure']],
    ['the name of a KMP that only offers', ['foo-kmp-rt_debug +a=1'], ['rt_debug']],
    ['two flavours in one rpm', ['odd default:a=1 rt:b=1'], [null]],
  ])('%s', (_, rpms, expected, siblings = EL) => {
    expect([...variantsOfRpms(rpms.map(rpm), siblings).values()]).toEqual(expected);
  });
});

describe('a kmod of several rpms', () => {
  const needs = (variant: string | null, rpms: string[], arch = 'x86_64') => {
    const kmod = kmodOfBuild('foo-1-1', rpms.map(rpm), { ...ANY, arch }, { variant, siblings: EL });
    return (
      kmod && {
        imports: [...kmod.kernelImports, ...kmod.imports].map(({ symbol, crc }) => `${symbol}=${crc}`),
        variant: kmod.variant,
      }
    );
  };
  const KMP = ['foo', 'foo-kmp-default default:a=1', 'foo-kmp-rt rt:a=2'];
  const EL_BOTH = ['kmod-foo a=1', 'kmod-foo-rt a=2'];
  test.each<[string | null, string[], unknown]>([
    ['default', KMP, { imports: ['a=1'], variant: 'default' }],
    ['rt', KMP, { imports: ['a=2'], variant: 'rt' }],
    ['azure', KMP, { imports: [], variant: 'default' }],
    ['', EL_BOTH, { imports: ['a=1'], variant: '' }],
    ['rt', EL_BOTH, { imports: ['a=2'], variant: 'rt' }],
    ['64k', EL_BOTH, { imports: [], variant: '' }],
    ['', ['kmod-foo-rt a=2'], { imports: [], variant: 'rt' }],
    ['rt', ['kmod-foo a=1', 'kmod-foo-extra a=1 b=2'], { imports: ['a=1', 'b=2'], variant: 'rt' }],
    ['rt', ['kmod-foo'], { imports: [], variant: 'rt' }],
    [null, ['kmod-foo a=1'], { imports: ['a=1'], variant: null }],
  ])('needs of a kernel of variant %s, of %j: %j', (variant, rpms, expected) => {
    expect(needs(variant, rpms)).toEqual(expected);
  });
  test('has none for that architecture', () => expect(needs('', EL_BOTH, 's390x')).toBeUndefined());
  test('offers what its rpms for this variant offer, and tells needs of kmods apart', () => {
    const rpms = ['foo-kmp-default +default:x=1', 'foo-kmp-rt +rt:x=2 rt:y=3'].map(rpm);
    const kmod = kmodOfBuild('foo-1-1', rpms, ANY, { variant: 'rt', siblings: [] });
    expect([...(kmod?.exports.values() ?? [])]).toEqual([{ name: 'x', crc: 2, provider: 'foo-kmp-rt' }]);
    const requires = ['kernel(o)', 'ksym(o)', 'ksym(default:o)'].flatMap(
      (need) => parseDependency(need, '7') ?? [],
    );
    const el = [{ ...rpm('kmod-b a=1'), requires }];
    expect(kmodOfBuild('b', el, ANY, { variant: '', siblings: [] })).toMatchObject({
      kernelImports: [{ symbol: 'o', crc: 7 }],
      imports: [{ symbol: 'o', crc: 7 }],
      kmodImports: [{ symbol: 'o', crc: 7 }],
    });
  });
  test('with none for this variant proves nothing', () => {
    const kmod = kmodOfBuild('foo-1-1', KMP.map(rpm), ANY, { variant: 'azure', siblings: [] });
    const symbols = new Map([['a', { name: 'a', crc: 9, provider: 'vmlinux' }]]);
    const kernel = { arch: 'x86_64', variant: 'azure', symbols };
    expect(kmod && compareKmod(kmod, kernel)).toMatchObject({
      answer: 'inconclusive',
      cause: 'other-variant',
    });
  });
});

describe('a kmod that makes an rpm for each of several kernels', () => {
  const R427 = '5.14.0-427.el9.x86_64';
  const R503 = '5.14.0-503.el9.x86_64';
  const R570 = '5.14.0-570.el9.x86_64';
  const exported = (crc: number) => new Map([['a', { name: 'a', crc, provider: 'kernel-core' }]]);
  /** The kernel whose `uname -r` that is, which exports `a` with that CRC. */
  const kernelOf = (release: string, crc: number): KernelSymbols & { arch: string } => ({
    ...{ arch: 'x86_64', variant: '', symbols: exported(crc) },
    rpms: { prefix: 'kernel', provides: [], evr: release.replace(/\.\w+$/, ''), releases: [release] },
  });
  const pinned = (release: string) => ({
    requires: [{ name: 'kernel-uname-r', flags: 8, version: release }],
    provides: [],
    releases: [],
  });
  const inFolder = (release: string) => ({ requires: [], provides: [], releases: [release] });
  const PINNED: KmodRpm[] = [
    { ...rpm('kmod a=1'), name: `kmod-foo-${R427}`, packaging: pinned(R427) },
    { ...rpm('kmod a=2'), name: `kmod-foo-${R503}`, packaging: pinned(R503) },
    rpm('foo-tools'),
  ];
  const FOLDERS: KmodRpm[] = [
    { ...rpm('kmod a=1'), name: `kmod-foo-${R427}`, packaging: inFolder(R427) },
    { ...rpm('kmod a=2'), name: `kmod-foo-${R503}`, packaging: inFolder(R503) },
  ];
  const NAMED: KmodRpm[] = FOLDERS.map((it) => ({ ...it, packaging: { ...inFolder(''), releases: [] } }));

  test.each<[string, KmodRpm[], string, number, string]>([
    ['by what it requires', PINNED, R503, 2, 'compatible: a=2'],
    ['by what it requires, the older one', PINNED, R427, 1, 'compatible: a=1'],
    ['and that one does not fit', PINNED, R503, 9, 'incompatible: a=2'],
    [
      'and none is for it',
      PINNED,
      R570,
      2,
      `incompatible: a=2; it is built for ${R427} and ${R503}, and not for this kernel; it requires kernel-uname-r = ${R503}, and this kernel has ${R570}`,
    ],
    ['by its folder', FOLDERS, R503, 2, 'compatible: a=2'],
    ['by its folder, though another fits', FOLDERS, R503, 1, 'incompatible: a=2'],
    ['by its CRCs', FOLDERS, R570, 1, 'compatible: a=1'],
    [
      'and none fits',
      FOLDERS,
      R570,
      9,
      `incompatible: a=2; it is built for ${R427} and ${R503}, and not for this kernel`,
    ],
    ['by its name', NAMED, R503, 2, 'compatible: a=2'],
    ['of one alone, whatever its folder', FOLDERS.slice(0, 1), R570, 1, 'compatible: a=1'],
    ['beside one for any kernel', [rpm('kmod-foo b=1'), ...FOLDERS], R503, 2, 'incompatible: b=1 a=2'],
  ])('is told apart %s', (_, rpms, release, crc, expected) => {
    const kernel = kernelOf(release, crc);
    const kmod = kmodOfBuild('foo-1-1', rpms, kernel, { variant: '', siblings: EL });
    if (!kmod) throw new Error('no kmod');
    const { answer, remarks } = compareKmod(kmod, kernel);
    const needs = kmod.kernelImports.map(({ symbol, crc }) => `${symbol}=${crc}`).join(' ');
    expect([`${answer}: ${needs}`, ...remarks.map(describeRemark)].join('; ')).toBe(expected);
  });

  test('as files: those for other kernels are passed over where one is for this kernel', () => {
    const files: Kmod[] = [...PINNED, ...FOLDERS].slice(0, 2).map(({ name, packaging, requires }) => ({
      ...{ name: `${name}-1.0-1.el9`, arch: 'x86_64', variant: null, exports: new Map() },
      ...{ kernelImports: requires, kmodImports: [], imports: [], ...(packaging && { packaging }) },
    }));
    const other: Kmod = { ...(files[0] as Kmod), name: `kmod-bar-${R427}-1.0-1.el9` };
    const names = (release: string) => {
      const { kmods, others } = forKernel([...files, other], kernelOf(release, 2));
      return [kmods, others].map((some) => some.map(({ name }) => name.replace(/-1\.0.*$/, '')));
    };
    expect(names(R503)).toEqual([[`kmod-foo-${R503}`, `kmod-bar-${R427}`], [`kmod-foo-${R427}`]]);
    expect(names(R570)).toEqual([[`kmod-foo-${R427}`, `kmod-foo-${R503}`, `kmod-bar-${R427}`], []]);
  });

  test('is no variant of the kernel, though its name goes on', () => {
    const rpms = [rpm('kmod-foo a=1'), { ...rpm('kmod a=2'), name: `kmod-foo-${R427}` }];
    expect([...variantsOfRpms(rpms, EL).values()]).toEqual([null, null]);
  });

  test('of a level of the architecture is for the kernel of another level', () => {
    const kernel = { ...kernelOf(R503, 1), arch: 'x86_64_v2' };
    const kmod = kmodOfBuild('foo-1-1', [rpm('kmod-foo a=1')], kernel, { variant: '', siblings: EL });
    expect(kmod && compareKmod(kmod, kernel).answer).toBe('compatible');
  });
});
