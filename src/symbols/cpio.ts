/** cpio archives in the "new ASCII" format, an rpm's payload (Linux: Documentation/driver-api/early-userspace/buffer-format.rst). */
import { SymbolFileError } from '../kabi/error.ts';
import { bytesOf, DAMAGED } from './bytes.ts';

export interface CpioEntry {
  readonly name: string;
  /** Not a folder, a link or a device. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

export const CPIO_HEADER_SIZE = 110;
const NAME_MAX = 4096;
/** The name after the last entry. */
export const CPIO_TRAILER = 'TRAILER!!!';
/** The kind of a file in its mode, and that of a regular one (POSIX: S_IFMT, S_IFREG). */
const KIND = { MASK: 0o170000, REGULAR: 0o100000 } as const;

/**
 * All entries of an archive: files, folders and links, in order.
 * @param file the name to blame in errors
 * @throws SymbolFileError
 */
export function* readCpio(data: Uint8Array, file: string): Generator<CpioEntry> {
  const bytes = bytesOf(data, file, 'little');
  for (let at = 0; ; ) {
    const { isFile, size, nameSize } = readCpioHeader(bytes.slice(at, CPIO_HEADER_SIZE), file, at);
    const name = bytes.string(at + CPIO_HEADER_SIZE, nameSize);
    if (name === CPIO_TRAILER) return;
    const start = padded(at + CPIO_HEADER_SIZE + nameSize);
    yield { name, isFile, data: bytes.slice(start, size) };
    at = padded(start + size);
  }
}

/** What stands before an entry's name; `nameSize` counts the NUL at its end. */
export interface CpioHeader {
  readonly isFile: boolean;
  readonly size: number;
  readonly nameSize: number;
}

/**
 * Read a header of 110 bytes.
 * @param at where in the archive it begins, for errors
 * @throws SymbolFileError
 */
export function readCpioHeader(data: Uint8Array, file: string, at: number): CpioHeader {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
  const fail = (problem: string) => new SymbolFileError(file, { offset: at }, problem, DAMAGED);
  if (!/^07070[12][0-9a-f]{104}$/i.test(text)) throw fail('no cpio header');
  const field = (number: number) => Number.parseInt(text.slice(6 + 8 * number, 14 + 8 * number), 16);
  const nameSize = field(11);
  if (nameSize > NAME_MAX) throw fail(`a file name of ${nameSize} bytes`);
  return { isFile: (field(1) & KIND.MASK) === KIND.REGULAR, size: field(6), nameSize };
}

/** Names and contents begin at multiples of four. */
export const padded = (offset: number): number => Math.ceil(offset / 4) * 4;
