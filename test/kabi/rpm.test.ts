import { describe, expect, test } from 'vitest';
import {
  parseDependency,
  rpmsOfKernel,
  symbolsOfRpm,
  variantOf,
  variantOfRpm,
  variantsOfBuild,
} from '../../src/kabi/rpm.ts';

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
  ['kernel-uek-modules-extra-netfilter', 'uek'],
  ['kernel-rt-kvm', 'rt'],
  ['kernel-default-optional', 'default'],
  ['kernel6.12-modules-extra', ''],
  ['kernel-devel', null],
  ['kmod-core', null],
])('%s is of variant %s', (rpm, variant) => expect(variantOf(rpm)).toBe(variant));

describe('the rpms of a build that form one kernel', () => {
  /** Each word an rpm; `a|b` after another is that with these endings. */
  const builds = {
    el9: 'kernel kernel-abi-stablelists kernel-doc kernel-headers kernel-cross-headers kernel-tools kernel-tools-libs kernel-tools-libs-devel perf bpftool kernel-selftests-internal kernel-uki-virt kernel-debug-uki-virt kernel-debuginfo-common-x86_64 kernel:core|modules|modules-core|modules-extra|modules-internal|modules-partner|devel|devel-matched|debuginfo kernel-debug:core|modules|modules-core|modules-extra|devel|debuginfo kernel-rt kernel-rt:core|modules|modules-core|modules-extra|modules-internal|kvm|devel|debuginfo kernel-rt-debug:core|modules|kvm|devel kernel-64k:core|modules|devel kernel-64k-debug:core|modules kernel-rt-64k:core|modules kernel-zfcpdump:core|modules',
    el8rt:
      'kernel-rt kernel-rt:core|modules|modules-extra|kvm|devel|selftests-internal|debuginfo kernel-rt-debug kernel-rt-debug:core|modules|kvm|devel',
    el7: 'kernel kernel:devel|headers|doc|tools|tools-libs|tools-libs-devel|debuginfo|abi-whitelists kernel-debug kernel-debug:devel|debuginfo perf',
    uek: 'kernel-uek kernel-uek:core|modules|modules-core|modules-extra|modules-extra-netfilter|modules-usb|modules-wireless|modules-desktop|modules-deprecated|devel|doc|tools kernel-uek-debug kernel-uek-debug:core|modules|modules-core|modules-usb|devel kernel-uek-container kernel-uek-container-debug',
    amazon:
      'kernel kernel:modules-extra|devel|headers|tools|tools-devel|debuginfo|livepatch perf python3-perf bpftool',
    suse: 'kernel-default kernel-default:base|extra|optional|devel|vdso|debuginfo|debugsource cluster-md-kmp-default',
  };
  const rpmsOf = (build: string) =>
    build.split(' ').flatMap((word) => {
      const [name = '', endings] = word.split(':');
      const names = endings?.split('|').map((ending) => `${name}-${ending}`) ?? [name];
      return names.flatMap((rpm) => ['x86_64', 'src', 'noarch'].map((arch) => ({ name: rpm, arch })));
    });
  const EL9 = 'core modules modules-core modules-extra';
  test.each<[keyof typeof builds, string, string, string, string]>([
    ['el9', 'kernel', '', 'kernel-', `${EL9} modules-internal modules-partner`],
    ['el9', 'kernel', 'debug', 'kernel-debug-', EL9],
    ['el9', 'kernel', 'rt', 'kernel-rt-', `${EL9} modules-internal kvm`],
    ['el9', 'kernel', 'rt-debug', 'kernel-rt-debug-', 'core modules kvm'],
    ['el9', 'kernel', '64k', 'kernel-64k-', 'core modules'],
    ['el9', 'kernel', 'rt-64k', 'kernel-rt-64k-', 'core modules'],
    ['el9', 'kernel', 'rt-64k-debug', '', ''],
    ['el8rt', 'kernel-rt', '', 'kernel-rt-', 'core modules modules-extra kvm'],
    ['el8rt', 'kernel-rt', 'debug', 'kernel-rt-debug-', 'core modules kvm'],
    ['el7', 'kernel', '', 'kernel', ''],
    ['el7', 'kernel', 'debug', 'kernel-debug', ''],
    ['el7', 'kernel', 'rt', '', ''],
    [
      'uek',
      'kernel-uek',
      '',
      'kernel-uek-',
      `${EL9} modules-extra-netfilter modules-usb modules-wireless modules-desktop modules-deprecated`,
    ],
    ['uek', 'kernel-uek', 'debug', 'kernel-uek-debug-', 'core modules modules-core modules-usb'],
    ['uek', 'kernel-uek', 'container', 'kernel-uek-container', ''],
    ['amazon', 'kernel', '', 'kernel', ' -modules-extra -livepatch'],
    [
      'suse',
      'kernel-default',
      '',
      '',
      'kernel-default kernel-default-base kernel-default-extra kernel-default-optional cluster-md-kmp-default',
    ],
  ])('%s: %s, variant "%s": %s(%s)', (build, name, variant, prefix, endings) => {
    const found = rpmsOfKernel({ name, variant }, rpmsOf(builds[build]));
    const all = endings.split(' ').map((ending) => `${prefix}${ending}`);
    const expected = all.filter((rpm) => rpm !== '');
    expect(found.map((rpm) => rpm.name).sort()).toEqual(expected.sort());
    expect(found.every(({ arch }) => arch === 'x86_64')).toBe(true);
  });
  test('modules in packages of their own are those of their flavour', () => {
    const rpms = rpmsOf('kernel-azure foo-kmp-azure foo-kmp-default kernel-azure-devel');
    expect(rpmsOfKernel({ name: 'kernel-azure', variant: '' }, rpms).map(({ name }) => name)).toEqual([
      'kernel-azure',
      'foo-kmp-azure',
    ]);
  });
  test.each<[keyof typeof builds, string, string | null]>([
    ['el9', 'kernel-core', ''],
    ['el9', 'kernel-rt-64k-core', 'rt-64k'],
    ['el9', 'kernel-rt-debug-kvm', 'rt-debug'],
    ['el7', 'kernel', ''],
    ['el7', 'kernel-debug', 'debug'],
    ['uek', 'kernel-uek-modules-wireless', 'uek'],
    ['uek', 'kernel-uek-debug-modules-usb', 'uek-debug'],
    ['uek', 'kernel-uek-container-debug', 'uek-container-debug'],
    ['amazon', 'kernel-modules-extra', ''],
    ['suse', 'kernel-default-optional', 'default'],
    ['suse', 'cluster-md-kmp-default', null],
    ['el9', 'perf', null],
  ])('of the rpms of %s, %s is of variant %j', (build, rpm, variant) => {
    const rpms = rpmsOf(builds[build]);
    expect(variantOfRpm(rpm, rpms)).toBe(variant);
  });
  test.each<[keyof typeof builds, string[]]>([
    ['el9', ['', 'debug', 'rt', 'rt-debug', '64k', '64k-debug', 'rt-64k', 'zfcpdump']],
    ['el8rt', ['rt', 'rt-debug']],
    ['el7', ['', 'debug']],
    ['uek', ['uek', 'uek-debug', 'uek-container', 'uek-container-debug']],
    ['amazon', ['']],
    ['suse', ['default']],
  ])('%s makes the variants %j', (build, expected) => {
    expect(variantsOfBuild(rpmsOf(builds[build])).sort()).toEqual(expected.sort());
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
