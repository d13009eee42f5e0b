/**
 * lz4 as kernels are packed with it: the "legacy frame" (lz4: doc/lz4_Frame_format.md) of blocks (doc/lz4_Block_format.md).
 * It has no checksums.
 */
import { type Bytes, bytesOf } from './bytes.ts';

/** To what each block but the last unpacks. */
const BLOCK = 8 * 1024 * 1024;
/** Most bytes that one takes packed: what does not pack grows by a little. */
const PACKED_MAX = BLOCK + Math.ceil(BLOCK / 255) + 16;

/**
 * Unpack a legacy frame. Kernel builds put the unpacked size after it, in four bytes, which is verified.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to
 * @param first whether something else may follow
 * @throws SymbolFileError
 */
export function unlz4(data: Uint8Array, file: string, limit: number, first = false): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  const parts: Uint8Array[] = [];
  let total = 0;
  let at = 4;
  while (at < bytes.size) {
    const packed = bytes.u32(at);
    const isSize = packed === total && (first || at + 4 === bytes.size);
    if (isSize || (first && packed > PACKED_MAX)) break;
    if (packed === 0 || packed > PACKED_MAX) throw bytes.fail(at, `an lz4 block of ${packed} bytes`);
    if (parts.length > 0 && total % BLOCK !== 0) throw bytes.fail(at, 'an lz4 block after a short one');
    const most = Math.min(BLOCK, limit - total);
    const part = unpackBlock(bytes, at + 4, at + 4 + packed, most, limit);
    parts.push(part);
    total += part.length;
    at += 4 + packed;
  }
  return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, total);
}

/** Fewer bytes than that are sooner copied one by one. */
const SHORT = 64;

/** Literals and copies of what came before in the block, in turn. */
function unpackBlock(bytes: Bytes, start: number, end: number, most: number, limit: number): Uint8Array {
  const input = bytes.slice(0, bytes.size);
  if (end > bytes.size) throw bytes.fail(bytes.size, `cut short in an lz4 block that ends at ${end}`);
  // A byte never unpacks to more than 255.
  const output = new Uint8Array(Math.min(most, 255 * (end - start)));
  let at = start;
  let to = 0;
  /** A length goes on in further bytes where its four bits are all set. */
  const length = (bits: number): number => {
    let sum = bits;
    for (let byte = bits === 15 ? 255 : 0; byte === 255; sum += byte)
      byte = at < end ? (input[at++] ?? 0) : 0;
    return sum;
  };
  while (at < end) {
    const token = input[at++] ?? 0;
    const literals = length(token >> 4);
    if (at + literals > end) throw bytes.fail(at, 'damaged lz4 data');
    if (to + literals > output.length) throw tooLong(bytes, at, most, limit);
    if (literals < SHORT) for (let i = 0; i < literals; i++) output[to + i] = input[at + i] ?? 0;
    else output.set(input.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === end) return output.subarray(0, to);
    const back = (input[at] ?? 0) + 256 * (input[at + 1] ?? 0);
    at += 2;
    const copied = 4 + length(token & 15);
    if (back === 0 || back > to || at > end) throw bytes.fail(at, 'damaged lz4 data');
    if (to + copied > output.length) throw tooLong(bytes, at, most, limit);
    if (back >= copied && copied >= SHORT) output.copyWithin(to, to - back, to - back + copied);
    else for (let i = to; i < to + copied; i++) output[i] = output[i - back] ?? 0;
    to += copied;
  }
  throw bytes.fail(end, 'an lz4 block that ends within a copy');
}

const tooLong = (bytes: Bytes, at: number, most: number, limit: number) =>
  bytes.fail(at, most < BLOCK ? `more than ${limit} bytes when unpacked` : 'damaged lz4 data');
