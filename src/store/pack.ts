/** Text that is much, packed. */
import { promisify } from 'node:util';
import {
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
} from 'node:zlib';

/** How text is packed: the best that still is quick. */
export const PACKING = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

/** JSON in a fraction of its size: symbols repeat from kmod to kmod, farther apart than gzip looks back. */
export function pack(value: unknown): Uint8Array {
  return brotliCompressSync(JSON.stringify(value), PACKING);
}

/** What was packed. */
export const unpack = (packed: Uint8Array): unknown => JSON.parse(brotliDecompressSync(packed).toString());

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);
/** The same of what is large, in a thread beside the event loop, as it is. */
export const packBeside = (data: string | Uint8Array): Promise<Uint8Array> => compress(data, PACKING);
export const unpackBeside = (packed: Uint8Array): Promise<Buffer> => decompress(packed);
