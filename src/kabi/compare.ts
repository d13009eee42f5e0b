/** Does a kmod load into a kernel as it is, and what changed from one kernel to the next. */
import { exportsAny, refusals, withoutCrc } from './load.ts';
import {
  type ExportedSymbol,
  type ImportedSymbol,
  type KernelSymbols,
  type Kmod,
  machineOf,
  type SymbolTable,
  type Target,
} from './model.ts';
import { isDoubt, type Remark } from './remark.ts';
import { unmetRequirements } from './requires.ts';
import type { Form } from './rpm.ts';

/** A symbol that is there with another CRC than the kmod was built against. */
export interface ChangedImport {
  readonly symbol: string;
  readonly required: number;
  readonly provided: number;
  /** Of whom: see ExportedSymbol; of another kmod's symbol, that kmod's name. */
  readonly provider: string;
}

/** A symbol that another kmod gives, as it is needed. */
export interface KmodImport {
  readonly symbol: string;
  readonly crc: number;
  /** The other kmod's name. */
  readonly provider: string;
}

/** Why nothing can be said, or what all that does not fit has in common. */
export type Cause = keyof typeof CAUSES;

export const CAUSES = {
  'no-requirements': 'it requires no symbol of a kernel, so nothing tells what it was built against',
  'no-modversions': 'it was built without CONFIG_MODVERSIONS, so it has no CRCs to compare',
  'other-arch': 'it is for another architecture',
  'other-variant': 'none of it is for this variant of the kernel, of which it requires nothing',
  'nothing-in-common': 'nothing that it needs is in this kernel: wrong architecture, variant or kernel',
  'no-crc-in-common':
    'not one CRC fits: it was built for another kernel or variant, or by another compiler or generator of CRCs',
  'kernel-not-whole': 'the kernel may have what it misses: not all that it exports is known',
  'kmod-not-given': 'it needs symbols of another kmod, which is not among those given',
  'kmod-not-read': 'what it misses may be of a kmod that cannot be read',
  'several-kernels':
    'it holds modules for several kernels, and nothing tells whether those that are for this one fit',
  'untold-requirement': 'it requires of the kernel what nothing tells of this one',
} as const;

/** What comparing a kmod with a kernel shows. */
export interface KmodComparison {
  /** The kmod's name. */
  readonly kmod: string;
  /** How many symbols it needs, of the kernel and of other kmods. */
  readonly imports: number;
  /** Exported by nobody. */
  readonly missing: readonly ImportedSymbol[];
  readonly changed: readonly ChangedImport[];
  readonly fromKmods: readonly KmodImport[];
  /** Those of `fromKmods` whose kmod does not load itself. */
  readonly fromBroken: readonly KmodImport[];
  /** What else speaks of whether it loads. */
  readonly remarks: readonly Remark[];
  readonly answer: 'compatible' | 'incompatible' | 'inconclusive';
  /** Of the answer inconclusive, and of incompatible where not one CRC fits; else null. */
  readonly cause: Cause | null;
}

/**
 * A kmod of at least so many imports that shares not one CRC with a kernel was built for something else, or the kernel
 * in another way. Over real updates of a stable kernel, third-party modules of 21 to 126 imports keep four CRCs of ten
 * and more. Of fewer, all may have changed by chance. It loads neither way, so this is said, and decides nothing.
 */
const IMPORTS_TO_TELL = 20;

/**
 * Compare kmods that are to be loaded together: each may need symbols of the others, and does not load where the one
 * that it has them from does not.
 * @param baseline a kernel in which a kmod that finds nothing in this one may have found all: then it is this kernel
 * that lost it, and not the kmod that is another kernel's
 * @param areAll false where another kmod is to be loaded too, of which nothing is known
 */
export function compareKmods(
  kmods: readonly Kmod[],
  kernel: KernelSymbols,
  baseline?: KernelSymbols,
  areAll = true,
): KmodComparison[] {
  const before = baseline ? compareKmods(kmods, baseline) : [];
  let found = kmods.map((kmod, i) => {
    const now = compareKmod(kmod, kernel, kmods, areAll);
    const lost = now.cause === 'nothing-in-common' && before[i]?.answer === 'compatible';
    return lost ? { ...now, answer: 'incompatible' as const, cause: null } : now;
  });
  for (;;) {
    const broken = new Set(found.flatMap(({ kmod, answer }) => (answer === 'incompatible' ? [kmod] : [])));
    const next = found.map((it) => {
      const fromBroken = it.fromKmods.filter(({ provider }) => broken.has(provider));
      if (it.answer !== 'compatible' || fromBroken.length === 0) return it;
      return { ...it, fromBroken, answer: 'incompatible' as const };
    });
    if (next.every((it, i) => it === found[i])) return found;
    found = next;
  }
}

/**
 * Compare what a kmod needs with what a kernel and other kmods offer, and with what the kmod's own modules
 * offer each other. What an rpm needs of the kernel no kmod gives it, and the other way round: rpm would not install
 * it. Of several offers the one that fits counts; where none does, the kernel's.
 * @param otherKmods may hold the kmod itself, and kmods for other architectures and variants
 */
export function compareKmod(
  kmod: Kmod,
  kernel: KernelSymbols,
  otherKmods: readonly Kmod[] = [],
  areAll = true,
): KmodComparison {
  const givers = otherKmods.filter(
    (other) => other !== kmod && exportsAny(other) && unlike(other, kmod) === null,
  );
  const finder = (of: Form) => {
    /** Whether an export of a kmod's counts. */
    const counts = (offer: ExportedSymbol | undefined): offer is ExportedSymbol =>
      offer !== undefined && (of === 'either' || (offer.asKernel === true) === (of === 'kernel'));
    return ({ symbol, crc }: Wanted): Offer | undefined => {
      const [kernels, own] = [kernel.symbols.get(symbol), kmod.exports.get(symbol)];
      const nearest = [...(kernels && of !== 'kmod' ? [kernels] : []), ...(counts(own) ? [own] : [])];
      const fits = (offer: Offer) => crc === undefined || offer.crc === crc;
      const near = nearest.find(fits);
      if (near) return near;
      const offers = givers.flatMap(({ name, exports }) => {
        const found = exports.get(symbol);
        return counts(found) ? [{ ...found, provider: name, otherKmod: true }] : [];
      });
      return offers.find(fits) ?? nearest[0] ?? offers[0];
    };
  };
  const either = finder('either');
  const weak = kmod.loading && new Set(kmod.loading.weak);
  const ofKernel = settle(kmod.kernelImports, finder('kernel'));
  const imports = together(ofKernel, settle(kmod.imports, either, weak));
  const kmodImports = settle(kmod.kmodImports, finder('kmod'));
  const missing = [...imports.missing, ...kmodImports.missing];
  const changed = [...imports.changed, ...kmodImports.changed];
  const other = unlike(kmod, kernel);
  const said: Remark[] = [
    ...(kmod.builtFor ? [{ kind: 'built-for' as const, kernels: kmod.builtFor }] : []),
    ...requirements(kmod, kernel),
    ...[...imports.several, ...kmodImports.several].map(([symbol, crcs]) => ({
      kind: 'several-crcs' as const,
      symbol,
      crcs,
    })),
    ...refusals(kmod, kernel, (symbol) => either({ symbol }) ?? withoutCrc(symbol, [kmod, ...givers])),
  ];
  const remarks = other ? [] : said;
  const isOpen = remarks.every(isDoubt);
  const unclear =
    other ??
    (isOpen
      ? (unfounded(kmod, kernel, { ...imports, changed }) ??
        (changed.length === 0 && missing.length > 0
          ? (imports.missing.length === 0 && 'kmod-not-given') ||
            (!areAll && ofKernel.missing.length === 0 && 'kmod-not-read') ||
            null
          : null))
      : null);
  const fits = missing.length === 0 && changed.length === 0 && isOpen;
  const doubt = fits && unclear === null ? doubtOf(kmod, kernel, remarks) : null;
  const misfits = imports.missing.length + imports.changed.length;
  const noCrc = imports.count >= IMPORTS_TO_TELL && misfits === imports.count && isOpen;
  return {
    kmod: kmod.name,
    imports: imports.count + kmodImports.count,
    missing,
    changed,
    fromKmods: [...imports.fromKmods, ...kmodImports.fromKmods],
    fromBroken: [],
    remarks,
    answer: (unclear ?? doubt) ? 'inconclusive' : fits ? 'compatible' : 'incompatible',
    cause: unclear ?? doubt ?? (noCrc ? 'no-crc-in-common' : null),
  };
}

/** What of a kernel its rpm requires in vain, or so that nothing tells. */
const requirements = ({ packaging }: Kmod, { rpms }: KernelSymbols): Remark[] =>
  (packaging ? unmetRequirements(packaging, rpms) : []).map(({ requires, provided }) =>
    provided === null ? { kind: 'untold', requires } : { kind: 'requires', requires, provided },
  );

/**
 * What speaks against taking a kmod that fits for one that loads. Of modules for several kernels in one rpm, those for this
 * one are told by their folder; a kernel that is known by its symbols alone tells of no requirement.
 */
function doubtOf({ packaging }: Kmod, { rpms }: KernelSymbols, remarks: readonly Remark[]): Cause | null {
  const has = (kind: Remark['kind']) => remarks.some((it) => it.kind === kind);
  const isInFolder = packaging?.releases.some((release) => rpms?.releases.includes(release)) === true;
  if (has('several-crcs') && !isInFolder) return 'several-kernels';
  return has('untold') && rpms ? 'untold-requirement' : null;
}

/** A symbol that is looked for, with a CRC or whatever it has. */
type Wanted = Pick<ImportedSymbol, 'symbol'> & Partial<ImportedSymbol>;

/** A symbol as somebody offers it; `otherKmod`: neither the kernel nor the asking kmod itself. */
type Offer = ExportedSymbol & { readonly otherKmod?: boolean };

/** What became of some of a kmod's imports. */
interface Settled extends Pick<KmodComparison, 'missing' | 'changed' | 'fromKmods'> {
  /** Those that it needs with several CRCs. */
  readonly several: ReadonlyMap<string, readonly number[]>;
  /** How many symbols. */
  readonly count: number;
}

const together = (a: Settled, b: Settled): Settled => ({
  missing: [...a.missing, ...b.missing],
  changed: [...a.changed, ...b.changed],
  fromKmods: [...a.fromKmods, ...b.fromKmods],
  several: b.several.size > 0 ? new Map([...a.several, ...b.several]) : a.several,
  count: a.count + b.count,
});

/**
 * Sort symbols by what became of them. One that is needed with several CRCs, by modules for several kernels, is there if
 * one of them fits.
 * @param weak those that may be missing
 */
function settle(
  imports: readonly ImportedSymbol[],
  find: (needed: Wanted) => Offer | undefined,
  weak?: ReadonlySet<string>,
): Settled {
  const missing: ImportedSymbol[] = [];
  const changed: ChangedImport[] = [];
  const fromKmods: KmodImport[] = [];
  const several = severalCrcs(imports);
  let count = 0;
  for (const needed of imports) {
    const crcs = several.get(needed.symbol);
    // Once for all of its CRCs.
    if (crcs && crcs[0] !== needed.crc) continue;
    count++;
    const { symbol } = needed;
    const wanted = crcs?.map((crc) => ({ symbol, crc })).find((one) => find(one)?.crc === one.crc) ?? needed;
    const { crc } = wanted;
    const found = find(wanted);
    if (!found) {
      if (!weak?.has(symbol)) missing.push(needed);
    } else if (found.crc !== crc)
      changed.push({ symbol, required: crc, provided: found.crc, provider: found.provider });
    else if (found.otherKmod) fromKmods.push({ symbol, crc, provider: found.provider });
  }
  return { missing, changed, fromKmods, several, count };
}

const NONE: ReadonlyMap<string, readonly number[]> = new Map();

/** The symbols that are needed with several CRCs, and those. */
function severalCrcs(imports: readonly ImportedSymbol[]): ReadonlyMap<string, readonly number[]> {
  if (new Set(imports.map(({ symbol }) => symbol)).size === imports.length) return NONE;
  const all = new Map<string, number[]>();
  for (const { symbol, crc } of imports) {
    const crcs = all.get(symbol) ?? [];
    if (!crcs.includes(crc)) all.set(symbol, [...crcs, crc]);
  }
  return new Map([...all].filter(([, crcs]) => crcs.length > 1));
}

function unlike(kmod: Target, kernel: Target): Cause | null {
  const [own, kernels] = [machineOf(kmod.arch), machineOf(kernel.arch)];
  if (own !== null && kernels !== null && own !== kernels) return 'other-arch';
  if (kmod.variant !== null && kernel.variant !== null && kmod.variant !== kernel.variant)
    return 'other-variant';
  return null;
}

function unfounded(
  kmod: Kmod,
  { partial }: KernelSymbols,
  { missing, changed, count }: Settled,
): Cause | null {
  if (partial !== undefined && missing.length > 0 && changed.length === 0) return 'kernel-not-whole';
  if (kmod.unversioned) return 'no-modversions';
  if (count === 0) return 'no-requirements';
  return missing.length === count ? 'nothing-in-common' : null;
}

/** A symbol that only one of two kernels exports. */
export interface LoneSymbol {
  readonly symbol: string;
  readonly crc: number;
  readonly provider: string;
  /** Whether it is on the stablelist; false without one. */
  readonly stable: boolean;
}

/** A symbol that two kernels export with different CRCs. */
export interface ChangedSymbol {
  readonly symbol: string;
  readonly before: number;
  readonly after: number;
  /** In the newer kernel. */
  readonly provider: string;
  /** Whether it is on the stablelist; false without one. */
  readonly stable: boolean;
}

/** How a symbol is exported: to modules of which license, and in which namespace, `''` for none. */
export interface Export {
  readonly exportType: string;
  readonly namespace: string;
}

/** A symbol that two kernels export with the same CRC, and in another way. */
export interface ReexportedSymbol {
  readonly symbol: string;
  readonly before: Export;
  readonly after: Export;
  /** In the newer kernel. */
  readonly provider: string;
  /** A module that could use it may not any more: it became GPL-only, or came into a namespace. */
  readonly narrower: boolean;
  /** Whether it is on the stablelist; false without one. */
  readonly stable: boolean;
}

/** What changed from a baseline to a kernel; each list in the order of its kernel's file. */
export interface KernelDifference {
  /** How many symbols both export. */
  readonly common: number;
  readonly added: readonly LoneSymbol[];
  readonly removed: readonly LoneSymbol[];
  readonly changed: readonly ChangedSymbol[];
  /** Of those with the same CRC, where both files tell: see `ExportedSymbol`. */
  readonly reexported: readonly ReexportedSymbol[];
  /** The anomaly: so many CRCs changed that it was the toolchain or the CRC generator, not the code. */
  readonly everythingChanged: boolean;
}

/**
 * From this share of common symbols on, the change was not in the code. One struct that is reached from nearly
 * everywhere (`task_struct`, `device`) changes a great many CRCs: 74 % in a real stable update, 18,107 of
 * 24,615. It cannot reach the symbols whose types are plain, about a quarter; a new compiler or generator does.
 */
const EVERYTHING_SHARE = 0.95;

/** Fewer common symbols than that are not a whole kernel, and shares of them say nothing: real ones have 24,000. */
const EVERYTHING_FROM = 1000;

/**
 * What changed between two kernels of one architecture and variant.
 * @param stablelist symbols that are promised to stay as they are
 */
export function compareKernels(
  baseline: SymbolTable,
  kernel: SymbolTable,
  stablelist: ReadonlySet<string> = new Set(),
): KernelDifference {
  const lone = ({ name, crc, provider }: ExportedSymbol): LoneSymbol => ({
    symbol: name,
    crc,
    provider,
    stable: stablelist.has(name),
  });
  const changed: ChangedSymbol[] = [];
  const reexported: ReexportedSymbol[] = [];
  const added: LoneSymbol[] = [];
  for (const after of kernel.values()) {
    const before = baseline.get(after.name);
    if (!before) {
      added.push(lone(after));
      continue;
    }
    const { name: symbol, provider } = after;
    const of = { symbol, provider, stable: stablelist.has(symbol) };
    if (before.crc !== after.crc) changed.push({ ...of, before: before.crc, after: after.crc });
    else if (tells(before) && tells(after)) {
      const isSame = before.exportType === after.exportType && before.namespace === after.namespace;
      if (!isSame) reexported.push({ ...of, ...asExported(before, after) });
    }
  }
  const removed = [...baseline.values()].filter(({ name }) => !kernel.has(name)).map(lone);
  const common = kernel.size - added.length;
  const everythingChanged = common >= EVERYTHING_FROM && changed.length >= EVERYTHING_SHARE * common;
  return { common, added, removed, changed, reexported, everythingChanged };
}

/** Whether it tells how it is exported: rpms and modules do not, or not all of it. */
const tells = (symbol: ExportedSymbol): symbol is ExportedSymbol & Export =>
  symbol.exportType !== undefined && symbol.namespace !== undefined;

function asExported(before: Export, after: Export): Pick<ReexportedSymbol, 'before' | 'after' | 'narrower'> {
  const only = ({ exportType, namespace }: Export): Export => ({ exportType, namespace });
  const isGplOnly = ({ exportType }: Export) => exportType.endsWith('_GPL');
  return {
    before: only(before),
    after: only(after),
    narrower:
      (isGplOnly(after) && !isGplOnly(before)) ||
      (after.namespace !== '' && after.namespace !== before.namespace),
  };
}
