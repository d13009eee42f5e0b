/**
 * cpio archives in the "new ASCII" format, an rpm's payload (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
 * In rpm's format 6, and where a file has 4 GiB or more, an entry has only its number among the header's files (rpm:
 * docs/manual/format_v6.md, lib/cpio.c).
 */
import { type Bytes, bytesOf } from './bytes.ts';
import type { RpmFile } from './rpm.ts';

/** An entry of an archive. */
export interface ArchiveEntry {
  readonly name: string;
  /** `other`: a folder or a device. */
  readonly kind: 'file' | 'link' | 'other';
  /** Of a link where it leads. */
  readonly data: Buffer;
}

const HEADER_SIZE = 110;
const NAME_MAX = 4096;
const TRAILER = 'TRAILER!!!';
/** The kind of a file in its mode, those of a regular one and of a link (POSIX: S_IFMT, S_IFREG, S_IFLNK). */
const KIND = { MASK: 0o170000, REGULAR: 0o100000, LINK: 0o120000 } as const;

/** Of an entry without a name: the magic number, and which file it is. */
const STRIPPED = /^07070X[0-9a-f]{8}$/i;
const STRIPPED_SIZE = 14;

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
  const lastNames = new Map(files.map(({ inode }, i) => [inode, i]));
  for (let at = 0; ; ) {
    const stripped = bytes.slice(at, STRIPPED_SIZE).toString('latin1');
    if (!STRIPPED.test(stripped)) {
      const entry = readEntry(bytes, at);
      if (entry.name === TRAILER) return;
      yield entry;
      at = entry.end;
      continue;
    }
    const number = Number.parseInt(stripped.slice(6), 16);
    const named = files[number];
    if (!named)
      throw bytes.fail(at, `file ${number} in the payload, and the rpm's header has ${files.length}`);
    const kind = kindOf(named.mode);
    // Of a file with several names, only the last has the content.
    const isEmpty = kind === 'other' || (kind === 'file' && lastNames.get(named.inode) !== number);
    const start = padded(at + STRIPPED_SIZE);
    const content = bytes.slice(start, isEmpty ? 0 : named.size);
    yield { name: named.path, kind, data: content };
    at = padded(start + content.length);
  }
}

/** An entry with its name, and where the next one begins. */
function readEntry(bytes: Bytes, at: number): ArchiveEntry & { readonly end: number } {
  const header = bytes.slice(at, HEADER_SIZE).toString('latin1');
  if (!/^07070[12][0-9a-f]{104}$/i.test(header)) throw bytes.fail(at, 'no cpio header');
  const field = (number: number) => Number.parseInt(header.slice(6 + 8 * number, 14 + 8 * number), 16);
  const size = field(6);
  const nameSize = field(11);
  if (nameSize > NAME_MAX) throw bytes.fail(at, `a file name of ${nameSize} bytes`);
  const name = bytes.string(at + HEADER_SIZE, nameSize);
  const start = padded(at + HEADER_SIZE + nameSize);
  return { name, kind: kindOf(field(1)), data: bytes.slice(start, size), end: padded(start + size) };
}

function kindOf(mode: number): ArchiveEntry['kind'] {
  const kind = mode & KIND.MASK;
  return kind === KIND.REGULAR ? 'file' : kind === KIND.LINK ? 'link' : 'other';
}

const padded = (offset: number) => Math.ceil(offset / 4) * 4;
