/**
 * Kernels as they are booted: where in them their ELF file or their image in memory is, the types (`.BTF`) and the exports
 * of vmlinux. Of x86 a bzImage (Linux: Documentation/arch/x86/boot.rst), of arm64 and others a packed image or one that
 * unpacks itself under EFI (drivers/firmware/efi/libstub/zboot-header.S), of ppc64le the ELF file, of s390x an image with the
 * packed one somewhere in it.
 */
import { SymbolFileError } from '../kabi/error.ts';
import type { ExportedSymbol } from '../kabi/model.ts';
import { type Bytes, bytesOf } from './bytes.ts';
import { contentOf, ELF_MAGIC, type Elf, readElf, type Section, sectionOf } from './elf.ts';
import { archOf } from './module.ts';
import { packingOf, UNPACKED_MAX, unpack } from './unpack.ts';

/** What kernels' own files are called, packed or not, with a version or without. */
export const KERNEL_FILE =
  /(^|\/)(vmlinu[xz]|[iI]mage|bzImage|zImage)(-[^/]*)?(\.(gz|xz|zst|bz2|lzma|lz4))?$/;

/** What is read of a kernel's own file. */
export interface KernelImage {
  /** `.BTF` as it stands there; null where the kernel has none. */
  readonly btf: Uint8Array | null;
  /** What vmlinux exports, where the file tells: ELF files, and what a bzImage holds. */
  readonly exports: ReadonlyMap<string, ExportedSymbol>;
  readonly arch: string | null;
}

/** Most bytes of a BTF section: those of kernels have six million. */
const BTF_MAX = 64 * 1024 * 1024;

/**
 * Read a kernel's file: vmlinuz, vmlinux, Image, or BTF alone; each may be packed.
 * @param data the whole file
 * @param file the name to blame in errors
 * @returns null where it is none of these
 * @throws SymbolFileError
 */
export async function readImage(data: Uint8Array, file: string): Promise<KernelImage | null> {
  const plain = await unpack(data, file);
  if (isBtf(plain)) return { btf: plain, exports: new Map(), arch: null };
  const image = await unwrap(plain, file);
  if (!image) return null;
  if (!isElf(image.data)) return { btf: findBtf(image.data), exports: new Map(), arch: image.arch };
  const elf = readElf(image.data, image.file);
  if (elf.isObject) return null;
  const section = sectionOf(elf, '.BTF');
  return {
    btf: section ? contentOf(elf, section, BTF_MAX) : null,
    exports: readExports(elf),
    arch: archOf(elf),
  };
}

interface Unwrapped {
  readonly data: Uint8Array;
  /** The file, and what of it. */
  readonly file: string;
  readonly arch: string | null;
}

const isElf = (data: Uint8Array): boolean => data.length > 4 && bytesOf(data, '', 'big').u32(0) === ELF_MAGIC;
const isBtf = (data: Uint8Array): boolean =>
  data.length > 4 && data[2] === 1 && [0x9feb, 0xeb9f].includes(bytesOf(data, '', 'big').u16(0));
const textAt = (bytes: Bytes, at: number, text: string): boolean =>
  bytes.size >= at + text.length && bytes.slice(at, text.length).toString('latin1') === text;

/** The ELF file or the image in memory; null of what is no kernel. */
async function unwrap(data: Uint8Array, file: string): Promise<Unwrapped | null> {
  const bytes = bytesOf(data, file, 'little');
  if (isElf(data)) return { data, file, arch: null };
  if (textAt(bytes, 0x202, 'HdrS')) return unpackAt(bytes, payloadOfBzImage(bytes), 'x86_64');
  if (textAt(bytes, 0, 'MZ') && textAt(bytes, 4, 'zimg')) {
    const inner = await unpackAt(bytes, { start: bytes.u32(8), length: bytes.u32(12) }, null);
    return (await unwrap(inner.data, inner.file)) ?? inner;
  }
  if (textAt(bytes, 0x38, 'ARM\x64')) return { data, file, arch: 'aarch64' };
  if (textAt(bytes, 0x38, 'RSC\x05')) return { data, file, arch: 'riscv64' };
  // Of s390x: at its beginning is the code that a channel program loads.
  if (textAt(bytes, 0x10008, 'S390EP')) return findPacked(bytes);
  return null;
}

interface Payload {
  readonly start: number;
  readonly length: number;
}

function payloadOfBzImage(bytes: Bytes): Payload {
  const version = bytes.u16(0x206);
  const known = 'Linux 2.6.26 and newer has boot protocol 2.08';
  if (version < 0x208)
    throw bytes.fail(
      0x206,
      `boot protocol ${version >> 8}.${version & 0xff} does not tell where the kernel is`,
      known,
    );
  const sectors = (bytes.u8(0x1f1) || 4) + 1;
  return { start: 512 * sectors + bytes.u32(0x248), length: bytes.u32(0x24c) };
}

async function unpackAt(bytes: Bytes, { start, length }: Payload, arch: string | null): Promise<Unwrapped> {
  const file = `${bytes.file}: payload at ${start}`;
  const packed = bytes.slice(start, length);
  const isKnown = packingOf(packed) !== null || isElf(packed) || textAt(bytes, start + 0x38, 'ARM\x64');
  if (!isKnown) throw bytes.fail(start, 'the kernel in it is packed in a way that is not known here', UNPACK);
  return { data: await unpack(packed, file, UNPACKED_MAX, true), file, arch };
}

const UNPACK = "unpack it by the kernel's scripts/extract-vmlinux and name the vmlinux";

/** How packed data begin: gzip, xz, zstd, lz4. */
const BEGINNINGS = ['1f8b08', 'fd377a585a00', '28b52ffd', '02214c18'].map((hex) => Buffer.from(hex, 'hex'));
/** Most places that are tried: other data look so too, now and then. */
const TRIES = 64;
/** A kernel is larger. What looks packed and is small is something else. */
const KERNEL_MIN = 1024 * 1024;

/** A kernel that is packed somewhere in a file that does not tell where; or the file itself, if it is not packed. */
async function findPacked(bytes: Bytes): Promise<Unwrapped> {
  const data = bytes.slice(0, bytes.size);
  const places = BEGINNINGS.flatMap((beginning) => {
    const found: number[] = [];
    for (
      let at = data.indexOf(beginning);
      at >= 0 && found.length < TRIES;
      at = data.indexOf(beginning, at + 1)
    )
      found.push(at);
    return found;
  });
  for (const place of places.sort((a, b) => a - b).slice(0, TRIES)) {
    const file = `${bytes.file}: payload at ${place}`;
    const inner = await unpack(data.subarray(place), file, UNPACKED_MAX, true).catch((error: unknown) => {
      if (error instanceof SymbolFileError) return null;
      throw error;
    });
    if (inner && inner.length >= KERNEL_MIN) return { data: inner, file, arch: 's390x' };
  }
  return { data, file: bytes.file, arch: 's390x' };
}

const HEADERS = ['9feb0100', 'eb9f0100'].map((hex) => Buffer.from(hex, 'hex'));

/** BTF in an image without sections: the largest part that looks like it. Programs for BPF within have some too. */
function findBtf(data: Uint8Array): Uint8Array | null {
  const image = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let largest: Uint8Array | null = null;
  for (const [i, header] of HEADERS.entries())
    for (let at = image.indexOf(header); at >= 0; at = image.indexOf(header, at + 1)) {
      const size = sizeOfBtf(bytesOf(image.subarray(at), '', i === 0 ? 'little' : 'big'));
      if (size > (largest?.length ?? 0)) largest = image.subarray(at, at + size);
    }
  return largest;
}

/** How long BTF is by its header; 0 where that makes no sense. */
function sizeOfBtf(bytes: Bytes): number {
  if (bytes.size < 24) return 0;
  const [size, typesAt, types, stringsAt, strings] = [4, 8, 12, 16, 20].map(bytes.u32) as [
    number,
    ...number[],
  ];
  const end = size + (stringsAt ?? 0) + (strings ?? 0);
  const isSound = size >= 24 && size <= 256 && typesAt === 0 && stringsAt === types && (strings ?? 0) > 1;
  return isSound && end <= Math.min(bytes.size, BTF_MAX) && bytes.u8(end - 1) === 0 ? end : 0;
}

/** Names of exports are shorter: the kernel's KSYM_NAME_LEN. */
const NAME_MAX = 512;
const KINDS = { '': 'EXPORT_SYMBOL', _gpl: 'EXPORT_SYMBOL_GPL' } as const;

/**
 * What vmlinux exports: `__ksymtab` has entries of three offsets, from where each stands, to the symbol, its name and its
 * namespace (Linux: include/linux/export-internal.h), and `__kcrctab` the CRCs in the same order. Kernels without such
 * offsets, or without CRCs, tell nothing here.
 */
function readExports(elf: Elf): Map<string, ExportedSymbol> {
  const exports = new Map<string, ExportedSymbol>();
  for (const [ending, exportType] of Object.entries(KINDS)) {
    const [table, crcs] = [sectionOf(elf, `__ksymtab${ending}`), sectionOf(elf, `__kcrctab${ending}`)];
    if (!table || !crcs || table.size !== 3 * crcs.size) continue;
    const values = contentOf(elf, crcs);
    const order = elf.littleEndian ? 'readUInt32LE' : 'readUInt32BE';
    for (let i = 0; i < values.length / 4; i++) {
      const text = (field: number) => textFrom(elf, table, 12 * i + 4 * field);
      const name = text(1);
      exports.set(name, {
        name,
        crc: values[order](4 * i),
        provider: 'vmlinux',
        exportType,
        namespace: text(2),
      });
    }
  }
  return exports;
}

/** The text to which an offset leads that stands in a section; `''` for none. */
function textFrom({ bytes, sections }: Elf, from: Section, at: number): string {
  const offset = bytes.u32(from.offset + at) | 0;
  if (offset === 0) return '';
  const target = (from.address + at + offset) >>> 0;
  const section = sections.find(
    ({ address, size }) => address !== 0 && target >= address && target < address + size,
  );
  if (!section) throw bytes.fail(from.offset + at, 'the name of an export is in no section');
  return bytes.string(section.offset + target - section.address, NAME_MAX);
}

/**
 * The types of a module, which go on from those of its vmlinux.
 * @param data a `.ko`, which may be packed
 * @returns null where it has none, or where they stand on a base of their own (`.BTF.base`: modules that were not built with
 * the kernel)
 * @throws SymbolFileError
 */
export async function readModuleBtf(data: Uint8Array, file: string): Promise<Uint8Array | null> {
  const plain = await unpack(data, file);
  if (!isElf(plain)) return null;
  const elf = readElf(plain, file);
  const section = sectionOf(elf, '.BTF');
  return section && !sectionOf(elf, '.BTF.base') ? contentOf(elf, section, BTF_MAX) : null;
}
