/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
import { type Bytes, bytesOf } from './bytes.ts';
import { unbzip2 } from './bzip2.ts';
import { gunzip } from './gzip.ts';
import { unlz4 } from './lz4.ts';
import { unlzma } from './lzma.ts';
import { unxz } from './xz.ts';
import { loadZstd, unzstd } from './zstd.ts';

/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

/** How something is packed. */
export type Packing = 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lzma' | 'lz4';

/** By the first bytes; null of what is not packed in a way that is known here. */
export function packingOf(data: Uint8Array): Packing | null {
  const [a = 0, b = 0, c = 0, d = 0] = data;
  const magic = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  if (magic >>> 16 === 0x1f8b) return 'gzip';
  if (magic === 0xfd377a58) return 'xz';
  const isSkippable = (magic & 0xf0ffffff) >>> 0 === 0x502a4d18;
  if (magic === 0x28b52ffd || isSkippable) return 'zstd';
  if (magic === 0x02214c18) return 'lz4';
  if (magic >>> 8 === 0x425a68 && d >= 0x31 && d <= 0x39) return 'bzip2';
  return isLzma(bytesOf(data, '', 'little')) ? 'lzma' : null;
}

const UNPACK: Readonly<Record<Packing, typeof gunzip>> = {
  ...{ gzip: gunzip, xz: unxz, zstd: unzstd, bzip2: unbzip2, lz4: unlz4 },
  // Its end marker ends it, whatever follows.
  lzma: unlzma,
};

/**
 * Unpack gzip, xz, zstd, bzip2, lzma and lz4; what is of no such kind comes back as it is.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @param first the first stream alone: in kernels something else follows it
 * @throws SymbolFileError where it is damaged, cut short, or longer than `limit`
 */
export async function unpack(
  data: Uint8Array,
  file: string,
  limit = UNPACKED_MAX,
  first = false,
): Promise<Uint8Array> {
  if (packingOf(data) === 'zstd') await loadZstd();
  return unpackNow(data, file, limit, first);
}

/** The same at once; what is packed by zstd is refused before `loadZstd`. */
export function unpackNow(data: Uint8Array, file: string, limit = UNPACKED_MAX, first = false): Uint8Array {
  const packing = packingOf(data);
  return packing ? UNPACK[packing](data, file, limit, first) : data;
}

/** Whether it begins as .lzma files do, which have no magic number: as xz tells them. */
function isLzma({ size, u8, u32, u64 }: Bytes): boolean {
  if (size < 18) return false;
  const dictionary = u32(1);
  const highest = 2 ** Math.floor(Math.log2(dictionary));
  const usual = dictionary >= 4096 && [highest, highest * 1.5, 2 ** 32 - 1].includes(dictionary);
  // The size of its content is told or not, and the data begin with a byte of zeros.
  return u8(0) < 225 && usual && (u64(5) === 2 ** 64 || u64(5) < 2 ** 38) && u8(13) === 0;
}
