import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createErrorFinder, findErrors, findRootErrors } from '../../src/core/buildlog.ts';
import { describeError } from '../../src/core/wording.ts';
import { decodeResponse } from '../../src/koji/xmlrpc.ts';

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

const folder = new URL('./logs/', import.meta.url);
const logs = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => [name.slice(0, -4), readFileSync(new URL(name, folder), 'utf8')]),
);
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
      log: fc.constantFrom(...logs.values()),
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
