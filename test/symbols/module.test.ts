import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compareKmod } from '../../src/kabi/compare.ts';
import { formatCrc } from '../../src/kabi/crc.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import type { ImportedSymbol, Loading } from '../../src/kabi/model.ts';
import { parseSymvers } from '../../src/kabi/text.ts';
import { readModule } from '../../src/symbols/module.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';
import { unpack } from '../../src/symbols/unpack.ts';
import { installed } from '../services.ts';
import { kernelWith, modulesBelow } from './debian.ts';
import { modversions, packed, type Shape, writeElf } from './elf.ts';

const lines = (imports: readonly ImportedSymbol[]) =>
  imports.map(({ symbol, crc }) => `${formatCrc(crc)}\t${symbol}`);

/** What the kernel's own tool reads of a module. */
const dumped = (file: string) =>
  execFileSync('/usr/sbin/modprobe', ['--dump-modversions', file], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
const modprobe = () => installed('/usr/sbin/modprobe', 'Debian package kmod');

const headers = join(kernelWith('x86_64', 'build'), 'build');
const builds = () =>
  modprobe() &&
  installed(headers, 'Debian package linux-headers-amd64') &&
  installed('/usr/bin/gcc', 'gcc') &&
  installed('/usr/bin/make', 'make');

test.runIf(builds())('a module of ten lines, built against Debian’s kernel headers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-ko-'));
  try {
    const source = [
      '#include <linux/module.h>',
      'MODULE_LICENSE("GPL");',
      'int ten_lines(int lines);',
      'int ten_lines(int lines)',
      '{',
      '\tpr_info("%d lines\\n", lines);',
      '\treturn lines;',
      '}',
      'EXPORT_SYMBOL_GPL(ten_lines);',
      '',
    ];
    writeFileSync(join(folder, 'ten.c'), source.join('\n'));
    writeFileSync(join(folder, 'Makefile'), 'obj-m := ten.o\n');
    execFileSync('make', ['-s', '-C', headers, `M=${folder}`, 'modules'], { stdio: 'pipe' });
    const file = join(folder, 'ten.ko');
    const module = readModule(readFileSync(file), file);
    expect(lines(module.imports)).toEqual(dumped(file));
    expect(module).toMatchObject({ name: 'ten', arch: 'x86_64', depends: [], unversioned: false });
    expect(module.loading.vermagic).toMatch(/ modversions$/);

    const own = [...parseSymvers(readFileSync(join(folder, 'Module.symvers'), 'latin1'), 'own').values()];
    const untold = own.map(({ namespace: _, ...rest }) => ({ ...rest, provider: 'ten' }));
    expect([...module.exports.values()]).toEqual(untold);
    const kernel = parseSymvers(readFileSync(join(headers, 'Module.symvers'), 'latin1'), 'headers');
    const target = { arch: 'x86_64', variant: '', symbols: kernel };
    expect(compareKmod(module, target).answer).toBe('compatible');

    execFileSync('strip', ['--strip-debug', file]);
    expect(readModule(readFileSync(file), file)).toEqual(module);
    const zipped = await readSymbolFile(gzipSync(readFileSync(file)), 'else.bin');
    expect(zipped).toMatchObject({ ...module, format: 'module' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const CRC32C = 'kernel/lib/libcrc32c.ko';
const debian = join(kernelWith('x86_64', CRC32C), CRC32C);
const hasDebian = () => modprobe() && installed(debian, 'Debian package linux-image-cloud-amd64');

test.runIf(hasDebian())('modules of Debian’s kernel, signed ones', () => {
  const some = [debian, ...modulesBelow(join(debian, '../../net')).slice(0, 20)];
  expect(some.length).toBeGreaterThan(10);
  for (const file of some) expect(lines(readModule(readFileSync(file), file).imports)).toEqual(dumped(file));
  const { exports } = readModule(readFileSync(debian), debian);
  expect([...exports.keys()]).toEqual(['crc32c', 'crc32c_impl']);
});

describe.each(['x86_64', 's390x'] as const)('one of Debian’s kernels for %s', (arch) => {
  const folder = kernelWith(arch, 'kernel', 'Module.symvers');
  const symvers = join(folder, 'Module.symvers');
  const hasKernel = () => installed(symvers, 'see .ci/run');
  const read = async (file: string) => readModule(await unpack(readFileSync(file), file), file);

  test.runIf(modprobe() && hasKernel())('has modules that modprobe reads in the same way', async () => {
    const some = modulesBelow(join(folder, 'kernel/net')).slice(0, 40);
    for (const file of some) expect(lines((await read(file)).imports)).toEqual(dumped(file));
  });
  test.runIf(hasKernel())('loads all of its modules', async () => {
    const begin = performance.now();
    const symbols = parseSymvers(readFileSync(symvers, 'latin1'), symvers);
    const modules: Awaited<ReturnType<typeof read>>[] = [];
    for (const file of modulesBelow(join(folder, 'kernel'))) modules.push(await read(file));
    const own = { name: 'symvers', arch, variant: null, exports: symbols };
    const kernel = combineKernel([own, ...modules.map((it) => ({ ...it, exports: new Map() }))]);
    expect(kernel.vermagic).toMatch(/ modversions$/);
    const found = modules.map((it) => compareKmod(it, kernel));
    expect(found.filter(({ answer }) => answer !== 'compatible')).toEqual([]);
    expect(found.length).toBeGreaterThan(1000);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    process.stderr.write(`${arch}: ${found.length} modules against ${symbols.size} symbols, ${seconds} s\n`);
    // CRCs were compared, and in the right order of bytes.
    const needed = modules.flatMap(({ imports }) => imports);
    expect(needed.length).toBeGreaterThan(20_000);
    // Those rules were at work: without its license or its namespaces many a module would be refused.
    const refused = (change: Partial<Loading>) =>
      modules.filter(
        (it) => compareKmod({ ...it, loading: { ...it.loading, ...change } }, kernel).answer !== 'compatible',
      );
    expect(refused({ license: 'MIT' }).length).toBeGreaterThan(500);
    expect(refused({ namespaces: [] }).length).toBeGreaterThan(5);
  });
});

const SHAPES: readonly [string, Shape][] = [
  ['x86_64', { wordSize: 64, littleEndian: true, machine: 62 }],
  ['aarch64', { wordSize: 64, littleEndian: true, machine: 183 }],
  ['s390x', { wordSize: 64, littleEndian: false, machine: 22 }],
  ['ppc64', { wordSize: 64, littleEndian: false, machine: 21 }],
  ['ppc64le', { wordSize: 64, littleEndian: true, machine: 21 }],
  ['i686', { wordSize: 32, littleEndian: true, machine: 3 }],
  ['armv7hl', { wordSize: 32, littleEndian: true, machine: 40 }],
];
const INFO = Buffer.from(
  'license=GPL\0depends=a,b\0name=hand\0import_ns=CRYPTO\0import_ns=DMA\0vermagic=5.14.0-70.el9 SMP mod_unload modversions \0',
);
const IMPORTS = { printk: 0x0a19b956, module_layout: 0xffffffff, zero: 0 };

describe('modules written by hand', () => {
  test.each(SHAPES)('%s', (arch, shape) => {
    const sections = {
      '.modinfo': INFO,
      __versions: modversions(shape, IMPORTS),
      __kcrctab_gpl: packed(shape, [1, 4], [0xfedcba98, 4]),
      '.rodata': packed(shape, [7, 4], [0x12345678, 4]),
    };
    const labels = [
      { name: '__crc_gpl', section: 2, value: 4 },
      { name: '__crc_old', section: 'absolute', value: 0xcafe },
      { name: '__crc_plain', section: 3, value: 4 },
      { name: '__crc_elsewhere', section: -1, value: 0, weak: true },
      { name: '__ksymtab_plain', section: 3, value: 0 },
      { name: '__ksymtab_without_crc', section: 3, value: 0 },
      { name: 'init_module', section: 1, value: 0 },
      ...[...Object.keys(IMPORTS), 'unversioned'].map((name) => ({ name, section: -1, value: 0 })),
      { name: '_GLOBAL_OFFSET_TABLE_', section: -1, value: 0 },
      { name: '', section: -1, value: 0 },
    ] as const;
    const provider = 'hand';
    expect(readModule(writeElf(shape, sections, labels), 'x.ko')).toEqual({
      ...{ name: 'hand', arch, variant: null, unversioned: false, isInTree: false, depends: ['a', 'b'] },
      ...{ kernelImports: [], kmodImports: [] },
      loading: {
        license: 'GPL',
        namespaces: ['CRYPTO', 'DMA'],
        vermagic: '5.14.0-70.el9 SMP mod_unload modversions',
        weak: ['__crc_elsewhere'],
        unversioned: ['unversioned'],
        exports: ['without_crc'],
      },
      imports: Object.entries(IMPORTS).map(([symbol, crc]) => ({ symbol, crc })),
      exports: new Map([
        ['gpl', { name: 'gpl', crc: 0xfedcba98, provider, exportType: 'EXPORT_SYMBOL_GPL' }],
        ['old', { name: 'old', crc: 0xcafe, provider }],
        ['plain', { name: 'plain', crc: 0x12345678, provider }],
      ]),
    });
  });

  const shape: Shape = { wordSize: 64, littleEndian: true, machine: 62 };
  const long = 'a_name_that_is_too_long_for_the_fifty_six_bytes_of_modversion_info';
  const names = Buffer.from(`printk\0${long}\0`);
  const __version_ext_crcs = packed(shape, [1, 4], [0xfffffffe, 4]);

  test('extended modversions win over the basic ones', () => {
    const __versions = modversions(shape, { printk: 1 });
    const sections = { '.modinfo': INFO, __versions, __version_ext_crcs, __version_ext_names: names };
    expect(readModule(writeElf(shape, sections), 'x.ko').imports).toEqual([
      { symbol: 'printk', crc: 1 },
      { symbol: long, crc: 0xfffffffe },
    ]);
  });
  test('without modversions: nothing can be said, and why', async () => {
    const module = await readSymbolFile(
      writeElf(shape, { '.modinfo': Buffer.from('license=GPL\0') }),
      'a/b.ko',
    );
    expect(module).toMatchObject({ name: 'b', unversioned: true, loading: { vermagic: null }, depends: [] });
    const kernel = { arch: null, variant: null, symbols: new Map() };
    expect(compareKmod(module, kernel)).toMatchObject({ answer: 'inconclusive', cause: 'no-modversions' });
  });
  test.each<[string, Record<string, Buffer>, string]>([
    ['no module', { '.text': INFO }, 'an ELF file without .modinfo is no kernel module; name a .ko'],
    ['half an entry', { '.modinfo': INFO, __versions: Buffer.alloc(96) }, '__versions ends within an entry'],
    [
      'a name without end',
      { '.modinfo': INFO, __versions: Buffer.alloc(64, 0x41) },
      'a CRC of more than 32 bits',
    ],
    [
      'more CRCs than names',
      { '.modinfo': INFO, __version_ext_crcs, __version_ext_names: Buffer.from('a\0') },
      '8 bytes of CRCs for 1 names',
    ],
  ])('%s', (_, sections, problem) => {
    expect(() => readModule(writeElf(shape, sections), 'x.ko')).toThrow(problem);
  });
});
