import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/core/wording.ts';
import { decodeResponse } from '../../src/koji/xmlrpc.ts';
import { createErrorFinder, findErrors, findRootErrors } from '../../src/logs/buildlog.ts';

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
  test('of make or rpmbuild, only where no tool says more, and rpmbuild does not say that it was the package', () => {
    expect(
      errorsOf('make: *** [a] Error 1', 'error: Bad exit status from /var/tmp/rpm-tmp.x (%clean)'),
    ).toEqual(['[a] Error 1', 'Bad exit status from /var/tmp/rpm-tmp.x (%clean)']);
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

describe('the identifier that an error names', () => {
  test.each([
    ["implicit declaration of function 'f'; did you mean 'g'? [-Werror=implicit-function-declaration]", 'f'],
    ["call to undeclared function 'f'; ISO C99 and later do not support implicit function declarations", 'f'],
    ['‘F_MAX’ undeclared (first use in this function); did you mean ‘F_MIN’?', 'F_MAX'],
    ["use of undeclared identifier 'F_MAX'", 'F_MAX'],
    ['‘struct file’ has no member named ‘f_dentry’; did you mean ‘f_entry’?', 'f_dentry'],
    ["no member named 'f_dentry' in 'struct file'", 'f_dentry'],
    ["too few arguments to function 'f'; expected 3, have 2", 'f'],
    ["too many arguments to function 'f'", 'f'],
    ["conflicting types for 'f'; have 'int(struct s *)'", 'f'],
    ["passing argument 2 of 'f' from incompatible pointer type [-Werror=incompatible-pointer-types]", 'f'],
    ["incompatible type for argument 2 of 'f'", 'f'],
    ["unknown type name 'time_t'", 'time_t'],
    ["unknown field 'pre_doit' specified in initializer", 'pre_doit'],
    [
      "field designator 'aio_read' does not refer to any field in type 'const struct file_operations'",
      'aio_read',
    ],
    ["invalid use of undefined type 'struct s'", 's'],
    ["dereferencing pointer to incomplete type 'struct s'", 's'],
    ["incomplete definition of type 'struct s'", 's'],
    ["redefinition of 'struct s'", 's'],
    ["static declaration of 'f' follows non-static declaration", 'f'],
    ['macro "access_ok" passed 3 arguments, but takes just 2', 'access_ok'],
    ["'f' is deprecated [-Werror=deprecated-declarations]", 'f'],
    ['linux/gone.h: No such file or directory', 'linux/gone.h'],
    ["'linux/gone.h' file not found", 'linux/gone.h'],
    ['static assertion failed: "sizeof(struct s) == 8"', undefined],
    ["unused variable 'x' [-Werror=unused-variable]", undefined],
    ["incompatible types when initializing type 'int' using type 'struct s'", undefined],
    ['implizite Deklaration der Funktion »f« [-Werror=implicit-function-declaration]', 'f'],
    ['déclaration implicite de la fonction « f »', 'f'],
    ['隐式声明函数‘f’', 'f'],
  ])('%s', (message, identifier) => {
    expect(findErrors(`a.c:1:2: error: ${message}`)).toEqual([
      { kind: 'source', file: 'a.c', line: 1, message, ...(identifier && { identifier }) },
    ]);
  });
  test.each([
    ['gcc', '   14 |         .pre_doit = mine,', 'pre_doit'],
    ['clang', '        .pre_doit = mine,', 'pre_doit'],
    ['gcc, of a macro', "a.c:14:21: note: (near initialization for 'ops.table[0].pre_doit')", 'pre_doit'],
    ['code that is no such field', '   14 | int x = 5;', undefined],
  ])('of a field that is initialized, in the lines beneath: %s', (_, beneath, identifier) => {
    const error =
      "a.c:14:21: error: initialization of 'int (*)(void)' from incompatible pointer type 'int *'";
    expect(findErrors(`${error}\n${beneath}\n`, 1)[0]?.identifier).toBe(identifier);
  });
});

describe('one line of a build.log', () => {
  test.each([
    ['ERROR: modpost: "f" [drivers/k.ko] undefined!', 'source', 'drivers/k.ko', 'f'],
    ['ERROR: "f" [/builddir/build/BUILD/k-1-build/k-1/k.ko] undefined!', 'source', 'k.ko', 'f'],
    [
      'ERROR: modpost: module k uses symbol f from namespace NS, but does not import it.',
      'source',
      'k.ko',
      'f',
    ],
    ['ERROR: module k uses symbol f from namespace NS, but does not import it.', 'source', 'k.ko', 'f'],
    ["FATAL: modpost: GPL-incompatible module k.ko uses GPL-only symbol 'f'", 'source', 'k.ko', 'f'],
    ["ERROR: GPL-incompatible module k.ko uses GPL-only symbol 'f'", 'source', 'k.ko', 'f'],
    ['ERROR: modpost: missing MODULE_LICENSE() in k.o', 'source', '', undefined],
    ['WARNING: modpost: "f" [k.ko] undefined!', undefined, '', undefined],
    ['k.o: error: objtool: f+0x1: unannotated intra-function call', 'source', 'k.o', undefined],
    ['error: objtool: f+0x1: unannotated intra-function call', 'source', '', undefined],
    ['k.o: warning: objtool: f+0x1: unannotated intra-function call', undefined, '', undefined],
    ['Skipping BTF generation for k.ko due to unavailability of vmlinux', undefined, '', undefined],
    ["x86_64-linux-gnu-gcc-12: error: unrecognized command-line option '-fx'", 'source', '', undefined],
    ['configure: error: no kernel sources', 'source', '', undefined],
    ["/usr/bin/ld: a.o: in function `main':", undefined, '', undefined],
    ["a.c:(.text+0xa): undefined reference to `f'", 'source', 'a.c', 'f'],
    ["/usr/bin/x86_64-redhat-linux-ld: a.c:7: undefined reference to `f'", 'source', 'a.c', 'f'],
    ['ld.lld: error: undefined symbol: f', 'source', '', 'f'],
    ['ld: cannot find -lnl', 'source', '', undefined],
    ["ld: unrecognized option '--no-such'", 'source', '', undefined],
    ['ld: warning: k.o: missing .note.GNU-stack section implies executable stack', undefined, '', undefined],
    ['collect2: error: ld returned 1 exit status', undefined, '', undefined],
    ['make: *** [Makefile:5: all] Error 2', 'outcome', '', undefined],
    ['make: [Makefile:5: all] Error 1 (ignored)', undefined, '', undefined],
    ['make[2]: *** [a.o] Killed', 'machine', '', undefined],
    ["cp: error writing 'k.ko': No space left on device", 'machine', '', undefined],
    ["OSError: [Errno 28] No space left on device: '/builddir/x'", 'machine', '', undefined],
    ['cc1: out of memory allocating 65536 bytes after a total of 1 bytes', 'machine', '', undefined],
    ['   12 |         pr_err("oops: Cannot allocate memory");', undefined, '', undefined],
    ['        pr_err("oops: Cannot allocate memory");', undefined, '', undefined],
    ['a.c:1:2: warning: #warning a.c:1:2: error: No space left on device', undefined, '', undefined],
  ])('%s', (line, kind, file, identifier) => {
    const [error] = findErrors(line);
    expect([error?.kind, error?.file ?? '', error?.identifier]).toEqual([kind, file, identifier]);
  });
});

describe('first errors of a root.log', () => {
  const wanted = 'kernel-devel = 5.14.0-70.el9';
  test.each([
    ['dnf 4', `No matching package to install: '${wanted}'`, 'dependency', wanted],
    [
      'dnf 4',
      '  - nothing provides kernel-core-uname-r = 5.14 needed by kernel-devel-5.14-1.x86_64 from build',
      'dependency',
      'kernel-core-uname-r = 5.14',
    ],
    ['dnf 4', ' Problem 1: nothing provides requested kernel-devel', 'dependency', 'kernel-devel'],
    [
      'dnf 4',
      ' Problem: package a-1.x86_64 from build requires b >= 2, but none of the providers can be installed',
      'dependency',
      'b >= 2',
    ],
    [
      'dnf 4',
      '  - package a-1.x86_64 from build conflicts with b provided by c-1.x86_64 from build',
      'dependency',
      'b',
    ],
    ['dnf 5', `No match for argument: ${wanted}`, 'dependency', wanted],
    ['dnf 5', 'Failed to resolve the transaction:', 'outcome', undefined],
    ['yum', `Error: Package: a-1.x86_64 (build)\n           Requires: ${wanted}`, 'dependency', wanted],
    ['yum', `Error: No Package found for ${wanted}`, 'dependency', wanted],
    ['yum', 'No package kernel-devel available.', 'dependency', 'kernel-devel'],
    [
      'dnf 4',
      "Error: Failed to download metadata for repo 'build': Cannot download repomd.xml",
      'machine',
      undefined,
    ],
    ['dnf 4', "Error: Failed to synchronize cache for repo 'build'", 'machine', undefined],
    [
      'dnf 4',
      '  - Curl error (6): Could not resolve host name for http://koji.example.org/',
      'machine',
      undefined,
    ],
    [
      'yum',
      'failure: repodata/repomd.xml from build: [Errno 256] No more mirrors to try.',
      'machine',
      undefined,
    ],
    [
      'rpm',
      'error: unpacking of archive failed: cpio: write failed - No space left on device',
      'machine',
      undefined,
    ],
    [
      'rpm',
      'installing package a-1.x86_64 needs 12MB more space: No space left on device',
      'machine',
      undefined,
    ],
    [
      'dnf 4',
      'installing package a-1.x86_64 needs 12MB more space on the / filesystem',
      'machine',
      undefined,
    ],
    ['dnf 4', 'At least 12MB more space needed on the / filesystem.', 'machine', undefined],
    ['yum', 'Error: Cannot find a valid baseurl for repo: build', 'machine', undefined],
    ['dnf 5', 'Failed to load repositories', 'machine', undefined],
    ['mock', 'Killed', 'machine', undefined],
    [
      'yum',
      'No Package kernel-devel-3.10.0-1160.el7 available.',
      'dependency',
      'kernel-devel-3.10.0-1160.el7',
    ],
    [
      'dnf 4',
      ' - package kernel-devel-5.14.0-427.el9.x86_64 from build is filtered out by exclude filtering',
      'dependency',
      'kernel-devel-5.14.0-427.el9.x86_64',
    ],
    [
      'dnf 5',
      '  - cannot install both kernel-headers-6.1-2.x86_64 from build and kernel-headers-6.1-1.x86_64 from build',
      'dependency',
      'kernel-headers-6.1-2.x86_64 from build and kernel-headers-6.1-1.x86_64',
    ],
    [
      'dnf 5',
      ' - package kernel-devel-6.1-1.x86_64 from build is not installable',
      'dependency',
      'kernel-devel-6.1-1.x86_64',
    ],
    [
      'zypper',
      "Problem: nothing provides 'kernel-default-devel = 5.14.21-150500.55.1' needed by the to be installed a-1.noarch",
      'dependency',
      'kernel-default-devel = 5.14.21-150500.55.1',
    ],
    ['zypper', `No provider of '${wanted}' found.`, 'dependency', wanted],
    ['dnf 4', 'Error: Transaction test error:', 'outcome', undefined],
    ['dnf 5', 'Package "make-1:4.4-1.x86_64" is already installed.', undefined, undefined],
    ['dnf 4', 'No packages marked for removal.', undefined, undefined],
  ])('%s: %s', (_, said, kind, identifier) => {
    for (const prefix of ['DEBUG util.py:461:  ', 'DEBUG util.py:  ', 'ERROR package_manager.py:12:  ', '']) {
      const [error] = findRootErrors(said.replace(/^/gm, prefix));
      expect([error?.kind, error?.identifier]).toEqual([kind, identifier]);
    }
  });
  test('a repository that failed explains what is missing; a mirror that failed does not', () => {
    const missing = "DEBUG util.py:461:  No matching package to install: 'x'";
    const kinds = (log: string) => findRootErrors(log).map(({ kind }) => kind);
    expect(kinds(`DEBUG util.py:461:  Ignoring repositories: build\n${missing}`)).toEqual(['machine']);
    expect(
      kinds(`DEBUG util.py:461:  [MIRROR] a.rpm: Curl error (28): Timeout\n${missing}\n${missing}`),
    ).toEqual(['dependency']);
  });
});

describe('a package that fails of its own, with no line of a tool that is known', () => {
  const BAD_EXIT = 'error: Bad exit status from /var/tmp/rpm-tmp.x (%build)';
  /** The words of an own failure, or other kinds with them. */
  const words = (...lines: string[]) =>
    findErrors(lines.join('\n')).map((it) => (it.kind === 'source' ? '' : `${it.kind} `) + describeError(it));
  test.each<[string, string[], string[]]>([
    ['the last words count', ['foo: it is broken', '+ exit 1', BAD_EXIT], ['foo: it is broken']],
    [
      'where make gave up, those before it',
      ['foo: it is broken', 'make: *** [Makefile:5: all] Error 2', '  CC [M]  b.o', 'b is fine', BAD_EXIT],
      ['foo: it is broken'],
    ],
    [
      'or what make says',
      ['one', 'make: *** No rule to make target "modules".  Stop.', BAD_EXIT],
      ['No rule to make target "modules".  Stop.'],
    ],
    [
      'make says where, if nothing else is said',
      ['make: *** [a:5: all] Error 2', BAD_EXIT],
      ['[a:5: all] Error 2'],
    ],
    [
      'a new section begins anew',
      [
        'make: *** [a] Error 2',
        'Executing(%install): /bin/sh -e /var/tmp/rpm-tmp.y',
        '+ cd foo',
        'no foo',
        BAD_EXIT,
      ],
      ['no foo'],
    ],
    [
      'no progress, no commands',
      ['last', 'make: Entering directory x', '  LD [M]  k.ko', '+ false', '', BAD_EXIT],
      ['last'],
    ],
    ['nothing at all', [BAD_EXIT], ['Bad exit status from /var/tmp/rpm-tmp.x (%build)']],
    ['of %prep', ['no such', BAD_EXIT.replace('build)', 'prep)')], ['no such']],
    ['of %install', ['no such', BAD_EXIT.replace('build)', 'install)')], ['no such']],
    ['of %check', ['no such', BAD_EXIT.replace('build)', 'check)')], ['no such']],
    [
      'not where the machine failed',
      ['make: *** [a] Error 137', BAD_EXIT],
      ['machine make: *** [a] Error 137'],
    ],
    [
      'configure, in lines of its own',
      ['configure: error:', '\t*** Too new a kernel.', '\t*** At most 6.17.', 'x', BAD_EXIT],
      ['configure failed: Too new a kernel. At most 6.17.'],
    ],
    [
      'configure, with more lines',
      ['configure: error: *** No sources.', '\t*** See README.', BAD_EXIT],
      ['No sources. See README.'],
    ],
    ['configure, without', ['configure: error: no sources', 'x', BAD_EXIT], ['no sources']],
    [
      'rustc, with its place beneath',
      [
        'error[E0425]: cannot find value `x`',
        '  --> src/a.rs:7:5',
        '   |',
        'error: aborting due to 1 previous error',
      ],
      ['src/a.rs:7: cannot find value `x`'],
    ],
    ['rustc, without a number', ['error: expected `;`', '  --> src/a.rs:7:5'], ['src/a.rs:7: expected `;`']],
    [
      'unpackaged files',
      ['error: Installed (but unpackaged) file(s) found:', '   /usr/a', '   /usr/b', 'x'],
      ['Installed (but unpackaged) file(s) found: /usr/a /usr/b'],
    ],
    ['a file that was not made', ['error: File not found: /x/k.ko'], ['File not found: /x/k.ko']],
    ['a spec file', ['error: line 12: Unknown tag: Foo'], ['line 12: Unknown tag: Foo']],
    ['a spec file that does not end', ['error: Unclosed %if'], ['Unclosed %if']],
    [
      'what rpmbuild sums up, in words that are not known',
      ['RPM build errors:', '    Generating foo failed for reasons of its own'],
      ['Generating foo failed for reasons of its own'],
    ],
    [
      'cmake',
      [
        'CMake Error at CMakeLists.txt:5 (find_package):',
        '  Could not find a package configuration file provided by "Foo"',
        '-- Configuring incomplete, errors occurred!',
        BAD_EXIT,
      ],
      ['CMakeLists.txt:5: find_package: Could not find a package configuration file provided by "Foo"'],
    ],
    [
      'a tool that make has not',
      ['make: gcc-13: No such file or directory', 'make: *** [Makefile:1: x] Error 127', BAD_EXIT],
      ['make: gcc-13: No such file or directory'],
    ],
    ['ninja', ['FAILED: foo.o', 'ninja: build stopped: subcommand failed.', BAD_EXIT], ['FAILED: foo.o']],
    [
      'debuginfo',
      ['*** ERROR: No build ID note found in /builddir/build/BUILDROOT/k.ko', BAD_EXIT],
      ['*** ERROR: No build ID note found in /builddir/build/BUILDROOT/k.ko'],
    ],
    [
      'a patch',
      [
        'patching file a.c',
        'Hunk #1 FAILED at 12.',
        '1 out of 1 hunk FAILED -- saving rejects to file a.c.rej',
        BAD_EXIT,
      ],
      ['a.c: Hunk #1 FAILED at 12.', 'a.c: 1 out of 1 hunk FAILED -- saving rejects to file a.c.rej'],
    ],
    [
      'a patch, by git',
      ['error: patch failed: a.c:12', 'error: a.c: patch does not apply'],
      ['patch failed: a.c:12', 'a.c: patch does not apply'],
    ],
    [
      'a module that was not made',
      ["cp: cannot stat 'k.ko': No such file or directory"],
      ["cp: cannot stat 'k.ko': No such file or directory"],
    ],
    [
      'depmod',
      ['depmod: ERROR: Cycle detected: a -> b -> a'],
      ['depmod: ERROR: Cycle detected: a -> b -> a'],
    ],
    [
      'modpost of old',
      ['FATAL: parse error in symbol dump file'],
      ['FATAL: parse error in symbol dump file'],
    ],
    [
      'tools that are known have the word',
      ["cp: cannot stat 'x': No such file or directory", 'a.c:1:1: error: e', 'last', BAD_EXIT],
      ['a.c:1: e'],
    ],
  ])('%s', (_, lines, expected) => expect(words(...lines)).toEqual(expected));
  test('what a configure script only tried comes after what is wrong', () => {
    const conftest = 'conftest.c:1:1: error: t';
    expect(words(conftest, 'checking whether it is so... no', 'a.c:1:1: error: e')).toEqual([
      'a.c:1: e',
      'conftest.c:1: t',
    ]);
  });
});

describe('a kernel or a package that is not there', () => {
  const OLD = '6.1.150-40.el9.x86_64';
  test.each<[string, string | undefined]>([
    [`make: *** /usr/src/kernels/${OLD}: No such file or directory.  Stop.`, `/usr/src/kernels/${OLD}`],
    [
      `make[1]: *** /lib/modules/${OLD}/build: No such file or directory.  Stop.`,
      `/lib/modules/${OLD}/build`,
    ],
    [
      `make: *** /usr/src/linux-5.14.21-1-obj/x86_64/rt: No such file or directory.  Stop.`,
      '/usr/src/linux-5.14.21-1-obj/x86_64/rt',
    ],
    [
      `/var/tmp/rpm-tmp.x: line 33: cd: /usr/src/kernels/${OLD}: No such file or directory`,
      `/usr/src/kernels/${OLD}`,
    ],
    [
      `Makefile:12: /lib/modules/${OLD}/build/Makefile: No such file or directory`,
      `/lib/modules/${OLD}/build`,
    ],
    [
      `cp: cannot stat '/usr/src/kernels/${OLD}/Module.symvers': No such file or directory`,
      `/usr/src/kernels/${OLD}`,
    ],
    [
      'error: Failed build dependencies:\n\tkernel-devel = 6.1.150-40.el9 is needed by kmod-a-1-1.src',
      'kernel-devel = 6.1.150-40.el9',
    ],
    ['\tsqlite is needed by persistence', undefined],
    ['make: *** /usr/src/kernels/: No such file or directory.  Stop.', undefined],
    [`cp: cannot stat '/usr/src/kernels/${OLD}/drivers/a.h': No such file or directory`, undefined],
    [`ls: cannot access '/usr/src/kernels/${OLD}': No such file or directory`, `/usr/src/kernels/${OLD}`],
    [`find: ‘/usr/src/kernels/${OLD}’: No such file or directory`, `/usr/src/kernels/${OLD}`],
    [
      `cat: /usr/src/kernels/${OLD}/include/config/kernel.release: No such file or directory`,
      `/usr/src/kernels/${OLD}`,
    ],
    [`grep: /lib/modules/${OLD}/build/.config: No such file or directory`, `/lib/modules/${OLD}/build`],
    [
      `make: *** No rule to make target '/lib/modules/${OLD}/build/Module.symvers', needed by 'all'.  Stop.`,
      `/lib/modules/${OLD}/build`,
    ],
    [
      `Error! Your kernel headers for kernel ${OLD} cannot be found at /lib/modules/${OLD}/build or /lib/modules/${OLD}/source.`,
      `/lib/modules/${OLD}/build`,
    ],
    [
      `configure: error: Kernel source /usr/src/kernels/${OLD} could not be found.`,
      `/usr/src/kernels/${OLD}`,
    ],
    [
      `configure: error:\n\t*** The specified kernel source directory does not exist /usr/src/kernels/${OLD}`,
      `/usr/src/kernels/${OLD}`,
    ],
    [
      `checking kernel source directory... /usr/src/kernels/${OLD}\nconfigure: error:\n\t*** Please make sure the kernel devel package for your distribution\n\t*** is installed and then try again.`,
      `/usr/src/kernels/${OLD}`,
    ],
    ['package kernel-devel-6.1.150-40.el9.x86_64 is not installed', 'kernel-devel-6.1.150-40.el9.x86_64'],
    ['package dkms is not installed', undefined],
    [
      'checking kernel source directory... [Not found]\nconfigure: error:\n\t*** Please make sure the kernel devel package for your distribution',
      undefined,
    ],
    [
      `checking kernel source directory... /usr/src/kernels/${OLD}\nconfigure: error:\n\t*** Unable to build an empty module.`,
      undefined,
    ],
    [`depmod: ERROR: could not open directory /lib/modules/${OLD}: No such file or directory`, undefined],
  ])('%s', (line, wanted) => {
    const found = findErrors(`${line}\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)`);
    expect(found.map(({ kind, identifier }) => [kind, identifier])).toEqual([
      wanted ? ['dependency', wanted] : ['source', undefined],
    ]);
  });
  test('make that did not find the kernel did not try the module, whatever else is wrong', () => {
    const found = findErrors(
      `a.c:1:1: error: e\nmake: *** /usr/src/kernels/${OLD}: No such file or directory.  Stop.\n`,
    );
    expect(found.map(({ kind }) => kind)).toEqual(['dependency']);
  });
  test('all complaints of dnf are told, each with what was wanted as it was written', () => {
    const pins = [
      'kernel-abi-stablelists',
      'kernel-core',
      'kernel-devel',
      'kernel-headers',
      'kernel-modules',
    ];
    const wanted = ['a', 'b >= 2', 'c', ...pins.map((name) => `${name} = 6.1.150-40.el9`)];
    const log = wanted.map((it) => `DEBUG util.py:461:  No matching package to install: '${it}'`).join('\n');
    expect(findRootErrors(log).map(({ kind, identifier }) => `${kind} ${identifier}`)).toEqual(
      wanted.map((it) => `dependency ${it}`),
    );
    expect(findRootErrors(log, 3)).toHaveLength(3);
  });
});

describe('the builder had no memory left, or its processes were killed', () => {
  test.each([
    '/bin/sh: line 1: 12345 Killed                  pahole -J --btf_gen_floats k.ko',
    '/var/tmp/rpm-tmp.AbC: line 40:   123 Killed                  make -j8 modules',
    'make[2]: *** [scripts/Makefile.modfinal:57: k.ko] Error 137',
    'make[2]: *** [k.ko] Error 137',
    'make[3]: *** [scripts/Makefile.build:250: k.o] Killed',
    'make[3]: *** [scripts/Makefile.build:250: k.o] Terminated',
    'collect2: fatal error: ld terminated with signal 9 [Killed]',
    'xargs: pahole: terminated by signal 9',
    '/bin/sh: fork: retry: Resource temporarily unavailable',
    '/usr/bin/bash: line 7: fork: Cannot allocate memory',
    'make: vfork: Resource temporarily unavailable',
    'make: *** fork: Cannot allocate memory.  Stop.',
    '/bin/sh: 0: Cannot fork',
    'error: cannot fork() for git-remote-https: Resource temporarily unavailable',
    'cc1: out of memory',
    'cc1: out of memory allocating 65536 bytes after a total of 1 bytes',
    "  process didn't exit successfully: `rustc --crate-name a` (signal: 9, SIGKILL: kill)",
    'LLVM ERROR: out of memory',
    'clang: error: unable to execute command: Killed',
    'xz: (stdin): Cannot allocate memory',
    'gcc: fatal error: Killed signal terminated program cc1',
    'gcc: internal compiler error: Killed (program cc1)',
    'ld: final link failed: Memory exhausted',
    "terminate called after throwing an instance of 'std::bad_alloc'",
    'MemoryError',
    'Killed',
    'make[2]: *** [Makefile:7: k.ko] Error 143',
    'collect2: fatal error: ld terminated with signal 15 [Terminated]',
    '/usr/lib/rpm/brp-strip: line 15: 12345 Killed                  $STRIP "$f"',
    "  process didn't exit successfully: `rustc` (signal: 15, SIGTERM: termination signal)",
    'error: create archive failed on file /builddir/x.rpm: cpio: write failed - No space left on device',
  ])('%s', (line) => {
    const found = findErrors(`${line}\na.c:1:1: error: x\nerror: Bad exit status from /x (%build)\n`);
    expect(found).toEqual([{ kind: 'machine', file: '', line: 0, message: line.trim() }]);
  });
  test.each([
    '   12 |         pr_err("fork: retry: Resource temporarily unavailable");',
    '        pr_err("fork: retry: Resource temporarily unavailable");',
    '        pr_err("x: terminated with signal 9");',
    '   12 | // 12345 Killed',
    '        // line 1: 12345 Killed',
    '        * x: Cannot allocate memory (see fork)',
    'a.c:1:2: warning: #warning fork: Cannot allocate memory',
    'a.c:1:2: note: out of memory',
    'a.c:1:2: error: #error build me with less: out of memory',
    "+ echo 'Killed'",
    '+ : fork: Cannot allocate memory',
    'checking for Killed... no',
    '  CC [M]  oom/Killed.o',
    'make[2]: [k.ko] Error 137 (ignored)',
    'make[2]: *** [k.ko] Error 13',
    'test 137: Error 137 is expected',
  ])('but not: %s', (line) => {
    expect(findErrors(line).map(({ kind }) => kind)).not.toContain('machine');
  });
});

describe("an error in the kernel's headers", () => {
  const INIT = '/usr/src/kernels/6.1.0-1.el9.x86_64/include/linux/init.h:12:3: error: too few arguments';
  test("comes after the kmod's own, which it only goes with", () => {
    expect(errorsOf(INIT, '/builddir/build/BUILD/k-1/k.c:7:1: error: x')).toEqual([
      'k.c:7: x',
      '/usr/src/kernels/6.1.0-1.el9.x86_64/include/linux/init.h:12: too few arguments',
    ]);
    expect(errorsOf('./include/linux/init.h:12:3: error: y', 'include/foo.h:7:1: error: x')).toEqual([
      'include/foo.h:7: x',
      './include/linux/init.h:12: y',
    ]);
  });
  test("of a macro is told with the kmod's line that uses it", () => {
    expect(
      errorsOf(
        './include/linux/minmax.h:20:28: error: comparison of distinct pointer types [-Werror]',
        '   20 |         (!!(sizeof((typeof(x) *)1 == (typeof(y) *)1)))',
        './include/linux/minmax.h:26:18: note: in expansion of macro ‘__typecheck’',
        '/builddir/build/BUILD/k-1/src/k.c:40:9: note: in expansion of macro ‘min’',
      ),
    ).toEqual(['src/k.c:40: comparison of distinct pointer types [-Werror] (./include/linux/minmax.h:20)']);
  });
  test('is all there is, where it is', () => {
    expect(errorsOf(INIT)).toHaveLength(1);
  });
});

describe('an error line with odd characters in it', () => {
  test.each<[string, string, string[]]>([
    ['U+2028', 'a.c:1:2: error: one\u2028two', ['a.c:1: one two']],
    ['U+2029', 'a.c:1:2: error: one\u2029two', ['a.c:1: one two']],
    ['a carriage return', 'a.c:1:2: error: one\rtwo', ['a.c:1: one']],
    ['progress before it', ' 10%\r 20%\ra.c:1:2: error: one', ['a.c:1: one']],
    ['carriage returns at its end', 'a.c:1:2: error: one\r\r\n', ['a.c:1: one']],
    [
      'lines that end as on Windows',
      'configure: error:\r\n\t*** one\r\n\t*** two\r\n',
      ['configure failed: one two'],
    ],
    ['an order to a terminal that does not end', 'a.c:1:2: error: \u001b]0;one\u0000', ['a.c:1: ]0;one']],
    ['one of eight bits', 'a.c:1:2: error: \u009bone', ['a.c:1: one']],
  ])('%s', (_, log, expected) => expect(findErrors(log).map(describeError)).toEqual(expected));
});

/** The logs in a folder, by name. */
function logsIn(path: string): Map<string, string> {
  const folder = new URL(path, import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return new Map(files.map((name) => [name.slice(0, -4), readFileSync(new URL(name, folder), 'utf8')]));
}
const logs = logsIn('./real/');
const status1 = logsIn('./real/status1/');

/** Each log of failures of which mock's status tells nothing: the kind, and how what is told first begins. */
const STATUS_1: Record<string, string | null> = {
  'arch-not-included.build': 'source Architecture is not included: i686',
  'clang-options.build': "source unknown argument: '-fmin-function-alignment=16'",
  'configure-kernel-too-new.build':
    'source configure failed: Cannot build against kernel version 6.18.1. The maximum supported kernel version is 6.17.',
  'configure-tries-before-error.build':
    "source module/os/linux/foo/super.c:120: too few arguments to function 'foo'",
  'file-not-found.build':
    'source File not found: /builddir/build/BUILDROOT/foo/lib/modules/5.14/extra/foo.ko',
  'gcc-plugin.build': 'source incompatible gcc/plugin versions',
  'kernel-config-invalid.build':
    'source ERROR: Kernel configuration is invalid. include/generated/autoconf.h or include/config/auto.conf are missing.',
  'kernel-folder-missing.build':
    'dependency /lib/modules/6.12.0-55.el10.x86_64/build: No such file or directory [/lib/modules/6.12.0-55.el10.x86_64/build]',
  'modpost-fatal-gpl-only.build':
    "source foo.ko: uses GPL-only symbol 'delayed_work_timer_fn' [delayed_work_timer_fn]",
  'modpost-missing-license.build': 'source missing MODULE_LICENSE() in',
  'modpost-namespace.build': 'source foo.ko: uses symbol kernel_write from namespace VFS',
  'modpost-warning-only.build': null,
  'objtool.build': 'source foo.o: objtool: foo_init+0x1c: sibling call from callable instruction',
  'pinned-devel-dnf5.root':
    'dependency No match for argument: kernel-devel-5.14.0-427.el9.x86_64 [kernel-devel-5.14.0-427.el9.x86_64]',
  'pinned-uname-dnf4.root':
    'dependency nothing provides kernel-core-uname-r >= 5.14.0-70.el9 needed by kmod-foo-8.1-15.el9.x86_64 [kernel-core-uname-r >= 5.14.0-70.el9]',
  'rust-crate-mismatch.build': "source couldn't find crate `core` with expected target triple",
  'signing-key-missing.build': 'source sign-file: /builddir/signing_key.priv: No such file or directory',
  'warnings-as-errors.build': 'source cc1: all warnings being treated as errors',
};

describe('whose failure it is, where mock says 1', () => {
  test.each([...status1])('%s', (name, log) => {
    const [error] = name.endsWith('.root') ? findRootErrors(log) : findErrors(log);
    const identifier = error?.identifier ? ` [${error.identifier}]` : '';
    const told = error ? `${error.kind} ${describeError(error)}${identifier}` : null;
    const expected = STATUS_1[name];
    expect(told?.slice(0, expected?.length) ?? null).toBe(expected);
  });
  test('all of them are in the table', () => {
    expect([...status1.keys()].sort()).toEqual(Object.keys(STATUS_1).sort());
  });
});

/** The ends of two logs that a real hub gave: of a build that failed, and of one that did not. */
for (const [name, file] of [
  ['recorded-jool', '080-downloadTaskOutput.json'],
  ['recorded-bbswitch', '068-downloadTaskOutput.json'],
] as const) {
  const { response } = JSON.parse(
    readFileSync(new URL(`../recordings/koji/${file}`, import.meta.url), 'utf8'),
  );
  logs.set(name, Buffer.from(String(decodeResponse(response)), 'base64').toString());
}

/** What the whole log shows first: `FILE:LINE identifier`. */
const FIRST: Record<string, string | null> = {
  assembler: 'fast.S:4 -',
  'changed-signature': 'nl.c:14 pre_doit',
  'clang-bare-error': ':0 -',
  'clang-changed-signature': 'nl.c:19 netif_napi_add',
  'clang-missing-header': 'old.c:2 linux/genhd.h',
  'clang-missing-member': 'probe.c:6 vm_area_cache',
  'clang-unknown-argument': ':0 -',
  colored: 'probe.c:6 -',
  german: 'probe.c:6 cache',
  'link-duplicate': 'b.c:2 shared_state',
  'link-undefined': 'tool/tool.c:4 nl_send_auto_complete',
  'lld-duplicate': ':0 shared_state',
  'missing-header': 'old.c:2 linux/genhd.h',
  'missing-member': 'probe.c:6 -',
  'modpost-gpl-only': 'blob.ko:0 synchronize_rcu',
  'modpost-namespace': 'gpu.ko:0 dma_buf_fd',
  'modpost-undefined': 'bbswitch.ko:0 acpi_bus_get_device_old',
  parallel: 'part6.c:8 ksize_6',
  'recorded-bbswitch': null,
  'recorded-jool': 'tree/jool-dkms/4.1.9/build/src/mod/common/nl/nl_handler.c:205 pre_doit',
  'removed-function': 'src/dma.c:9 pci_alloc_consistent',
  'unknown-option': ':0 -',
  'warnings-only': null,
  werror: 'second.c:8 -',
};

describe('real logs', () => {
  test.each(Object.entries(FIRST))('%s: %s', (name, first) => {
    const [error] = findErrors(logs.get(name) ?? '');
    expect(error ? `${error.file}:${error.line} ${error.identifier ?? '-'}` : null).toBe(first);
    expect(error?.kind ?? 'source').toBe('source');
  });
  test('all of them are in the table', () => {
    expect([...logs.keys()].sort()).toEqual(Object.keys(FIRST).sort());
  });
  test.each([...logs])('%s: every line with an error is told, and no warning or note', (_, log) => {
    const told = findErrors(log, 1000);
    const lines = log.split('\n');
    for (const { message } of told) {
      const from = lines.filter((line) => line.includes(message));
      expect(from.filter((line) => /(?:^|: )(?:warning|note|Warnung|Anmerkung): /.test(line))).toEqual([]);
    }
    const errors = lines.filter((line) => /^\/\S+:\d+:\d+: (?:fatal )?(?:error|Fehler): /.test(line));
    expect(told.length).toBeGreaterThanOrEqual(new Set(errors).size);
  });
  test('cut into any pieces, the answer is the same', () => {
    const pieces = fc.record({
      log: fc.constantFrom(...logs.values(), ...status1.values(), 'configure: error:\r\n\ta\r\n\tb\rc\r\n'),
      most: fc.integer({ min: 1, max: 6 }),
      sizes: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 30 }),
    });
    fc.assert(
      fc.property(pieces, ({ log, most, sizes }) => {
        const finder = createErrorFinder(most);
        for (let at = 0, i = 0; at < log.length && !finder.done(); i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          finder.push(log.slice(at, at + size));
          at += size;
        }
        expect(finder.finish()).toEqual(findErrors(log, most));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a log that comes in pieces', () => {
  test('is done with once it has enough, or the machine failed', () => {
    const finder = createErrorFinder(2);
    finder.push('a.c:1:1: error: x\na.c:2:1: error: y');
    expect(finder.done()).toBe(false);
    finder.push('\n');
    expect(finder.done()).toBe(true);
    const other = createErrorFinder(2);
    other.push('cc1: fatal error: error writing to /tmp/x.s: No space left on device\n');
    expect(other.done()).toBe(true);
  });
  test('the lines beneath the last error are awaited where they may name something', () => {
    const finder = createErrorFinder(1);
    finder.push("a.c:1:1: error: initialization of 'a' from incompatible pointer type 'b'\n");
    expect(finder.done()).toBe(false);
    finder.push('    1 |   .field = b,\n');
    expect(finder.done()).toBe(true);
    expect(finder.finish()[0]?.identifier).toBe('field');
  });
  test('with a part left out: half lines on either side count for nothing', () => {
    const finder = createErrorFinder();
    finder.push('a.c:1:1: error: whole\na.c:2:1: err');
    finder.skip();
    finder.push('c:3:1: error: half');
    finder.push(' a line\na.c:4:1: error: whole\n');
    expect(finder.finish().map(({ line }) => line)).toEqual([1, 4]);
  });
  test('a line of ten megabytes costs nothing, and hides nothing after it', () => {
    const finder = createErrorFinder();
    const piece = 'x: '.repeat(100_000);
    for (let i = 0; i < 35; i += 1) finder.push(piece);
    finder.push(`\na.c:1:1: error: ${'long '.repeat(10_000)}`);
    const [error] = finder.finish();
    expect([error?.line, (error?.message.length ?? 0) < 5000]).toEqual([1, true]);
  });
  test('an error of a header that every file includes is told once', () => {
    expect(errorsOf('a.h:1:1: error: x', 'a.h:1:1: error: x', 'a.c:1:1: error: x')).toEqual([
      'a.h:1: x',
      'a.c:1: x',
    ]);
  });
});
