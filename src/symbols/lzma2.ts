/**
 * LZMA2, the compression within xz. Written here since no library on npm that needs no compiler takes a cap, and
 * reads the SHA-256 checks that rpm's payloads have.
 *
 * The format: LZMA by "LZMA specification" of the LZMA SDK (lzma-specification.txt), names are from there; the
 * chunks of LZMA2 by the Linux kernel's lib/xz/xz_dec_lzma2.c.
 */
import type { Bytes } from './bytes.ts';

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

/** The chunks from an offset on, by their headers; a byte of zeros is their end. They are not kept: they may be many. */
function* readChunks(bytes: Bytes, start: number): Generator<Chunk> {
  for (let at = start; ; ) {
    const control = bytes.u8(at);
    if (control === 0) return;
    if (control > 2 && control < 0x80) throw bytes.fail(at, 'no LZMA2 chunk');
    const chunk = control < 0x80 ? storedChunk(bytes, at, control) : lzmaChunk(bytes, at, control);
    yield chunk;
    at = chunk.offset + chunk.packed;
  }
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
  const decoder = createDecoder(bytes, output);
  for (const chunk of readChunks(bytes, start)) decoder.unpack(chunk);
}

/** Most bytes of a chunk, unpacked. */
const CHUNK_MAX = 2 * 1024 * 1024;

/**
 * The same in parts, which are good until the next one is asked for. No more is kept than the dictionary.
 * @param dictionary how many bytes back matches go
 * @throws SymbolFileError
 */
export function* unpackChunksInParts(bytes: Bytes, start: number, dictionary: number): Generator<Uint8Array> {
  const window = new Uint8Array(2 * dictionary + CHUNK_MAX);
  const decoder = createDecoder(bytes, window);
  for (const chunk of readChunks(bytes, start)) {
    if (decoder.at() + chunk.unpacked > window.length) decoder.forget(decoder.at() - dictionary);
    decoder.unpack(chunk);
    yield window.subarray(decoder.at() - chunk.unpacked, decoder.at());
  }
}

/** Unpacks one chunk after the other into `output`. */
function createDecoder(bytes: Bytes, output: Uint8Array) {
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
    unpack(chunk: Chunk) {
      const { offset, packed, unpacked, properties } = chunk;
      if (chunk.resetDictionary) dictionary = at;
      if (dictionary === null) throw bytes.fail(offset, 'an LZMA2 chunk without a dictionary');
      if (chunk.isLzma) {
        if (properties !== null) lzma = createLzma(bytes, offset, properties);
        else if (lzma && chunk.resetState) reset(lzma);
        if (!lzma) throw bytes.fail(offset, 'an LZMA2 chunk without properties');
        const range = createRange(bytes.slice(offset, packed));
        const whole = unpackLzma(lzma, range, output, dictionary, at, at + unpacked);
        if (!whole || range.at !== packed || range.code !== 0)
          throw bytes.fail(offset, 'a damaged LZMA2 chunk');
      } else output.set(bytes.slice(offset, packed), at);
      at += unpacked;
    },
  };
}

/** The range decoder. `range` and `code` are unsigned 32 bit, kept as signed ones, which V8 is faster with. */
interface Range {
  readonly data: Uint8Array;
  at: number;
  range: number;
  code: number;
}

/** The first byte tells nothing, the next four are the code. */
function createRange(data: Uint8Array): Range {
  const [, a = 0, b = 0, c = 0, d = 0] = data;
  return { data, at: 5, range: -1, code: (a << 24) | (b << 16) | (c << 8) | d };
}

/** Beyond the end come zeros: whoever reads there finds `at` wrong in the end. */
function normalize(it: Range): void {
  if (it.range >>> 24 !== 0) return;
  it.range <<= 8;
  it.code = (it.code << 8) | (it.data[it.at++] ?? 0);
}

/** Decode a bit by its probability, and learn from it. */
function bit(it: Range, probabilities: Uint16Array, index: number): number {
  const probability = probabilities[index] ?? 0;
  const bound = (it.range >>> 11) * probability;
  let decoded = 0;
  if (it.code >>> 0 < bound) {
    it.range = bound | 0;
    probabilities[index] = probability + ((2048 - probability) >>> 5);
  } else {
    it.range = (it.range - bound) | 0;
    it.code = (it.code - bound) | 0;
    probabilities[index] = probability - (probability >>> 5);
    decoded = 1;
  }
  normalize(it);
  return decoded;
}

/** Bits of equal probability, highest first. */
function directBits(it: Range, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) {
    it.range >>>= 1;
    const one = it.code >>> 0 >= it.range >>> 0;
    if (one) it.code = (it.code - it.range) | 0;
    value = value * 2 + (one ? 1 : 0);
    normalize(it);
  }
  return value;
}

/** A number of so many bits, highest first, each with a probability that depends on those before. */
function tree(it: Range, probabilities: Uint16Array, base: number, bits: number): number {
  let node = 1;
  for (let i = 0; i < bits; i++) node = node * 2 + bit(it, probabilities, base + node);
  return node - (1 << bits);
}

/** The same, lowest bit first. */
function reverseTree(it: Range, probabilities: Uint16Array, base: number, bits: number): number {
  let node = 1;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    const decoded = bit(it, probabilities, base + node);
    node = node * 2 + decoded;
    value += decoded << i;
  }
  return value;
}

/** Where each kind of probability begins in the one table; sizes by the specification. */
const AT = {
  isMatch: 0,
  isRep: 192,
  isRepG0: 204,
  isRepG1: 216,
  isRepG2: 228,
  isRep0Long: 240,
  slot: 432,
  special: 688,
  align: 816,
  length: 832,
  repLength: 1346,
  literal: 1860,
} as const;
/** Of a length coder: two choices, then trees of 3 bits for each position state, then one of 8 bits. */
const LENGTH = { choice: 0, choice2: 1, low: 2, mid: 130, high: 258 } as const;

/** What LZMA knows from chunk to chunk. */
interface Lzma {
  readonly lc: number;
  readonly literalMask: number;
  readonly positionMask: number;
  readonly probabilities: Uint16Array;
  /** 0 to 11: of which kind the last few packets were. */
  state: number;
  /** The last four distances, less one. */
  readonly reps: [number, number, number, number];
}

function createLzma(bytes: Bytes, offset: number, properties: number): Lzma {
  const lc = properties % 9;
  const lp = Math.floor(properties / 9) % 5;
  const pb = Math.floor(properties / 45);
  if (pb > 4 || lc + lp > 4) throw bytes.fail(offset, 'LZMA2 properties that cannot be');
  const probabilities = new Uint16Array(AT.literal + (0x300 << (lc + lp)));
  const lzma: Lzma = {
    ...{ lc, literalMask: (1 << lp) - 1, positionMask: (1 << pb) - 1, probabilities },
    ...{ state: 0, reps: [0, 0, 0, 0] },
  };
  reset(lzma);
  return lzma;
}

function reset(lzma: Lzma): void {
  lzma.probabilities.fill(1024);
  lzma.state = 0;
  lzma.reps.fill(0);
}

/**
 * Unpack one chunk into `output` from `at` to `end`.
 * @param dictionary where in `output` the dictionary begins
 * @returns false where the data are damaged
 */
function unpackLzma(
  lzma: Lzma,
  range: Range,
  output: Uint8Array,
  dictionary: number,
  at: number,
  end: number,
): boolean {
  const { probabilities, reps } = lzma;
  let to = at;
  while (to < end) {
    const position = (to - dictionary) & lzma.positionMask;
    if (bit(range, probabilities, AT.isMatch + lzma.state * 16 + position) === 0) {
      if (lzma.state >= 7 && (reps[0] >= to - dictionary || reps[0] >= to)) return false;
      output[to] = literal(lzma, range, output, dictionary, to);
      to++;
      continue;
    }
    const length = match(lzma, range, position);
    const distance = reps[0] + 1;
    if (distance > to - dictionary || distance > to || length > end - to) return false;
    for (const stop = to + length; to < stop; to++) output[to] = output[to - distance] ?? 0;
  }
  return true;
}

/** A literal; after a match it is decoded along with the byte that the last distance points to. */
function literal(lzma: Lzma, range: Range, output: Uint8Array, dictionary: number, to: number): number {
  const { probabilities, lc, literalMask, state } = lzma;
  const previous = to > dictionary ? (output[to - 1] ?? 0) : 0;
  const context = (((to - dictionary) & literalMask) << lc) + (previous >>> (8 - lc));
  const base = AT.literal + 0x300 * context;
  let symbol = 1;
  if (state >= 7) {
    let matched = output[to - lzma.reps[0] - 1] ?? 0;
    while (symbol < 0x100) {
      const expected = (matched >>> 7) & 1;
      matched <<= 1;
      const decoded = bit(range, probabilities, base + ((1 + expected) << 8) + symbol);
      symbol = symbol * 2 + decoded;
      if (decoded !== expected) break;
    }
  }
  while (symbol < 0x100) symbol = symbol * 2 + bit(range, probabilities, base + symbol);
  lzma.state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  return symbol - 0x100;
}

/** A match: its distance becomes reps[0]. @returns its length */
function match(lzma: Lzma, range: Range, position: number): number {
  const { probabilities, reps, state } = lzma;
  const afterLiteral = state < 7;
  if (bit(range, probabilities, AT.isRep + state) === 0) {
    const length = lengthOf(range, probabilities, AT.length, position);
    reps.copyWithin(1, 0, 3);
    reps[0] = distanceOf(range, probabilities, length);
    lzma.state = afterLiteral ? 7 : 10;
    return length;
  }
  if (bit(range, probabilities, AT.isRepG0 + state) === 0) {
    if (bit(range, probabilities, AT.isRep0Long + state * 16 + position) === 0) {
      lzma.state = afterLiteral ? 9 : 11;
      return 1;
    }
  } else {
    let which = 1;
    if (bit(range, probabilities, AT.isRepG1 + state) === 1)
      which = 2 + bit(range, probabilities, AT.isRepG2 + state);
    const distance = reps[which] ?? 0;
    reps.copyWithin(1, 0, which);
    reps[0] = distance;
  }
  lzma.state = afterLiteral ? 8 : 11;
  return lengthOf(range, probabilities, AT.repLength, position);
}

function lengthOf(range: Range, probabilities: Uint16Array, base: number, position: number): number {
  if (bit(range, probabilities, base + LENGTH.choice) === 0)
    return 2 + tree(range, probabilities, base + LENGTH.low + position * 8, 3);
  if (bit(range, probabilities, base + LENGTH.choice2) === 0)
    return 10 + tree(range, probabilities, base + LENGTH.mid + position * 8, 3);
  return 18 + tree(range, probabilities, base + LENGTH.high, 8);
}

/** A distance less one: a slot that gives its two highest bits and its size, then the other bits. */
function distanceOf(range: Range, probabilities: Uint16Array, length: number): number {
  const slot = tree(range, probabilities, AT.slot + Math.min(length - 2, 3) * 64, 6);
  if (slot < 4) return slot;
  const bits = (slot >>> 1) - 1;
  const high = (2 + (slot & 1)) * 2 ** bits;
  if (slot < 14) return high + reverseTree(range, probabilities, AT.special + high - slot, bits);
  const middle = directBits(range, bits - 4) * 16;
  return high + middle + reverseTree(range, probabilities, AT.align, 4);
}
