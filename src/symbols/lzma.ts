/**
 * LZMA, and the files of it alone (`.lzma`), which kernels and rpms before xz have. Written here since no library on npm
 * that needs no compiler takes a cap, and reads the SHA-256 checks that rpm's payloads in xz have.
 *
 * The format: "LZMA specification" of the LZMA SDK (lzma-specification.txt), names are from there.
 */
import { type Bytes, bytesOf } from './bytes.ts';

/** Properties, size of the dictionary, size of the content. */
const HEADER_SIZE = 13;
/** Instead of a size: an end marker tells the end. */
const NO_SIZE = 2 ** 64;
/** How much is unpacked before it is looked whether there are data left. */
const STEP = 64 * 1024;
/** Most bytes that one match is long. */
const MATCH_MAX = 273;

/**
 * Unpack a .lzma file.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to: beyond it nothing more is unpacked
 * @throws SymbolFileError
 */
export function unlzma(data: Uint8Array, file: string, limit: number): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  const told = bytes.u64(5);
  const size = told === NO_SIZE ? limit + 1 : told;
  const tooLong = `more than ${limit} bytes when unpacked`;
  if (told !== NO_SIZE && told > limit) throw bytes.fail(5, tooLong);
  const lzma = createLzma(bytes, 0, bytes.u8(0));
  const range = createRange(bytes.slice(HEADER_SIZE, bytes.size - HEADER_SIZE));
  let output = new Uint8Array(Math.min(size, STEP) + MATCH_MAX);
  for (let at = 0; ; ) {
    const end = told === NO_SIZE ? output.length : Math.min(size, output.length);
    const enough = Math.min(size, at + STEP, output.length - MATCH_MAX);
    const { to, why } = unpackLzma(lzma, range, output, 0, at, end, enough);
    const offset = HEADER_SIZE + Math.min(range.at, range.data.length);
    if (why === 'damage' || range.at > range.data.length || (why === 'end marker' && range.code !== 0))
      throw bytes.fail(offset, 'damaged or cut short LZMA data');
    if (to > limit) throw bytes.fail(offset, tooLong);
    if (why === 'end marker' && (told === NO_SIZE || to === size)) return output.subarray(0, to);
    if (why === 'end marker') throw bytes.fail(offset, `LZMA data end after ${to} bytes of ${size}`);
    if (told !== NO_SIZE && to === size) return output.subarray(0, to);
    at = to;
    if (output.length - MATCH_MAX <= at) {
      const more = new Uint8Array(Math.min(size, 2 * output.length) + MATCH_MAX);
      more.set(output);
      output = more;
    }
  }
}

/** The range decoder. `range` and `code` are unsigned 32 bit, kept as signed ones, which V8 is faster with. */
export interface Range {
  readonly data: Uint8Array;
  at: number;
  range: number;
  code: number;
}

/** The first byte tells nothing, the next four are the code. */
export function createRange(data: Uint8Array): Range {
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
export interface Lzma {
  readonly lc: number;
  readonly literalMask: number;
  readonly positionMask: number;
  readonly probabilities: Uint16Array;
  /** 0 to 11: of which kind the last few packets were. */
  state: number;
  /** The last four distances, less one. */
  readonly reps: [number, number, number, number];
}

export function createLzma(bytes: Bytes, offset: number, properties: number): Lzma {
  const lc = properties % 9;
  const lp = Math.floor(properties / 9) % 5;
  const pb = Math.floor(properties / 45);
  if (pb > 4 || lc + lp > 4) throw bytes.fail(offset, 'LZMA properties that cannot be');
  const probabilities = new Uint16Array(AT.literal + (0x300 << (lc + lp)));
  const lzma: Lzma = {
    ...{ lc, literalMask: (1 << lp) - 1, positionMask: (1 << pb) - 1, probabilities },
    ...{ state: 0, reps: [0, 0, 0, 0] },
  };
  reset(lzma);
  return lzma;
}

export function reset(lzma: Lzma): void {
  lzma.probabilities.fill(1024);
  lzma.state = 0;
  lzma.reps.fill(0);
}

/**
 * Unpack into `output` from `at` on.
 * @param dictionary where in `output` the dictionary begins; below 0 where its beginning is no longer there
 * @param end nothing is written from here on
 * @param enough no further packet is begun from here on: a match may go beyond it
 * @returns how far it came, and why no further
 */
export function unpackLzma(
  lzma: Lzma,
  range: Range,
  output: Uint8Array,
  dictionary: number,
  at: number,
  end: number,
  enough = end,
): { readonly to: number; readonly why: 'enough' | 'end marker' | 'damage' } {
  const { probabilities, reps } = lzma;
  let to = at;
  while (to < enough) {
    const position = (to - dictionary) & lzma.positionMask;
    if (bit(range, probabilities, AT.isMatch + lzma.state * 16 + position) === 0) {
      if (lzma.state >= 7 && (reps[0] >= to - dictionary || reps[0] >= to)) return { to, why: 'damage' };
      output[to] = literal(lzma, range, output, dictionary, to);
      to++;
      continue;
    }
    const length = match(lzma, range, position);
    const distance = reps[0] + 1;
    if (distance === 2 ** 32) return { to, why: 'end marker' };
    if (distance > to - dictionary || distance > to || length > end - to) return { to, why: 'damage' };
    for (const stop = to + length; to < stop; to++) output[to] = output[to - distance] ?? 0;
  }
  return { to, why: 'enough' };
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
