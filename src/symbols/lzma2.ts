/** LZMA2, the compression within xz: chunks of LZMA, by the Linux kernel's lib/xz/xz_dec_lzma2.c. */
import type { Bytes } from './bytes.ts';
import { createLzma, createRange, type Lzma, reset, unpackLzma } from './lzma.ts';
import { bytesFrom, type Source } from './source.ts';

/** A chunk of LZMA2: up to 2 MiB, as it is or packed by LZMA. */
interface Chunk {
  /** Where its packed data begin in the file, and how long they are. */
  readonly offset: number;
  readonly packed: number;
  readonly unpacked: number;
  readonly isLzma: boolean;
  /** What starts anew: the dictionary, the properties (lc, lp, pb), the probabilities. */
  readonly resetDictionary: boolean;
  readonly properties: number | null;
  readonly resetState: boolean;
}

/** The chunks from an offset on, by their headers. They are not kept: they may be many. */
function* readChunks(bytes: Bytes, start: number): Generator<Chunk> {
  for (let at = start; ; ) {
    const chunk = readChunk(bytes, at);
    if (!chunk) return;
    yield chunk;
    at = chunk.offset + chunk.packed;
  }
}

/** The chunk at an offset; null where a byte of zeros is their end. */
function readChunk(bytes: Bytes, at: number): Chunk | null {
  const control = bytes.u8(at);
  if (control === 0) return null;
  if (control > 2 && control < 0x80) throw bytes.fail(at, 'no LZMA2 chunk');
  return control < 0x80 ? storedChunk(bytes, at, control) : lzmaChunk(bytes, at, control);
}

/**
 * Walk the chunks from an offset on.
 * @returns how many bytes they unpack to, and where they end
 * @throws SymbolFileError
 */
export function measureChunks(bytes: Bytes, start: number): { size: number; end: number } {
  let size = 0;
  let end = start;
  for (const { offset, packed, unpacked } of readChunks(bytes, start)) {
    size += unpacked;
    end = offset + packed;
  }
  return { size, end: end + 1 };
}

const bigEndian16 = (bytes: Bytes, at: number) => bytes.u8(at) * 0x100 + bytes.u8(at + 1);

function storedChunk(bytes: Bytes, at: number, control: number): Chunk {
  const size = bigEndian16(bytes, at + 1) + 1;
  const sizes = { offset: at + 3, packed: size, unpacked: size };
  return { ...sizes, isLzma: false, resetDictionary: control === 1, properties: null, resetState: false };
}

function lzmaChunk(bytes: Bytes, at: number, control: number): Chunk {
  const unpacked = (control & 0x1f) * 0x10000 + bigEndian16(bytes, at + 1) + 1;
  const packed = bigEndian16(bytes, at + 3) + 1;
  const hasProperties = control >= 0xc0;
  return {
    ...{ offset: at + (hasProperties ? 6 : 5), packed, unpacked, isLzma: true },
    resetDictionary: control >= 0xe0,
    properties: hasProperties ? bytes.u8(at + 5) : null,
    resetState: control >= 0xa0,
  };
}

/**
 * Unpack the chunks from an offset on into `output`, which is the dictionary too.
 * @param output of the size that `measureChunks` tells
 * @throws SymbolFileError
 */
export function unpackChunks(bytes: Bytes, start: number, output: Uint8Array): void {
  const decoder = createDecoder(output);
  for (const chunk of readChunks(bytes, start)) decoder.unpack(bytes, chunk);
}

/** Most bytes of a chunk, unpacked, and packed with what stands before it. */
const CHUNK_MAX = 2 * 1024 * 1024;
const PACKED_MAX = 6 + 0x10000;

/**
 * The same of a file that is still on its way, in parts, which are good until the next one is asked for. No more is kept
 * than the dictionary.
 * @param dictionary how many bytes back matches go
 * @returns where the chunks end
 * @throws SymbolFileError
 */
export async function* unpackChunksInParts(
  source: Source,
  start: number,
  dictionary: number,
): AsyncGenerator<Uint8Array, number> {
  const window = new Uint8Array(2 * dictionary + CHUNK_MAX);
  const decoder = createDecoder(window);
  for (let at = start; ; ) {
    const bytes = await bytesFrom(source, at, PACKED_MAX);
    const chunk = readChunk(bytes, at);
    if (!chunk) return at + 1;
    if (decoder.at() + chunk.unpacked > window.length) decoder.forget(decoder.at() - dictionary);
    decoder.unpack(bytes, chunk);
    yield window.subarray(decoder.at() - chunk.unpacked, decoder.at());
    at = chunk.offset + chunk.packed;
  }
}

/** Unpacks one chunk after the other into `output`. */
function createDecoder(output: Uint8Array) {
  let lzma: Lzma | null = null;
  /** Where the dictionary began; below 0 once that is forgotten. */
  let dictionary: number | null = null;
  let at = 0;
  return {
    at: () => at,
    /** Move what is there towards the beginning, over the first bytes. */
    forget(count: number) {
      output.copyWithin(0, count, at);
      at -= count;
      if (dictionary !== null) dictionary -= count;
    },
    unpack(bytes: Bytes, chunk: Chunk) {
      const { offset, packed, unpacked, properties } = chunk;
      if (chunk.resetDictionary) dictionary = at;
      if (dictionary === null) throw bytes.fail(offset, 'an LZMA2 chunk without a dictionary');
      if (chunk.isLzma) {
        if (properties !== null) lzma = createLzma(bytes, offset, properties);
        else if (lzma && chunk.resetState) reset(lzma);
        if (!lzma) throw bytes.fail(offset, 'an LZMA2 chunk without properties');
        const range = createRange(bytes.slice(offset, packed));
        const end = at + unpacked;
        const { to, why } = unpackLzma(lzma, range, output, dictionary, at, end);
        if (why !== 'enough' || to !== end || range.at !== packed || range.code !== 0)
          throw bytes.fail(offset, 'a damaged LZMA2 chunk');
      } else output.set(bytes.slice(offset, packed), at);
      at += unpacked;
    },
  };
}
