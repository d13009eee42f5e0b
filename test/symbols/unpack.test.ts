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

const pack = (tool: 'xz' | 'zstd', options: readonly string[], input: Uint8Array) =>
  execFileSync(tool, ['-c', ...options], { input, maxBuffer: 64 * MiB });
const tools = () => installed('/usr/bin/xz', 'xz-utils') && installed('/usr/bin/zstd', 'zstd');

test('what is not compressed stays as it is', async () => {
  expect(await unpack(symvers, 'it')).toBe(symvers);
});

test('gzip', async () => {
  for (const data of Object.values(samples))
    expect(Buffer.compare(await unpack(gzipSync(data), 'it'), data)).toBe(0);
});

describe.runIf(tools())('what xz and zstd pack', () => {
  test.each<['xz' | 'zstd', string]>([
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
  ])('%s %s', async (tool, options) => {
    for (const data of Object.values(samples)) {
      const packed = pack(tool, options.split(' '), data);
      expect(Buffer.compare(await unpack(packed, 'it'), data)).toBe(0);
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
    };
    for (const data of Object.values(packed))
      for (const rest of [Buffer.alloc(0), Buffer.from('size'), Buffer.concat([Buffer.alloc(3), data])]) {
        const unpacked = await unpack(Buffer.concat([data, rest]), 'it', 4 * MiB, true);
        expect(Buffer.compare(unpacked, symvers)).toBe(0);
      }
  });

  test('a bomb stops at the cap, and takes no memory beyond it', async () => {
    const zeros = Buffer.alloc(32 * MiB);
    const bombs = { gzip: gzipSync(zeros), xz: pack('xz', ['-0'], zeros), zstd: pack('zstd', ['-1'], zeros) };
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
    for (const packed of [gzipSync(data), pack('xz', ['-6'], data), pack('zstd', ['-3'], data)])
      for (let length = 6; length < packed.length; length += 7)
        await expect(unpack(packed.subarray(0, length), 'it')).rejects.toThrow(/^it: byte \d+: .*; /);
  });
});
