/** Where kernels have their types: in images of every architecture, and in a real one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBtf } from '../../src/btf/reader.ts';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { parseSymvers } from '../../src/kabi/text.ts';
import { type KernelImage, readImage, readModuleBtf } from '../../src/symbols/image.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';
import { unpack } from '../../src/symbols/unpack.ts';
import { bpftool, differences } from '../btf/bpftool.ts';
import { int, struct, writeBtf } from '../btf/write.ts';
import { installed } from '../services.ts';
import { kernelWith } from './debian.ts';
import { bzImage, PACKERS, pack, rawImage, SMALL_BTF, s390Image, vmlinux, zboot } from './images.ts';
import { mutated } from './mutate.ts';

const tools = ['xz', 'zstd', 'lz4'].every((tool) => installed(`/usr/bin/${tool}`, `Debian package ${tool}`));

const found = async (data: Buffer): Promise<KernelImage | null> => readImage(data, 'it');
const expected = (arch: string | null) => ({ btf: SMALL_BTF, arch });
const told = (image: KernelImage | null) =>
  image && { btf: image.btf && Buffer.from(image.btf), arch: image.arch };

describe('the types are found', () => {
  const big = writeBtf([int('int'), struct('device', 8, 'a', 1, 0, 'b', 1, 32)], 'big');
  test.each<[string, Buffer, object]>([
    ['in BTF alone', SMALL_BTF, expected(null)],
    ['in vmlinux of x86_64', vmlinux(), expected('x86_64')],
    ['in vmlinux of ppc64le, which is its vmlinuz too', vmlinux({ machine: 21 }), expected('ppc64le')],
    ['in vmlinux of s390x', vmlinux({ machine: 22, littleEndian: false }, big), { btf: big, arch: 's390x' }],
    ['in an Image of arm64', rawImage('ARM\x64'), expected('aarch64')],
    ['in an Image of riscv64', rawImage('RSC\x05'), expected('riscv64')],
    ['in a bzImage that is not packed', bzImage(vmlinux()), expected('x86_64')],
    ['in no kernel without them', vmlinux({}, Buffer.alloc(0)), { btf: Buffer.alloc(0), arch: 'x86_64' }],
  ])('%s', async (_, data, image) => {
    expect(told(await found(data))).toEqual(image);
  });
  describe.runIf(tools).each(PACKERS)('packed by %s', (packer) => {
    test('a bzImage', async () => {
      expect(told(await found(bzImage(pack(packer, vmlinux()))))).toEqual(expected('x86_64'));
    });
    test('an Image that unpacks itself under EFI', async () => {
      const image = zboot(pack(packer, rawImage('ARM\x64')), packer !== 'gzip');
      expect(told(await found(image))).toEqual(expected('aarch64'));
    });
    test('a kernel of s390x', async () => {
      const kernel = Buffer.concat([rawImage('', big), Buffer.alloc(2 ** 20, 'code of s390x ')]);
      expect(told(await found(s390Image(pack(packer, kernel))))).toEqual({ btf: big, arch: 's390x' });
    });
  });
  test('with what it exports', async () => {
    const image = await found(vmlinux({}, SMALL_BTF, { printk: 0x12345678, kfree: 0x9abcdef0 }));
    const told = { provider: 'vmlinux', exportType: 'EXPORT_SYMBOL', namespace: '' };
    expect([...(image?.exports.values() ?? [])]).toEqual([
      { name: 'printk', crc: 0x12345678, ...told },
      { name: 'kfree', crc: 0x9abcdef0, ...told },
    ]);
  });
  test('Image.gz', async () => {
    expect(told(await found(pack('gzip', rawImage('ARM\x64'))))).toEqual(expected('aarch64'));
  });
  test('what is no kernel is none', async () => {
    expect(await found(Buffer.from('0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\n'))).toBeNull();
    expect(await found(vmlinux({ isLinked: false }))).toBeNull();
  });
});

describe('what is wrong is told, with file and offset', () => {
  const old = bzImage(vmlinux());
  old.writeUInt16LE(0x204, 0x206);
  test.each<[string, Buffer, string]>([
    [
      'a bzImage of long ago',
      old,
      'it: byte 518: boot protocol 2.4 does not tell where the kernel is; Linux 2.6.26',
    ],
    ['a payload beyond the end', bzImage(vmlinux()).subarray(0, 3000), 'it: byte 1124: '],
    [
      'a payload of another kind',
      bzImage(Buffer.from('\x89LZO\0\r\n', 'latin1')),
      'it: byte 1124: the kernel in it is packed in a way',
    ],
    [
      'a payload that is cut short',
      bzImage(pack('gzip', vmlinux()).subarray(0, -9)),
      'it: payload at 1124: byte ',
    ],
  ])('%s', async (_, data, message) => {
    await expect(found(data)).rejects.toThrow(message);
  });

  const MiB = 2 ** 20;
  describe.runIf(tools).each(PACKERS)('mutations, packed by %s', (packer) => {
    test.each([
      ['bzImage', bzImage(pack(packer, vmlinux()))],
      ['EFI', zboot(pack(packer, rawImage('ARM\x64')), packer !== 'gzip')],
    ])('%s', async (_, original) => {
      const before = process.memoryUsage.rss();
      const run = fc.asyncProperty(mutated(original), async (data) => {
        await readImage(data, 'hostile').catch((error: unknown) => {
          if (!(error instanceof SymbolFileError)) throw error;
          expect(error.message).toMatch(/^hostile.*: byte \d+: .+; .+/s);
        });
      });
      await fc.assert(run, { numRuns: 400 });
      expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
    });
  });
});

describe.runIf(tools)('lz4', () => {
  test('of several blocks comes back, and what is cut short is refused', async () => {
    const text = Buffer.alloc(17 * 2 ** 20, 'a text that is longer than two blocks of eight million bytes ');
    const packed = pack('lz4', text);
    expect(Buffer.compare(await unpack(packed, 'it'), text)).toBe(0);
    await expect(unpack(packed.subarray(0, -20), 'it')).rejects.toThrow(/^it: byte \d+: /);
    await expect(unpack(packed, 'it', 9 * 2 ** 20)).rejects.toThrow('more than 9437184 bytes when unpacked');
  });
});

/** A Debian kernel's own file beside its modules, where .ci/run puts it with the Module.symvers of its headers. */
const KERNEL = kernelWith('x86_64', 'vmlinuz');
const VMLINUZ = join(KERNEL, 'vmlinuz');

describe.runIf(installed(VMLINUZ, "vmlinuz of Debian's linux-image, see .ci/run"))(
  'a real kernel',
  async () => {
    const image = await readImage(readFileSync(VMLINUZ), VMLINUZ);
    const btf = readBtf(image?.btf ?? new Uint8Array(), VMLINUZ);

    test('has the types of a kernel', () => {
      expect(btf.end).toBeGreaterThan(50_000);
      const names = new Set<string>();
      for (let id = 1; id < btf.end; id++) if (btf.kind(id) === 'struct') names.add(btf.name(id));
      expect(['task_struct', 'device', 'module', 'sk_buff'].filter((name) => !names.has(name))).toEqual([]);
    });

    const SYMVERS = `${KERNEL}/Module.symvers`;
    test.runIf(installed(SYMVERS, "Module.symvers of Debian's linux-headers, see .ci/run"))(
      'exports what its headers say, with the same CRCs, types and namespaces',
      () => {
        const all = [...parseSymvers(readFileSync(SYMVERS, 'latin1'), SYMVERS).values()];
        const own = all.filter(({ provider }) => provider === 'vmlinux');
        const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
        expect([...(image?.exports.values() ?? [])].sort(byName)).toEqual(own.sort(byName));
      },
    );

    test('has modules whose types go on from its own, and tell of what they export', async () => {
      const folder = `${KERNEL}/kernel/net`;
      const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
      const modules = paths.filter((path) => /\.ko/.test(path)).sort();
      expect(modules.length).toBeGreaterThan(20);
      const told = { exports: 0, functions: 0 };
      for (const path of modules.slice(0, 60)) {
        const file = join(folder, path);
        const data = readFileSync(file);
        const types = await readModuleBtf(data, file);
        if (!types) throw new Error(`${file} has no types`);
        const module = readBtf(types, file, btf);
        expect(module.first).toBe(btf.end);
        const functions = new Set<string>();
        for (let id = module.first; id < module.end; id++)
          if (module.kind(id) === 'function') functions.add(module.name(id));
        const exports = [...(await readSymbolFile(data, file)).exports.keys()];
        told.exports += exports.length;
        told.functions += exports.filter((name) => functions.has(name)).length;
      }
      expect(told.exports).toBeGreaterThan(50);
      expect(told.functions).toBeGreaterThan(0.7 * told.exports);
    });
    test.runIf(bpftool())('and bpftool reads the same in a module', async () => {
      const folder = `${KERNEL}/kernel/net/vmw_vsock`;
      const file = join(folder, readdirSync(folder).find((name) => name.startsWith('vsock.ko')) ?? '');
      const data = await unpack(readFileSync(file), file);
      const types = await readModuleBtf(data, file);
      if (!types || !image?.btf) throw new Error('no types');
      expect(differences(readBtf(types, file, btf), types, image.btf)).toEqual([]);
    });
  },
);
