/** Files with kernel symbols of any kind, told apart by what they hold. */
import { SymbolFileError } from '../kabi/error.ts';
import type { Kmod, Stablelist } from '../kabi/model.ts';
import { packagingOf } from '../kabi/requires.ts';
import { symbolsOfRpm } from '../kabi/rpm.ts';
import { parseModversions, parseStablelist, parseSymvers } from '../kabi/text.ts';
import { bytesOf } from './bytes.ts';
import { readCpio } from './cpio.ts';
import { ELF_MAGIC } from './elf.ts';
import { readImage } from './image.ts';
import { readModule } from './module.ts';
import { RPM_MAGIC, type Rpm, readRpm, readRpmFiles } from './rpm.ts';
import { listOfExports, stablelistsIn } from './stablelists.ts';
import { isTar, readTar } from './tar.ts';
import { unpack, unpackNow } from './unpack.ts';

/**
 * What a file tells: as part of a kernel its `exports` count, as a kmod its imports too. Whichever a format
 * cannot tell is empty.
 */
export interface SymbolFile extends Kmod {
  readonly file: string;
  readonly format: 'rpm' | 'module' | 'image' | 'symvers' | 'modversions' | 'stablelist' | 'archive';
  /** Of a stablelist file one, of a kernel-abi-stablelists rpm, or dist-git's archive, one for each architecture and release. */
  readonly stablelists: readonly Stablelist[];
  /** Of an rpm. */
  readonly rpm?: RpmFacts;
  /** Of a module: see KernelModule. */
  readonly isInTree?: boolean;
  /** Of a kernel's image or vmlinux: its types; see `readBtf`. */
  readonly btf?: Uint8Array;
}

/** What tells what an rpm is for, beside its symbols. */
export interface RpmFacts {
  readonly name: string;
  /** As `Rpm` has it. */
  readonly sourceRpm: string | null;
  readonly arch: string;
  /** Among its files are modules (`.ko`). */
  readonly hasModules: boolean;
  /** It asks for a kernel, or says that it has modules, in other words than symbols: `kernel-uname-r`, `modalias(…)`. */
  readonly isForKernel: boolean;
}

/**
 * Read an rpm, a kernel module, Module.symvers (or dist-git's Module.kabi_ARCH), a list of modversions, a stablelist, a tar
 * of stablelists, or a kernel's vmlinuz, vmlinux or BTF; each may be compressed by gzip, xz, zstd, bzip2, lzma or lz4.
 * @param data the whole file; of an rpm, its headers are enough
 * @param file its name, for errors and, without ending, as the name of what does not tell its own
 * @param whole gives the whole file, where the headers of an rpm are not enough
 * @throws SymbolFileError, and nothing else, whatever the bytes are
 */
export async function readSymbolFile(
  data: Uint8Array,
  file: string,
  whole = () => data,
): Promise<SymbolFile> {
  const plain = await unpack(data, file);
  if (!isRpm(plain)) return (await readImageFile(plain, file)) ?? readPlain(plain, file);
  const rpm = readRpm(plain, file);
  const all = plain === data && STABLELIST_RPM.test(rpm.name) ? whole() : plain;
  const packed = payloadOf(rpm, all, file);
  const archive = packed && (await unpack(packed, insideOf(file), PAYLOAD_MAX));
  const stablelists = archive ? listsInRpm(archive, all, file) : [];
  return {
    ...symbolsOfRpm(rpm),
    packaging: packagingOf(rpm),
    ...{ file, format: 'rpm', stablelists, rpm: factsOf(rpm, all, file) },
  };
}

/**
 * The lists of symbols to keep that a file has, read at once: what is packed by zstd is refused before `loadZstd`.
 * @throws SymbolFileError
 */
export function readStablelistsNow(data: Uint8Array, file: string): readonly Stablelist[] {
  const plain = unpackNow(data, file);
  if (!isRpm(plain)) return stablelistsOf(readPlain(plain, file));
  const packed = payloadOf(readRpm(plain, file), plain, file);
  return packed ? listsInRpm(unpackNow(packed, insideOf(file), PAYLOAD_MAX), plain, file) : [];
}

const isRpm = (data: Uint8Array): boolean =>
  data.byteLength >= 4 && bytesOf(data, '', 'big').u32(0) === RPM_MAGIC;

/** A kernel's own file, unpacked; null of anything else. */
async function readImageFile(data: Uint8Array, file: string): Promise<SymbolFile | null> {
  const image = await readImage(data, file);
  if (!image) return null;
  const { arch, exports, btf } = image;
  const told: SymbolFile = { ...noSymbols(file), arch, exports, format: 'image' };
  // A copy: the kernel around it is ten times as large.
  return btf ? { ...told, btf: Uint8Array.from(btf) } : told;
}

/** What is neither an rpm nor a kernel's own file, unpacked. */
function readPlain(data: Uint8Array, file: string): SymbolFile {
  const bytes = bytesOf(data, file, 'big');
  const magic = bytes.size >= 4 ? bytes.u32(0) : 0;
  if (magic === ELF_MAGIC) return { ...readModule(data, file), file, format: 'module', stablelists: [] };
  return isTar(data) ? readArchive(data, file) : readText(bytes.slice(0, bytes.size), file);
}

/**
 * The lists of symbols to keep that a file has. Whatever tells how symbols are exported is one too: dist-git's
 * Module.kabi_ARCH, and SUSE's kabi/ARCH/symvers-FLAVOUR, have the form of Module.symvers.
 */
export const stablelistsOf = ({ format, name, exports, stablelists }: SymbolFile): readonly Stablelist[] =>
  format === 'symvers' ? [listOfExports(name, exports)] : stablelists;

const MODULE_FILE = /\.ko(\.(gz|xz|zst|bz2|lzma))?$/;
/** What kmods require of a kernel, and what they provide, as the macros and generators of EL, Fedora and SUSE write it. */
const REQUIRED = /^(kernel-([\w-]+-)?uname-r|kabi-modules)$/;
const PROVIDED = /^(kmod|modalias)\(/;

function factsOf(rpm: Rpm, data: Uint8Array, file: string): RpmFacts {
  const { name, sourceRpm, arch, provides, requires } = rpm;
  return {
    ...{ name, sourceRpm, arch },
    hasModules: readRpmFiles(data, file).some(({ path }) => MODULE_FILE.test(path)),
    isForKernel:
      requires.names.some((it) => REQUIRED.test(it)) || provides.names.some((it) => PROVIDED.test(it)),
  };
}

function readArchive(data: Uint8Array, file: string): SymbolFile {
  if (data.length > PAYLOAD_MAX)
    throw new SymbolFileError(file, { offset: PAYLOAD_MAX }, 'too long an archive of lists', KINDS);
  const stablelists = stablelistsIn(readTar(data, file), file);
  if (stablelists.length === 0)
    throw new SymbolFileError(file, null, 'an archive without a stablelist', KINDS);
  return { ...noSymbols(file), format: 'archive', stablelists };
}

/** CentOS and others have the same names. */
const STABLELIST_RPM = /^kernel-abi-(stable|white)lists?$/;
/** As PAYLOADCOMPRESSOR names those that are read here. */
const COMPRESSORS: readonly string[] = ['gzip', 'xz', 'zstd', 'bzip2', 'lzma'];
/** Most bytes that its payload may have, unpacked: real ones have less than one million. */
const PAYLOAD_MAX = 16 * 1024 * 1024;
/** Most bytes of a text: a Module.symvers has two million. */
const TEXT_MAX = 16 * 1024 * 1024;

/** The packed payload of an rpm that holds stablelists; null of any other. */
function payloadOf({ name, payload }: Rpm, data: Uint8Array, file: string): Uint8Array | null {
  if (!STABLELIST_RPM.test(name)) return null;
  const { compressor, offset } = payload;
  if (COMPRESSORS.includes(compressor)) return data.subarray(offset);
  const mend = 'unpack it by rpm2cpio and name the stablelist files';
  throw new SymbolFileError(file, { offset }, `a payload compressed by ${compressor}`, mend);
}

const insideOf = (file: string): string => `${file}: payload`;

const listsInRpm = (archive: Uint8Array, rpm: Uint8Array, file: string): Stablelist[] =>
  stablelistsIn(readCpio(archive, insideOf(file), readRpmFiles(rpm, file)), file);

/** Names of files, without the folder and the endings of what they hold. */
const ENDINGS = /(\.(symvers|modversions|txt|gz|xz|zst|bz2|lzma))+$/;

const KINDS = 'name an rpm, a .ko, a vmlinuz, a Module.symvers, a list of modversions or a stablelist';

/** What a file tells that tells nothing, and is named after its own name. */
function noSymbols(file: string): Omit<SymbolFile, 'format'> {
  const name = file.replace(/^.*\//, '').replace(ENDINGS, '');
  const none = { kernelImports: [], kmodImports: [], imports: [], exports: new Map(), stablelists: [] };
  return { ...none, file, name, arch: null, variant: null };
}

function readText(data: Buffer, file: string): SymbolFile {
  const common = noSymbols(file);
  const text = () => data.toString('latin1');
  const head = data.toString('latin1', 0, 4096);
  if (data.length > TEXT_MAX) throw new SymbolFileError(file, { offset: TEXT_MAX }, 'too long a text', KINDS);
  if (/^\s*\[/.test(head))
    return { ...common, format: 'stablelist', stablelists: [parseStablelist(text(), file)] };
  const columns = /^\s*0x[0-9a-f]+\t.*/i.exec(head)?.[0].split('\t').length ?? 0;
  if (columns === 2) return { ...common, format: 'modversions', imports: parseModversions(text(), file) };
  if (columns > 2) return { ...common, format: 'symvers', exports: parseSymvers(text(), file) };
  throw new SymbolFileError(file, { offset: 0 }, 'nothing that tells kernel symbols', KINDS);
}
