/** Kernel modules: `.ko` files (Linux: kernel/module/, scripts/mod/modpost.c, include/linux/module.h). */
import type { ExportedSymbol, ImportedSymbol, Kmod, Loading } from '../kabi/model.ts';
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
  /** It says that it was built as a part of the kernel, and not by somebody else (`intree=Y`). */
  readonly isInTree: boolean;
  readonly loading: Loading;
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
 * Read a module: what it imports from `__versions` or `__version_ext_*` and its undefined symbols, what it exports from
 * its `__crc_*` symbols, and `.modinfo`.
 * @param file the name to blame in errors, and of a module that does not tell its own
 * @throws SymbolFileError
 */
export function readModule(data: Uint8Array, file: string): KernelModule {
  const elf = readElf(data, file);
  const info = readModinfo(elf);
  const first = (key: string) => info.find((it) => it.key === key)?.value;
  const name = first('name') ?? file.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, '');
  const versions = readVersions(elf);
  const imports = versions ?? [];
  const exports = readExports(elf, name);
  const versioned = new Set(imports.map(({ symbol }) => symbol));
  const [weak, needed] = readUndefined(elf);
  return {
    name,
    arch: archOf(elf),
    variant: null,
    kernelImports: [],
    kmodImports: [],
    imports,
    exports,
    unversioned: versions === null,
    loading: {
      license: first('license') ?? null,
      namespaces: info.flatMap(({ key, value }) => (key === 'import_ns' ? value : [])),
      vermagic: first('vermagic')?.trim() ?? null,
      weak,
      unversioned: needed.filter((symbol) => !versioned.has(symbol)),
      exports: readEntries(elf).filter((symbol) => !exports.has(symbol)),
    },
    isInTree: first('intree') === 'Y',
    depends: (first('depends') ?? '').split(',').filter((it) => it !== ''),
  };
}

export function archOf({ machine, littleEndian }: Elf): string | null {
  if (machine === PPC64) return littleEndian ? 'ppc64le' : 'ppc64';
  return ARCHES[machine] ?? null;
}

/** What is asked for of .modinfo: it may have any others. */
const KEYS: ReadonlySet<string> = new Set(['name', 'license', 'vermagic', 'depends', 'import_ns', 'intree']);

/** `key=value` texts, in order. */
function readModinfo(elf: Elf): { readonly key: string; readonly value: string }[] {
  const section = sectionOf(elf, '.modinfo');
  if (!section) throw elf.bytes.fail(0, 'an ELF file without .modinfo is no kernel module', 'name a .ko');
  return contentOf(elf, section)
    .toString('latin1')
    .split('\0')
    .flatMap((line) => {
      const equals = line.indexOf('=');
      const key = line.slice(0, Math.max(0, equals));
      return KEYS.has(key) ? [{ key, value: line.slice(equals + 1) }] : [];
    });
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
    imports.push({ symbol: undotted(elf, bytes.string(at + crcSize, VERSION_SIZE - crcSize)), crc });
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

/** Symbols that no kernel has to export (Linux: kernel/module/main.c, ignore_undef_symbol; arch/powerpc/kernel/module_64.c). */
const LOADERS_OWN: ReadonlySet<string> = new Set(['', '_GLOBAL_OFFSET_TABLE_', 'TOC.']);

/** @returns the undefined symbols: those that may stay so, and those that the kernel must find somewhere */
function readUndefined(elf: Elf): [weak: string[], needed: string[]] {
  const found = symbolsOf(elf, '', UNDEFINED).flatMap(({ name, weak }) => {
    const symbol = undotted(elf, name);
    return LOADERS_OWN.has(symbol) ? [] : [{ symbol, weak }];
  });
  const names = (isWeak: boolean) => found.flatMap(({ symbol, weak }) => (weak === isWeak ? symbol : []));
  return [names(true), names(false)];
}

/** On ppc64 a function's code is `.NAME`, and the kernel looks for NAME. */
const undotted = ({ machine }: Elf, name: string): string =>
  machine === PPC64 && name.startsWith('.') ? name.slice(1) : name;

const ENTRY_PREFIX = '__ksymtab_';

/** What it exports, with a CRC or without. */
const readEntries = (elf: Elf): string[] =>
  symbolsOf(elf, ENTRY_PREFIX).map(({ name }) => name.slice(ENTRY_PREFIX.length));

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
