import { describe, expect, test } from 'vitest';
import { findErrors } from '../../src/core/buildlog.ts';
import { describeError } from '../../src/core/wording.ts';

const errorsOf = (...lines: string[]) => findErrors(lines.join('\n')).map(describeError);

describe('first errors of a build.log', () => {
  test('of the compiler, as path within the package; notes, warnings and echoed source do not count', () => {
    expect(
      errorsOf(
        '/builddir/build/BUILD/kmod-jool-4.1.9/src/nl.c:12:5: warning: unused variable: error: not me [-Wunused]',
        "/builddir/build/BUILD/kmod-jool-4.1.9/src/nl.c:205:21: error: initialization of 'int' from 'long' [-Werror]",
        '  205 |         .pre_doit = error,',
        "/builddir/build/BUILD/kmod-jool-4.1.9/src/nl.c:205:21: note: (near initialization for 'x')",
        'cc1: some warnings being treated as errors',
        'make[2]: *** [Makefile:234: nl.o] Error 1',
      ),
    ).toEqual(["src/nl.c:205: initialization of 'int' from 'long' [-Werror]"]);
  });
  test('a missing header is a fatal error', () => {
    expect(errorsOf('a.c:1:10: fatal error: linux/gone.h: No such file or directory')).toEqual([
      'a.c:1: linux/gone.h: No such file or directory',
    ]);
  });
  test('of modpost: an import that nothing exports', () => {
    expect(
      errorsOf('ERROR: modpost: "pci_clear_master" [/builddir/build/BUILD/k-1/k.ko] undefined!'),
    ).toEqual(['k.ko: pci_clear_master undefined']);
    expect(errorsOf('ERROR: "pci_clear_master" [k.ko] undefined!')).toEqual([
      'k.ko: pci_clear_master undefined',
    ]);
  });
  test('of make or rpmbuild, only where no tool says more', () => {
    expect(
      errorsOf(
        'make: *** No rule to make target "modules".  Stop.',
        'error: Bad exit status from /var/tmp/rpm-tmp.x (%build)',
      ),
    ).toEqual([
      'No rule to make target "modules".  Stop.',
      'Bad exit status from /var/tmp/rpm-tmp.x (%build)',
    ]);
  });
  test('of a builder without memory or disk, before all else', () => {
    expect(
      findErrors(
        'a.c:1:1: error: x\ngcc: fatal error: Killed signal terminated program cc1\nmake: *** [a.o] Error 1',
      ),
    ).toEqual([
      {
        kind: 'machine',
        file: '',
        line: 0,
        message: 'gcc: fatal error: Killed signal terminated program cc1',
      },
    ]);
  });
  test('five at the most, in order; none in a good log', () => {
    expect(errorsOf(...Array.from({ length: 9 }, (_, i) => `a.c:${i}:1: error: e${i}`))).toEqual([
      'a.c: e0',
      ...[1, 2, 3, 4].map((i) => `a.c:${i}: e${i}`),
    ]);
    expect(errorsOf('  CC [M]  error.o', 'Wrote: /builddir/build/RPMS/x86_64/kmod-error-1.rpm')).toEqual([]);
  });
});
