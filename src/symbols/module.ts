/** Kernel modules: `.ko` files (Linux: kernel/module/, scripts/mod/modpost.c, include/linux/module.h). */
import type { ExportedSymbol, ImportedSymbol, Kmod } from '../kabi/model.ts';
import {
  ABSOLUTE,
  contentOf,
  type Elf,
  readElf,
  type Section,
  sectionOf,
  symbolsOf,
  UNDEFINED,
} from './elf.ts';

export interface KernelModule extends Kmod {
  /** Kernel release and options that it was built for. */
  readonly vermagic: string | null;
  /** It says that it was built as a part of the kernel, and not by somebody else (`intree=Y`). */
  readonly isInTree: boolean;
  /** Modules that it needs. */
  readonly depends: readonly string[];
}

/** Architectures as rpm names them, by ELF's machine number and, where there are two, byte order. */
const ARCHES: Readonly<Record<number, string>> = {
  3: 'i686',
  22: 's390x',
  40: 'armv7hl',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
};
const PPC64 = 21;

/**
 * Read a module: what it imports from `__versions` or `__version_ext_*`, what it exports from its `__crc_*`
 * symbols, and `.modinfo`.
 * @param file the name to blame in errors, and of a module that does not tell its own
 * @throws SymbolFileError
 */
export function readModule(data: Uint8Array, file: string): KernelModule {
  const elf = readElf(data, file);
  const info = readModinfo(elf);
  const name = info.get('name') ?? file.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, '');
  const imports = readVersions(elf);
  return {
    name,
    arch: archOf(elf),
    variant: null,
    kernelImports: [],
    kmodImports: [],
    imports: imports ?? [],
    exports: readExports(elf, name),
    unversioned: imports === null,
    vermagic: info.get('vermagic')?.trim() ?? null,
    isInTree: info.get('intree') === 'Y',
    depends: (info.get('depends') ?? '').split(',').filter((it) => it !== ''),
  };
}

export function archOf({ machine, littleEndian }: Elf): string | null {
  if (machine === PPC64) return littleEndian ? 'ppc64le' : 'ppc64';
  return ARCHES[machine] ?? null;
}

/** `key=value` texts; of a key that comes again, the first. */
function readModinfo(elf: Elf): Map<string, string> {
  const section = sectionOf(elf, '.modinfo');
  if (!section) throw elf.bytes.fail(0, 'an ELF file without .modinfo is no kernel module', 'name a .ko');
  const info = new Map<string, string>();
  for (const line of contentOf(elf, section).toString('latin1').split('\0')) {
    const equals = line.indexOf('=');
    const key = line.slice(0, equals);
    if (equals > 0 && !info.has(key)) info.set(key, line.slice(equals + 1));
  }
  return info;
}

/**
 * The imports with their CRCs. Kernels from 6.14 on may have them in two sections, with names of any length;
 * those win, for `__versions` then leaves long names out.
 * @returns null of a module without CONFIG_MODVERSIONS
 */
function readVersions(elf: Elf): ImportedSymbol[] | null {
  const [crcs, names] = [sectionOf(elf, '__version_ext_crcs'), sectionOf(elf, '__version_ext_names')];
  if (crcs && names) return readExtendedVersions(elf, crcs, names);
  const versions = sectionOf(elf, '__versions');
  return versions ? readBasicVersions(elf, versions) : null;
}

/** `struct modversion_info`: an unsigned long with the CRC, and a name, 64 bytes together. */
const VERSION_SIZE = 64;

function readBasicVersions(elf: Elf, section: Section): ImportedSymbol[] {
  const { bytes, wordSize } = elf;
  const crcSize = wordSize / 8;
  const end = section.offset + contentOf(elf, section).length;
  const imports: ImportedSymbol[] = [];
  for (let at = section.offset; at < end; at += VERSION_SIZE) {
    if (at + VERSION_SIZE > end) throw bytes.fail(at, '__versions ends within an entry');
    const crc = wordSize === 64 ? bytes.u64(at) : bytes.u32(at);
    if (crc > 0xffffffff) throw bytes.fail(at, 'a CRC of more than 32 bits');
    imports.push({ symbol: bytes.string(at + crcSize, VERSION_SIZE - crcSize), crc });
  }
  return imports;
}

function readExtendedVersions(elf: Elf, crcs: Section, names: Section): ImportedSymbol[] {
  const { bytes } = elf;
  const symbols = contentOf(elf, names).toString('latin1').split('\0').slice(0, -1);
  if (contentOf(elf, crcs).length !== 4 * symbols.length)
    throw bytes.fail(crcs.offset, `${crcs.size} bytes of CRCs for ${symbols.length} names`);
  return symbols.map((symbol, i) => ({ symbol, crc: bytes.u32(crcs.offset + 4 * i) }));
}

const CRC_PREFIX = '__crc_';

/** What the section of a CRC tells of the export. */
const EXPORT_TYPES: Readonly<Record<string, string>> = {
  __kcrctab: 'EXPORT_SYMBOL',
  __kcrctab_gpl: 'EXPORT_SYMBOL_GPL',
};

/**
 * The exports, by their symbols `__crc_NAME`: labels of the CRCs in `__kcrctab*`, or in `.rodata`. Before 5.18,
 * on most architectures, they were absolute, and their value was the CRC.
 */
function readExports(elf: Elf, provider: string): Map<string, ExportedSymbol> {
  const exports = new Map<string, ExportedSymbol>();
  for (const { name: label, value, section: index } of symbolsOf(elf, CRC_PREFIX)) {
    const name = label.slice(CRC_PREFIX.length);
    const section = elf.sections[index];
    if (index === ABSOLUTE) exports.set(name, { name, crc: value % 2 ** 32, provider });
    else if (index !== UNDEFINED && section) {
      const crc = elf.bytes.u32(section.offset + value);
      const exportType = EXPORT_TYPES[section.name];
      exports.set(name, { name, crc, provider, ...(exportType && { exportType }) });
    }
  }
  return exports;
}
