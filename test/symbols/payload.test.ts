/** Single files out of rpms, which are unpacked in parts. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { filesOfRpm } from '../../src/symbols/payload.ts';
import { readRpm } from '../../src/symbols/rpm.ts';
import { fileSource, type Source, streamSource, wholeSource } from '../../src/symbols/source.ts';
import { unxzInParts } from '../../src/symbols/xz.ts';
import { installed } from '../services.ts';
import { mutated } from './mutate.ts';
import { type PAYLOADS, rpmbuild, stripped, withRpm } from './rpmbuild.ts';

const MiB = 2 ** 20;
const VMLINUZ = '/lib/modules/5.14.0/vmlinuz';

/** What kernels with types are packed by. */
const STREAMED = ['gzip', 'xz', 'zstd'] as const;

type Files = Readonly<Record<string, string | Uint8Array>>;
const rpmOf = (payload: keyof typeof PAYLOADS, files: Files): Promise<Buffer> =>
  withRpm({ name: 'kernel-core', payload, files }, ({ data }) => data);

const taken = (data: Uint8Array, isWanted: (name: string) => boolean) =>
  takenFrom(wholeSource(data, 'hostile'), isWanted);

async function takenFrom(source: Source, isWanted: (name: string) => boolean) {
  const files: { name: string; data: Buffer }[] = [];
  for await (const file of filesOfRpm(source, isWanted)) files.push(file);
  return files;
}

/** A file that comes in parts of any size, and how much of it has come. */
function coming(data: Uint8Array, sizes: readonly number[]) {
  const come = { bytes: 0 };
  const parts = async function* () {
    for (let i = 0; come.bytes < data.length; i++) {
      const part = data.subarray(come.bytes, come.bytes + (sizes[i % sizes.length] ?? 1));
      come.bytes += part.length;
      yield part;
    }
  };
  return { come, source: streamSource(parts(), 'coming') };
}

describe.runIf(rpmbuild()).each(STREAMED)('%s', (payload) => {
  /** Sizes around the four bytes that everything is padded to, and around the parts that are read. */
  const files: Files = {
    '/boot/System.map': 'x'.repeat(300_001),
    [VMLINUZ]: randomBytes(3 * MiB + 1),
    '/lib/modules/5.14.0/config': 'CONFIG_MODVERSIONS=y\n',
    '/lib/modules/5.14.0/empty': '',
    '/lib/modules/5.14.0/text': 'a longer text, which packs well. '.repeat(100_000),
  };

  test('each file, as it was packed', async () => {
    const rpm = await rpmOf(payload, files);
    const all = await taken(rpm, () => true);
    const expected = Object.entries(files).filter(([, data]) => data.length > 0);
    expect(all.map(({ name }) => name.replace(/^\./, '')).sort()).toEqual(
      expected.map(([name]) => name).sort(),
    );
    for (const [name, data] of expected)
      expect(all.find((it) => it.name.endsWith(name))?.data.equals(Buffer.from(data))).toBe(true);
    const [one, ...more] = await taken(rpm, (name) => name.endsWith('/vmlinuz'));
    expect([one?.data.length, more.length]).toEqual([3 * MiB + 1, 0]);
  });

  test('the same, however it comes', async () => {
    const rpm = await rpmOf(payload, files);
    const whole = await taken(rpm, () => true);
    for (const sizes of [[1], [100, 1, 70_000], [5_000_000]].slice(rpm.length > 10 * MiB ? 1 : 0)) {
      const some = await takenFrom(coming(rpm, sizes).source, () => true);
      expect(some.length).toBe(whole.length);
      for (const [i, { name, data }] of whole.entries())
        expect(some[i]?.name === name && some[i].data.equals(data)).toBe(true);
    }
  });

  test('and no further than it is needed', async () => {
    const rest = randomBytes(4 * MiB);
    const rpm = await rpmOf(payload, { [VMLINUZ]: randomBytes(MiB), '/lib/modules/5.14.0/zzz': rest });
    const { come, source } = coming(rpm, [10_000]);
    for await (const { data } of filesOfRpm(source, (name) => name.endsWith('/vmlinuz'))) {
      expect(data.length).toBe(MiB);
      break;
    }
    expect(come.bytes).toBeLessThan(rpm.length - 3 * MiB);
    const none = coming(rpm, [10_000]);
    expect(await takenFrom(none.source, () => false)).toEqual([]);
    expect(none.come.bytes).toBeLessThan(MiB);
  });

  test('what breaks off is told', async () => {
    const rpm = await rpmOf(payload, { [VMLINUZ]: randomBytes(MiB) });
    const parts = async function* () {
      yield rpm.subarray(0, rpm.length / 2);
      throw new Error('the line is dead');
    };
    await expect(takenFrom(streamSource(parts(), 'coming'), () => true)).rejects.toThrow('the line is dead');
  });

  test('of a large one next to nothing is held', async () => {
    const rpm = await rpmOf(payload, { '/a/zeros': new Uint8Array(64 * MiB), '/b/vmlinuz': 'the kernel' });
    const before = process.memoryUsage.rss();
    const [file] = await taken(rpm, (name) => name.endsWith('/vmlinuz'));
    expect(file?.data.toString()).toBe('the kernel');
    expect(process.memoryUsage.rss() - before).toBeLessThan(48 * MiB);
  });

  test('mutations', async () => {
    const rpm = await rpmOf(payload, {
      '/a/config': 'CONFIG_X=y\n'.repeat(40),
      '/b/vmlinuz': randomBytes(600),
    });
    const whole = await taken(rpm, () => true);
    const before = process.memoryUsage.rss();
    const run = fc.asyncProperty(mutated(rpm), async (data) => {
      const found = await taken(data, () => true).catch((error: unknown) => {
        if (!(error instanceof SymbolFileError)) throw error;
        expect(error.message).toMatch(/^hostile.*: .+; .+/s);
        return null;
      });
      if (found) expect(found.length).toBeLessThanOrEqual(whole.length + 1);
    });
    await fc.assert(run, { numRuns: 250 });
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
  });
});

test.runIf(rpmbuild())('files without names, as in format 6', async () => {
  const kernel = randomBytes(300_001);
  const rpm = await rpmOf('gzip', { '/boot/config': 'CONFIG_X=y\n', [VMLINUZ]: kernel });
  const entries = stripped([
    [0, Buffer.from('CONFIG_X=y\n')],
    [1, kernel],
  ]);
  const { offset } = readRpm(rpm, 'it').payload;
  const built = Buffer.concat([rpm.subarray(0, offset), gzipSync(entries)]);
  expect(await taken(built, (name) => name.endsWith('/vmlinuz'))).toEqual([{ name: VMLINUZ, data: kernel }]);
});

describe.runIf(rpmbuild())('rpms without what is wanted', () => {
  test.each(['bzip2', 'lzma'] as const)('packed by %s, which is not read in parts', async (payload) => {
    const rpm = await rpmOf(payload, { [VMLINUZ]: randomBytes(5000) });
    await expect(taken(rpm, () => true)).rejects.toThrow(
      `it is compressed by ${payload}; unpack it by rpm2cpio`,
    );
  });
  test('none of its files', async () => {
    const rpm = await rpmOf('bzip2', { [VMLINUZ]: randomBytes(5000) });
    expect(await taken(rpm, (name) => name.endsWith('/vmlinux'))).toEqual([]);
  });
  test.each<[string, (rpm: Buffer) => Buffer, RegExp]>([
    [
      'the header alone',
      (rpm) => rpm.subarray(0, rpm.indexOf(Buffer.from([0x1f, 0x8b, 8]))),
      /it has no payload; fetch the whole rpm$/,
    ],
    [
      'half of it',
      (rpm) => rpm.subarray(0, -1000),
      /^hostile: payload: byte 0: damaged or cut short gzip data/,
    ],
    [
      'packed in another way',
      (rpm) => Buffer.from(rpm.toString('latin1').replace('\x1f\x8b\x08', 'BZh'), 'latin1'),
      /it is compressed by gzip; unpack it by rpm2cpio/,
    ],
  ])('%s', async (_, change, message) => {
    const rpm = await rpmOf('gzip', { [VMLINUZ]: randomBytes(5000) });
    await expect(taken(change(rpm), () => true)).rejects.toThrow(message);
  });
});

test.runIf(rpmbuild())('a file on disk is as one in memory', async () => {
  await withRpm({ name: 'kernel-core', files: { [VMLINUZ]: randomBytes(MiB) } }, async ({ file, data }) => {
    const [one] = await takenFrom(fileSource(file), () => true);
    const [other] = await taken(data, () => true);
    expect(one?.data.equals(other?.data ?? Buffer.alloc(0))).toBe(true);
  });
});

describe.runIf(installed('/usr/bin/xz', 'Debian package xz-utils'))('xz in parts', () => {
  const xz = (data: Buffer, ...options: string[]) => execFileSync('xz', ['-c', ...options], { input: data });
  const content = Buffer.concat([randomBytes(300_000), Buffer.alloc(500_000, 'text ')]);
  const unpacked = async (data: Buffer) => {
    const parts: Buffer[] = [];
    for await (const part of unxzInParts(coming(data, [997]).source)) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  };
  test.each([
    ['several blocks', xz(content, '--block-size=100000')],
    [
      'each kind of check',
      Buffer.concat(['none', 'crc32', 'crc64', 'sha256'].map((it) => xz(content, `--check=${it}`))),
    ],
    [
      'streams with zeros between',
      Buffer.concat([xz(content), Buffer.alloc(8), xz(Buffer.alloc(0)), xz(content)]),
    ],
  ])('%s', async (_, data) => {
    const expected = execFileSync('xz', ['-dc'], { input: data, maxBuffer: 2 ** 26 });
    expect((await unpacked(data)).equals(expected)).toBe(true);
  });
});
