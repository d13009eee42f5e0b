/**
 * xz files (xz: doc/xz-file-format.txt), with LZMA2 and, of kernels, the filter for x86 before it: as xz, rpm and kernel
 * builds write them.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { unfilterX86 } from './bcj.ts';
import { type Bytes, bytesOf } from './bytes.ts';
import { measureChunks, unpackChunks, unpackChunksInParts } from './lzma2.ts';
import { bytesFrom, type Source } from './source.ts';

const HEADER_SIZE = 12;
/** Most bytes of a block's header. */
const HEADER_MAX = 1024;
/** Its first six bytes, as numbers. */
const MAGIC = { first: 0x587a37fd, last: 0x005a } as const;
const FOOTER_MAGIC = 0x5a59;
const LZMA2 = 0x21;
const X86 = 0x04;
/** `xz` makes one block of 24 MiB and more; for this many, a file must be made to hurt. */
const BLOCKS_MAX = 100_000;

/** A check of what was unpacked, as the bytes that the file has. */
interface Check {
  update(data: Uint8Array): void;
  digest(): Buffer;
}

/** Kinds of checks, by their ids: how long they are, and how computed. */
const CHECKS: Readonly<Record<number, { size: number; create(): Check }>> = {
  0: { size: 0, create: () => ({ update: () => undefined, digest: () => Buffer.alloc(0) }) },
  1: { size: 4, create: createCrc32 },
  4: { size: 8, create: createCrc64 },
  10: { size: 32, create: () => createHash('sha256') },
};

/** A block: where its chunks begin, to how many bytes they unpack, and the check of those. */
interface Block {
  readonly start: number;
  readonly size: number;
  /** How many bytes back matches go. */
  readonly dictionary: number;
  readonly isX86: boolean;
  readonly check: { readonly kind: number; readonly offset: number };
}

/**
 * Unpack all streams, and verify their checks.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to; nothing is unpacked where it would be more
 * @param first only the first stream, whatever follows it
 * @throws SymbolFileError
 */
export function unxz(data: Uint8Array, file: string, limit: number, first = false): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  const blocks = readStreams(bytes, first);
  const size = blocks.reduce((sum, block) => sum + block.size, 0);
  if (size > limit) throw bytes.fail(0, `${size} bytes when unpacked, and ${limit} are allowed`);
  const output = new Uint8Array(size);
  let at = 0;
  for (const { start, size: length, isX86, check } of blocks) {
    const part = output.subarray(at, at + length);
    unpackChunks(bytes, start, part);
    if (isX86) unfilterX86(part);
    const made = CHECKS[check.kind]?.create();
    made?.update(part);
    verifyCheck(bytes, check.offset, made);
    at += length;
  }
  return output;
}

/** Most bytes of a dictionary, for parts: that of `xz -9` has as many. */
const DICTIONARY_MAX = 64 * 1024 * 1024;
/** Most bytes of what stands between blocks: their headers are shorter, and so is an index of BLOCKS_MAX. */
const BETWEEN = 2 * 1024 * 1024;

/**
 * The same of a file that is still on its way, in parts, for what is large; each is good until the next one is asked for.
 * A check that does not fit is found behind the last part of its block.
 * @throws SymbolFileError
 */
export async function* unxzInParts(source: Source): AsyncGenerator<Uint8Array> {
  for (let at = 0, stream = 0, kind = -1; ; ) {
    const bytes = await bytesFrom(source, at, kind < 0 ? HEADER_SIZE : HEADER_MAX);
    if (kind < 0) {
      if (at > 0 && at >= bytes.size) return;
      if (at > 0 && bytes.u32(at) === 0) at += 4;
      else {
        stream = at;
        kind = readStreamHeader(bytes, at);
        at += HEADER_SIZE;
      }
    } else if (bytes.u8(at) === 0) {
      at = readStreamEnd(await bytesFrom(source, at, BETWEEN), at, stream);
      kind = -1;
    } else {
      const { start, isX86, dictionary } = readBlockHeader(bytes, at);
      const mend = 'unpack the file by xz';
      if (isX86) throw bytes.fail(start, 'an xz filter other than LZMA2', mend);
      if (dictionary > DICTIONARY_MAX)
        throw bytes.fail(start, `an xz dictionary of ${dictionary} bytes`, mend);
      const check = CHECKS[kind]?.create();
      const parts = unpackChunksInParts(source, start, dictionary);
      for (let part = await parts.next(); ; part = await parts.next()) {
        if (part.done) {
          at = padded(part.value, stream);
          break;
        }
        check?.update(part.value);
        yield part.value;
      }
      const size = CHECKS[kind]?.size ?? 0;
      verifyCheck(await bytesFrom(source, at, size), at, check);
      at += size;
    }
  }
}

/** Throws where what was unpacked is not what was packed. */
function verifyCheck(bytes: Bytes, offset: number, check: Check | undefined): void {
  const digest = check?.digest();
  if (!digest?.equals(bytes.slice(offset, digest.length)))
    throw bytes.fail(offset, 'the check of an xz block does not fit');
}

/** The blocks of all streams, by their headers; between streams may be zeros. */
function readStreams(bytes: Bytes, first: boolean): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at === 0 || (at < bytes.size && !first)) {
    if (at > 0 && bytes.u32(at) === 0) at += 4;
    else at = readStream(bytes, at, blocks);
  }
  return blocks;
}

/** @returns where the stream ends */
function readStream(bytes: Bytes, start: number, blocks: Block[]): number {
  const check = readStreamHeader(bytes, start);
  let at = start + HEADER_SIZE;
  while (bytes.u8(at) !== 0) {
    const { start: data, ...header } = readBlockHeader(bytes, at);
    const { size, end } = measureChunks(bytes, data);
    const offset = padded(end, start);
    blocks.push({ ...header, start: data, size, check: { kind: check, offset } });
    if (blocks.length > BLOCKS_MAX) throw bytes.fail(at, `more than ${BLOCKS_MAX} xz blocks`);
    at = offset + (CHECKS[check]?.size ?? 0);
  }
  return readStreamEnd(bytes, at, start);
}

/** @returns the kind of its checks */
function readStreamHeader(bytes: Bytes, start: number): number {
  if (bytes.u32(start) !== MAGIC.first || bytes.u16(start + 4) !== MAGIC.last)
    throw bytes.fail(start, 'no xz stream');
  verify(bytes, start + 6, 2);
  const check = bytes.u8(start + 7);
  if (bytes.u8(start + 6) !== 0 || !CHECKS[check])
    throw bytes.fail(start + 6, `xz check ${check} is not known`);
  return check;
}

/** Index and footer. @returns where the stream ends */
function readStreamEnd(bytes: Bytes, at: number, stream: number): number {
  const footer = skipIndex(bytes, at, stream);
  verify(bytes, footer + 4, 6, footer);
  if (bytes.u16(footer + 10) !== FOOTER_MAGIC) throw bytes.fail(footer, 'no xz footer');
  return footer + HEADER_SIZE;
}

/** Where the block's data begin, and how they were packed. */
function readBlockHeader(bytes: Bytes, start: number): Pick<Block, 'start' | 'dictionary' | 'isX86'> {
  const end = start + (bytes.u8(start) + 1) * 4;
  verify(bytes, start, end - 4 - start);
  const flags = bytes.u8(start + 1);
  let at = start + 2;
  if (flags & 0x40) at = number(bytes, at).end;
  if (flags & 0x80) at = number(bytes, at).end;
  const isX86 = (flags & 0x3f) === 1 && bytes.u16(at) === X86;
  const last = isX86 ? at + 2 : at;
  if ((!isX86 && (flags & 0x3f) !== 0) || bytes.u8(last) !== LZMA2)
    throw bytes.fail(start, 'an xz filter other than LZMA2 and x86', 'unpack the file by xz');
  // A number of one byte for its size, and that byte.
  const bits = bytes.u8(last + 2);
  return { start: end, dictionary: (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11), isX86 };
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

function createCrc32(): Check {
  let crc = 0;
  return {
    update(data) {
      crc = crc32(data, crc);
    },
    digest: () => littleEndian(crc),
  };
}

function createCrc64(): Check {
  let [high, low] = [-1, -1];
  return {
    update(data) {
      for (const byte of data) {
        const index = (low ^ byte) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (CRC64.low[index] ?? 0);
        high = (high >>> 8) ^ (CRC64.high[index] ?? 0);
      }
    },
    digest: () => littleEndian(~low >>> 0, ~high >>> 0),
  };
}
