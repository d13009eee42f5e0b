/** The rpms of kernels and kmods as the makers of each lay them out: what they provide, require and hold. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { type Kernel, type KernelSymbol, type Kmod, type Nvr, splitNvr } from './scenario.ts';
import { type Dep, FAULT, type Rpm } from './state.ts';

/** rpm's dependency flags: EQUAL; the same found by a generator; LESS|EQUAL on a feature of rpm. */
const EQUAL = 8;
const FOUND_REQUIRES = 16392;
const RPMLIB = 16777226;

/** An rpm before a build has it. */
export type NewRpm = Omit<Rpm, 'id' | 'buildtime' | 'build_id'>;

type Holding = Partial<Pick<Rpm, 'provides' | 'requires' | 'files'>>;

/** An rpm of a build. Its release is that of the build without the ending of drafts. */
export function rpmOf(
  { version, release: ofBuild }: Pick<Nvr, 'version' | 'release'>,
  name: string,
  arch: string,
  { provides = [], requires = [], files = [] }: Holding = {},
): NewRpm {
  const release = ofBuild.replace(/,draft_\d+$/, '');
  const own = arch === 'src' ? [] : selfProvides(name, `${version}-${release}`, arch);
  return { name, version, release, arch, provides: [...provides, ...own], requires, files };
}

export const sourceRpm = (build: Nvr): NewRpm => rpmOf(build, build.name, 'src');

/** What rpm itself makes every package provide: its name, and its name with the ISA. */
function selfProvides(name: string, version: string, arch: string): Dep[] {
  const isa = arch.replace('x86_64', 'x86-64').replace('aarch64', 'aarch-64');
  return [name, `${name}(${isa})`].map((provided) => ({ name: provided, version, flags: EQUAL }));
}

/**
 * The rpms that a build of a kernel or of a kmod makes for one architecture.
 * @param kernels those that a kmod may be built for
 */
export function rpmsOf(spec: Kernel | Kmod, arch: string, kernels: readonly Kernel[]): NewRpm[] {
  const rpms = 'symbols' in spec ? kernelRpms(spec, arch) : kmodRpms(spec, arch, kernels);
  return rpms.map((rpm) => orLost(spec, rpm));
}

/** An rpm of a build, with its file or, where the scenario says so, without. */
export function orLost({ unreadable = [] }: Pick<Kernel, 'unreadable'>, rpm: NewRpm): NewRpm {
  const isLost = [rpm.name, `${rpm.name}.${rpm.arch}`].some((called) => unreadable.includes(called));
  return isLost ? { ...rpm, isLost } : rpm;
}

/** `kernel(SYM)` and `ksym(SYM)` of EL; SUSE's `ksym(FLAVOUR:SYM)` for both, its CRC without 0x and padding. */
function dependency(
  form: 'kernel' | 'ksym',
  flavour: string | null | undefined,
  flags: number,
  { name, crc }: Pick<KernelSymbol, 'name' | 'crc'>,
): Dep {
  if (!flavour) return { name: `${form}(${name})`, version: crc, flags };
  return { name: `ksym(${flavour}:${name})`, version: crc.replace(/^0x0*(?=.)/, ''), flags };
}

/**
 * vmlinux's exports are in -core, those of modules in -modules, unless all are one rpm, and some in rpms of their own;
 * and so for each variant.
 */
function kernelRpms(kernel: Kernel, arch: string): NewRpm[] {
  const { name, symbols, variants, single, others = [], flavour } = kernel;
  const exported = (some: readonly KernelSymbol[]) =>
    some.map((symbol) => dependency('kernel', flavour, EQUAL, symbol));
  const partsOf = (prefix: string, all: readonly KernelSymbol[], uname: string) => {
    const itself = { name: 'kernel-uname-r', version: uname, flags: EQUAL };
    const folder = `/lib/modules/${uname}`;
    const own = all.filter(({ rpm }) => rpm === undefined);
    const core = own.filter(({ vmlinux }) => single || vmlinux);
    const modules = own.filter((symbol) => !core.includes(symbol));
    const main = { provides: [...exported(core), itself], files: [`${folder}/vmlinuz`] };
    if (single) return [rpmOf(kernel, prefix, arch, main)];
    return [
      rpmOf(kernel, `${prefix}-modules`, arch, {
        provides: exported(modules),
        files: [`${folder}/kernel/fs/a.ko`],
      }),
      rpmOf(kernel, `${prefix}-core`, arch, main),
    ];
  };
  const uname = unameOf(kernel, arch);
  const devel = { name: `${name}-devel-uname-r`, version: uname, flags: EQUAL };
  const everything = [...symbols, ...Object.values(variants).flat()];
  const apart = new Set([...everything.flatMap(({ rpm }) => rpm ?? []), ...others]);
  return [
    ...partsOf(name, symbols, uname),
    ...(single ? [] : [rpmOf(kernel, name, arch)]),
    rpmOf(kernel, `${name}-devel`, arch, { provides: [devel] }),
    ...Object.entries(variants).flatMap(([variant, own]) =>
      partsOf(`${name}-${variant}`, own, `${uname}+${variant}`),
    ),
    ...[...apart].map((rpm) => {
      const own = everything.filter((symbol) => symbol.rpm === rpm);
      return rpmOf(kernel, rpm, arch, { provides: exported(own) });
    }),
  ];
}

/** What `uname -r` prints. */
const unameOf = ({ version, release }: Pick<Nvr, 'version' | 'release'>, arch: string): string =>
  `${version}-${release}.${arch}`;

function kmodRpms(kmod: Kmod, arch: string, kernels: readonly Kernel[]): NewRpm[] {
  const { name, variants, needs, flavour, built_for = [], one_rpm } = kmod;
  const ofKmods = (symbols: Kmod['exports'], flags: number) =>
    Object.entries(symbols).map(([symbol, crc]) => dependency('ksym', flavour, flags, { name: symbol, crc }));
  const rpmlib = { name: 'rpmlib(CompressedFileNames)', version: '3.0.4-1', flags: RPMLIB };
  const importing = (rpm: string, imports: Kmod['imports'], { requires = [], files = [] }: Holding = {}) =>
    rpmOf(kmod, rpm, arch, {
      provides: ofKmods(kmod.exports, EQUAL),
      requires: [
        ...imports.map((symbol) => dependency('kernel', flavour, FOUND_REQUIRES, symbol)),
        ...ofKmods(needs, FOUND_REQUIRES),
        ...requires,
        rpmlib,
      ],
      files,
    });
  const whole = flavour ? `${name}-kmp-${flavour}` : name;
  const parts = built_for.map((nvr) => {
    const uname = unameOf(splitNvr(nvr), arch);
    const imports = importsFor(
      kmod,
      kernels.find((kernel) => kernel.nvr === nvr),
    );
    return { uname, imports, files: [`/lib/modules/${uname}/extra/${name}/${name}.ko`] };
  });
  const others = Object.entries(variants).map(([variant, own]) => importing(`${whole}-${variant}`, own));
  if (parts.length === 0) return [importing(whole, kmod.imports), ...others];
  if (one_rpm) {
    const imports = parts.flatMap((part) => part.imports);
    return [importing(whole, imports, { files: parts.flatMap(({ files }) => files) }), ...others];
  }
  return [
    ...parts.map(({ uname, imports, files }) => {
      const requires = [{ name: 'kernel-uname-r', version: uname, flags: EQUAL }];
      return importing(`${whole}-${uname}`, imports, { requires, files });
    }),
    ...others,
  ];
}

/** What a kmod imports once it is built for a kernel: what that exports, with its CRCs. */
export function importsFor({ imports }: Kmod, kernel: Kernel | undefined): Kmod['imports'] {
  const crcs = new Map(kernel?.symbols.map(({ name, crc }) => [name, crc]));
  return imports.map((of) => ({ ...of, crc: crcs.get(of.name) ?? of.crc }));
}

// ---- headers of the files ---------------------------------------------------------------------------

const FIELDS = { NAME: 'name', VERSION: 'version', FLAGS: 'flags' } as const;

/**
 * A header of an rpm's file as `getRPMHeaders` has it (koji.get_header_field and fixEncodingRecurse): a list even where
 * it is empty, in texts no control character, and a question mark for each byte that is no UTF-8. Throws fault 1000 for
 * one that is neither of dependencies nor of files.
 */
export function rpmHeader(rpm: Rpm, header: string): XmlValue {
  return headerOf(rpm, header.toUpperCase()).map((it) => (typeof it === 'string' ? fixEncoding(it) : it));
}

function headerOf({ provides, requires, files = [] }: Rpm, header: string): (string | number)[] {
  const folders = [...new Set(files.map(folderOf))];
  if (header === 'DIRNAMES') return folders;
  if (header === 'BASENAMES') return files.map((file) => file.slice(folderOf(file).length));
  if (header === 'DIRINDEXES') return files.map((file) => folders.indexOf(folderOf(file)));
  const match = /^(PROVIDE|REQUIRE)(NAME|VERSION|FLAGS)$/.exec(header);
  if (match === null) throw new Fault(FAULT.GENERIC, `No such rpm header field: ${header}`);
  const field = FIELDS[match[2] as keyof typeof FIELDS];
  return (match[1] === 'PROVIDE' ? provides : requires).map((dep) => dep[field]);
}

const folderOf = (file: string): string => file.slice(0, file.lastIndexOf('/') + 1);

/** koji.removeNonprintable. */
const fixEncoding = (text: string): string =>
  [...text]
    .filter((it) => it >= ' ' || '\r\n\t'.includes(it))
    .map((it) => (/^\p{Surrogate}$/u.test(it) ? '?' : it))
    .join('');
