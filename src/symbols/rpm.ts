/**
 * rpm files, version 3 to 6 of the format (rpm: docs/manual/format_v4.md and format_v6.md, include/rpm/rpmtag.h). Of what
 * is read here, 6 has only the payload in another way.
 */
import type { ChangelogEntry } from '../changelog/lines.ts';
import type { DependencyArrays, RpmSymbols } from '../kabi/rpm.ts';
import { type Bytes, bytesOf } from './bytes.ts';

/** What is read of an rpm. */
export interface Rpm extends RpmSymbols {
  readonly epoch: number | null;
  /** Those that it has files in, each with a slash at its end. */
  readonly folders: readonly string[];
  /** Name of the source rpm's file: `kernel-5.14.0-70.el9.src.rpm`; null of a source rpm. */
  readonly sourceRpm: string | null;
  /** `gzip`, `xz`, `zstd`, `lzma`, `bzip2`, and where it begins. */
  readonly payload: { readonly compressor: string; readonly offset: number };
}

export const RPM_MAGIC = 0xedabeedb;
const LEAD_SIZE = 96;
const HEADER_MAGIC = 0x8eade801;
/** rpm's own cap on tags, HEADER_TAGS_MAX. */
const TAGS_MAX = 0xffff;
/** Most bytes of a header's values. rpm allows 256 MiB; those of kernels have three. */
const STORE_MAX = 32 * 1024 * 1024;
/** The largest kernel rpms have 15,000 provides. */
const COUNT_MAX = 1_000_000;

const TAG = {
  NAME: 1000,
  VERSION: 1001,
  RELEASE: 1002,
  EPOCH: 1003,
  ARCH: 1022,
  FILESIZES: 1028,
  FILEMODES: 1030,
  FILEFLAGS: 1037,
  SOURCERPM: 1044,
  PROVIDENAME: 1047,
  REQUIREFLAGS: 1048,
  REQUIRENAME: 1049,
  REQUIREVERSION: 1050,
  CHANGELOGTIME: 1080,
  CHANGELOGNAME: 1081,
  CHANGELOGTEXT: 1082,
  FILEINODES: 1096,
  PROVIDEFLAGS: 1112,
  PROVIDEVERSION: 1113,
  DIRINDEXES: 1116,
  BASENAMES: 1117,
  DIRNAMES: 1118,
  PAYLOADCOMPRESSOR: 1125,
  /** Instead of FILESIZES where a file has 4 GiB or more, and in format 6. */
  LONGFILESIZES: 5008,
} as const;

const TYPE = { INT16: 3, INT32: 4, INT64: 5, STRING: 6, STRING_ARRAY: 8 } as const;
const NUMBERS = { INT16: 2, INT32: 4, INT64: 8 } as const;

/**
 * Read the header of an rpm; its payload may be missing.
 * @param file the name to blame in errors
 * @throws SymbolFileError
 */
export function readRpm(data: Uint8Array, file: string): Rpm {
  const header = mainHeader(data, file);
  const { bytes } = header;
  const needed = (tag: keyof typeof TAG) => {
    const text = stringOf(header, tag);
    if (text === null) throw bytes.fail(header.start, `the rpm's header has no ${tag}`);
    return text;
  };
  return {
    name: needed('NAME'),
    version: needed('VERSION'),
    release: needed('RELEASE'),
    epoch: numbersOf(header, 'EPOCH')[0] ?? null,
    arch: needed('ARCH'),
    sourceRpm: stringOf(header, 'SOURCERPM'),
    provides: dependenciesOf(header, 'PROVIDE'),
    requires: dependenciesOf(header, 'REQUIRE'),
    folders: stringsOf(header, 'DIRNAMES'),
    payload: { compressor: stringOf(header, 'PAYLOADCOMPRESSOR') ?? 'gzip', offset: header.end },
  };
}

/** A file of an rpm, or a folder, a link or a device. */
export interface RpmFile {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  /** The same for names of one file. */
  readonly inode: number;
  /** It is only named (`%ghost`): the payload does not have it. */
  readonly isGhost: boolean;
}

/** rpm: RPMFILE_GHOST. */
const GHOST = 1 << 6;

/**
 * The files of an rpm by its header, in the order that a payload without names counts them in.
 * @throws SymbolFileError
 */
export function readRpmFiles(data: Uint8Array, file: string): RpmFile[] {
  const header = mainHeader(data, file);
  const folders = stringsOf(header, 'DIRNAMES');
  const folderOf = numbersOf(header, 'DIRINDEXES');
  const long = numbersOf(header, 'LONGFILESIZES', 'INT64');
  const sizes = long.length > 0 ? long : numbersOf(header, 'FILESIZES');
  const modes = numbersOf(header, 'FILEMODES', 'INT16');
  const inodes = numbersOf(header, 'FILEINODES');
  const flags = numbersOf(header, 'FILEFLAGS');
  return stringsOf(header, 'BASENAMES').map((name, i) => {
    const folder = folders[folderOf[i] ?? -1];
    const [size, mode, inode] = [sizes[i], modes[i], inodes[i]];
    if (folder === undefined || size === undefined || mode === undefined || inode === undefined)
      throw header.bytes.fail(header.start, `the rpm's header does not tell all of file ${i}, ${name}`);
    return { path: `${folder}${name}`, size, mode, inode, isGhost: ((flags[i] ?? 0) & GHOST) !== 0 };
  });
}

/**
 * The changelog of an rpm, as the packager left it: builds may cut off what is old (`%_changelog_trimtime`).
 * @throws SymbolFileError
 */
export function readRpmChangelog(data: Uint8Array, file: string): ChangelogEntry[] {
  const header = mainHeader(data, file);
  const [authors, texts] = [stringsOf(header, 'CHANGELOGNAME'), stringsOf(header, 'CHANGELOGTEXT')];
  const times = numbersOf(header, 'CHANGELOGTIME');
  if (authors.length !== times.length || texts.length !== times.length)
    throw header.bytes.fail(
      header.start,
      `a changelog of ${times.length} times, ${authors.length} names and ${texts.length} texts`,
    );
  const utf8 = (text = '') => Buffer.from(text, 'latin1').toString();
  return times.map((at, i) => ({ at, author: utf8(authors[i]), text: utf8(texts[i]) }));
}

/**
 * How many bytes of an rpm its headers take, so that a large one need not be read whole. What is wrong with them is
 * left to who reads them.
 * @param read the bytes at an offset, fewer at the file's end
 */
export function sizeOfHeaders(read: (offset: number, length: number) => Buffer): number {
  const endOf = (start: number) => {
    const intro = read(start, 16);
    if (intro.length < 16) return start;
    const [tags, size] = [intro.readUInt32BE(8), intro.readUInt32BE(12)];
    return start + 16 + 16 * Math.min(tags, TAGS_MAX) + Math.min(size, STORE_MAX);
  };
  return endOf(afterSignatures(endOf(LEAD_SIZE)));
}

/** A header: an index of tags, and a store of their values. Offsets are the file's. */
interface Header {
  readonly bytes: Bytes;
  readonly start: number;
  readonly store: number;
  readonly end: number;
  readonly index: ReadonlyMap<number, IndexEntry>;
}

interface IndexEntry {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

/** That behind the signatures. */
function mainHeader(data: Uint8Array, file: string): Header {
  const bytes = bytesOf(data, file, 'big');
  if (bytes.u32(0) !== RPM_MAGIC) throw bytes.fail(0, 'no rpm');
  return readHeader(bytes, afterSignatures(readHeader(bytes, LEAD_SIZE).end));
}

const afterSignatures = (end: number) => Math.ceil(end / 8) * 8;

function readHeader(bytes: Bytes, start: number): Header {
  if (bytes.u32(start) !== HEADER_MAGIC) throw bytes.fail(start, 'no rpm header where one must be');
  const tags = bytes.u32(start + 8);
  const size = bytes.u32(start + 12);
  if (tags > TAGS_MAX || size > STORE_MAX)
    throw bytes.fail(start, `an rpm header of ${tags} tags and ${size} bytes`);
  const store = start + 16 + 16 * tags;
  const end = store + size;
  if (end > bytes.size) throw bytes.fail(bytes.size, `cut short in a header that ends at ${end}`);
  const index = new Map<number, IndexEntry>();
  for (let at = start + 16; at < store; at += 16) {
    const [type, offset, count] = [bytes.u32(at + 4), bytes.u32(at + 8), bytes.u32(at + 12)];
    index.set(bytes.u32(at), { type, offset: store + offset, count });
  }
  return { bytes, start, store, end, index };
}

/** Where the values of a tag are; null: the header does not have it. Its type and room are checked. */
function find(header: Header, tag: keyof typeof TAG, type: number, size: number): IndexEntry | null {
  const { bytes, index, end } = header;
  const entry = index.get(TAG[tag]);
  if (!entry) return null;
  const what = `${entry.count} values of type ${entry.type} as ${tag}`;
  if (entry.type !== type || entry.count > COUNT_MAX) throw bytes.fail(header.start, what);
  if (entry.offset + entry.count * size > end) throw bytes.fail(header.start, `${what} beyond the header`);
  return entry;
}

function stringOf(header: Header, tag: keyof typeof TAG): string | null {
  const entry = find(header, tag, TYPE.STRING, 1);
  return entry && (readStrings(header, tag, { ...entry, count: 1 })[0] ?? null);
}

function numbersOf(header: Header, tag: keyof typeof TAG, type: keyof typeof NUMBERS = 'INT32'): number[] {
  const size = NUMBERS[type];
  const entry = find(header, tag, TYPE[type], size);
  if (!entry) return [];
  const { u16, u32, u64 } = header.bytes;
  const read = { 2: u16, 4: u32, 8: u64 }[size];
  return Array.from({ length: entry.count }, (_, i) => read(entry.offset + size * i));
}

function stringsOf(header: Header, tag: keyof typeof TAG): string[] {
  const entry = find(header, tag, TYPE.STRING_ARRAY, 1);
  return entry ? readStrings(header, tag, entry) : [];
}

/** Texts one after the other, each with a NUL at its end. */
function readStrings({ bytes, end }: Header, tag: string, { offset, count }: IndexEntry): string[] {
  const text = bytes.slice(offset, end - offset).toString('latin1');
  const strings: string[] = [];
  for (let at = 0; strings.length < count; ) {
    const nul = text.indexOf('\0', at);
    if (nul < 0) throw bytes.fail(end, `the header ends within ${tag}`);
    strings.push(text.slice(at, nul));
    at = nul + 1;
  }
  return strings;
}

function dependenciesOf(header: Header, kind: 'PROVIDE' | 'REQUIRE'): DependencyArrays {
  const names = stringsOf(header, `${kind}NAME`);
  const versions = stringsOf(header, `${kind}VERSION`);
  const flags = numbersOf(header, `${kind}FLAGS`);
  if (names.length === versions.length && names.length === flags.length) return { names, versions, flags };
  const counts = `${names.length} names, ${versions.length} versions, ${flags.length} flags`;
  throw header.bytes.fail(header.start, `${kind}: ${counts}`);
}
