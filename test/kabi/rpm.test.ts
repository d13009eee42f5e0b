import { describe, expect, test } from 'vitest';
import { parseDependency, rpmsOfKernel, symbolsOfRpm, variantOf } from '../../src/kabi/rpm.ts';

/** rpm's flags as real rpms have them: RPMSENSE_EQUAL, and RPMSENSE_FIND_REQUIRES (1 << 14) with it. */
const EQUAL = 8;
const FOUND = 0x4008;

describe('dependencies on symbols', () => {
  const of = (name: string, version: string, flags?: number) => {
    const it = parseDependency(name, version, flags);
    return it && `${it.symbol} ${it.crc} ${it.from}${it.flavour === undefined ? '' : ` ${it.flavour}`}`;
  };
  test.each<[string, string, number | undefined, string | null]>([
    ['kernel(printk)', '0x0a19b956', EQUAL, 'printk 169458006 kernel'],
    ['kernel(printk)', '0x0a19b956', FOUND, 'printk 169458006 kernel'],
    ['kernel(printk)', '0x0a19b956', undefined, 'printk 169458006 kernel'],
    ['kernel(x)', '0xffffffff', EQUAL, 'x 4294967295 kernel'],
    ['ksym(foo_register)', '0x00000001', FOUND, 'foo_register 1 kmod'],
    ['ksym(default:printk)', 'a19b956', FOUND, 'printk 169458006 either default'],
    ['ksym(azure:x)', '1', EQUAL, 'x 1 either azure'],
    ['kernel(printk)', '', 0, null],
    ['kernel(printk)', '0x0a19b956', EQUAL | 4, null],
    ['kernel(printk)', '0x0a19b956', 2, null],
    ['kernel(printk)', '6.1.0', EQUAL, null],
    ['kernel(printk)', '0x100000000', EQUAL, null],
    ['kernel()', '0x1', EQUAL, null],
    ['ksym(default:)', '1', EQUAL, null],
    ['kernel', '5.14.0', EQUAL, null],
    ['kernel-uname-r', '5.14.0-70.el9.x86_64', EQUAL, null],
    ['kmod(foo.ko)', '', 0, null],
    ['rpmlib(FileDigests)', '4.6.0-1', 0x100000a, null],
  ])('%s = %s, flags %s', (name, version, flags, expected) =>
    expect(of(name, version, flags)).toBe(expected),
  );
});

test.each([
  ['kernel-core', ''],
  ['kernel-modules', ''],
  ['kernel-modules-core', ''],
  ['kernel-modules-extra', ''],
  ['kernel-debug-core', 'debug'],
  ['kernel-rt-modules-extra', 'rt'],
  ['kernel-64k-debug-modules-core', '64k-debug'],
  ['kernel-modules-internal', ''],
  ['kernel-devel', null],
  ['kmod-core', null],
])('%s is of variant %s', (rpm, variant) => expect(variantOf(rpm)).toBe(variant));

describe('the rpms of a build that form one kernel', () => {
  const EL9 =
    'kernel kernel-core kernel-modules kernel-modules-core kernel-devel kernel-debug-core kernel-rt-core kernel-rt-modules';
  const EL7 = 'kernel kernel-devel kernel-debug kernel-debug-devel';
  const SUSE = 'kernel-default kernel-default-base kernel-default-devel';
  test.each([
    ['kernel', '', EL9, 'kernel-core kernel-modules kernel-modules-core'],
    ['kernel', 'rt', EL9, 'kernel-rt-core kernel-rt-modules'],
    ['kernel', '64k', EL9, ''],
    ['kernel', '', EL7, 'kernel'],
    ['kernel', 'debug', EL7, 'kernel-debug'],
    ['kernel-default', '', SUSE, 'kernel-default'],
    ['kernel-rt', 'debug', 'kernel-rt kernel-rt-core kernel-rt-debug-core', 'kernel-rt-debug-core'],
  ])('%s, variant "%s", of %s: %s', (name, variant, built, expected) => {
    const rpms = built.split(' ').flatMap((rpm) => ['x86_64', 'src'].map((arch) => ({ name: rpm, arch })));
    const found = rpmsOfKernel({ name, variant }, rpms);
    expect(found.map((rpm) => rpm.name).join(' ')).toBe(expected);
    expect(found.every(({ arch }) => arch === 'x86_64')).toBe(true);
  });
});

describe('an rpm', () => {
  const NONE = { names: [], versions: [] };
  test('a kmod of EL imports from the kernel and from other kmods, and exports', () => {
    const kmod = symbolsOfRpm({
      name: 'kmod-b',
      version: '1.0',
      release: '2.el9',
      arch: 'x86_64',
      provides: { names: ['kmod-b', 'ksym(b_get)'], versions: ['1.0-2.el9', '0x00000b0b'], flags: [8, 8] },
      requires: {
        names: ['/bin/sh', 'kernel(printk)', 'ksym(a_get)'],
        versions: ['', '0x00000001', '0x0000000a'],
        flags: [0, FOUND, FOUND],
      },
    });
    expect(kmod).toEqual({
      name: 'kmod-b-1.0-2.el9',
      arch: 'x86_64',
      variant: null,
      kernelImports: [{ symbol: 'printk', crc: 1 }],
      imports: [],
      kmodImports: [{ symbol: 'a_get', crc: 10 }],
      exports: new Map([['b_get', { name: 'b_get', crc: 0xb0b, provider: 'kmod-b' }]]),
    });
  });
  test('of SUSE, its symbols may come from the kernel or from other kmods', () => {
    const [names, versions] = [['ksym(default:printk)'], ['1']];
    const kmp = { name: 'foo-kmp-default', version: '1', release: '1', arch: 'x86_64' };
    const needs = { kernelImports: [], kmodImports: [], imports: [{ symbol: 'printk', crc: 1 }] };
    expect(symbolsOfRpm({ ...kmp, provides: NONE, requires: { names, versions } })).toMatchObject(needs);
  });
  test('says whether it offers its symbols as a kernel does', () => {
    const offers = (name: string) => {
      const provides = { names: [name], versions: ['0x1'] };
      const rpm = { name: 'odd', version: '1', release: '1', arch: 'x86_64', provides, requires: NONE };
      return [...symbolsOfRpm(rpm).exports.values()].map(({ asKernel = false }) => asKernel);
    };
    expect([offers('kernel(a)'), offers('ksym(a)'), offers('ksym(default:a)')]).toEqual([
      [true],
      [false],
      [false],
    ]);
  });
  test('the variant of a kernel is in its name, with SUSE in its symbols', () => {
    const of = (name: string, ...names: string[]) =>
      symbolsOfRpm({
        ...{ name, version: '1', release: '1', arch: 'noarch' },
        ...{ provides: { names, versions: names.map(() => '1') }, requires: NONE },
      });
    expect(of('kernel-rt-core', 'kernel(a)')).toMatchObject({ variant: 'rt', arch: null });
    expect(of('kernel-default', 'ksym(default:a)', 'ksym(default:b)').variant).toBe('default');
    expect(of('odd', 'ksym(default:a)', 'ksym(rt:a)').variant).toBeNull();
    expect(of('bash', 'bash').variant).toBeNull();
  });
});
