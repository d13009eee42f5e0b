/** One kmod out of the rpms of its build, which may make some for each variant of the kernel. */
import type { ExportedSymbol, Kmod } from './model.ts';
import { exportOf, importsOf, type SymbolDependency } from './rpm.ts';

/** An rpm of a kmod's build: what it offers and needs. */
export interface KmodRpm {
  readonly name: string;
  readonly arch: string;
  readonly provides: readonly SymbolDependency[];
  readonly requires: readonly SymbolDependency[];
}

/** What a kernel is called among those of its kind. */
export interface KernelKind {
  /** As Target has it; null where it is not known, which any rpm fits. */
  readonly variant: string | null;
  /** Those that the kernel's own build makes, which names of kmods' rpms may end with. */
  readonly siblings: readonly string[];
}

/**
 * What the rpms of a build for one architecture need and offer, as far as they are for this kernel's variant. Where
 * none is, the kmod is one for another variant, and needs nothing.
 * @param rpms of all architectures: one may have variants that tell what the names of another mean
 * @returns undefined where it has no rpm of that architecture
 */
export function kmodOfBuild(
  name: string,
  rpms: readonly KmodRpm[],
  arch: string,
  { variant, siblings }: KernelKind,
): Kmod | undefined {
  const kinds = variantsOfRpms(rpms, siblings);
  const all = rpms.filter((rpm) => rpm.arch === arch);
  if (all.length === 0) return undefined;
  const kindOf = (rpm: KmodRpm) => kinds.get(rpm) ?? null;
  const fit = all.filter((rpm) => variant === null || kindOf(rpm) === null || kindOf(rpm) === variant);
  const stranger = all.find((rpm) => speaks(rpm) && !fit.includes(rpm));
  const own = stranger && !fit.some(speaks) ? kindOf(stranger) : variant;
  const needs = new Map<string, SymbolDependency>();
  const exports = new Map<string, ExportedSymbol>();
  for (const { name: provider, provides, requires } of fit) {
    for (const need of requires) needs.set(`${need.from} ${need.symbol} ${need.crc}`, need);
    for (const offer of provides) exports.set(offer.symbol, exportOf(offer, provider));
  }
  return { name, arch, variant: own, ...importsOf([...needs.values()]), exports };
}

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
      other.requires.some(({ symbol, crc }) => (crcs.get(symbol) ?? crc) !== crc),
  );
  return plain && name.slice(plain.name.length + 1);
}
