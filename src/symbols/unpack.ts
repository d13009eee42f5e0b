/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
import { bytesOf } from './bytes.ts';

/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

/**
 * Unpack gzip, xz and zstd; what is of neither kind comes back as it is. What unpacks a kind is loaded with the
 * first file of it.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @throws SymbolFileError where it is damaged, cut short, or longer than `limit`
 */
export async function unpack(data: Uint8Array, file: string, limit = UNPACKED_MAX): Promise<Uint8Array> {
  const bytes = bytesOf(data, file, 'big');
  const magic = bytes.size < 4 ? 0 : bytes.u32(0);
  if (magic >>> 16 === 0x1f8b) return (await import('./gzip.ts')).gunzip(data, file, limit);
  if (magic === 0xfd377a58) return (await import('./xz.ts')).unxz(data, file, limit);
  const isSkippable = (magic & 0xf0ffffff) >>> 0 === 0x502a4d18;
  if (magic === 0x28b52ffd || isSkippable) return (await import('./zstd.ts')).unzstd(data, file, limit);
  return data;
}
