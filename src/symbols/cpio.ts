/** cpio archives in the "new ASCII" format, an rpm's payload (Linux: Documentation/driver-api/early-userspace/buffer-format.rst). */
import { bytesOf } from './bytes.ts';

export interface CpioEntry {
  readonly name: string;
  /** Not a folder, a link or a device. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

const HEADER_SIZE = 110;
const NAME_MAX = 4096;
const TRAILER = 'TRAILER!!!';
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
    const header = bytes.slice(at, HEADER_SIZE).toString('latin1');
    if (!/^07070[12][0-9a-f]{104}$/i.test(header)) throw bytes.fail(at, 'no cpio header');
    const field = (number: number) => Number.parseInt(header.slice(6 + 8 * number, 14 + 8 * number), 16);
    const mode = field(1);
    const size = field(6);
    const nameSize = field(11);
    if (nameSize > NAME_MAX) throw bytes.fail(at, `a file name of ${nameSize} bytes`);
    const name = bytes.string(at + HEADER_SIZE, nameSize);
    if (name === TRAILER) return;
    const start = padded(at + HEADER_SIZE + nameSize);
    yield { name, isFile: (mode & KIND.MASK) === KIND.REGULAR, data: bytes.slice(start, size) };
    at = padded(start + size);
  }
}

const padded = (offset: number) => Math.ceil(offset / 4) * 4;
