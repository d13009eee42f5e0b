import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { unpack } from '../../src/symbols/unpack.ts';
import { installed } from '../services.ts';

const symvers = gunzipSync(readFileSync(new URL('../../config/demo/6.1.170.symvers.gz', import.meta.url)));
const samples = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from('a'),
  noise: randomBytes(30_000),
  text: symvers.subarray(0, 100_000),
};
const MiB = 2 ** 20;

type Tool = 'xz' | 'zstd' | 'bzip2' | 'lzma';
const pack = (tool: Tool, options: readonly string[], input: Uint8Array) =>
  execFileSync(tool, ['-c', ...options], { input, maxBuffer: 64 * MiB });
const tools = () =>
  installed('/usr/bin/xz', 'xz-utils') &&
  installed('/usr/bin/zstd', 'zstd') &&
  installed('/bin/bzip2', 'bzip2');

test('what is not compressed stays as it is', async () => {
  expect(await unpack(symvers, 'it')).toBe(symvers);
});

test('gzip', async () => {
  for (const data of Object.values(samples))
    expect(Buffer.compare(await unpack(gzipSync(data), 'it'), data)).toBe(0);
});

describe.runIf(tools())('what xz, zstd and bzip2 pack', () => {
  test.each<[Tool, string]>([
    ['xz', '-0'],
    ['xz', '-6'],
    ['xz', '-9e'],
    ['xz', '--check=none'],
    ['xz', '--check=crc32 --lzma2=dict=1MiB'],
    ['xz', '--check=sha256 -2'],
    ['xz', '-T2 --block-size=30000'],
    ['xz', '--lzma2=lc=0,lp=4,pb=0'],
    ['xz', '--lzma2=lc=4,lp=0,pb=4,nice=5'],
    ['zstd', '-1'],
    ['zstd', '-12 --check'],
    ['zstd', '-9 --long=27 --no-check'],
    ['zstd', '-3 -T2 -B1MiB'],
    ['bzip2', '-1'],
    ['bzip2', '-9'],
    ['lzma', '-0'],
    ['lzma', '-9e'],
    ['lzma', '--lzma1=lc=0,lp=4,pb=0,dict=4KiB'],
    ['lzma', '--lzma1=lc=4,lp=0,pb=4,nice=5'],
  ])('%s %s', async (tool, options) => {
    for (const data of Object.values(samples)) {
      const packed = pack(tool, options.split(' '), data);
      expect(Buffer.compare(await unpack(packed, 'it'), data)).toBe(0);
      // A .lzma file ends with its end marker, whatever follows.
      if (tool === 'lzma') continue;
      const twice = Buffer.concat([packed, packed]);
      expect(Buffer.compare(await unpack(twice, 'it'), Buffer.concat([data, data]))).toBe(0);
    }
  });

  test('a text of many chunks and blocks', async () => {
    for (const packed of [pack('xz', ['-1'], symvers), pack('zstd', ['-1'], symvers)])
      expect(Buffer.compare(await unpack(packed, 'it'), symvers)).toBe(0);
  });

  test('texts of any kind come back from xz', async () => {
    const text = fc.array(fc.constantFrom('a', 'ab', 'abcab', '\0', 'symbol', '\t0x'), { maxLength: 400 });
    const run = fc.asyncProperty(text, async (words) => {
      const data = Buffer.from(words.join(''));
      expect(Buffer.compare(await unpack(pack('xz', ['-6'], data), 'it'), data)).toBe(0);
    });
    await fc.assert(run, { numRuns: 40 });
  });

  test('code for x86, with the filter that kernels are packed with', async () => {
    // This very program: code with calls and jumps, wherever it is cut.
    const program = readFileSync(process.execPath);
    const middle = Math.floor(program.length / 2);
    for (const at of [0, middle, middle + 1, middle + 2, middle + 3]) {
      const data = program.subarray(at, at + 400_000);
      const packed = pack('xz', ['--check=sha256', '--x86', '--lzma2=preset=0'], data);
      expect(Buffer.compare(await unpack(packed, 'it'), data)).toBe(0);
    }
    for (const size of [0, 1, 4, 5, 6]) {
      const data = Buffer.alloc(size, 0xe8);
      expect(Buffer.compare(await unpack(pack('xz', ['--x86', '--lzma2'], data), 'it'), data)).toBe(0);
    }
  });

  test('filters other than LZMA2 and that are named', async () => {
    for (const filters of [
      ['--arm', '--lzma2'],
      ['--x86', '--delta', '--lzma2'],
    ]) {
      const packed = pack('xz', filters, Buffer.from('text'));
      await expect(unpack(packed, 'it')).rejects.toThrow(
        'an xz filter other than LZMA2 and x86; unpack the file by xz',
      );
    }
  });

  test('the first stream alone, whatever follows it', async () => {
    const packed = {
      gzip: gzipSync(symvers),
      xz: pack('xz', ['-0'], symvers),
      zstd: pack('zstd', ['-1'], symvers),
      bzip2: pack('bzip2', ['-1'], symvers),
      lzma: pack('lzma', ['-0'], symvers),
    };
    for (const data of Object.values(packed))
      for (const rest of [Buffer.alloc(0), Buffer.from('size'), Buffer.concat([Buffer.alloc(3), data])]) {
        const unpacked = await unpack(Buffer.concat([data, rest]), 'it', 4 * MiB, true);
        expect(Buffer.compare(unpacked, symvers)).toBe(0);
      }
  });

  test('bzip2: runs of any length, and blocks of all kinds', async () => {
    const run = fc.record({ byte: fc.nat(255), length: fc.oneof(fc.nat(10), fc.nat(600)) });
    const runs = fc.array(run, { maxLength: 60 });
    const property = fc.asyncProperty(runs, async (those) => {
      const data = Buffer.concat(those.map(({ byte, length }) => Buffer.alloc(length, byte)));
      expect(Buffer.compare(await unpack(pack('bzip2', ['-1'], data), 'it'), data)).toBe(0);
    });
    await fc.assert(property, { numRuns: 40 });
    const large = Buffer.concat([Buffer.alloc(300_000, 'ab'), randomBytes(250_000), Buffer.alloc(1_000_000)]);
    expect(Buffer.compare(await unpack(pack('bzip2', ['-1'], large), 'it'), large)).toBe(0);
  });

  test('.lzma that tells how long its content is', async () => {
    const packed = pack('lzma', ['-6'], samples.text);
    packed.writeBigUInt64LE(BigInt(samples.text.length), 5);
    expect(Buffer.compare(await unpack(packed, 'it'), samples.text)).toBe(0);
    packed.writeBigUInt64LE(BigInt(samples.text.length + 1), 5);
    await expect(unpack(packed, 'it')).rejects.toThrow(/LZMA data end after 100000 bytes of 100001; /);
    packed.writeBigUInt64LE(2n ** 37n, 5);
    await expect(unpack(packed, 'it')).rejects.toThrow(/^it: byte 5: more than \d+ bytes when unpacked; /);
  });

  test('a bomb stops at the cap, and takes no memory beyond it', async () => {
    const zeros = Buffer.alloc(32 * MiB);
    const names = ['xz', 'zstd', 'bzip2', 'lzma'] as const;
    const bombs = {
      gzip: gzipSync(zeros),
      ...Object.fromEntries(names.map((tool) => [tool, pack(tool, ['-1'], zeros)])),
    };
    for (const [kind, bomb] of Object.entries(bombs)) {
      expect(bomb.length).toBeLessThan(MiB);
      const before = process.memoryUsage.rss();
      const error = await unpack(bomb, kind, MiB).then(
        () => null,
        (reason) => reason,
      );
      expect(error).toBeInstanceOf(SymbolFileError);
      expect(error.message).toContain('1048576');
      expect(process.memoryUsage.rss() - before).toBeLessThan(16 * MiB);
      expect((await unpack(bomb, kind, 32 * MiB)).length).toBe(32 * MiB);
    }
  });

  test('cut short anywhere: an error, with the offset', async () => {
    const data = symvers.subarray(0, 5000);
    const packings = [
      gzipSync(data),
      ...(['xz', 'zstd', 'bzip2', 'lzma'] as const).map((tool) => pack(tool, ['-3'], data)),
    ];
    // Nothing shorter is told to be .lzma: its first byte has the properties that are usual, 0x5d.
    for (const packed of packings)
      for (let length = packed[0] === 0x5d ? 18 : 6; length < packed.length; length += 7)
        await expect(unpack(packed.subarray(0, length), 'it')).rejects.toThrow(/^it: byte \d+: .*; /);
  });
});
