/** zstd (RFC 8878), unpacked by libzstd in WebAssembly. */
import type { ZSTDDecoder } from 'zstddec';
import { type Bytes, bytesOf } from './bytes.ts';

const MAGIC = 0xfd2fb528;
/** Frames that hold no content: 16 numbers from here on. */
const SKIPPABLE = 0x184d2a50;
/** Most that one block unpacks to. */
const BLOCK_MAX = 128 * 1024;

const isSkippable = (magic: number) => (magic & 0xfffffff0) >>> 0 === SKIPPABLE;

let decoder: ZSTDDecoder | undefined;

/** Start libzstd, which takes a tenth of a second: only where there is something for it. */
export async function loadZstd(): Promise<void> {
  const { ZSTDDecoder } = await import('zstddec');
  const started = new ZSTDDecoder();
  await started.init();
  decoder = started;
}

/**
 * Unpack all frames, once libzstd is started.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @param first only the first frame, whatever follows it
 * @throws SymbolFileError
 */
export function unzstd(data: Uint8Array, file: string, limit: number, first = false): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  if (!decoder) throw bytes.fail(0, 'packed by zstd, which is not read here', 'name what is in it');
  const { most, end } = mostContent(bytes, first);
  if (most === 0) return new Uint8Array(0);
  // The decoder never writes more than it is told, verifies checksums, and gives nothing where it fails.
  const unpacked = decoder.decode(data.subarray(0, end), Math.min(most, limit));
  if (unpacked.length > 0) return unpacked;
  const tooLong = most > limit ? `, or more than ${limit} bytes when unpacked` : '';
  throw bytes.fail(0, `damaged zstd data${tooLong}`);
}

/** Most bytes that the frames can unpack to, from their headers and the headers of their blocks; and where they end. */
function mostContent(bytes: Bytes, first: boolean): { most: number; end: number } {
  let most = 0;
  let at = 0;
  while (at < bytes.size && (at === 0 || !first)) {
    const magic = bytes.u32(at);
    if (isSkippable(magic)) at += 8 + bytes.u32(at + 4);
    else if (magic !== MAGIC) throw bytes.fail(at, 'no zstd frame');
    else {
      const header = bytes.u8(at + 4);
      const blocks = measureBlocks(bytes, at + frameHeaderSize(header));
      const checksum = header & 4 ? 4 : 0;
      most += blocks.most;
      at = blocks.end + checksum;
    }
    if (at > bytes.size) throw bytes.fail(bytes.size, 'a zstd frame is cut short');
  }
  return { most, end: at };
}

/** Bytes of a frame's header with its magic number, from its descriptor (RFC 8878, 3.1.1.1). */
function frameHeaderSize(descriptor: number): number {
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return 5 + (singleSegment ? 0 : 1) + dictionaryId + contentSize;
}

/** Walk the blocks of a frame: most bytes that they unpack to, and where they end (RFC 8878, 3.1.1.2). */
function measureBlocks(bytes: Bytes, start: number): { most: number; end: number } {
  let most = 0;
  for (let at = start; ; ) {
    const header = bytes.u16(at) + bytes.u8(at + 2) * 0x10000;
    const last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3 || size > BLOCK_MAX) throw bytes.fail(at, 'no zstd block');
    const runLength = type === 1;
    const compressed = type === 2;
    most += compressed ? BLOCK_MAX : size;
    at += 3 + (runLength ? 1 : size);
    if (last) return { most, end: at };
  }
}
