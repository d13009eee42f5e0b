/** tar archives (POSIX: pax, "ustar Interchange Format"), as far as dist-git's lists of symbols need it: names of up to 255 bytes. */
import { bytesOf } from './bytes.ts';
import type { ArchiveEntry } from './cpio.ts';

const BLOCK = 512;
/** Where it says `ustar`, by which a tar is told. */
const MAGIC_AT = 257;
const KINDS: Readonly<Record<string, ArchiveEntry['kind']>> = { '0': 'file', '\0': 'file', '2': 'link' };

export const isTar = (data: Uint8Array): boolean =>
  Buffer.from(data.subarray(MAGIC_AT, MAGIC_AT + 5)).toString('latin1') === 'ustar';

/**
 * All entries of an archive, in order.
 * @param file the name to blame in errors
 * @throws SymbolFileError
 */
export function* readTar(data: Uint8Array, file: string): Generator<ArchiveEntry> {
  const bytes = bytesOf(data, file, 'little');
  for (let at = 0; at < bytes.size; ) {
    const header = bytes.slice(at, BLOCK);
    if (header[0] === 0) return;
    const text = (offset: number, length: number) =>
      header.toString('latin1', offset, offset + length).replace(/\0.*$/s, '');
    if (!isTar(header)) throw bytes.fail(at, 'no tar header');
    const octal = text(124, 12).trim();
    if (!/^[0-7]{1,12}$/.test(octal)) throw bytes.fail(at + 124, 'a tar entry without a size');
    const size = Number.parseInt(octal, 8);
    const kind = KINDS[header.toString('latin1', 156, 157)] ?? 'other';
    const content = bytes.slice(at + BLOCK, size);
    // GNU tar has times in what is elsewhere the beginning of a long name.
    const prefix = header[MAGIC_AT + 5] === 0 ? text(345, 155) : '';
    const name = [prefix, text(0, 100)].filter(Boolean).join('/');
    yield { name, kind, data: kind === 'link' ? Buffer.from(text(157, 100), 'latin1') : content };
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}
