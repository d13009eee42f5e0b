/** `kmod-gate check` and `diff` on folders as people have them, and on the rpms of whole kernel builds. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CheckOptions, check, diff } from '../../src/commands/check.ts';
import { UnreadError } from '../../src/commands/error.ts';
import { modversions, packed, writeElf } from '../symbols/elf.ts';
import { bzImage, SMALL_BTF, vmlinux } from '../symbols/images.ts';
import { rpmbuild, withBuilds } from '../symbols/rpmbuild.ts';
import { fileOf, start } from './program.ts';

const FIELD = fileURLToPath(new URL('../field/', import.meta.url));
const KERNEL = join(FIELD, 'kernel-folder/kernel');
const CORE = join(KERNEL, 'kernel-core-5.14.0-503.el9.x86_64.rpm');
const RESULT = join(FIELD, 'kmods-folder/result');

/** What a command printed, its answer, and what it says it could not read. */
async function run(command: (write: (text: string) => void) => Promise<boolean>) {
  let text = '';
  const unread: string[] = [];
  const answer = await command((more) => {
    text += more;
  }).catch((error) => {
    if (!(error instanceof UnreadError)) throw error;
    unread.push(...error.problems);
    return null;
  });
  return { answer, text, unread };
}
type Options = Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>;
const config = () => Promise.reject(new Error('no configuration is needed'));
const checked = (options: Options) =>
  run((write) => check({ write, colour: false }, { kmods: [], json: false, config, ...options }));
const compared = (older: string, newer: string, stablelist: string) =>
  run((write) => diff({ write, colour: false }, [older, newer], { json: false, config, stablelist }));
const passedOver = (text: string) => /^Passed over: (.*)$/m.exec(text)?.[1];
/** The lines of the table: name, outcome and what follows it. */
const outcomes = (text: string) =>
  [...text.matchAll(/^(\S+) +\d+ +\d+ +\d+ +(compatible|incompatible|inconclusive)/gm)].map(
    ([, name, outcome]) => `${name} ${outcome}`,
  );

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-folders-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (path: string, content: string | Buffer = '') => {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
};
const shape = { wordSize: 64, littleEndian: true, machine: 62 } as const;
/** A module that needs symbols by CRC, and exports some. */
const module = (
  name: string,
  imports: Record<string, number>,
  exports: Record<string, number> = {},
  flags = 'SMP mod_unload modversions',
) =>
  writeElf(
    shape,
    {
      '.modinfo': Buffer.from(`name=${name}\0license=GPL\0vermagic=5.14.0 ${flags} \0`),
      __versions: modversions(shape, imports),
      __kcrctab: packed(shape, ...Object.values(exports).map((crc) => [crc, 4] as [number, number])),
    },
    Object.keys(exports).map((symbol, i) => ({ name: `__crc_${symbol}`, section: 2, value: 4 * i })),
  );
const symvers = (...symbols: (readonly [string, number])[]) =>
  symbols
    .map(([name, crc]) => `0x${crc.toString(16).padStart(8, '0')}\t${name}\tvmlinux\tEXPORT_SYMBOL\t\n`)
    .join('');

describe('folders from the field', () => {
  test('all rpms of a kernel build are a kernel', async () => {
    const { answer, text } = await checked({ kernel: [KERNEL], kmods: [join(FIELD, 'kernel-folder/kmods')] });
    expect(answer).toBe(true);
    expect(text).toContain('The kernel exports 3 symbols.');
    expect(outcomes(text)).toEqual(['kmod-foo-1.0-1.el9 compatible']);
    expect(passedOver(text)).toBe('3 rpms without symbols, 2 devel rpms');
  });
  test.each([
    ['result', '1 source rpm, 1 debuginfo rpm, 1 noarch rpm'],
    ['result2', '2 logs, 1 debuginfo rpm, 1 noarch rpm'],
    ['repo', '1 file of repodata'],
  ])('kmods in %s/', async (name, passed) => {
    const { answer, text } = await checked({ kernel: [CORE], kmods: [join(FIELD, 'kmods-folder', name)] });
    expect(answer).toBe(true);
    expect(outcomes(text)).toEqual(['kmod-foo-1.0-1.el9 compatible']);
    expect(passedOver(text)).toBe(passed);
  });
  test.each(['.', './', './Packages/..'])('named as %s', async (name) => {
    put('repodata/symvers', 'not looked at');
    put('symvers', symvers(['kernel_core_sym', 0x1234abcd]));
    put('b.modversions', '0x1234abcd\tkernel_core_sym\n');
    mkdirSync(join(folder, 'Packages'));
    const here = process.cwd();
    process.chdir(folder);
    try {
      const { answer, text, unread } = await checked({ kernel: [CORE], kmods: [name] });
      expect([answer, outcomes(text), unread]).toEqual([true, ['b compatible'], []]);
      expect(passedOver(text)).toBe('1 list of symbols, 1 file of repodata');
    } finally {
      process.chdir(here);
    }
  });
  test('a kmod for x86_64 in a folder with the kernel for x86_64_v2, and with others', async () => {
    const both = join(FIELD, 'x86-64-v2');
    const kernel = [join(both, 'kernel-core-6.12.0-55.el10.x86_64_v2.rpm')];
    const other = put('other.modversions', '0x00000bad\tnobody\n');
    for (const options of [
      { kernel: [both], kmods: [both] },
      { kernel, kmods: [both, other] },
    ]) {
      const { text } = await checked(options);
      expect(outcomes(text)).toContain('kmod-foo-1.0-1.el10 compatible');
      expect(text).not.toContain('another architecture');
    }
  });
  test('an unpacked rpm', async () => {
    const kernel = put('new.symvers', symvers(['module_layout', 1]));
    const { text } = await checked({ kernel: [kernel], kmods: [join(FIELD, 'kmods-folder/tree')] });
    expect(outcomes(text)).toHaveLength(1);
    expect(passedOver(text)).toBe('1 configuration file');
  });
  test('the same rpms named one by one, as a shell does for kernel/*.rpm', async () => {
    const names = [
      ...['bpftool', 'kernel', 'kernel-core', 'kernel-devel', 'kernel-headers', 'kernel-modules'],
      ...['kernel-modules-core', 'kernel-tools'],
    ].map((name) => join(KERNEL, `${name}-5.14.0-503.el9.x86_64.rpm`));
    const kmods = [
      'kmod-foo-1.0-1.el9.src',
      'kmod-foo-1.0-1.el9.x86_64',
      'kmod-foo-debuginfo-1.0-1.el9.x86_64',
    ];
    const { answer, text } = await checked({
      kernel: names,
      kmods: kmods.map((name) => join(RESULT, `${name}.rpm`)),
    });
    expect(answer).toBe(true);
    expect(text).toContain('The kernel exports 3 symbols.');
    expect(passedOver(text)).toBe('3 rpms without symbols, 2 devel rpms, 1 source rpm, 1 debuginfo rpm');
  });
  test('kernel and kmods in a row, as a shell hands them over', async () => {
    const { answer, text } = await checked({ kernel: [KERNEL, RESULT] });
    expect(answer).toBe(true);
    expect(outcomes(text)).toEqual(['kmod-foo-1.0-1.el9 compatible']);
  });
});

describe('what cannot be read', () => {
  const broken = () => {
    cpSync(RESULT, join(folder, 'result'), { recursive: true });
    put('result/kmod-bar-1.0-1.el9.x86_64.rpm', readFileSync(CORE).subarray(0, 900));
    put('result/lib/modules/5.14.0/extra/bad.ko', 'no module');
    put('result/hw_info.log', 'CPU info:\n');
    return join(folder, 'result');
  };
  test('does not stop the rest, and is told at the end', async () => {
    const { answer, text, unread } = await checked({ kernel: [CORE], kmods: [broken()] });
    expect(answer).toBeNull();
    expect(outcomes(text)).toEqual(['kmod-foo-1.0-1.el9 compatible']);
    expect(passedOver(text)).toBe('1 source rpm, 1 debuginfo rpm, 1 noarch rpm, 1 log');
    expect(unread).toEqual([
      expect.stringMatching(/kmod-bar-1\.0-1\.el9\.x86_64\.rpm: byte 900: cut short in a header/),
      expect.stringMatching(/bad\.ko: byte 0: nothing that tells kernel symbols/),
    ]);
  });
  test('with exit code 2, after the table, and in JSON', async () => {
    const { code, stdout, stderr } = await start(['check', '--kernel', CORE, '--json', '--', broken()]).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^.*kmod-bar.*\n.*bad\.ko.*\n$/);
    expect(JSON.parse(stdout)).toMatchObject({
      kmods: [{ name: 'kmod-foo-1.0-1.el9', outcome: 'compatible' }],
      passed_over: { logs: 1, 'source rpms': 1, 'noarch rpms': 1, 'debuginfo rpms': 1 },
      unread: [
        { file: expect.stringMatching(/kmod-bar/), problem: expect.stringMatching(/cut short/) },
        { file: expect.stringMatching(/bad\.ko$/) },
      ],
    });
  });
  test('of a kernel: what is not known of it is not gone', async () => {
    cpSync(KERNEL, join(folder, 'kernel'), { recursive: true });
    put('kernel/kernel-modules-5.14.0-503.el9.x86_64.rpm', readFileSync(CORE).subarray(0, 900));
    const kmods = [
      put('a.modversions', '0x1234abcd\tkernel_core_sym\n0x1234abcd\tkernel_modules_sym\n'),
      put('b.modversions', '0x00000bad\tkernel_core_sym\n0x00000007\tkernel_modules_sym\n'),
      put('c.modversions', '0x1234abcd\tkernel_core_sym\n'),
    ];
    const { answer, text, unread } = await checked({ kernel: [join(folder, 'kernel')], kmods });
    expect(answer).toBeNull();
    expect(outcomes(text)).toEqual(['a inconclusive', 'b incompatible', 'c compatible']);
    expect(text).toMatch(/^kernel_modules_sym +0x00000007 → not known +- +b$/m);
    expect(text).toContain('The kernel may export more than that: 1 of its files could not be read.');
    expect(unread).toEqual([expect.stringMatching(/kernel-modules-5/)]);
    // No symbol is gone that may be in what could not be read.
    const { text: difference } = await run((write) =>
      diff({ write, colour: false }, [KERNEL, join(folder, 'kernel')], { json: false, config }),
    );
    expect(difference).toContain('Since the baseline, of 3 symbols: 0 added, 0 removed, 0 changed.');
  });
  test('a folder without symbols is told, with what is in it', async () => {
    put('logs/build.log');
    put('logs/root.log.gz', gzipSync('x'));
    put('logs/list.txt', 'some\ntext\n');
    await expect(checked({ kernel: [CORE], kmods: [join(folder, 'logs')] })).rejects.toThrow(
      /logs: nothing tells symbols \(passed over: 2 logs, 1 other file\); name rpms of kmods, modules or/,
    );
  });
  test('a folder in which all is broken: what is wrong is told', async () => {
    put('all/kmod-a.rpm', 'no rpm');
    await expect(checked({ kernel: [CORE], kmods: [join(folder, 'all')] })).rejects.toThrow(
      /kmod-a\.rpm: byte 0: nothing that tells kernel symbols/,
    );
  });
});

describe('/lib/modules/VERSION', () => {
  const VERSION = 'lib/modules/5.14.0-503.el9.x86_64';
  /** As depmod and rpm leave it: two modules of its own, one of somebody else, and a link to the sources. */
  const tree = () => {
    put(`${VERSION}/modules.dep`, 'kernel/a.ko:\n');
    put(`${VERSION}/modules.builtin`);
    put(`${VERSION}/config`, '# CONFIG_X is not set\n');
    put(`${VERSION}/vmlinuz`, 'MZ');
    put(`${VERSION}/kernel/a.ko`, module('a', { printk: 1, b_get: 5 }));
    put(`${VERSION}/kernel/b.ko`, module('b', { kfree: 2 }, { b_get: 5 }));
    put(`${VERSION}/extra/foo.ko`, module('foo', { printk: 1, others: 9 }));
    put('usr/src/kernels/5.14.0/tools/broken.ko', 'broken');
    symlinkSync('../../../usr/src/kernels/5.14.0', join(folder, VERSION, 'build'));
    symlinkSync('build', join(folder, VERSION, 'source'));
    symlinkSync('.', join(folder, VERSION, 'again'));
    symlinkSync('/nowhere', join(folder, VERSION, 'dead'));
    return join(folder, VERSION);
  };
  const kmods = () => [
    put('fits.modversions', '0x00000001\tprintk\n0x00000005\tb_get\n'),
    put('differs.modversions', '0x00000007\tkfree\n0x00000001\tprintk\n'),
    put('unknown.modversions', '0x00000001\tprintk\n0x00000003\tnot_used_by_modules\n'),
  ];
  test('its symvers.gz is the kernel', async () => {
    const kernel = tree();
    put(`${VERSION}/symvers.gz`, gzipSync(symvers(['printk', 1], ['kfree', 2], ['b_get', 5])));
    const { answer, text, unread } = await checked({ kernel: [kernel], kmods: kmods() });
    expect([answer, unread]).toEqual([false, []]);
    expect(text).toContain('The kernel exports 3 symbols.\n\n');
    expect(outcomes(text)).toEqual(['fits compatible', 'differs incompatible', 'unknown incompatible']);
    expect(passedOver(text)).toBe(
      "4 other files, 2 modules of the kernel's own, 1 module that is not the kernel's own, 1 link that leads nowhere",
    );
  });
  test('with only modules, what they need of vmlinux is known of it, and no more', async () => {
    const { answer, text } = await checked({ kernel: [tree()], kmods: kmods() });
    expect(answer).toBe(false);
    expect(text).toContain('The kernel exports 3 symbols.');
    expect(text).toMatch(/^The kernel may export more than that: only its modules are there, .*symvers\.gz/m);
    expect(outcomes(text)).toEqual(['fits compatible', 'differs incompatible', 'unknown inconclusive']);
  });
  test('its vmlinuz tells what vmlinux exports, and with its modules that is all', async () => {
    const kernel = tree();
    put(`${VERSION}/vmlinuz`, bzImage(gzipSync(vmlinux({}, SMALL_BTF, { printk: 1, kfree: 2 }))));
    const { text } = await checked({ kernel: [kernel], kmods: kmods() });
    expect(text).toContain('The kernel exports 3 symbols.\n\n');
    expect(outcomes(text)).toEqual(['fits compatible', 'differs incompatible', 'unknown incompatible']);
  });
  test('a vmlinuz that only has types tells no exports', async () => {
    const kernel = tree();
    put(`${VERSION}/vmlinuz`, bzImage(gzipSync(vmlinux())));
    const { text } = await checked({ kernel: [kernel], kmods: kmods() });
    expect(text).toMatch(/^The kernel may export more than that: only its modules are there, .*symvers\.gz/m);
    expect(outcomes(text)).toEqual(['fits compatible', 'differs incompatible', 'unknown inconclusive']);
  });
  test('a vmlinuz alone tells nothing of modules', async () => {
    const image = (exports: Record<string, number>) => bzImage(gzipSync(vmlinux({}, SMALL_BTF, exports)));
    const kernel = [put('vmlinuz', image({ printk: 1, kfree: 2 }))];
    const { text } = await checked({ kernel, kmods: kmods().slice(0, 2) });
    expect(text).toMatch(/^The kernel may export more than that: only its own file is there, .*symvers\.gz/m);
    expect(outcomes(text)).toEqual(['fits inconclusive', 'differs incompatible']);
    const without = checked({ kernel: [put('vmlinuz', image({}))], kmods: kmods() });
    await expect(without).rejects.toThrow('vmlinuz: no kernel symbol in it; take kernel-core and');
  });
  test.each([
    ['with symvers.gz', true],
    ['without', false],
  ])(
    'a module that was built with other options is refused: its own modules tell theirs, %s',
    async (_, told) => {
      const kernel = tree();
      if (told) {
        put(`${VERSION}/symvers.gz`, gzipSync(symvers(['printk', 1], ['kfree', 2], ['b_get', 5])));
        put(`${VERSION}/kernel/a.ko`, 'a file that is broken tells nothing, and another is asked');
      }
      put(`${VERSION}/extra/foo.ko`, module('foo', { printk: 1 }, {}, 'a module of somebody else'));
      const preempt = put(
        'preempt.ko',
        module('preempt', { printk: 1 }, {}, 'SMP preempt mod_unload modversions'),
      );
      const same = put('same.ko', module('same', { printk: 1 }));
      const { text } = await checked({ kernel: [kernel], kmods: [preempt, same] });
      expect(outcomes(text)).toEqual(['preempt incompatible', 'same compatible']);
      expect(text).toContain(
        'its vermagic says "SMP preempt mod_unload modversions", that of this kernel "SMP mod_unload modversions"',
      );
    },
  );
  test('as kmods, all of its modules are looked at', async () => {
    const kernel = put('k.symvers', symvers(['printk', 1], ['kfree', 2], ['others', 9]));
    const { answer, text } = await checked({ kernel: [kernel], kmods: [tree()] });
    expect(answer).toBe(true);
    expect(outcomes(text)).toEqual(['foo compatible', 'a compatible', 'b compatible']);
  });
});

test('a build folder of a kmod: objects and debug files are no kmods', async () => {
  const kernel = put('k.symvers', symvers(['printk', 1]));
  put('build/foo.ko', module('foo', { printk: 1 }));
  put('build/foo.o', module('foo', { printk: 7 }));
  put('build/foo.ko.debug', module('foo', { printk: 7 }));
  put('build/Module.symvers', symvers(['foo', 1]));
  const { answer, text } = await checked({ kernel: [kernel], kmods: [join(folder, 'build')] });
  expect(answer).toBe(true);
  expect(outcomes(text)).toEqual(['foo compatible']);
  expect(passedOver(text)).toBe('2 other files, 1 list of symbols');
});

test('a pipe, as a shell has it for <(xzcat symvers.xz)', () => {
  const list = put('k.symvers', symvers(['printk', 1]));
  const kmod = put('a.modversions', '0x00000001\tprintk\n');
  const command = `"${process.execPath}" "${fileOf('dist/main.js')}" check --kernel <(cat "${list}") -- "${kmod}"`;
  expect(outcomes(execFileSync('bash', ['-c', command], { encoding: 'utf8' }))).toEqual(['a compatible']);
});

describe('stablelists with CRCs', () => {
  const files = () => ({
    kernel: put('new.symvers', symvers(['a', 1], ['b', 9], ['c', 3])),
    list: put('Module.kabi_x86_64', symvers(['a', 1], ['b', 2])),
  });
  test('a kernel must have them, with no baseline at all', async () => {
    const { kernel, list } = files();
    const { answer, text } = await checked({ kernel: [kernel], stablelist: list });
    expect(answer).toBe(false);
    expect(text).toContain('Stablelist: 1 listed symbols changed or went: b\n');
    expect(text).toMatch(/^! b +0x00000002 → 0x00000009 +vmlinux +listed$/m);
  });
  test('and beside one, though nothing changed since', async () => {
    const { kernel, list } = files();
    const { answer, text } = await compared(kernel, kernel, list);
    expect(answer).toBe(false);
    expect(text).toContain(
      '0 added, 0 removed, 0 changed.\nStablelist: 1 listed symbols changed or went: b\n',
    );
    const kept = put('symvers-default', symvers(['a', 1], ['c', 3]));
    expect(await compared(kernel, kernel, kept)).toMatchObject({ answer: true });
  });
});

/** `kernel(SYM) = 0xCRC` for each of the symbols, as EL's kernels provide them. */
const provides = (...symbols: string[]) => symbols.map((symbol) => `kernel(${symbol}) = 0x00000001`);
const flavoured = (flavour: string, ...symbols: string[]) =>
  symbols.map((symbol) => `ksym(${flavour}:${symbol}) = 1`);

describe.runIf(rpmbuild())('whole kernel builds', () => {
  const needing = (...symbols: string[]) =>
    put('k.modversions', symbols.map((symbol) => `0x00000001\t${symbol}\n`).join(''));

  test('EL: several variants and architectures in one folder', async () => {
    const packages = [
      { name: 'kernel', requires: ['kernel-core-uname-r = 1'] },
      { name: 'kernel-core', provides: ['kernel-uname-r = 1', ...provides('core')] },
      { name: 'kernel-modules', provides: provides('m'), requires: ['kernel-uname-r = 1'] },
      { name: 'kernel-modules-internal', requires: ['kernel-uname-r = 1'] },
      { name: 'kernel-uki-virt', requires: ['kernel-modules-core-uname-r = 1'] },
      { name: 'kernel-rt-core', provides: [...provides('rt'), 'kernel(core) = 0x00000002'] },
      { name: 'kernel-rt-kvm', provides: provides('kvm') },
      { name: 'kernel-debuginfo', files: { '/usr/lib/debug/a.ko.debug': 'x' } },
      { name: 'kernel-devel', requires: ['perl'] },
      { name: 'kernel-doc', noarch: true },
      { name: 'perf' },
    ];
    const kernels = [
      { name: 'kernel', packages },
      { name: 'kernel', arch: 'aarch64' as const, packages: packages.slice(0, 3) },
    ];
    await withBuilds(kernels, async (all) => {
      const plain = await checked({ kernel: [all], arch: 'x86_64', kmods: [needing('core', 'm')] });
      expect(plain.text).toContain('The kernel exports 2 symbols.');
      expect(plain.answer).toBe(true);
      expect(passedOver(plain.text)).toBe(
        '5 rpms without symbols, 2 rpms for other architectures, 2 rpms of other variants, 1 source rpm, 1 debuginfo rpm, 1 devel rpm, 1 noarch rpm',
      );
      const options = { kernel: [all], arch: 'x86_64', variant: 'rt', kmods: [needing('rt', 'kvm')] };
      expect((await checked(options)).answer).toBe(true);
      await expect(checked({ kernel: [all], kmods: [needing('core')] })).rejects.toThrow(
        /^the kernel's rpms are for several architectures \(aarch64, x86_64\): see --arch$/,
      );
      const one = { kernel: [join(all, 'kernel-core-5.14.0-70.el9.x86_64.rpm')], kmods: [needing('core')] };
      await expect(checked({ ...one, arch: 's390x' })).rejects.toThrow(
        /^the kernel's rpms are for x86_64, and --arch asks for s390x$/,
      );
      await expect(checked({ ...options, variant: '64k' })).rejects.toThrow(
        /^the kernel's rpms are for several variants \(plain, rt\): see --variant$/,
      );
    });
  });
  test('Oracle UEK: modules in many rpms', async () => {
    const endings = ['core', 'modules', 'modules-core', 'modules-extra', 'modules-extra-netfilter'];
    const more = ['modules-usb', 'modules-wireless', 'modules-desktop', 'modules-deprecated'];
    const packages = [
      ...[...endings, ...more].map((ending) => ({
        name: `kernel-uek-${ending}`,
        provides: provides(ending.replaceAll('-', '_')),
      })),
      { name: 'kernel-uek-debug-core', provides: provides('debugging') },
      { name: 'kernel-uek-devel' },
    ];
    await withBuilds([{ name: 'kernel-uek', packages }], async (all) => {
      const kmods = [needing('core', 'modules_wireless', 'modules_deprecated', 'modules_extra_netfilter')];
      const { answer, text } = await checked({ kernel: [all], variant: 'uek', kmods });
      expect(answer).toBe(true);
      expect(text).toContain('The kernel exports 9 symbols.');
      expect(passedOver(text)).toBe('1 source rpm, 1 devel rpm, 1 rpm of another variant');
    });
  });
  test('Amazon Linux: one kernel rpm, and modules beside it', async () => {
    const packages = [
      { name: 'kernel6.12', provides: provides('printk') },
      { name: 'kernel6.12-modules-extra', provides: provides('extra') },
      { name: 'kernel6.12-devel' },
      { name: 'kernel6.12-headers' },
      { name: 'bpftool6.12' },
    ];
    await withBuilds([{ name: 'kernel6.12', packages }], async (all) => {
      const { answer, text } = await checked({ kernel: [all], kmods: [needing('printk', 'extra')] });
      expect(answer).toBe(true);
      expect(passedOver(text)).toBe('2 devel rpms, 1 source rpm, 1 rpm without symbols');
    });
  });
  test('SUSE: -extra, -optional, and modules in packages of their own', async () => {
    const packages = [
      { name: 'kernel-default', provides: flavoured('default', 'printk') },
      { name: 'kernel-default-extra', provides: flavoured('default', 'extra') },
      { name: 'kernel-default-optional', provides: flavoured('default', 'optional') },
      {
        ...{ name: 'cluster-md-kmp-default', provides: flavoured('default', 'md_cluster') },
        requires: flavoured('default', 'printk'),
      },
      { name: 'kernel-default-devel' },
    ];
    const foo = {
      ...{ name: 'foo-kmp-default', provides: flavoured('default', 'foo') },
      requires: flavoured('default', 'extra', 'optional', 'md_cluster'),
    };
    const builds = [
      { name: 'kernel-default', packages },
      { name: 'foo', version: '1.0', release: '1', packages: [foo] },
    ];
    await withBuilds(builds, async (all) => {
      const { text } = await checked({ kernel: [all], kmods: [needing('md_cluster', 'optional', 'foo')] });
      expect(text).toContain('The kernel exports 4 symbols.');
      expect(outcomes(text)).toEqual(['k incompatible']);
      expect(passedOver(text)).toBe('2 source rpms, 1 devel rpm, 1 kmod');
      const named = (name: string) => join(all, `${name}-5.14.0-70.el9.x86_64.rpm`);
      const kernel = packages.slice(0, 4).map(({ name }) => named(name));
      const one = await checked({ kernel, kmods: [join(all, 'foo-kmp-default-1.0-1.x86_64.rpm')] });
      expect(outcomes(one.text)).toEqual(['foo-kmp-default-1.0-1 compatible']);
    });
  });
  test('two kernels in one folder are told apart', async () => {
    const of = (release: string) => ({
      name: 'kernel',
      release,
      packages: [{ name: 'kernel-core', provides: provides('a') }],
    });
    await withBuilds([of('1.el9'), of('2.el9')], (all) =>
      expect(checked({ kernel: [all], kmods: [needing('a')] })).rejects.toThrow(
        /^kernel-core-5\.14\.0-2\.el9 and kernel-core-5\.14\.0-1\.el9 are of two kernels: name the rpms of one$/,
      ),
    );
  });
  test('a rpm of stablelists: the current release counts, or the one that is asked for', async () => {
    const list = (...symbols: string[]) =>
      `[rhel9_x86_64_stablelist]\n${symbols.map((it) => `\t${it}\n`).join('')}`;
    const lists = {
      ...{ name: 'kernel-abi-stablelists', noarch: true },
      files: {
        '/lib/modules/kabi-rhel94/kabi_stablelist_x86_64': list('a'),
        '/lib/modules/kabi-rhel910/kabi_stablelist_x86_64': list('b'),
        '/lib/modules/kabi-rhel99/kabi_stablelist_x86_64': list('c'),
      },
      links: { '/lib/modules/kabi-current': 'kabi-rhel99' },
    };
    const kernels = {
      baseline: [put('old.symvers', symvers(['a', 1], ['b', 1], ['c', 1]))],
      kernel: [put('new.symvers', symvers(['a', 2], ['b', 2], ['c', 2]))],
    };
    const { links, ...unlinked } = lists;
    const told = (stablelist: string, release?: string) =>
      checked({ ...kernels, stablelist, ...(release && { release }) }).then(
        ({ text }) => /^Stablelist: .*: (\w+)$/m.exec(text)?.[1],
      );
    await withBuilds([{ name: 'kernel', packages: [lists] }], async (all) => {
      const rpm = join(all, 'kernel-abi-stablelists-5.14.0-70.el9.noarch.rpm');
      expect(await told(rpm)).toBe('c');
      expect([await told(rpm, '9.4'), await told(rpm, 'kabi-rhel910')]).toEqual(['a', 'b']);
      await expect(told(rpm, '9.5')).rejects.toThrow(
        /: holds no list of release 9\.5, but of kabi-rhel94, kabi-rhel99, kabi-rhel910$/,
      );
    });
    await withBuilds([{ name: 'kernel', packages: [unlinked] }], async (all) =>
      expect(await told(join(all, 'kernel-abi-stablelists-5.14.0-70.el9.noarch.rpm'))).toBe('b'),
    );
  });
});
