/** Compressed files, told by their first bytes. No more is unpacked than a cap allows. */
import { createGunzip } from 'node:zlib';
import { SymbolFileError } from '../kabi/error.ts';
import { bytesOf } from './bytes.ts';
import { isZstd, unzstd } from './zstd.ts';

/** Most bytes that a file may have, unpacked: more than ten times the largest module or Module.symvers. */
export const UNPACKED_MAX = 256 * 1024 * 1024;

export type Packing = 'gzip' | 'xz' | 'zstd';

/** How a file is compressed; null: not, or in none of these ways. */
export function packingOf(data: Uint8Array): Packing | null {
  if (data.length < 6) return null;
  const magic = bytesOf(data, '', 'little').u32(0);
  if ((magic & 0xffff) === 0x8b1f) return 'gzip';
  if (magic === 0x587a37fd && data[4] === 0x5a && data[5] === 0) return 'xz';
  return isZstd(magic) ? 'zstd' : null;
}

/**
 * Unpack what `packingOf` knows.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @throws SymbolFileError where it is damaged, cut short, or longer than `limit`
 */
export async function unpack(
  data: Uint8Array,
  packing: Packing,
  file: string,
  limit = UNPACKED_MAX,
): Promise<Uint8Array> {
  const mend = 'fetch the file again, or unpack it by hand';
  if (packing === 'zstd') {
    const unpacked = await unzstd(data, file, limit);
    if (unpacked) return unpacked;
    const problem = `the zstd data are damaged, or longer than ${limit} bytes`;
    throw new SymbolFileError(file, { offset: 0 }, problem, mend);
  }
  const stream = packing === 'xz' ? await unxz(data) : gunzip(data);
  try {
    return await collect(stream.chunks, limit);
  } catch (error) {
    const problem = error instanceof TooLong ? `longer than ${limit} bytes` : 'damaged or cut short';
    const place = { offset: stream.consumed() };
    throw new SymbolFileError(file, place, `the ${packing} data are ${problem}`, mend);
  }
}

class TooLong extends Error {}

/** Unpacked chunks, and how many packed bytes were read for them. */
interface Unpacking {
  readonly chunks: AsyncIterable<Uint8Array>;
  consumed(): number;
}

async function collect(chunks: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array> {
  const collected: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > limit) throw new TooLong();
    collected.push(chunk);
  }
  return Buffer.concat(collected, size);
}

function gunzip(data: Uint8Array): Unpacking {
  const chunks = createGunzip({ chunkSize: 256 * 1024 });
  chunks.end(data);
  return { chunks, consumed: () => chunks.bytesWritten };
}

/** Bytes that the xz decoder is given at a time. */
const PIECE = 64 * 1024;

/** By the kernel's own decoder, xz-embedded, in WebAssembly: with dictionaries up to 64 MiB, as `xz -9` has. */
async function unxz(data: Uint8Array): Promise<Unpacking> {
  const { XzReadableStream } = (await import('xz-decompress')).default;
  let consumed = 0;
  const packed = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (consumed >= data.length) return controller.close();
      controller.enqueue(data.subarray(consumed, consumed + PIECE));
      consumed = Math.min(consumed + PIECE, data.length);
    },
  });
  return { chunks: new XzReadableStream(packed), consumed: () => consumed };
}
