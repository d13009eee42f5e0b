/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

/** How something is packed. */
export type Packing = 'gzip' | 'xz' | 'zstd' | 'lz4';

/** By the first bytes; null of what is not packed in a way that is known here. */
export function packingOf(data: Uint8Array): Packing | null {
  const [a = 0, b = 0, c = 0, d = 0] = data;
  const magic = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  if (magic >>> 16 === 0x1f8b) return 'gzip';
  if (magic === 0xfd377a58) return 'xz';
  const isSkippable = (magic & 0xf0ffffff) >>> 0 === 0x502a4d18;
  if (magic === 0x28b52ffd || isSkippable) return 'zstd';
  return magic === 0x02214c18 ? 'lz4' : null;
}

/**
 * Unpack gzip, xz, zstd and lz4; what is of neither kind comes back as it is. What unpacks a kind is loaded with the
 * first file of it.
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
  const packing = packingOf(data);
  if (packing === 'gzip') return (await import('./gzip.ts')).gunzip(data, file, limit, first);
  if (packing === 'xz') return (await import('./xz.ts')).unxz(data, file, limit, first);
  if (packing === 'zstd') return (await import('./zstd.ts')).unzstd(data, file, limit, first);
  if (packing === 'lz4') return (await import('./lz4.ts')).unlz4(data, file, limit, first);
  return data;
}
