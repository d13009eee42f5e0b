/** What `check` and `diff` are told to compare, read: files, folders of them, and builds on the hub. */
import { existsSync, statSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { SymbolFileError } from '../kabi/error.ts';
import { combineKernel, kernelOfModules } from '../kabi/kernel.ts';
import type { KernelKind } from '../kabi/kmod.ts';
import { type KernelSymbols, type Kmod, machineOf } from '../kabi/model.ts';
import { variantOf, variantOfRpm } from '../kabi/rpm.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { CheckError } from './error.ts';
import {
  countText,
  type Found,
  isOwn,
  isWithin,
  type Kind,
  problemOf,
  readFile,
  readFolder,
  type Unread,
} from './folder.ts';

/** Of builds on the hub, and of files for several: for x86_64, the plain kernel, and kmods for the same, unless told. */
export interface Told {
  readonly arch?: string;
  readonly variant?: string;
  /** A tag of the hub, all kmods of which count too. */
  readonly kmodsTag?: string;
  /** Read when something is named that is no file, and for a tag. */
  readonly config: () => Promise<Config>;
}

/** A kernel; the variants that its build makes, where it is one on the hub; and the names of its rpms that give no symbol. */
export type Kernel = KernelSymbols &
  Partial<Pick<KernelKind, 'siblings'>> & { readonly silent?: readonly string[] };

/** What was found beside what was asked for; it grows as things are read. */
export interface Beside {
  readonly passed: Kind[];
  readonly unread: Unread[];
}

/** An argument with the files that it names, or with none where it may be a build on the hub. */
export interface Named {
  readonly name: string;
  readonly files?: readonly SymbolFile[];
  /** Where it is a folder. */
  readonly found?: Found;
}

/** Arguments, by what they are. */
export interface Arguments {
  readonly kernel: readonly Named[];
  readonly baseline: readonly Named[];
  readonly kmods: readonly Named[];
}

/**
 * An option that takes several files takes the kmods after it too. Where none are named apart, an argument is a
 * kernel's if all its files are, or if it is a folder with any of a kernel's; of builds on the hub the first, since one
 * is a whole kernel.
 * @param isPart what counts as a kernel's too, beside what does for `check`; with it, all that a kernel's folder has is read
 * @throws CheckError, SymbolFileError
 */
export async function readArguments(
  names: {
    readonly kernel: readonly string[];
    readonly baseline?: readonly string[];
    readonly kmods: readonly string[];
  },
  isPart?: (file: SymbolFile) => boolean,
): Promise<Arguments> {
  const { kernel, baseline = [], kmods } = names;
  const ofKernel = { own: isPart !== undefined, image: true };
  const named = { kernel: await readAll(kernel, ofKernel), baseline: await readAll(baseline, ofKernel) };
  const sources = sourcesOf([...named.kernel, ...named.baseline]);
  if (kmods.length === 0) {
    const isOfKernel = (argument: Named, i: number) =>
      isKernel(argument, sources, isPart) && (argument.files || i === 0);
    if (!named.kernel.some(isOfKernel))
      throw new CheckError(
        `--kernel: ${kernel.join(', ')} is a kmod's; name Module.symvers or the kernel's rpms`,
      );
    const kmodsAmong = (some: readonly Named[]) => some.filter((argument, i) => !isOfKernel(argument, i));
    return {
      kernel: named.kernel.filter(isOfKernel),
      baseline: named.baseline.filter(isOfKernel),
      kmods: [...kmodsAmong(named.kernel), ...kmodsAmong(named.baseline)],
    };
  }
  const stray = [...named.kernel, ...named.baseline].find((argument) => !isKernel(argument, sources, isPart));
  if (stray) throw new CheckError(`${stray.name}: is a kmod's, not a kernel's; put all kmods behind --`);
  return { ...named, kmods: await readKmodArguments(kmods) };
}

/** Kmods without a kernel. */
export const readKmodArguments = (names: readonly string[]): Promise<Named[]> =>
  readAll(names, { own: true, image: false });

/** One after the other: of rpms only the headers are kept. */
async function readAll(names: readonly string[], wanted: Wanted): Promise<Named[]> {
  const named: Named[] = [];
  for (const name of names) named.push(await readArgument(name, wanted));
  return named;
}

type Wanted = Parameters<typeof readFolder>[1];

export async function readArgument(
  name: string,
  wanted: Wanted = { own: false, image: false },
): Promise<Named> {
  if (!existsSync(name)) return { name };
  if (statSync(name).isDirectory()) {
    const found = await readFolder(name, wanted);
    if (found.files.length + found.passed.length + found.unread.length === 0)
      throw new CheckError(`${name}: there is no file in this folder`);
    return { name, found, files: found.files };
  }
  try {
    const file = await readFile(name);
    return { name, files: file ? [file] : [] };
  } catch (error) {
    if (error instanceof SymbolFileError) throw error;
    throw new CheckError(problemOf(error, name));
  }
}

/** One argument of `diff`. */
export const readKernelArgument = async (name: string): Promise<readonly Named[]> => [
  await readArgument(name, { own: false, image: true }),
];

// ---- kernels ----------------------------------------------------------------------------------------

/** @param sources see `sourcesOf` */
function isKernel({ files = [], found }: Named, sources: ReadonlySet<string>, isPart = nothing): boolean {
  const isOfKernel = (file: SymbolFile) => isKernelPart(file, sources) || isPart(file);
  if (!found) return files.every((file) => isOfKernel(file) || saysNothing(file));
  const hasKernel = found.trees.length > 0 || files.some(isOfKernel);
  return hasKernel || (files.every(saysNothing) && found.unread.length > 0);
}

const nothing = (_: SymbolFile): boolean => false;

/** The source rpms of kernels: what else one makes is the kernel's too. */
const sourcesOf = (named: readonly Named[]): ReadonlySet<string> =>
  new Set(
    named
      .flatMap(({ files = [] }) => files)
      .filter((file) => isKernelPart(file, new Set()))
      .map(({ rpm }) => rpm?.sourceRpm ?? '')
      .filter(Boolean),
  );

/**
 * Module.symvers, a kernel's own file, rpms that are named as parts of a kernel are, what offers symbols and needs none, and SUSE's modules in
 * packages of their own, made by the kernel's build.
 */
function isKernelPart(file: SymbolFile, sources: ReadonlySet<string>): boolean {
  const { format, rpm, exports } = file;
  if (['symvers', 'image', 'stablelist', 'archive'].includes(format)) return true;
  if (rpm && (variantOf(rpm.name) !== null || file.stablelists.length > 0)) return true;
  return exports.size > 0 && (!needsSymbols(file) || sources.has(rpm?.sourceRpm ?? ''));
}

const needsSymbols = ({ kernelImports, kmodImports, imports }: SymbolFile): boolean =>
  kernelImports.length + kmodImports.length + imports.length > 0;

/** An rpm without symbols: of a kernel, tools, documentation, sources. */
const saysNothing = (file: SymbolFile): boolean =>
  file.rpm !== undefined && !needsSymbols(file) && file.exports.size === 0;

/**
 * One kernel of all the files that form it, or of the hub.
 * @throws CheckError, SymbolFileError for files of several kernels, HubError
 */
export async function kernelOf(
  named: readonly Named[],
  { arch, variant, config }: Told,
  beside: Beside,
  kmods: readonly Named[] = [],
  isPart = nothing,
): Promise<Kernel> {
  const [build] = named.filter(({ files }) => !files);
  if (build && named.length === 1) {
    const { kernelOnHub } = await hubBuilds();
    const { unread } = beside;
    return kernelOnHub(build.name, { arch: arch ?? ARCH, variant: variant ?? '', config, unread });
  }
  if (build) throw new CheckError(`${build.name}: there is no such file`);
  const all = named.flatMap(({ files = [] }) => files);
  const trees = named.flatMap(({ found }) => found?.trees ?? []);
  const inFolder = new Set(named.flatMap(({ found }) => found?.files ?? []));
  const sources = sourcesOf(named);
  const kindOf = (file: SymbolFile): Kind | null => {
    if (inFolder.has(file) && file.format === 'module')
      return isOwn(file.file, trees) || isPart(file) ? null : 'foreign';
    if (inFolder.has(file) && (isList(file) || (file.format === 'symvers' && isWithin(file.file, trees))))
      return 'lists';
    if (saysNothing(file) && all.length > 1) return silentKind(file) ?? 'silent';
    return inFolder.has(file) && !isKernelPart(file, sources) ? 'kmod' : null;
  };
  const parts = passOver(all, kindOf, beside);
  const unread = named.flatMap(({ found }) => found?.unread ?? []);
  beside.unread.push(...unread);
  assertSome(parts, named, beside, 'rpms of a kernel, or its Module.symvers');
  const chosen = ofOneKernel(parts, { arch, variant, usualArch: onlyArch(kmods) }, beside);
  // A kernel's own file without exports only has its types.
  const telling = chosen.filter(({ format, exports }) => format !== 'image' || exports.size > 0);
  const onlyImages = telling.every(({ format }) => format === 'image');
  const onlyModules =
    !onlyImages && telling.every(({ file, format }) => format === 'module' && isOwn(file, trees));
  // Of those only what they were built for counts: a symvers tells more of what they export.
  const samples = named
    .flatMap(({ found }) => found?.samples ?? [])
    .map((file) => ({ ...file, arch: null, exports: new Map() }));
  const kernel = onlyModules ? kernelOfModules(telling) : combineKernel([...chosen, ...samples]);
  const why = [
    ...(onlyModules ? [`only its modules are there, and what they need of vmlinux${MEND}`] : []),
    ...(onlyImages ? [`only its own file is there, which tells nothing of modules${MEND}`] : []),
    ...(unread.length > 0 ? [`${unread.length} of its files could not be read`] : []),
  ];
  const silent = all.flatMap(({ rpm, exports }) => (rpm && exports.size === 0 ? [rpm.name] : []));
  return { ...kernel, silent, ...(why.length > 0 && { partial: why.join('; ') }) };
}

const MEND = ': name its Module.symvers or symvers.gz for all that it exports';

/** Lists of symbols that a kernel promises, which are no kernel's own. */
const isList = ({ format, name, stablelists }: SymbolFile): boolean =>
  stablelists.length > 0 || (format === 'symvers' && name.startsWith('Module.kabi'));

/** Keep the files that are of no kind to be passed over. */
function passOver(
  files: readonly SymbolFile[],
  kindOf: (file: SymbolFile) => Kind | null,
  { passed }: Beside,
): SymbolFile[] {
  return files.filter((file) => {
    const kind = kindOf(file);
    if (kind) passed.push(kind);
    return kind === null;
  });
}

function assertSome(files: readonly SymbolFile[], named: readonly Named[], beside: Beside, wanted: string) {
  beside.passed.push(...named.flatMap(({ found }) => found?.passed ?? []));
  if (files.length > 0 || named.length === 0) return;
  const [broken] = named.flatMap(({ found }) => found?.unread ?? []);
  const names = named.map(({ name }) => name).join(', ');
  const others = beside.passed.length > 0 ? ` (passed over: ${countText(beside.passed)})` : '';
  throw new CheckError(broken?.problem ?? `${names}: nothing tells symbols${others}; name ${wanted}`);
}

/** Of rpms for several architectures or variants of a kernel, those that are meant. */
function ofOneKernel(
  parts: readonly SymbolFile[],
  told: Record<'arch' | 'variant' | 'usualArch', string | undefined>,
  beside: Beside,
): SymbolFile[] {
  const rpms = parts.flatMap(({ rpm }) => (rpm ? [rpm] : []));
  const named = parts.map((file) => ({
    ...file,
    variant: (file.rpm && variantOfRpm(file.rpm.name, rpms)) ?? file.variant,
  }));
  const ofArch = choose(named, 'arch', told.arch, told.usualArch, beside);
  const chosen = choose(ofArch, 'variant', told.variant, '', beside);
  const versions = new Map<string, string>();
  for (const { rpm, name } of chosen) {
    const other = rpm && versions.get(rpm.name);
    if (other && other !== name)
      throw new CheckError(`${name} and ${other} are of two kernels: name the rpms of one`);
    if (rpm) versions.set(rpm.name, name);
  }
  return chosen;
}

/** Keep what is for the wanted one, or does not tell. Where none is wanted, there must be one, or the usual one. */
function choose(
  files: readonly SymbolFile[],
  what: 'arch' | 'variant',
  wanted: string | undefined,
  usual: string | undefined,
  beside: Beside,
): SymbolFile[] {
  const found = [...new Set(files.map((file) => file[what]).filter((it) => it !== null))].sort();
  const value = wanted ?? (found.length === 1 ? found[0] : usual);
  if (found.length === 0) return [...files];
  if (value === undefined || !found.includes(value)) {
    const shown = found.map((it) => it || 'plain').join(', ');
    const several = what === 'arch' ? 'architectures' : 'variants';
    throw new CheckError(
      found.length === 1
        ? `the kernel's rpms are for ${shown}, and --${what} asks for ${value || 'plain'}`
        : `the kernel's rpms are for several ${several} (${shown}): see --${what}`,
    );
  }
  return passOver(files, (file) => ([value, null].includes(file[what]) ? null : what), beside);
}

/** The one that all files are for, as far as they tell. */
function onlyArch(named: readonly Named[]): string | undefined {
  const kept = named.flatMap(({ files = [] }) => files).filter((file) => kmodKind(file) === null);
  const arches = new Set(kept.map(({ arch }) => arch).filter((arch) => arch !== null));
  return arches.size === 1 ? [...arches][0] : undefined;
}

// ---- kmods ------------------------------------------------------------------------------------------

/** With Koji's client and all that it needs, which takes longer to load than the rest. */
const hubBuilds = () => import('./hubbuild.ts');

/** Of a build on the hub, where nothing tells. */
export const ARCH = 'x86_64';

/** Kmods of files, and those of the hub that are for this kernel: builds that are named, and a tag's. Throws CheckError, HubError. */
export async function kmodsOf(
  named: readonly Named[],
  kernel: Kernel,
  told: Told,
  beside: Beside,
): Promise<Kmod[]> {
  const files = named.filter((argument) => argument.files);
  const inFolder = new Set(named.flatMap(({ found }) => found?.files ?? []));
  const kept = passOver(
    files.flatMap((argument) => argument.files ?? []),
    (file) => {
      const kind = kmodKind(file);
      return kind !== null && (inFolder.has(file) || file.rpm) ? kind : null;
    },
    beside,
  );
  beside.unread.push(...files.flatMap(({ found }) => found?.unread ?? []));
  assertSome(kept, files, beside, 'rpms of kmods, modules or lists of modversions');
  const machine = machineOf(kernel.arch);
  const isOther = ({ arch }: SymbolFile) => machine !== null && arch !== null && machineOf(arch) !== machine;
  const hasFit = kept.some((file) => !isOther(file));
  const inFiles = passOver(
    kept,
    (file) => (hasFit && inFolder.has(file) && isOther(file) ? 'arch' : null),
    beside,
  );
  const builds = named.filter((argument) => !argument.files).map(({ name }) => name);
  if (builds.length === 0 && told.kmodsTag === undefined) return inFiles;
  const variant = kernel.variant ?? told.variant ?? null;
  const kind = { variant, siblings: kernel.siblings ?? (variant === null ? [] : [variant]) };
  const { kmodsOfTag, kmodsOnHub } = await hubBuilds();
  const { config, kmodsTag } = told;
  const options = { arch: told.arch ?? kernel.arch ?? ARCH, config, ...beside };
  const onHub = builds.length > 0 ? await kmodsOnHub(builds, kernel, kind, options) : [];
  const tagged = kmodsTag === undefined ? [] : await kmodsOfTag(kmodsTag, kernel, kind, options);
  const isNamed = new Set([...inFiles, ...onHub].map(({ name }) => name));
  return [...inFiles, ...onHub, ...tagged.filter(({ name }) => !isNamed.has(name))];
}

/** Why a file is no kmod's; null where it is one. */
function kmodKind(file: SymbolFile): Kind | null {
  const { format, rpm, exports } = file;
  if (format === 'module' || format === 'modversions') return null;
  if (format === 'image') return 'other';
  if (!rpm || file.stablelists.length > 0) return 'lists';
  if (variantOf(rpm.name) !== null || [...exports.values()].some(({ asKernel }) => asKernel))
    return needsSymbols(file) ? null : 'kernel';
  return silentKind(file);
}

/** What an rpm is that has neither symbols nor modules, and asks for no kernel; null of anything else. */
function silentKind(file: SymbolFile): Kind | null {
  const { rpm, exports } = file;
  if (!rpm) return null;
  if (rpm.sourceRpm === null) return 'source';
  if (/-debug(info|source)(-|$)/.test(rpm.name)) return 'debuginfo';
  if (needsSymbols(file) || exports.size > 0 || rpm.hasModules || rpm.isForKernel) return null;
  if (/-(devel|headers)(-|$)/.test(rpm.name)) return 'devel';
  return rpm.arch === 'noarch' ? 'noarch' : 'silent';
}
