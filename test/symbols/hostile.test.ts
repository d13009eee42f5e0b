/** Whatever the bytes are: an answer or a SymbolFileError, soon, and in little memory. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { readSymbolFile, type SymbolFile } from '../../src/symbols/read.ts';
import { installed } from '../services.ts';
import { modversions, packed, type Shape, writeElf } from './elf.ts';
import { mutated } from './mutate.ts';
import { rpmbuild, withRpm } from './rpmbuild.ts';

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
  if (installed('/usr/bin/zstd', 'zstd')) found['zstd'] = pack('zstd', ['-3', '--check']);
  if (!rpmbuild()) return found;
  const requires = ['kernel(printk) = 0x12345678', 'ksym(other) = 0x1'];
  found['rpm'] = await withRpm({ name: 'kmod-a', epoch: 1, requires }, ({ data }) => data);
  const files = { '/lib/modules/kabi-rhel90/kabi_stablelist_x86_64': stablelist };
  for (const payload of ['gzip', 'xz', 'zstd'] as const) {
    const spec = { name: 'kernel-abi-stablelists', payload, files };
    found[`stablelist rpm, ${payload}`] = await withRpm(spec, ({ data }) => data);
  }
  return found;
}

/** What was read, or null where it was refused in words; anything else throws. */
async function attempt(data: Uint8Array): Promise<SymbolFile | null> {
  const started = performance.now();
  const answer = await readSymbolFile(data, 'hostile').catch((error: unknown) => {
    if (!(error instanceof SymbolFileError)) throw error;
    expect(error.message).toMatch(/^hostile.*: .+; .+/s);
    return null;
  });
  expect(performance.now() - started).toBeLessThan(2000);
  return answer;
}

const originals = Object.entries(await samples());
/** Formats whose checksums find every change. */
const CHECKED = /^(gzip|xz|zstd)/;

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
    ['a symvers of millions of lines', () => gzipSync('0x1\ta\tv\tEXPORT_SYMBOL\n'.repeat(many / 24))],
  ])('%s', async (_, make) => {
    const greedy = make();
    const before = process.memoryUsage.rss();
    expect(await attempt(greedy)).toBeNull();
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
  });

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
