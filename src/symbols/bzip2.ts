/**
 * bzip2 files, which older kernels' lists and rpms' payloads have. Written here since the libraries on npm that need no
 * compiler take no cap and tell no offset.
 *
 * The format has no text of its own maker's; names are from Joe Tsai, "bzip2 Format Specification".
 */
import { type Bytes, bytesOf } from './bytes.ts';

/** "BZh", before the level 1 to 9. */
const MAGIC = 0x425a68;
const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
/** Bytes of a block at level 1; levels go up to 9. */
const LEVEL_SIZE = 100_000;
/** Longest code of a symbol, in bits; how many symbols one table decodes; most tables. */
const [CODE_MAX, GROUP, TABLES_MAX] = [20, 50, 6];

const isLevel = (byte: number): boolean => byte >= 0x31 && byte <= 0x39;

/**
 * Unpack all streams, and verify their checks.
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to: beyond it nothing more is unpacked
 * @param first only the first stream, whatever follows it
 * @throws SymbolFileError
 */
export function unbzip2(data: Uint8Array, file: string, limit: number, first = false): Uint8Array {
  const bytes = bytesOf(data, file, 'big');
  const input: Bits = { bytes, at: 0, held: 0, count: 0 };
  const output: Output = { data: new Uint8Array(Math.min(limit, 4 * data.byteLength)), size: 0, limit };
  const block = new Uint32Array(9 * LEVEL_SIZE);
  // bzip2 too ends where what follows is no stream.
  do readStream(input, block, output);
  while (!first && bytes.size - input.at >= 4 && bytes.u32(input.at) >>> 8 === MAGIC);
  return output.data.subarray(0, output.size);
}

/** Bits from the highest of each byte on. `held` has `count` of them, up to 7 once a number was taken. */
interface Bits {
  readonly bytes: Bytes;
  at: number;
  held: number;
  count: number;
}

/** A number of up to 24 bits. */
function take(it: Bits, count: number): number {
  while (it.count < count) {
    it.held = (it.held << 8) | it.bytes.u8(it.at++);
    it.count += 8;
  }
  it.count -= count;
  const value = it.held >>> it.count;
  it.held &= (1 << it.count) - 1;
  return value;
}

const takeCheck = (it: Bits): number => ((take(it, 16) << 16) | take(it, 16)) >>> 0;

interface Output {
  data: Uint8Array;
  size: number;
  readonly limit: number;
}

/** @param block room for the largest, one after the other */
function readStream(it: Bits, block: Uint32Array, output: Output): void {
  const start = it.at;
  const [magic, level] = [take(it, 24), take(it, 8)];
  if (magic !== MAGIC || !isLevel(level)) throw it.bytes.fail(start, 'no bzip2 stream');
  const room = block.subarray(0, (level - 0x30) * LEVEL_SIZE);
  let combined = 0;
  for (;;) {
    const offset = it.at;
    const [first, last] = [take(it, 24), take(it, 24)];
    const check = takeCheck(it);
    if (first === END_MAGIC[0] && last === END_MAGIC[1]) {
      if (check !== combined) throw it.bytes.fail(offset, 'the check of a bzip2 stream does not fit');
      it.count = 0;
      it.held = 0;
      return;
    }
    if (first !== BLOCK_MAGIC[0] || last !== BLOCK_MAGIC[1]) throw it.bytes.fail(offset, 'no bzip2 block');
    if (take(it, 1) !== 0)
      throw it.bytes.fail(offset, 'a bzip2 block of before 1.0', 'unpack it by bzip2 0.9 and pack it anew');
    const origin = take(it, 24);
    const size = readBlock(it, room, offset);
    if (origin >= size) throw it.bytes.fail(offset, 'a bzip2 block that begins beyond its end');
    const found = writeBlock(room, size, origin, output);
    if (found === null) throw it.bytes.fail(offset, `more than ${output.limit} bytes when unpacked`);
    if (found !== check) throw it.bytes.fail(offset, 'the check of a bzip2 block does not fit');
    combined = (((combined << 1) | (combined >>> 31)) ^ check) >>> 0;
  }
}

/** Codes of one table, canonical: of each length the first code and where its symbols begin. */
interface Codes {
  readonly limits: Int32Array;
  readonly bases: Int32Array;
  readonly symbols: Uint16Array;
}

function codesOf(lengths: Uint8Array): Codes {
  const limits = new Int32Array(CODE_MAX + 2).fill(-1);
  const bases = new Int32Array(CODE_MAX + 2);
  const symbols = new Uint16Array(lengths.length);
  let [code, at] = [0, 0];
  for (let length = 1; length <= CODE_MAX; length++) {
    bases[length] = at - code;
    for (let symbol = 0; symbol < lengths.length; symbol++)
      if (lengths[symbol] === length) symbols[at++] = symbol;
    code += at - (bases[length] ?? 0) - code;
    limits[length] = code - 1;
    code *= 2;
  }
  return { limits, bases, symbols };
}

function decode(it: Bits, { limits, bases, symbols }: Codes): number {
  let code = 0;
  for (let length = 1; length <= CODE_MAX; length++) {
    code = code * 2 + take(it, 1);
    if (code <= (limits[length] ?? -1)) return symbols[code + (bases[length] ?? 0)] ?? 0;
  }
  throw it.bytes.fail(it.at, 'a code in bzip2 data that stands for nothing');
}

/** Which bytes a block has: 16 bits tell of 16 bits each. */
function readAlphabet(it: Bits): number[] {
  const ranges = take(it, 16);
  const bytes: number[] = [];
  for (let range = 0; range < 16; range++) {
    const used = ranges & (0x8000 >> range) ? take(it, 16) : 0;
    for (let i = 0; i < 16; i++) if (used & (0x8000 >> i)) bytes.push(range * 16 + i);
  }
  return bytes;
}

/** Which table decodes each group of symbols: numbers in unary, moved to the front as they come. */
function readSelectors(it: Bits, tables: number): Uint8Array {
  const selectors = new Uint8Array(take(it, 15));
  const order = Array.from({ length: tables }, (_, i) => i);
  for (let i = 0; i < selectors.length; i++) {
    let place = 0;
    while (take(it, 1) === 1) place++;
    if (place >= tables) throw it.bytes.fail(it.at, `table ${place} of ${tables} in a bzip2 block`);
    const [table = 0] = order.splice(place, 1);
    order.unshift(table);
    selectors[i] = table;
  }
  return selectors;
}

/** The lengths of the codes of one table, each told by how it differs from the last. */
function readCodes(it: Bits, count: number): Codes {
  const lengths = new Uint8Array(count);
  let length = take(it, 5);
  for (let symbol = 0; symbol < count; symbol++) {
    while (take(it, 1) === 1) length += take(it, 1) === 1 ? -1 : 1;
    if (length < 1 || length > CODE_MAX) throw it.bytes.fail(it.at, `a bzip2 code of ${length} bits`);
    lengths[symbol] = length;
  }
  return codesOf(lengths);
}

/** Decode the symbols of a block, and undo the runs of zeros and the move to front. @returns how many bytes it has */
function readBlock(it: Bits, block: Uint32Array, offset: number): number {
  const front = readAlphabet(it);
  const tables = take(it, 3);
  if (front.length === 0 || tables < 2 || tables > TABLES_MAX)
    throw it.bytes.fail(offset, `a bzip2 block of ${front.length} bytes and ${tables} tables`);
  const selectors = readSelectors(it, tables);
  const end = front.length + 1;
  const codes = Array.from({ length: tables }, () => readCodes(it, end + 1));
  let [size, run, weight] = [0, 0, 1];
  const put = (byte: number, count: number) => {
    if (size + count > block.length)
      throw it.bytes.fail(offset, 'a bzip2 block longer than its level allows');
    block.fill(byte, size, size + count);
    size += count;
  };
  for (let group = 0; ; group++) {
    const table = codes[selectors[group] ?? TABLES_MAX];
    if (!table) throw it.bytes.fail(it.at, 'a bzip2 block that does not end');
    for (let i = 0; i < GROUP; i++) {
      const symbol = decode(it, table);
      if (symbol < 2) {
        // Runs are numbers of the digits 1 and 2, lowest first.
        run += weight * (symbol + 1);
        weight *= 2;
        if (run > block.length) throw it.bytes.fail(offset, 'a bzip2 block longer than its level allows');
        continue;
      }
      if (run > 0) put(front[0] ?? 0, run);
      [run, weight] = [0, 1];
      if (symbol === end) return size;
      const [byte = 0] = front.splice(symbol - 1, 1);
      front.unshift(byte);
      put(byte, 1);
    }
  }
}

/**
 * Undo the Burrows-Wheeler transform, and the first runs: four equal bytes, and how many more.
 * @param block its bytes, below 256; their order is written above them
 * @returns the check of what was written; null where there is no room
 */
function writeBlock(block: Uint32Array, size: number, origin: number, output: Output): number | null {
  const starts = new Uint32Array(257);
  for (let i = 0; i < size; i++) starts[(block[i] ?? 0) + 1] = (starts[(block[i] ?? 0) + 1] ?? 0) + 1;
  for (let byte = 1; byte < 257; byte++) starts[byte] = (starts[byte] ?? 0) + (starts[byte - 1] ?? 0);
  for (let i = 0; i < size; i++) {
    const byte = (block[i] ?? 0) & 0xff;
    const to = starts[byte] ?? 0;
    starts[byte] = to + 1;
    block[to] = ((block[to] ?? 0) & 0xff) | (i << 8);
  }
  let [check, last, equal] = [-1, -1, 0];
  let at = (block[origin] ?? 0) >>> 8;
  for (let i = 0; i < size; i++) {
    const entry = block[at] ?? 0;
    const byte = entry & 0xff;
    at = entry >>> 8;
    const isCount = equal === 4;
    const count = isCount ? byte : 1;
    if (!makeRoom(output, count)) return null;
    const written = isCount ? last : byte;
    for (let n = 0; n < count; n++) {
      output.data[output.size++] = written;
      check = (check << 8) ^ (CHECKS[((check >>> 24) ^ written) & 0xff] ?? 0);
    }
    equal = isCount ? 0 : byte === last ? equal + 1 : 1;
    last = isCount ? -1 : byte;
  }
  return ~check >>> 0;
}

/** Room for some bytes more, as far as the limit allows. */
function makeRoom(output: Output, count: number): boolean {
  const needed = output.size + count;
  if (needed > output.limit) return false;
  if (needed <= output.data.length) return true;
  const more = new Uint8Array(Math.min(output.limit, Math.max(2 * output.data.length, needed)));
  more.set(output.data.subarray(0, output.size));
  output.data = more;
  return true;
}

/** CRC-32 of each byte, highest bit first: zlib's is the other way round. */
const CHECKS = Int32Array.from({ length: 256 }, (_, byte) => {
  let check = byte << 24;
  for (let i = 0; i < 8; i++) check = check < 0 ? (check << 1) ^ 0x04c11db7 : check << 1;
  return check;
});
