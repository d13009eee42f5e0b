/** Whatever the bytes are: an answer or a SymbolFileError, and in little memory. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { bytesOf } from '../../src/symbols/bytes.ts';
import { type Elf, symbolsOf, UNDEFINED } from '../../src/symbols/elf.ts';
import { readSymbolFile, type SymbolFile } from '../../src/symbols/read.ts';
import { readRpm } from '../../src/symbols/rpm.ts';
import { installed } from '../services.ts';
import { modversions, packed, type Shape, writeElf } from './elf.ts';
import { mutated } from './mutate.ts';
import { PAYLOADS, rpmbuild, stripped, withRpm } from './rpmbuild.ts';
import { tarOf } from './tar.ts';

const MiB = 2 ** 20;

const symvers = gunzipSync(readFileSync(new URL('../../config/demo/6.1.170.symvers.gz', import.meta.url)))
  .subarray(0, 8000)
  .toString()
  .replace(/[^\n]*$/, '');
const stablelist = '[rhel9_x86_64_stablelist]\n\tprintk\n\tkfree\n';

const module = (shape: Shape) =>
  writeElf(
    shape,
    {
      '.modinfo': Buffer.from('name=it\0depends=\0vermagic=5.14.0\0'),
      __versions: modversions(shape, { printk: 0x12345678, kfree: 0x9abcdef0 }),
      __kcrctab: packed(shape, [1, 4], [2, 4]),
    },
    [
      { name: '__crc_a', section: 2, value: 0 },
      { name: '__crc_b', section: 2, value: 4 },
    ],
  );

/** Real files of every format, small so that mutations hit what matters. */
async function samples(): Promise<Record<string, Buffer>> {
  const found: Record<string, Buffer> = {
    symvers: Buffer.from(symvers),
    modversions: Buffer.from('0xeef138cf\t__class_create\n0xbdfb6dbb\t__fentry__\n'),
    'symvers of 5.4': Buffer.from(symvers.replaceAll(/^(\S+\t\S+\t)(\S+\t\S+)\t(.*)$/gm, '$1$3\t$2')),
    stablelist: Buffer.from(stablelist),
    'module, 64 bit': module({ wordSize: 64, littleEndian: true, machine: 62 }),
    'module, 32 bit': module({ wordSize: 32, littleEndian: false, machine: 20 }),
    gzip: gzipSync(symvers),
  };
  const pack = (tool: string, options: string[]) =>
    execFileSync(tool, ['-c', ...options], { input: symvers });
  if (installed('/usr/bin/xz', 'xz-utils')) {
    found['xz'] = pack('xz', ['-6']);
    found['xz, sha256'] = pack('xz', ['--check=sha256', '--block-size=3000']);
  }
  if (installed('/usr/bin/xz', 'xz-utils')) found['lzma'] = pack('lzma', ['-6']);
  if (installed('/bin/bzip2', 'bzip2')) found['bzip2'] = pack('bzip2', ['-9']);
  if (installed('/bin/tar', 'tar')) found['tar'] = tarOf('kabi-rhel90/kabi_stablelist_x86_64', stablelist);
  if (installed('/usr/bin/zstd', 'zstd')) found['zstd'] = pack('zstd', ['-3', '--check']);
  if (!rpmbuild()) return found;
  const requires = ['kernel(printk) = 0x12345678', 'ksym(other) = 0x1'];
  found['rpm'] = await withRpm({ name: 'kmod-a', epoch: 1, requires }, ({ data }) => data);
  const files = { '/lib/modules/kabi-rhel90/kabi_stablelist_x86_64': stablelist };
  for (const payload of Object.keys(PAYLOADS) as (keyof typeof PAYLOADS)[]) {
    const spec = { name: 'kernel-abi-stablelists', payload, files };
    found[`stablelist rpm, ${payload}`] = await withRpm(spec, ({ data }) => data);
  }
  const plain = found['stablelist rpm, gzip'] ?? Buffer.alloc(0);
  const payload = gzipSync(stripped([[0, Buffer.from(stablelist)]]), { level: 0 });
  const { offset } = readRpm(plain, 'it').payload;
  found['stablelist rpm without names'] = Buffer.concat([plain.subarray(0, offset), payload]);
  return found;
}

/** What was read, or null where it was refused in words; anything else throws. */
async function attempt(data: Uint8Array): Promise<SymbolFile | null> {
  const answer = await readSymbolFile(data, 'hostile').catch((error: unknown) => {
    if (!(error instanceof SymbolFileError)) throw error;
    expect(error.message).toMatch(/^hostile.*: .+; .+/s);
    return null;
  });
  return answer;
}

const originals = Object.entries(await samples());
/** Formats whose checksums find every change. */
const CHECKED = /^(gzip|xz|zstd|bzip2)/;

describe('mutations', () => {
  test.each(originals)('%s', async (format, original) => {
    const whole = await attempt(original);
    expect(whole).not.toBeNull();
    const before = process.memoryUsage.rss();
    const run = fc.asyncProperty(mutated(original), async (data) => {
      const answer = await attempt(data);
      if (answer && CHECKED.test(format)) expect(answer).toEqual(whole);
    });
    await fc.assert(run, { numRuns: 1000 });
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
  });
  test.each(originals)('%s, byte by byte', async (_, original) => {
    for (let at = 0; at < original.length; at += original.length > 2000 ? 7 : 1)
      for (const value of [0, 0xff]) {
        const data = Buffer.from(original);
        data[at] = value;
        await attempt(data);
      }
  });
});

describe('random bytes', () => {
  test.each([
    ['', 0],
    ['an rpm', 0xedabeedb],
    ['an ELF file', 0x7f454c46],
    ['xz', 0xfd377a58],
    ['zstd', 0x28b52ffd],
    ['gzip', 0x1f8b0800],
    ['bzip2', 0x425a6839],
    ['lzma', 0x5d000080],
    ['a list', 0x30783109],
  ])('that begin as %s', async (_, magic) => {
    const run = fc.asyncProperty(fc.uint8Array({ maxLength: 3000, size: 'max' }), async (bytes) => {
      const head = Buffer.alloc(magic === 0 ? 0 : 4);
      if (magic !== 0) head.writeUInt32BE(magic);
      const answer = await attempt(Buffer.concat([head, bytes]));
      // A byte may happen to be a symbol's name.
      if (answer) expect(answer.format).toBe('modversions');
    });
    await fc.assert(run, { numRuns: 100 });
  });
});

/** Small files that ask for much. */
describe('greed', () => {
  const shape: Shape = { wordSize: 64, littleEndian: true, machine: 62 };
  const INFO = Buffer.from('name=a\0');
  const many = 64 * MiB;

  test.each<[string, () => Buffer]>([
    ['an rpm header of 256 MiB', () => rpmHeader(0x0fffffff, 0)],
    [
      'an rpm header of 256 MiB that is there',
      () => Buffer.concat([rpmHeader(0x0fffffff, 0), Buffer.alloc(many)]),
    ],
    ['a million texts and more', () => Buffer.concat([rpmHeader(many, 0xffffffff), Buffer.alloc(many)])],
    ['a symbol without end', () => writeElf(shape, { '.modinfo': INFO }, [label('x'.repeat(MiB))])],
    ['a modinfo of nothing', () => writeElf(shape, { '.modinfo': Buffer.alloc(many) })],
    ['names of nothing', () => writeElf(shape, names(many))],
    ['a line without end', () => Buffer.from(`0x1\ta\tvmlinux\t${'x'.repeat(4 * MiB)}`)],
    ['lines of nothing', () => Buffer.from(`0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\n${'\t'.repeat(MiB)}`)],
    ['bzip2 streams without end', () => Buffer.concat(Array(200_000).fill(Buffer.from(EMPTY_BZIP2, 'hex')))],
    ['.lzma of 128 MiB that are not there', () => lzmaHeader(128 * MiB, 100)],
    ['.lzma of zeros', () => lzmaHeader(-1, 5000)],
    ['a symvers of millions of lines', () => gzipSync('0x1\ta\tv\tEXPORT_SYMBOL\n'.repeat(many / 24))],
  ])('%s', async (_, make) => {
    const greedy = make();
    const before = process.memoryUsage.rss();
    expect(await attempt(greedy)).toBeNull();
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
  });

  test('a symbol table of hundreds of thousands', () => {
    const [entry, count] = [24, 200_000];
    const elf: Elf = {
      bytes: bytesOf(Buffer.alloc(entry * count + 1), 'x.ko', 'little'),
      ...{ wordSize: 64, littleEndian: true, isObject: true, machine: 62 },
      sections: [
        { name: '.symtab', type: 2, address: 0, offset: 0, size: entry * count, link: 1 },
        { name: '.strtab', type: 3, address: 0, offset: entry * count, size: 1, link: 0 },
      ],
    };
    expect(() => symbolsOf(elf, '', UNDEFINED)).toThrow(/more than 100000 symbols; the file is damaged/);
    expect(symbolsOf(elf, '__crc_')).toEqual([]);
  });

  const EMPTY_BZIP2 = '425a683917724538509000000000';
  function lzmaHeader(size: number, length: number): Buffer {
    const header = Buffer.from([0x5d, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    header.writeBigInt64LE(BigInt(size), 5);
    return Buffer.concat([header, Buffer.alloc(length)]);
  }
  const label = (name: string) => ({ name, section: 0, value: 0 });
  const names = (size: number) => ({
    '.modinfo': INFO,
    __version_ext_crcs: Buffer.alloc(size),
    __version_ext_names: Buffer.alloc(size / 4),
  });
  /** Lead, an empty signature, and a header with PROVIDENAME alone. */
  function rpmHeader(size: number, count: number): Buffer {
    const rpm = Buffer.alloc(96 + 16 + 16 + 16);
    rpm.writeUInt32BE(0xedabeedb, 0);
    rpm.writeUInt32BE(0x8eade801, 96);
    rpm.writeUInt32BE(0x8eade801, 112);
    rpm.writeUInt32BE(1, 120);
    rpm.writeUInt32BE(size, 124);
    rpm.writeUInt32BE(1047, 128);
    rpm.writeUInt32BE(8, 132);
    rpm.writeUInt32BE(count, 140);
    return rpm;
  }
});
