/** xz files (xz: doc/xz-file-format.txt), with LZMA2 as their only filter: as xz, rpm and kernel builds write them. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Bytes, bytesOf } from './bytes.ts';
import { measureChunks, unpackChunks } from './lzma2.ts';

const HEADER_SIZE = 12;
/** Its first six bytes, as numbers. */
const MAGIC = { first: 0x587a37fd, last: 0x005a } as const;
const FOOTER_MAGIC = 0x5a59;
const LZMA2 = 0x21;
/** `xz` makes one block of 24 MiB and more; for this many, a file must be made to hurt. */
const BLOCKS_MAX = 100_000;

/** Kinds of checks, by their ids: how long, and how computed, as the bytes that the file has. */
const CHECKS: Readonly<Record<number, { size: number; of(data: Uint8Array): Buffer }>> = {
  0: { size: 0, of: () => Buffer.alloc(0) },
  1: { size: 4, of: (data) => littleEndian(crc32(data)) },
  4: { size: 8, of: crc64 },
  10: { size: 32, of: (data) => createHash('sha256').update(data).digest() },
};

/** A block: where its chunks begin, to how many bytes they unpack, and the check of those. */
interface Block {
  readonly start: number;
  readonly size: number;
  readonly check: { readonly kind: number; readonly offset: number };
}

/**
 * Unpack all streams, and verify their checks.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to; nothing is unpacked where it would be more
 * @throws SymbolFileError
 */
export function unxz(data: Uint8Array, file: string, limit: number): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  const blocks = readStreams(bytes);
  const size = blocks.reduce((sum, block) => sum + block.size, 0);
  if (size > limit) throw bytes.fail(0, `${size} bytes when unpacked, and ${limit} are allowed`);
  const output = new Uint8Array(size);
  let at = 0;
  for (const { start, size: length, check } of blocks) {
    const part = output.subarray(at, at + length);
    unpackChunks(bytes, start, part);
    const kind = CHECKS[check.kind];
    if (!kind?.of(part).equals(bytes.slice(check.offset, kind.size)))
      throw bytes.fail(check.offset, 'the check of an xz block does not fit');
    at += length;
  }
  return output;
}

/** The blocks of all streams, by their headers; between streams may be zeros. */
function readStreams(bytes: Bytes): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < bytes.size) {
    if (at > 0 && bytes.u32(at) === 0) at += 4;
    else at = readStream(bytes, at, blocks);
  }
  return blocks;
}

/** @returns where the stream ends */
function readStream(bytes: Bytes, start: number, blocks: Block[]): number {
  if (bytes.u32(start) !== MAGIC.first || bytes.u16(start + 4) !== MAGIC.last)
    throw bytes.fail(start, 'no xz stream');
  verify(bytes, start + 6, 2);
  const check = bytes.u8(start + 7);
  if (bytes.u8(start + 6) !== 0 || !CHECKS[check])
    throw bytes.fail(start + 6, `xz check ${check} is not known`);
  let at = start + HEADER_SIZE;
  while (bytes.u8(at) !== 0) {
    const data = readBlockHeader(bytes, at);
    const { size, end } = measureChunks(bytes, data);
    const offset = padded(end, start);
    blocks.push({ start: data, size, check: { kind: check, offset } });
    if (blocks.length > BLOCKS_MAX) throw bytes.fail(at, `more than ${BLOCKS_MAX} xz blocks`);
    at = offset + (CHECKS[check]?.size ?? 0);
  }
  const footer = skipIndex(bytes, at, start);
  verify(bytes, footer + 4, 6, footer);
  if (bytes.u16(footer + 10) !== FOOTER_MAGIC) throw bytes.fail(footer, 'no xz footer');
  return footer + HEADER_SIZE;
}

/** @returns where the block's data begin */
function readBlockHeader(bytes: Bytes, start: number): number {
  const end = start + (bytes.u8(start) + 1) * 4;
  verify(bytes, start, end - 4 - start);
  const flags = bytes.u8(start + 1);
  let at = start + 2;
  if (flags & 0x40) at = number(bytes, at).end;
  if (flags & 0x80) at = number(bytes, at).end;
  if ((flags & 0x3f) !== 0 || bytes.u8(at) !== LZMA2)
    throw bytes.fail(start, 'an xz filter other than LZMA2', 'unpack the file by xz');
  return end;
}

/** The index repeats the sizes of blocks, which are known. @returns where it ends */
function skipIndex(bytes: Bytes, start: number, stream: number): number {
  const records = number(bytes, start + 1);
  let at = records.end;
  for (let i = 0; i < 2 * records.value; i++) at = number(bytes, at).end;
  at = padded(at, stream);
  verify(bytes, start, at - start);
  return at + 4;
}

/** A number of up to 9 bytes, 7 bits in each, lowest first. */
function number(bytes: Bytes, start: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = bytes.u8(start + i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  throw bytes.fail(start, 'an xz number that does not end');
}

/** Check the CRC32 of a part of the format; it stands right after, or at `at`. */
function verify(bytes: Bytes, start: number, length: number, at = start + length): void {
  if (crc32(bytes.slice(start, length)) !== bytes.u32(at)) throw bytes.fail(start, 'damaged xz headers');
}

const padded = (offset: number, from: number) => from + Math.ceil((offset - from) / 4) * 4;

function littleEndian(...words: number[]): Buffer {
  const buffer = Buffer.alloc(4 * words.length);
  for (const [i, word] of words.entries()) buffer.writeUInt32LE(word, 4 * i);
  return buffer;
}

/** CRC64 of ECMA-182, reflected: high and low halves of what each byte adds. */
const CRC64 = { high: new Uint32Array(256), low: new Uint32Array(256) };
for (let byte = 0; byte < 256; byte++) {
  let [high, low] = [0, byte];
  for (let i = 0; i < 8; i++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd) [high, low] = [high ^ 0xc96c5795, low ^ 0xd7870f42];
  }
  CRC64.high[byte] = high;
  CRC64.low[byte] = low;
}

function crc64(data: Uint8Array): Buffer {
  let [high, low] = [-1, -1];
  for (const byte of data) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (CRC64.low[index] ?? 0);
    high = (high >>> 8) ^ (CRC64.high[index] ?? 0);
  }
  return littleEndian(~low >>> 0, ~high >>> 0);
}
