/** One kmod out of the rpms of its build, which may make some for each variant of the kernel, or for each of several kernels. */
import { compareKmod } from './compare.ts';
import { rpmvercmp } from './evr.ts';
import { type ExportedSymbol, type KernelSymbols, type Kmod, machineOf } from './model.ts';
import { builtFor, mergePackaging, nameWithoutKernel, type Packaging } from './requires.ts';
import { exportOf, importsOf, type SymbolDependency } from './rpm.ts';

/** An rpm of a kmod's build: what it offers and needs. */
export interface KmodRpm {
  readonly name: string;
  readonly arch: string;
  readonly provides: readonly SymbolDependency[];
  readonly requires: readonly SymbolDependency[];
  /** Absent: not known. */
  readonly packaging?: Packaging;
}

/** What a kernel is called among those of its kind. */
export interface KernelKind {
  /** As Target has it; null where it is not known, which any rpm fits. */
  readonly variant: string | null;
  /** Those that the kernel's own build makes, which names of kmods' rpms may end with. */
  readonly siblings: readonly string[];
}

/**
 * What the rpms of a build for one architecture need and offer, as far as they are for this kernel's variant, and for this
 * kernel where there is one for each of several. Where none is for the variant, the kmod is one for another, and needs
 * nothing; where none is for this kernel, it is what the rpm for the newest of them needs.
 * @param rpms of all architectures: one may have variants that tell what the names of another mean
 * @returns undefined where it has no rpm of that architecture
 */
export function kmodOfBuild(
  name: string,
  rpms: readonly KmodRpm[],
  kernel: KernelSymbols & { readonly arch: string },
  { variant, siblings }: KernelKind,
): Kmod | undefined {
  const { arch } = kernel;
  const kinds = variantsOfRpms(rpms, siblings);
  const exact = rpms.filter((rpm) => rpm.arch === arch);
  const all = exact.length > 0 ? exact : rpms.filter((rpm) => machineOf(rpm.arch) === machineOf(arch));
  if (all.length === 0) return undefined;
  const kindOf = (rpm: KmodRpm) => kinds.get(rpm) ?? null;
  const fit = all.filter((rpm) => variant === null || kindOf(rpm) === null || kindOf(rpm) === variant);
  const stranger = all.find((rpm) => speaks(rpm) && !fit.includes(rpm));
  const own = stranger && !fit.some(speaks) ? kindOf(stranger) : variant;
  const as = { name, arch, variant: own };
  const chosen = sharedBy(fit, ({ name }) => nameWithoutKernel(name)).map((parts) =>
    choose(parts, kernel, partOf, (part) => together(as, [part])),
  );
  const kmod = together(
    as,
    chosen.flatMap(({ parts }) => parts),
  );
  const others = chosen.flatMap((one) => one.builtFor);
  return others.length > 0 ? { ...kmod, builtFor: [...new Set(others)] } : kmod;
}

/** Rpms as one kmod. */
function together(of: Pick<Kmod, 'name' | 'arch' | 'variant'>, rpms: readonly KmodRpm[]): Kmod {
  const needs = new Map<string, SymbolDependency>();
  const exports = new Map<string, ExportedSymbol>();
  for (const { name: provider, provides, requires } of rpms) {
    for (const need of requires) needs.set(`${need.from} ${need.symbol} ${need.crc}`, need);
    for (const offer of provides) exports.set(offer.symbol, exportOf(offer, provider));
  }
  const packaging = mergePackaging(rpms.flatMap(({ packaging = [] }) => packaging));
  return { ...of, ...importsOf([...needs.values()]), exports, packaging };
}

/** What is asked about a part of a package that has one for each of several kernels. */
type Part = Pick<KmodRpm, 'name'> & { readonly packaging: Packaging | undefined };
const partOf = ({ name, packaging }: KmodRpm): Part => ({ name, packaging });

/**
 * Of the parts of one package those for this kernel: which say so, else which fit it as they are.
 * @returns those to look at, and the kernels that the package is built for where none is for this one
 */
function choose<P>(
  parts: readonly P[],
  kernel: KernelSymbols,
  of: (part: P) => Part,
  asKmod: (part: P) => Kmod,
): { readonly parts: readonly P[]; readonly builtFor: readonly string[] } {
  const told = parts.map((part) => {
    const { name, packaging } = of(part);
    return { part, kernels: packaging ? builtFor(name, packaging) : [] };
  });
  const kernels = [...new Set(told.flatMap((one) => one.kernels))].sort(rpmvercmp);
  if (kernels.length < 2 || parts.length < 2) return { parts, builtFor: [] };
  const only = (isFor: (one: (typeof told)[number]) => boolean) => {
    const found = told.filter((one) => one.kernels.length === 0 || isFor(one));
    return found.some((one) => one.kernels.length > 0) ? found.map(({ part }) => part) : undefined;
  };
  const named = only((one) => one.kernels.some((release) => kernel.rpms?.releases.includes(release)));
  if (named) return { parts: named, builtFor: [] };
  const fitting = only(({ part }) => {
    const { answer, cause } = compareKmod(asKmod(part), kernel);
    return answer === 'compatible' || cause === 'kmod-not-given';
  });
  if (fitting) return { parts: fitting, builtFor: [] };
  const newest = only((one) => one.kernels.includes(kernels.at(-1) ?? '')) ?? parts;
  return { parts: newest, builtFor: kernels };
}

/** In groups of those with the same key. */
function sharedBy<T>(all: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group) group.push(one);
    else groups.set(keyOf(one), [one]);
  }
  return [...groups.values()];
}

/**
 * Kmods that are each a file, without those that are for other kernels where the same package has a file for this one.
 * @returns `kmods` in their order, and which are `others`
 */
export function forKernel<K extends Kmod>(
  kmods: readonly K[],
  kernel: KernelSymbols,
): { readonly kmods: readonly K[]; readonly others: readonly K[] } {
  const partOfKmod = ({ name, packaging }: K): Part => ({ name: nameOf(name), packaging });
  const groups = sharedBy(kmods, (kmod) => {
    const name = nameOf(kmod.name);
    return `${nameWithoutKernel(name)}${kmod.name.slice(name.length)} ${kmod.arch}`;
  });
  const chosen = new Set(
    groups.flatMap((parts) => {
      const { builtFor, parts: found } = choose(parts, kernel, partOfKmod, (kmod) => kmod);
      return builtFor.length > 0 ? parts : found;
    }),
  );
  return {
    kmods: kmods.filter((kmod) => chosen.has(kmod)),
    others: kmods.filter((kmod) => !chosen.has(kmod)),
  };
}

/** Of an NVR. */
const nameOf = (nvr: string): string => nvr.replace(/-[^-]+-[^-]+$/, '');

/** Whether it says anything of symbols: documentation and tools do not, and are for no variant. */
const speaks = ({ provides, requires }: KmodRpm): boolean => provides.length + requires.length > 0;

/**
 * The variant that each rpm is for: the flavour in its dependencies, `-kmp-FLAVOUR` in its name, a name that ends with
 * a variant of the kernel's, or with anything that tells it from one with which it cannot be loaded into one kernel.
 * One beside which such an rpm stands is for the plain kernel. Null, or not in the map: nothing tells.
 */
export function variantsOfRpms(
  rpms: readonly KmodRpm[],
  siblings: readonly string[],
): ReadonlyMap<KmodRpm, string | null> {
  const longestFirst = siblings.filter(Boolean).toSorted((a, b) => b.length - a.length);
  const speaking = rpms.filter(speaks);
  const named = speaking.map((rpm) => {
    const ending = longestFirst.find((sibling) => rpm.name.endsWith(`-${sibling}`));
    return [
      rpm,
      flavourOf(rpm) ?? /-kmp-(.+)$/.exec(rpm.name)?.[1] ?? ending ?? apart(rpm, speaking),
    ] as const;
  });
  const beside = new Set(
    named.flatMap(([{ name }, kind]) =>
      kind && name.endsWith(`-${kind}`) ? [name.slice(0, -kind.length - 1)] : [],
    ),
  );
  return new Map(named.map(([rpm, kind]) => [rpm, kind ?? (beside.has(rpm.name) ? '' : null)]));
}

/** The one flavour that its dependencies name. */
function flavourOf({ provides, requires }: KmodRpm): string | undefined {
  const flavours = new Set([...provides, ...requires].map(({ flavour }) => flavour));
  return flavours.size === 1 ? [...flavours][0] : undefined;
}

/** How its name goes on after that of an rpm which needs the same symbol with another CRC: no kernel has both. */
function apart({ name, arch, requires }: KmodRpm, rpms: readonly KmodRpm[]): string | undefined {
  const crcs = new Map(requires.map(({ symbol, crc }) => [symbol, crc]));
  const plain = rpms.find(
    (other) =>
      other.arch === arch &&
      name.startsWith(`${other.name}-`) &&
      nameWithoutKernel(name) !== other.name &&
      other.requires.some(({ symbol, crc }) => (crcs.get(symbol) ?? crc) !== crc),
  );
  return plain && name.slice(plain.name.length + 1);
}
