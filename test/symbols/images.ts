/** Kernels as each architecture boots them, around a vmlinux made for a test. */
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { int, struct, writeBtf } from '../btf/write.ts';
import { packed, type Shape, writeElf } from './elf.ts';

/** BTF that is told apart from zeros. */
export const SMALL_BTF = writeBtf([int('int'), struct('device', 8, 'a', 1, 0, 'b', 1, 32)]);

/** @param exported CRCs by name */
export function vmlinux(
  shape: Partial<Shape> = {},
  btf = SMALL_BTF,
  exported: Readonly<Record<string, number>> = {},
): Buffer {
  const all: Shape = { wordSize: 64, littleEndian: true, machine: 62, isLinked: true, ...shape };
  const names = Object.keys(exported);
  const strings = Buffer.from(names.map((name) => `${name}\0`).join(''));
  const start = 64;
  const offsets = names.map((_, i) => names.slice(0, i).reduce((sum, { length }) => sum + length + 1, start));
  // Offsets to the symbol, its name and its namespace, each from where it stands.
  const entries = offsets.flatMap((offset, i) => [0, offset - (start + strings.length + 12 * i + 4), 0]);
  const contents = {
    __ksymtab_strings: strings,
    __ksymtab: packed(all, ...entries.map((it) => [it >>> 0, 4] as const)),
    __kcrctab: packed(all, ...Object.values(exported).map((crc) => [crc, 4] as const)),
  };
  return writeElf(all, {
    ...(names.length > 0 && contents),
    ...{ '.text': Buffer.alloc(5000, 'some code '), '.BTF': btf },
  });
}

/** A kernel in memory: `head` at 56, where arm64 and riscv64 say what they are, and BTF, once with smaller BTF before it. */
export function rawImage(head: string, btf = SMALL_BTF): Buffer {
  const image = Buffer.concat([
    Buffer.alloc(4096),
    writeBtf([int('int')]),
    Buffer.alloc(1000, 'x'),
    btf,
    Buffer.alloc(500, 'y'),
  ]);
  image.write(head, 56, 'latin1');
  return image;
}

/** What kernel builds pack with. */
export const PACKERS = ['gzip', 'xz', 'xz --x86', 'zstd', 'lz4'] as const;
export type Packer = (typeof PACKERS)[number];

/** As scripts/Makefile.lib does: but for gzip, which has it anyway, the size comes after, in four bytes. */
export function pack(packer: Packer, data: Buffer): Buffer {
  if (packer === 'gzip') return gzipSync(data);
  const run = (tool: string, ...options: string[]) =>
    execFileSync(tool, options, { input: data, maxBuffer: 2 ** 28 });
  const packed = {
    xz: () => run('xz', '-c', '--check=crc32', '--lzma2=preset=1'),
    'xz --x86': () => run('xz', '-c', '--check=crc32', '--x86', '--lzma2=preset=1'),
    zstd: () => run('zstd', '-c', '-3'),
    lz4: () => run('lz4', '-l', '-9', '-c', '-', '-'),
  }[packer]();
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  return Buffer.concat([packed, size]);
}

/** Of x86: two sectors of set-up, then code and the payload. */
export function bzImage(payload: Buffer): Buffer {
  const image = Buffer.alloc(1024 + 100);
  image[0x1f1] = 1;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x20f, 0x206);
  image.writeUInt32LE(100, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([image, payload, Buffer.alloc(64, 'z')]);
}

/** Of arm64 and others: a program for EFI that unpacks what it holds; the size after the payload does not count. */
export function zboot(payload: Buffer, hasSize: boolean): Buffer {
  const image = Buffer.alloc(512);
  image.write('MZ\0\0zimg', 0, 'latin1');
  image.writeUInt32LE(512, 8);
  image.writeUInt32LE(payload.length - (hasSize ? 4 : 0), 12);
  return Buffer.concat([image, payload, Buffer.alloc(64, 'z')]);
}

/** Of s390x: the payload is somewhere, behind what only looks like one. */
export function s390Image(payload: Buffer): Buffer {
  const image = Buffer.alloc(0x12000);
  image.write('S390EP', 0x10008, 'latin1');
  image.write('1f8b0800aabbccdd', 0x11000, 'hex');
  return Buffer.concat([image, payload, Buffer.alloc(64, 'z')]);
}
