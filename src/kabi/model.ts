/**
 * Kernel symbols as plain data: what a kernel exports, what a kmod imports. A CRC is the number that genksyms
 * or gendwarfksyms makes of a symbol's type (kernel: Documentation/kbuild/modules.rst, "Module Versioning"),
 * an unsigned integer of 32 bits. A kmod loads where each symbol that it imports is exported with the same CRC.
 */

import type { KernelRpms, Packaging } from './requires.ts';

/** A symbol's name as C and assembler have them. */
export const SYMBOL = /^[A-Za-z_.$][\w.$]*$/;

/** A symbol that a kernel or a kmod exports. */
export interface ExportedSymbol {
  readonly name: string;
  readonly crc: number;
  /** Whose it is: `vmlinux` or a module as Module.symvers names it, a module's name, or an rpm's name. */
  readonly provider: string;
  /** `EXPORT_SYMBOL`, `EXPORT_SYMBOL_GPL`, …; rpms do not tell. */
  readonly exportType?: string;
  /** Namespace of the export, `''` where it has none; rpms and modules do not tell (kernel: core-api/symbol-namespaces.rst). */
  readonly namespace?: string;
  /** Its rpm provides it as `kernel(SYM)`, as those of kernels do; kmods of EL provide `ksym(SYM)`. */
  readonly asKernel?: true;
}

/** Exported symbols by name. */
export type SymbolTable = ReadonlyMap<string, ExportedSymbol>;

/** Which kernels something is for. Null: not known, so nothing follows from it. */
export interface Target {
  /** As rpm names it: `x86_64`, `aarch64`, `ppc64le`, `s390x`. */
  readonly arch: string | null;
  /** `''` is the plain kernel; else `rt`, `64k`, `debug`, `rt-debug`, or SUSE's flavour: `default`, `azure`. */
  readonly variant: string | null;
}

/**
 * The architecture without the level of its instructions: a kernel and its modules are compiled without those that levels
 * add, so `x86_64_v2` (as AlmaLinux has it) and `x86_64` load each other's modules. On which machine an rpm can be
 * installed is another question, which no kernel answers.
 */
export const machineOf = (arch: string | null): string | null =>
  arch?.replace(/^x86_64_v\d$/, 'x86_64') ?? null;

/** The symbols of one kernel, for one architecture and one variant. */
export interface KernelSymbols extends Target {
  readonly symbols: SymbolTable;
  /** What its rpms say beside; absent where only its symbols are known. */
  readonly rpms?: KernelRpms;
  /** That of its modules; absent: not known. */
  readonly vermagic?: string;
  /** Why it may export more than is known: what is not among its symbols is not gone then. */
  readonly partial?: string;
}

/** A symbol that a kmod needs, with the CRC that it was built against. */
export interface ImportedSymbol {
  readonly symbol: string;
  readonly crc: number;
}

/** What a kmod needs of a kernel and of other kmods, and what it offers to others. */
export interface Kmod extends Target {
  /** For people: an NVR, or a module's name. */
  readonly name: string;
  /** What its rpm needs of the kernel, and takes from no kmod: EL's `kernel(SYM)`. */
  readonly kernelImports: readonly ImportedSymbol[];
  /** What its rpm needs of a kmod, and takes from no kernel: EL's `ksym(SYM)`. */
  readonly kmodImports: readonly ImportedSymbol[];
  /** What it takes from whoever has it: a module's file does not tell of whom, nor does SUSE's `ksym(FLAVOUR:SYM)`. */
  readonly imports: readonly ImportedSymbol[];
  readonly exports: SymbolTable;
  /** It was built without CONFIG_MODVERSIONS: it imports symbols, and nobody wrote down their CRCs. */
  readonly unversioned?: boolean;
  /** Of a module's file. */
  readonly loading?: Loading;
  /** Of rpms. */
  readonly packaging?: Packaging;
  /** Of rpms for several kernels, none of which is the one that it is compared with: VERSIONs as `uname -r` prints them. */
  readonly builtFor?: readonly string[];
}

/** What a module's file tells the kernel that loads it, beside the CRCs of its imports. */
export interface Loading {
  /** As MODULE_LICENSE has it; null: none. */
  readonly license: string | null;
  /** The namespaces that it imports (MODULE_IMPORT_NS). */
  readonly namespaces: readonly string[];
  /** Kernel release and options that it was built for. */
  readonly vermagic: string | null;
  /** Undefined symbols that may be missing, since they are weak. */
  readonly weak: readonly string[];
  /** Undefined symbols of which it has no CRC, without the weak ones. */
  readonly unversioned: readonly string[];
  /** What it exports without a CRC. */
  readonly exports: readonly string[];
}

/** A list of symbols that a distribution promises to keep. */
export interface Stablelist {
  /** As its header line names it: `rhel9_x86_64_stablelist`; of a list with CRCs, its file's name. */
  readonly name: string;
  readonly symbols: ReadonlySet<string>;
  /** How a kernel must export them, where the list has CRCs: `Module.kabi_ARCH`, SUSE's `kabi/ARCH/symvers-FLAVOUR`. */
  readonly exports?: SymbolTable;
  /** As its file's name ends: `x86_64`. */
  readonly arch?: string;
  /** As its folder is called within a package: `kabi-rhel94`. */
  readonly release?: string;
  /** Whether the package says that this is the release that counts, by its link `kabi-current`. */
  readonly current?: boolean;
}
