/** ELF object files, 32 and 64 bit, of either byte order (System V ABI, chapter 4; Linux: uapi/linux/elf.h). */
import { type Bytes, bytesOf } from './bytes.ts';

type WordSize = 32 | 64;

export interface Section {
  readonly name: string;
  readonly type: number;
  /** In memory, the lower 32 bits; 0 of an object file's. */
  readonly address: number;
  /** In the file. */
  readonly offset: number;
  readonly size: number;
  /** Index of a section that belongs to it: of a symbol table, the strings. */
  readonly link: number;
}

export interface ElfSymbol {
  readonly name: string;
  /** In an object file: an offset in its section; of an absolute symbol, the value itself. */
  readonly value: number;
  /** Index of its section, ABSOLUTE or UNDEFINED. */
  readonly section: number;
  /** It may stay undefined (STB_WEAK). */
  readonly weak: boolean;
}

export interface Elf {
  readonly bytes: Bytes;
  readonly wordSize: WordSize;
  readonly littleEndian: boolean;
  /** An object file, as modules are, and not linked (ET_REL). */
  readonly isObject: boolean;
  /** EM_X86_64 and so on. */
  readonly machine: number;
  readonly sections: readonly Section[];
}

export const ELF_MAGIC = 0x7f454c46;
/** Section index of symbols that have a value and no section (SHN_ABS). */
export const ABSOLUTE = 0xfff1;
/** That of symbols that are elsewhere (SHN_UNDEF). */
export const UNDEFINED = 0;
const SHT = { SYMTAB: 2, NOBITS: 8 } as const;
/** Longest name of a symbol or section that is read: the kernel's KSYM_NAME_LEN is 512, and prefixes come on top. */
const NAME_MAX = 1024;

/** Where fields are in the ELF header and in section headers, in bytes; `entry`: a section header's size. */
const LAYOUT = {
  64: { sections: 40, sizes: 58, address: 16, offset: 24, size: 32, link: 40, entry: 64 },
  32: { sections: 32, sizes: 46, address: 12, offset: 16, size: 20, link: 24, entry: 40 },
} as const;

/** The same of entries of a symbol table. */
const SYMBOL_LAYOUT = {
  64: { info: 4, section: 6, value: 8, entry: 24 },
  32: { info: 12, section: 14, value: 4, entry: 16 },
} as const;
const STB_WEAK = 2;

/**
 * Read the headers of an ELF file.
 * @param file the name to blame in errors
 * @throws SymbolFileError
 */
export function readElf(data: Uint8Array, file: string): Elf {
  const head = bytesOf(data, file, 'big');
  const [elfClass, order] = [head.u8(4), head.u8(5)];
  if (head.u32(0) !== ELF_MAGIC || ![1, 2].includes(elfClass) || ![1, 2].includes(order))
    throw head.fail(0, 'no ELF header');
  const wordSize = elfClass === 2 ? 64 : 32;
  const littleEndian = order === 1;
  const bytes = bytesOf(data, file, littleEndian ? 'little' : 'big');
  const sections = readSections(bytes, wordSize, littleEndian);
  return { bytes, wordSize, littleEndian, isObject: bytes.u16(16) === 1, machine: bytes.u16(18), sections };
}

function readSections(bytes: Bytes, wordSize: WordSize, littleEndian: boolean): Section[] {
  const layout = LAYOUT[wordSize];
  const lower = wordSize === 64 && !littleEndian ? 4 : 0;
  const word = wordSize === 64 ? bytes.u64 : bytes.u32;
  const table = word(layout.sections);
  const entry = bytes.u16(layout.sizes);
  const count = bytes.u16(layout.sizes + 2);
  const names = bytes.u16(layout.sizes + 4);
  if (entry !== layout.entry || names >= count) throw bytes.fail(layout.sizes, 'no table of ELF sections');
  const namesAt = word(table + names * entry + layout.offset);
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * entry;
    return {
      name: bytes.string(namesAt + bytes.u32(at), NAME_MAX),
      type: bytes.u32(at + 4),
      address: bytes.u32(at + layout.address + lower),
      offset: word(at + layout.offset),
      size: word(at + layout.size),
      link: bytes.u32(at + layout.link),
    };
  });
}

/** The first section of that name. */
export const sectionOf = ({ sections }: Elf, name: string) => sections.find((it) => it.name === name);

/** Most bytes of a section that is read whole: ten times those of large modules. */
const SECTION_MAX = 4 * 1024 * 1024;

/** What a section holds, up to `most` bytes; nothing where it takes no room in the file. */
export function contentOf({ bytes }: Elf, { name, type, offset, size }: Section, most = SECTION_MAX): Buffer {
  if (size > most) throw bytes.fail(offset, `a section ${name} of ${size} bytes`);
  return type === SHT.NOBITS ? Buffer.alloc(0) : bytes.slice(offset, size);
}

/** Most symbols of one kind: ten times those of large modules. */
const FOUND_MAX = 100_000;

/** The symbols whose names begin so, of all sections or of one. */
export function symbolsOf(elf: Elf, prefix: string, only?: number): ElfSymbol[] {
  const { bytes, wordSize, sections } = elf;
  const table = sections.find(({ type }) => type === SHT.SYMTAB);
  if (!table) return [];
  const names = sections[table.link]?.offset;
  if (names === undefined) throw bytes.fail(table.offset, 'a symbol table without names');
  const layout = SYMBOL_LAYOUT[wordSize];
  const found: ElfSymbol[] = [];
  for (let at = table.offset; at + layout.entry <= table.offset + table.size; at += layout.entry) {
    const section = bytes.u16(at + layout.section);
    if (only !== undefined && section !== only) continue;
    const name = bytes.string(names + bytes.u32(at), NAME_MAX);
    if (!name.startsWith(prefix)) continue;
    const value = wordSize === 64 ? bytes.u64(at + layout.value) : bytes.u32(at + layout.value);
    if (found.length >= FOUND_MAX) throw bytes.fail(at, `more than ${FOUND_MAX} symbols ${prefix}`.trimEnd());
    found.push({ name, value, section, weak: bytes.u8(at + layout.info) >> 4 === STB_WEAK });
  }
  return found;
}
