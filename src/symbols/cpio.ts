/**
 * cpio archives in the "new ASCII" format, an rpm's payload (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
 * In rpm's format 6, and where a file has 4 GiB or more, an entry has only its number among the header's files (rpm:
 * docs/manual/format_v6.md, lib/cpio.c).
 */
import { SymbolFileError } from '../kabi/error.ts';
import { bytesOf, DAMAGED } from './bytes.ts';
import type { RpmFile } from './rpm.ts';

/** An entry of an archive. */
export interface ArchiveEntry {
  readonly name: string;
  /** `other`: a folder or a device. */
  readonly kind: 'file' | 'link' | 'other';
  /** Of a link where it leads. */
  readonly data: Buffer;
}

/** Bytes before the name of an entry, and of an entry without a name before its content. */
export const CPIO_HEADER_SIZE = 110;
export const STRIPPED_SIZE = 14;
/** The name after the last entry. */
export const CPIO_TRAILER = 'TRAILER!!!';
const NAME_MAX = 4096;
/** The kind of a file in its mode, those of a regular one and of a link (POSIX: S_IFMT, S_IFREG, S_IFLNK). */
const KIND = { MASK: 0o170000, REGULAR: 0o100000, LINK: 0o120000 } as const;

/**
 * All entries of an archive: files, folders and links, in order.
 * @param file the name to blame in errors
 * @param files those of the rpm's header, for entries without a name
 * @throws SymbolFileError
 */
export function* readCpio(
  data: Uint8Array,
  file: string,
  files: readonly RpmFile[] = [],
): Generator<ArchiveEntry> {
  const bytes = bytesOf(data, file, 'little');
  const { readHeader, readStripped } = cpioHeaders(file, files);
  for (let at = 0; ; ) {
    const stripped = readStripped(bytes.slice(at, STRIPPED_SIZE), at);
    const { kind, size, nameSize } = stripped ?? readHeader(bytes.slice(at, CPIO_HEADER_SIZE), at);
    const head = stripped ? STRIPPED_SIZE : CPIO_HEADER_SIZE;
    const name = stripped?.name ?? bytes.string(at + head, nameSize);
    if (!stripped && name === CPIO_TRAILER) return;
    const start = padded(at + head + nameSize);
    yield { name, kind, data: bytes.slice(start, size) };
    at = padded(start + size);
  }
}

/** What stands before an entry's name; `nameSize` counts the NUL at its end. */
export interface CpioHeader {
  readonly kind: ArchiveEntry['kind'];
  readonly size: number;
  readonly nameSize: number;
}

/**
 * What reads the headers of one archive, each with where in it they begin.
 * @param file the name to blame in errors
 * @param files those of the rpm's header, for entries without a name
 */
export function cpioHeaders(file: string, files: readonly RpmFile[]) {
  const lastNames = new Map(files.map(({ inode }, i) => [inode, i]));
  const fail = (offset: number, problem: string) => new SymbolFileError(file, { offset }, problem, DAMAGED);
  return {
    /** Of the first 14 bytes; null of an entry with a name. Throws SymbolFileError. */
    readStripped(data: Buffer, at: number): (CpioHeader & { readonly name: string }) | null {
      const text = data.toString('latin1');
      if (!/^07070X[0-9a-f]{8}$/i.test(text)) return null;
      const number = Number.parseInt(text.slice(6), 16);
      const named = files[number];
      if (!named) throw fail(at, `file ${number} in the payload, and the rpm's header has ${files.length}`);
      const kind = kindOf(named.mode);
      // Of a file with several names, only the last has the content.
      const isEmpty = kind === 'other' || (kind === 'file' && lastNames.get(named.inode) !== number);
      return { name: named.path, kind, size: isEmpty ? 0 : named.size, nameSize: 0 };
    },
    /** Of 110 bytes. Throws SymbolFileError. */
    readHeader(data: Buffer, at: number): CpioHeader {
      const text = data.toString('latin1');
      if (!/^07070[12][0-9a-f]{104}$/i.test(text)) throw fail(at, 'no cpio header');
      const field = (number: number) => Number.parseInt(text.slice(6 + 8 * number, 14 + 8 * number), 16);
      const nameSize = field(11);
      if (nameSize > NAME_MAX) throw fail(at, `a file name of ${nameSize} bytes`);
      return { kind: kindOf(field(1)), size: field(6), nameSize };
    },
  };
}

function kindOf(mode: number): ArchiveEntry['kind'] {
  const kind = mode & KIND.MASK;
  return kind === KIND.REGULAR ? 'file' : kind === KIND.LINK ? 'link' : 'other';
}

/** Names and contents begin at multiples of four. */
export const padded = (offset: number): number => Math.ceil(offset / 4) * 4;
