/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
import { bytesOf } from './bytes.ts';
import { gunzip } from './gzip.ts';
import { isXz, unxz } from './xz.ts';
import { isZstd, unzstd } from './zstd.ts';

/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

/**
 * Unpack gzip, xz and zstd; what is of neither kind comes back as it is.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @throws SymbolFileError where it is damaged, cut short, or longer than `limit`
 */
export async function unpack(data: Uint8Array, file: string, limit = UNPACKED_MAX): Promise<Uint8Array> {
  const bytes = bytesOf(data, file, 'little');
  if (isXz(bytes)) return unxz(data, file, limit);
  if (isZstd(bytes)) return await unzstd(data, file, limit);
  const isGzip = bytes.size >= 2 && bytes.u16(0) === 0x8b1f;
  return isGzip ? await gunzip(data, file, limit) : data;
}
