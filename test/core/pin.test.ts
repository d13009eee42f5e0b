import { describe, expect, test } from 'vitest';
import type { LogError } from '../../src/core/model.ts';
import { isInFolderOf, pinIn } from '../../src/core/pin.ts';

const EL = { name: 'kernel', nvr: 'kernel-5.14.0-503.el9' };
const RT = { name: 'kernel-rt', nvr: 'kernel-rt-4.18.0-553.rt7.342.el8' };
const SUSE = { name: 'kernel-default', nvr: 'kernel-default-5.14.21-150500.55.7.1' };
const DRAFT = { name: 'kernel', nvr: 'kernel-5.14.0-503.el9,draft_5' };

/** A package that the kernel's build makes (`kernel`), or of which that is not known (`dependency`). */
const wants = (identifier: string, kind: LogError['kind'] = 'dependency'): LogError => ({
  kind,
  file: '',
  line: 0,
  message: `nothing provides ${identifier}`,
  identifier,
});

describe('what a build wants of another kernel', () => {
  test.each([
    'kernel-devel = 5.14.0-427.el9',
    'kernel-devel = 0:5.14.0-427.el9',
    'kernel-devel(x86-64) = 5.14.0-427.el9',
    'kernel-devel < 5.14.0-500',
    'kernel-devel <= 5.14.0-427.el9',
    'kernel-devel >= 6.1',
    'kernel-devel = 5.15.0',
    'kernel = 5.14.0-427.el9',
    'kernel-core = 5.14.0-427.el9',
    'kernel-headers = 5.14.0-427.el9',
    'kernel-modules-core = 5.14.0-427.el9',
    'kernel-rt-devel = 5.14.0-427.el9',
    'kernel-64k-devel-matched = 5.14.0-427.el9',
    'kernel-uek-devel = 5.15.0-200.el9uek',
    'kernel-default-devel = 5.14.21-150500.55.1',
    'kernel-syms = 5.14.21',
    'kernel-source = 5.14.21',
    'kernel-abi-stablelists = 5.14.0-427.el9',
    'kernel-abi-whitelists <= 4.18.0',
    'kernel-devel-uname-r = 5.14.0-427.el9.x86_64',
    'kernel-core-uname-r = 5.14.0-427.el9.x86_64',
    'kernel-uname-r = 5.14.0-427.el9.x86_64',
    'kernel-devel-5.14.0-427.el9',
    'kernel-devel-5.14.0-427.el9.x86_64',
    'kernel-64k-devel-5.14.0-427.el9.aarch64',
    'kernel-default-devel-5.14.21-150500.55.1',
  ])('%s', (wanted) => expect(pinIn(wants(wanted), EL)).toBe(wanted));

  test.each([
    ['(kernel-devel = 5.14.0-427.el9)', 'kernel-devel = 5.14.0-427.el9'],
    ['(kernel-devel = 5.14.0-503.el9 and kernel-headers = 5.14)', 'kernel-headers = 5.14'],
    ['(make or kernel-devel(x86-64) < 5.14)', 'kernel-devel(x86-64) < 5.14'],
    ['((kernel-rt-devel = 5.14.0-427.el9 or make) with kernel-devel)', 'kernel-rt-devel = 5.14.0-427.el9'],
  ])('of several in one: %s', (wanted, pin) => expect(pinIn(wants(wanted), EL)).toBe(pin));

  test.each([
    // No version, no package of a kernel, a symbol: another package is missing, or one that this kernel has not.
    'kernel-devel',
    'kernel-rpm-macros = 185-13.el9',
    'kernel-srpm-macros-1.0-13.el9',
    'sqlite-devel = 3.1',
    'python3-kernel-devel = 3.1',
    'kernel(seq_printf) = 0x2529ebe1',
    'kernel-abi-stablelists(x86-64)',
    // What this kernel is: the repo did not hold it.
    'kernel-devel = 5.14.0-503.el9',
    'kernel-devel = 5.14.0',
    'kernel-devel <= 5.14.0-503.el9',
    'kernel-devel >= 5.14.0-400',
    'kernel-devel > 5.13',
    'kernel-devel < 5.15',
    'kernel-devel-uname-r = 5.14.0-503.el9.x86_64',
    'kernel-devel-uname-r = 5.14.0-503.el9.x86_64+rt',
    'kernel-devel-5.14.0-503.el9.x86_64',
  ])('not: %s', (wanted) => expect(pinIn(wants(wanted), EL)).toBeUndefined());

  test('whatever its name, a package that the kernel makes is one', () => {
    expect(pinIn(wants('bpftool = 7.3.0-427.el9', 'kernel'), EL)).toBe('bpftool = 7.3.0-427.el9');
    expect(pinIn(wants('bpftool = 7.3.0-427.el9', 'dependency'), EL)).toBeUndefined();
  });

  test.each([
    'package kernel-devel-matched-5.14.0-427.el9.x86_64 from build requires kernel-devel = 5.14.0-427.el9, but none of the providers can be installed',
    'nothing provides kernel-devel = 5.14.0-427.el9 needed by kernel-devel-matched-5.14.0-427.el9.x86_64 from build',
    'kernel-devel-matched-5.14.0-427.el9.x86_64 (build) requires kernel-devel = 5.14.0-427.el9',
  ])("what a kernel's own package wants is none of the kmod's: %s", (message) => {
    const error = { ...wants('kernel-devel = 5.14.0-427.el9', 'kernel'), message };
    expect(pinIn(error, EL)).toBeUndefined();
    const asks = message.replace('kernel-devel-matched-5.14.0-427.el9', 'kmod-foo-1.0-1.el9');
    expect(pinIn({ ...error, message: asks }, EL)).toBe('kernel-devel = 5.14.0-427.el9');
  });

  test('of two versions that cannot be there together, the other one', () => {
    const own = 'kernel-headers-5.14.0-503.el9.x86_64 from build';
    const other = 'kernel-headers-5.14.0-427.el9.x86_64 from build';
    for (const both of [`${own} and ${other}`, `${other} and ${own}`])
      expect(pinIn(wants(both, 'kernel'), EL)).toBe('kernel-headers-5.14.0-427.el9.x86_64');
  });

  test.each([
    ['/lib/modules/5.14.0-427.el9.x86_64/build', EL, true],
    ['/usr/lib/modules/5.14.0-427.el9.x86_64/source', EL, true],
    ['/usr/src/kernels/5.14.0-427.el9.x86_64', EL, true],
    ['/usr/src/kernels/5.14.0-503.1.el9.x86_64', EL, true],
    ['/usr/src/kernels/5.14.0-503.el9.x86_64', EL, false],
    ['/lib/modules/5.14.0-503.el9.x86_64+debug/build', EL, false],
    ['/usr/src/kernels/5.14.0-503.el9.x86_64', DRAFT, false],
    ['/usr/src/kernels/4.18.0-553.rt7.342.el8.x86_64', RT, false],
    ['/usr/src/kernels/4.18.0-513.rt7.300.el8.x86_64', RT, true],
    ['/lib/modules/5.14.21-150500.55.7-default/build', SUSE, false],
    ['/usr/src/linux-5.14.21-150500.55.7-obj/x86_64/default', SUSE, false],
    ['/usr/src/linux-5.14.21-150500.55.7', SUSE, false],
    ['/lib/modules/5.14.21-150500.53-default/build', SUSE, true],
    ['/usr/src/linux-5.14.21-150500.53.2-obj/x86_64/default', SUSE, true],
  ])('%s, of %s', (path, kernel, isOther) => {
    for (const kind of ['dependency', 'kernel'] as const)
      expect(pinIn(wants(path, kind), kernel)).toBe(isOther ? path : undefined);
    expect(isInFolderOf(wants(path), kernel)).toBe(!isOther);
    const said: LogError = {
      kind: 'source',
      file: '',
      line: 0,
      message: `no such folder: '${path}/Makefile'`,
    };
    expect(pinIn(said, kernel)).toBe(isOther ? path : undefined);
  });

  test('where modules go to, or a folder without a version, is none', () => {
    const said = (message: string): LogError => ({ kind: 'source', file: '', line: 0, message });
    for (const message of [
      'depmod: ERROR: could not open directory /lib/modules/5.14.0-427.el9.x86_64: No such file',
      'File not found: /builddir/build/BUILDROOT/x/lib/modules/5.14.0-427.el9.x86_64/extra/foo.ko',
      'make: *** /usr/src/kernels/: No such file or directory.',
    ])
      expect(pinIn(said(message), EL)).toBeUndefined();
  });
});
