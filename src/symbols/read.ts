/** Files with kernel symbols of any kind, told apart by what they hold. */
import { SymbolFileError } from '../kabi/error.ts';
import type { Kmod, Stablelist } from '../kabi/model.ts';
import { symbolsOfRpm } from '../kabi/rpm.ts';
import { parseModversions, parseStablelist, parseSymvers } from '../kabi/text.ts';
import { bytesOf } from './bytes.ts';
import { readCpio } from './cpio.ts';
import { ELF_MAGIC } from './elf.ts';
import { readImage } from './image.ts';
import { readModule } from './module.ts';
import { RPM_MAGIC, type Rpm, readRpm } from './rpm.ts';
import { unpack } from './unpack.ts';

/**
 * What a file tells: as part of a kernel its `exports` count, as a kmod its imports too. Whichever a format
 * cannot tell is empty.
 */
export interface SymbolFile extends Kmod {
  readonly file: string;
  readonly format: 'rpm' | 'module' | 'image' | 'symvers' | 'modversions' | 'stablelist';
  /** Of a stablelist file one, of a kernel-abi-stablelists rpm one for each architecture and release. */
  readonly stablelists: readonly Stablelist[];
  /** Of a module: see KernelModule. */
  readonly isInTree?: boolean;
  /** Of a kernel's image or vmlinux: its types; see `readBtf`. */
  readonly btf?: Uint8Array;
}

/**
 * Read an rpm, a kernel module, Module.symvers (or dist-git's Module.kabi_ARCH), a list of modversions, a stablelist, or a
 * kernel's vmlinuz, vmlinux or BTF; each may be compressed by gzip, xz, zstd or lz4.
 * @param data the whole file
 * @param file its name, for errors and, without ending, as the name of what does not tell its own
 * @throws SymbolFileError, and nothing else, whatever the bytes are
 */
export async function readSymbolFile(data: Uint8Array, file: string): Promise<SymbolFile> {
  const plain = await unpack(data, file);
  const bytes = bytesOf(plain, file, 'big');
  const magic = bytes.size >= 4 ? bytes.u32(0) : 0;
  if (magic === RPM_MAGIC) return readRpmFile(plain, file);
  const image = await readImage(plain, file);
  if (image) {
    const { arch, exports, btf } = image;
    const told = { ...empty(file), arch, exports, format: 'image' as const };
    // A copy: the kernel around it is ten times as large.
    return btf ? { ...told, btf: Uint8Array.from(btf) } : told;
  }
  if (magic === ELF_MAGIC) return { ...readModule(plain, file), file, format: 'module', stablelists: [] };
  return readText(bytes.slice(0, bytes.size), file);
}

async function readRpmFile(data: Uint8Array, file: string): Promise<SymbolFile> {
  const rpm = readRpm(data, file);
  const stablelists = STABLELIST_RPM.test(rpm.name) ? await readStablelists(rpm, data, file) : [];
  return { ...symbolsOfRpm(rpm), file, format: 'rpm', stablelists };
}

/** Once called whitelists; CentOS and others have the same names. */
const STABLELIST_RPM = /^kernel-abi-(stable|white)lists?$/;
const STABLELIST_FILE = /\/kabi_(stable|white)list_[^/]+$/;
/** As PAYLOADCOMPRESSOR names those that are read here. */
const COMPRESSORS: readonly string[] = ['gzip', 'xz', 'zstd'];
/** Most bytes that its payload may have, unpacked: real ones have less than one million. */
const PAYLOAD_MAX = 16 * 1024 * 1024;
/** Most bytes of a text: a Module.symvers has two million. */
const TEXT_MAX = 16 * 1024 * 1024;

async function readStablelists({ payload }: Rpm, data: Uint8Array, file: string): Promise<Stablelist[]> {
  const { compressor, offset } = payload;
  if (!COMPRESSORS.includes(compressor)) {
    const mend = 'unpack it by rpm2cpio and name the stablelist files';
    throw new SymbolFileError(file, { offset }, `a payload compressed by ${compressor}`, mend);
  }
  const inside = `${file}: payload`;
  const archive = await unpack(data.subarray(offset), inside, PAYLOAD_MAX);
  return [...readCpio(archive, inside)]
    .filter(({ name, isFile }) => isFile && STABLELIST_FILE.test(name))
    .map(({ name, data }) => parseStablelist(data.toString('latin1'), `${file}: ${name}`));
}

/** Names of files, without the folder and the endings of what they hold. */
const ENDINGS = /(\.(symvers|modversions|txt|gz|xz|zst))+$/;

const KINDS = 'name an rpm, a .ko, a vmlinuz, a Module.symvers, a list of modversions or a stablelist';

/** What a file tells that tells nothing, and is named after its own name. */
const empty = (file: string) => ({
  ...{ file, name: file.replace(/^.*\//, '').replace(ENDINGS, ''), arch: null, variant: null },
  ...{ kernelImports: [], kmodImports: [], imports: [], exports: new Map(), stablelists: [] },
});

function readText(data: Buffer, file: string): SymbolFile {
  const common = empty(file);
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
