/** Symbols as rpms tell them, in their dependencies. */
import { parseCrc } from './crc.ts';
import { COMPARISON, SENSE } from './evr.ts';
import { type ExportedSymbol, type ImportedSymbol, type Kmod, SYMBOL } from './model.ts';

/** Whose it is: the kernel's (EL's `kernel(SYM)`), a kmod's (EL's `ksym(SYM)`), or of either (SUSE's `ksym(FLAVOUR:SYM)`). */
export type Form = 'kernel' | 'kmod' | 'either';

/** A dependency on a symbol, or the offer of one. */
export interface SymbolDependency extends ImportedSymbol {
  readonly from: Form;
  /** SUSE's kernel flavour. */
  readonly flavour?: string;
}

/**
 * What a provide or a require says of a symbol: `kernel(SYM) = 0xCRC` and `ksym(SYM) = 0xCRC` as EL writes them,
 * `ksym(FLAVOUR:SYM) = CRC` as SUSE does, without 0x and padding.
 * @param name PROVIDENAME or REQUIRENAME
 * @param version PROVIDEVERSION or REQUIREVERSION
 * @param flags PROVIDEFLAGS or REQUIREFLAGS; all but the comparison is masked off. Without it: taken as `=`
 * @returns null where it is anything else
 */
export function parseDependency(
  name: string,
  version: string,
  flags: number = SENSE.EQUAL,
): SymbolDependency | null {
  const kernel = name.startsWith('kernel(');
  if (!(kernel || name.startsWith('ksym(')) || !name.endsWith(')')) return null;
  if ((flags & COMPARISON) !== SENSE.EQUAL) return null;
  const crc = parseCrc(version);
  const inner = name.slice(name.indexOf('(') + 1, -1);
  const colon = inner.indexOf(':');
  const symbol = inner.slice(colon + 1);
  if (crc === null || !SYMBOL.test(symbol)) return null;
  if (colon >= 0) return { symbol, crc, from: 'either', flavour: inner.slice(0, colon) };
  return { symbol, crc, from: kernel ? 'kernel' : 'kmod' };
}

/** Dependencies as an rpm's header or Koji's `getRPMHeaders` gives them: arrays of equal length. */
export interface DependencyArrays {
  readonly names: readonly string[];
  readonly versions: readonly string[];
  readonly flags?: readonly number[];
}

/** What of an rpm tells about symbols: of its header, or of Koji's `getRPM` and `getRPMHeaders`. */
export interface RpmSymbols {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly arch: string;
  readonly provides: DependencyArrays;
  readonly requires: DependencyArrays;
}

/** What an rpm exports and imports: a kmod's, or that of a part of a kernel. */
export function symbolsOfRpm(rpm: RpmSymbols): Kmod {
  const { name: provider, version, release, arch } = rpm;
  const exports = new Map<string, ExportedSymbol>();
  const needs: SymbolDependency[] = [];
  const flavours = new Set<string | undefined>();
  eachDependency(rpm.provides, (offer) => {
    exports.set(offer.symbol, exportOf(offer, provider));
    flavours.add(offer.flavour);
  });
  eachDependency(rpm.requires, (need) => {
    needs.push(need);
    flavours.add(need.flavour);
  });
  const [flavour = null] = flavours.size === 1 ? flavours : [];
  return {
    name: `${provider}-${version}-${release}`,
    arch: arch === 'noarch' ? null : arch,
    variant: variantOf(provider) ?? flavour,
    ...importsOf(needs),
    exports,
  };
}

/** A symbol as an rpm offers it. */
export function exportOf({ symbol: name, crc, from }: SymbolDependency, provider: string): ExportedSymbol {
  return from === 'kernel' ? { name, crc, provider, asKernel: true } : { name, crc, provider };
}

/** What rpms need, by whom they need it of. */
export function importsOf(
  needs: readonly SymbolDependency[],
): Pick<Kmod, 'kernelImports' | 'kmodImports' | 'imports'> {
  const of = (form: Form): ImportedSymbol[] =>
    needs.filter(({ from }) => from === form).map(({ symbol, crc }) => ({ symbol, crc }));
  return { kernelImports: of('kernel'), kmodImports: of('kmod'), imports: of('either') };
}

/** All that is said of symbols, in the order given. */
export function parseDependencies(arrays: DependencyArrays): SymbolDependency[] {
  const found: SymbolDependency[] = [];
  eachDependency(arrays, (dependency) => found.push(dependency));
  return found;
}

/** Call `visit` for all that is said of symbols; what is not of those forms is left out. */
function eachDependency(
  { names, versions, flags }: DependencyArrays,
  visit: (dependency: SymbolDependency) => void,
): void {
  for (let i = 0; i < names.length; i++) {
    const dependency = parseDependency(names[i] ?? '', versions[i] ?? '', flags?.[i]);
    if (dependency) visit(dependency);
  }
}

/**
 * The kernel that an rpm holds a part of, by their names alone: of `kernel-rt-modules-core` it is `kernel-rt`. Where all
 * rpms of the build are known, `rpmsOfKernel` tells more.
 * @returns null where the name does not tell of a kernel itself or modules of one
 */
export function kernelOfPart(rpm: string): string | null {
  return /^(.+?)-(?:core|kvm|extra|optional|modules(?:-.+)?)$/.exec(rpm)?.[1] ?? null;
}

/** A kernel of a build: `name` is the build's package, `variant` as a Gate has it. */
export interface KernelName {
  readonly name: string;
  readonly variant: string;
}

/** What its rpms' names begin with: `kernel`, `kernel-rt`, `kernel-default`. */
export const kernelPrefix = ({ name, variant }: KernelName): string =>
  variant === '' ? name : `${name}-${variant}`;

/** What Koji tells of an rpm, as far as it matters here. */
interface NamedRpm {
  readonly name: string;
  readonly arch: string;
}

/**
 * The rpms of a build that form one kernel, for all architectures. What they are called after its name does not
 * matter, since each maker has names of its own: `-modules-extra`, `-kvm`, `-modules-wireless`, `-optional`. An rpm is
 * of that kernel of the build whose name its own begins with, of several the longest: `kernel-rt-debug-kvm` is no part
 * of `kernel-rt`. Those that surely hold no symbols are left out: each that is read costs a request.
 */
export function rpmsOfKernel<Rpm extends NamedRpm>(kernel: KernelName, rpms: readonly Rpm[]): Rpm[] {
  const prefix = kernelPrefix(kernel);
  const names = namesOf(rpms);
  const ownerOf = ownerAmong(kernelsOf(names).add(prefix));
  // Beside -core, the rpm that is called as the kernel is only requires the others.
  const isEmpty = (name: string) => name === prefix && names.has(`${prefix}-core`);
  // SUSE: modules in packages of their own, made by the kernel's build.
  const flavour = /^kernel-(.+)$/.exec(prefix)?.[1];
  const isModules = (name: string) => flavour !== undefined && name.endsWith(`-kmp-${flavour}`);
  return rpms.filter(
    ({ name, arch }) =>
      !SOURCES.has(arch) &&
      ((ownerOf(name) === prefix && !isEmpty(name) && !isSilent(name.slice(prefix.length))) ||
        isModules(name)),
  );
}

/** The kernel that an rpm is of by its name: of several whose names it begins with, the longest. */
function ownerAmong(kernels: ReadonlySet<string>): (rpm: string) => string | undefined {
  const longestFirst = [...kernels].sort((a, b) => b.length - a.length);
  return (rpm) => longestFirst.find((it) => rpm === it || rpm.startsWith(`${it}-`));
}

/** The variant of the kernel that an rpm is of, among others of its build; null where nothing tells. */
export function variantOfRpm(rpm: string, rpms: readonly NamedRpm[]): string | null {
  const owner = ownerAmong(kernelsOf(namesOf(rpms)))(rpm);
  return owner === undefined ? variantOf(rpm) : variantIn(owner);
}

/** Architectures of what holds no module. */
const SOURCES: ReadonlySet<string> = new Set(['src', 'nosrc', 'noarch']);

/** What follows a kernel's name in those of rpms without symbols. One that is not known here is only read in vain. */
const SILENT =
  /-(?:abi|bootwrapper|cross|debuginfo|debugsource|devel|docs?|headers|ipaclones|macros|perf|selftests|source|syms|tools|uki|vdso)(?:-|$)/;
const isSilent = (ending: string): boolean => SILENT.test(ending);

const namesOf = (rpms: readonly NamedRpm[]): ReadonlySet<string> =>
  new Set(rpms.filter(({ arch }) => !SOURCES.has(arch)).map(({ name }) => name));

/**
 * The kernels that a build makes, by what their rpms' names begin with. Each has a `-core` or `-modules`, or is one rpm
 * that has a `-devel` beside it, or that is beside its own `-debug`.
 */
function kernelsOf(names: ReadonlySet<string>): Set<string> {
  const kernels = [...names].flatMap((name) => {
    const part = /^(.+?)-(?:modules|(?:modules-)?core)$/.exec(name)?.[1];
    if (part !== undefined) return part;
    const [, beside = '', ending] = /^(.+)-(devel|debug)$/.exec(name) ?? [];
    if (!names.has(beside) || isSilent(beside)) return [];
    return ending === 'debug' ? [beside, name] : beside;
  });
  return new Set(kernels);
}

/** A kernel's variant as Target has it: SUSE's flavours, and EL's separate `kernel-rt`, are packages of their own. */
export const variantOfKernel = ({ name, variant }: KernelName): string =>
  [/^kernel-(.+)$/.exec(name)?.[1], variant].filter(Boolean).join('-');

/** The variants of all kernels that the rpms of a build hold parts of. */
export function variantsOfBuild(rpms: readonly NamedRpm[]): string[] {
  const found = [...kernelsOf(namesOf(rpms))].map(variantIn);
  return [...new Set(found.filter((variant) => variant !== null))];
}

/**
 * The variant in the name of an rpm that holds a kernel or modules of it: `kernel-core` is the plain one (`''`),
 * `kernel-rt-modules-core` is `rt`, `kernel-64k-debug-core` is `64k-debug`.
 * @returns null where the rpm is no such part
 */
export function variantOf(rpm: string): string | null {
  const kernel = kernelOfPart(rpm);
  return kernel === null ? null : variantIn(kernel);
}

/** That of `kernel-rt` is `rt`; Amazon's `kernel6.12` is a plain one. */
const variantIn = (kernel: string): string | null =>
  /^kernel[\d.]*$/.test(kernel) ? '' : (/^kernel-(.+)$/.exec(kernel)?.[1] ?? null);
