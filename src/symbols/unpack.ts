/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
import { type Bytes, bytesOf } from './bytes.ts';
import { unbzip2 } from './bzip2.ts';
import { gunzip } from './gzip.ts';
import { unlzma } from './lzma.ts';
import { unxz } from './xz.ts';
import { loadZstd, unzstd } from './zstd.ts';

/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

/**
 * Unpack gzip, xz, zstd, bzip2 and lzma; what is of no such kind comes back as it is.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @throws SymbolFileError where it is damaged, cut short, or longer than `limit`
 */
export async function unpack(data: Uint8Array, file: string, limit = UNPACKED_MAX): Promise<Uint8Array> {
  if (isZstd(data)) await loadZstd();
  return unpackNow(data, file, limit);
}

/** The same at once; what is packed by zstd is refused before `loadZstd`. */
export function unpackNow(data: Uint8Array, file: string, limit = UNPACKED_MAX): Uint8Array {
  const bytes = bytesOf(data, file, 'big');
  const magic = bytes.size < 4 ? 0 : bytes.u32(0);
  if (isZstd(data)) return unzstd(data, file, limit);
  if (magic >>> 16 === 0x1f8b) return gunzip(data, file, limit);
  if (magic === 0xfd377a58) return unxz(data, file, limit);
  const level = magic & 0xff;
  if (magic >>> 8 === 0x425a68 && level >= 0x31 && level <= 0x39) return unbzip2(data, file, limit);
  if (isLzma(bytesOf(data, file, 'little'))) return unlzma(data, file, limit);
  return data;
}

function isZstd(data: Uint8Array): boolean {
  const magic = data.byteLength < 4 ? 0 : bytesOf(data, '', 'big').u32(0);
  return magic === 0x28b52ffd || (magic & 0xf0ffffff) >>> 0 === 0x502a4d18;
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
