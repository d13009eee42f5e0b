/** Reading binary formats: every access is checked, and what is wrong is told with file and offset. */
import { SymbolFileError } from '../kabi/error.ts';

/** A file's bytes; offsets count from its beginning. Each read throws SymbolFileError beyond its end. */
export interface Bytes {
  readonly file: string;
  /** Where it ends, or what is there of it. */
  readonly size: number;
  u8(offset: number): number;
  u16(offset: number): number;
  u32(offset: number): number;
  /** Exact up to 2^53; beyond, no file is that long. */
  u64(offset: number): number;
  /** A view, not a copy. */
  slice(offset: number, length: number): Buffer;
  /** Text up to a NUL, which must come within `most` bytes. */
  string(offset: number, most: number): string;
  /** The error to throw; without `mend`, of damage. */
  fail(offset: number, problem: string, mend?: string): SymbolFileError;
}

/** What to do about a file that is not as it was made. */
export const DAMAGED = 'the file is damaged or not complete: fetch it again';

/**
 * @param order of numbers of several bytes
 * @param start where in the file the data begin: what is before is not there
 */
export function bytesOf(data: Uint8Array, file: string, order: 'little' | 'big', start = 0): Bytes {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = start + data.byteLength;
  const little = order === 'little';
  const fail = (offset: number, problem: string, mend = DAMAGED) =>
    new SymbolFileError(file, { offset: Math.min(offset, size) }, problem, mend);
  const check = (offset: number, length: number) => {
    if (offset + length > size) throw fail(offset, `${length} bytes wanted, and the file ends at ${size}`);
    if (offset < start) throw new Error(`${file}: byte ${offset} is asked for once it was let go`);
    return offset - start;
  };
  const u32 = (offset: number) => view.getUint32(check(offset, 4), little);
  return {
    file,
    size,
    fail,
    u8: (offset) => view.getUint8(check(offset, 1)),
    u16: (offset) => view.getUint16(check(offset, 2), little),
    u32,
    u64: (offset) => u32(little ? offset + 4 : offset) * 2 ** 32 + u32(little ? offset : offset + 4),
    slice: (offset, length) => buffer.subarray(check(offset, length), offset + length - start),
    string(offset, most) {
      const within = buffer.subarray(check(offset, 1), offset + most - start);
      const end = within.indexOf(0);
      if (end < 0) throw fail(offset, `a text that does not end within ${most} bytes`);
      return within.toString('latin1', 0, end);
    },
  };
}
