/** Single files out of rpms, which are unpacked in parts. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { filesOfRpm } from '../../src/symbols/payload.ts';
import { readRpm } from '../../src/symbols/rpm.ts';
import { mutated } from './mutate.ts';
import { type PAYLOADS, rpmbuild, stripped, withRpm } from './rpmbuild.ts';

const MiB = 2 ** 20;
const VMLINUZ = '/lib/modules/5.14.0/vmlinuz';

/** What kernels with types are packed by. */
const STREAMED = ['gzip', 'xz', 'zstd'] as const;

type Files = Readonly<Record<string, string | Uint8Array>>;
const rpmOf = (payload: keyof typeof PAYLOADS, files: Files): Promise<Buffer> =>
  withRpm({ name: 'kernel-core', payload, files }, ({ data }) => data);

async function taken(data: Uint8Array, isWanted: (name: string) => boolean) {
  const files: { name: string; data: Buffer }[] = [];
  for await (const file of filesOfRpm(data, 'hostile', isWanted)) files.push(file);
  return files;
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
