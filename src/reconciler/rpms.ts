/** What the rpms of kernels and kmods say of symbols and kernels, read from their headers on the hub once ever. */
import type { KernelRef } from '../core/model.ts';
import { damageIn } from '../kabi/kernel.ts';
import type { KernelKind, KmodRpm } from '../kabi/kmod.ts';
import type { ExportedSymbol, SymbolTable } from '../kabi/model.ts';
import { type KernelRpms, kernelRpms, packagingOf } from '../kabi/requires.ts';
import {
  type KernelName,
  kernelPrefix,
  parseDependencies,
  rpmsOfKernel,
  variantOfKernel,
  variantsOfBuild,
} from '../kabi/rpm.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, HubError, unwrap } from '../koji/hub.ts';
import type { RpmDependencies, Store } from '../store/store.ts';

/** Replies about a kernel's rpm have a megabyte and more: so many are asked for at a time. */
const KERNEL_RPMS = 8;

/** Those about a kmod's are small, but a whole tag may have tens of thousands. */
const KMOD_RPMS = 1000;

/** Where symbols come from: the hub, and what was kept of it. */
export interface SymbolSource {
  readonly hub: Pick<Hub, 'read' | 'readAll'>;
  readonly store: Pick<Store, 'rpmSymbols' | 'keepRpmSymbols'>;
  /** Told why something could not be read, where that was borne. */
  readonly lost?: (why: string) => void;
}

/** A kernel, and the id of the build that makes it. */
export interface KernelOfBuild extends KernelName {
  readonly id: number;
}

/** What the rpms of a kernel provide, by architecture. */
export interface BuiltKernel extends KernelKind {
  readonly tables: ReadonlyMap<string, SymbolTable>;
  /** Beside symbols. */
  readonly rpms: ReadonlyMap<string, KernelRpms>;
  /** The names of its rpms. */
  readonly names: ReadonlyMap<string, ReadonlySet<string>>;
  /** Why one may export more than its table tells. */
  readonly partial: ReadonlyMap<string, string>;
}

/**
 * @param lose as `readKmodRpms` has it; a kernel of which no rpm at all can be read is not to be borne
 * @throws HubError
 */
export async function readKernel(
  source: SymbolSource,
  { id, ...kernel }: KernelOfBuild,
  lose?: Lose,
): Promise<BuiltKernel> {
  const lost: { readonly arch: string; readonly error: HubError }[] = [];
  const all = await source.hub.read(koji.listBuildRPMs(id));
  const rpms = rpmsOfKernel(kernel, all);
  const note: Lose = (rpm, error) => {
    const borne = lose?.(rpm, error) === true;
    if (borne) lost.push({ arch: rpm.arch, error });
    return borne;
  };
  const known = await symbolsOf(source, rpms, { atATime: KERNEL_RPMS, lose: note });
  const [first] = lost;
  if (first && lost.length === rpms.length) throw first.error;
  const arches = archesOf(rpms);
  const namesOf = (arch: string) => rpms.filter((rpm) => rpm.arch === arch).map(({ name }) => name);
  const tables = new Map(arches.map((arch) => [arch, exportsOf(rpms, arch, known)]));
  const beside = arches.flatMap((arch) => {
    const told = rpms.flatMap((rpm) => {
      const packaging = rpm.arch === arch ? known.get(rpm.id)?.packaging : undefined;
      return packaging ? [{ name: rpm.name, packaging }] : [];
    });
    return told.length > 0 ? [[arch, kernelRpms(kernelPrefix(kernel), told, arch)] as const] : [];
  });
  return {
    variant: variantOfKernel(kernel),
    siblings: variantsOfBuild(all),
    tables,
    rpms: new Map(beside),
    names: new Map(arches.map((arch) => [arch, new Set(namesOf(arch))])),
    partial: new Map(
      arches.flatMap((arch) => {
        const [one, ...more] = lost.filter((it) => it.arch === arch);
        return one
          ? [[arch, `${more.length + 1} of its rpms cannot be read: ${one.error.message}`] as const]
          : [];
      }),
    ),
  };
}

/**
 * The same kernel, partial also where an rpm gives no symbol whose namesake of another kernel gives thousands. Those that
 * other rpms give here have only moved.
 */
export function besideAnother(
  kernel: BuiltKernel,
  { tables }: BuiltKernel,
  { nvr }: Pick<KernelRef, 'nvr'>,
): BuiltKernel {
  const partial = new Map(kernel.partial);
  for (const [arch, now] of kernel.tables) {
    const damage = damageIn(silentIn(kernel, arch), now, {
      symbols: tables.get(arch) ?? new Map(),
      name: nvr,
    });
    if (damage !== undefined && !partial.has(arch)) partial.set(arch, damage);
  }
  return { ...kernel, partial };
}

/** The names of a kernel's rpms that give no symbol. */
export function silentIn({ tables, names }: Pick<BuiltKernel, 'tables' | 'names'>, arch: string): string[] {
  const giving = new Set([...(tables.get(arch)?.values() ?? [])].map(({ provider }) => provider));
  return [...(names.get(arch) ?? [])].filter((name) => !giving.has(name));
}

/** The architectures of rpms. */
export const archesOf = (rpms: readonly Pick<koji.Rpm, 'arch'>[]): string[] => [
  ...new Set(rpms.map(({ arch }) => arch)),
];

/**
 * What the rpms of kmods' builds offer and need, in the order of the builds.
 * @param lose is told of an rpm that cannot be read, and why, and whether that is to be borne; without it, none is
 * @param isWanted by all rpms of a build, whether its kmod is wanted; of one that is not, no header is read, and it has none
 * @throws HubError
 */
export async function readKmodRpms(
  source: SymbolSource,
  builds: readonly number[],
  lose?: Lose,
  isWanted: (rpms: readonly koji.Rpm[]) => boolean = () => true,
): Promise<KmodRpm[][]> {
  const answers = await source.hub.readAll(builds.map((id) => koji.listBuildRPMs(id)));
  const rpms = answers.map((answer) => {
    const all = unwrap(answer);
    return isWanted(all) ? all.filter(isModulesRpm) : [];
  });
  const known = await symbolsOf(source, rpms.flat(), { atATime: KMOD_RPMS, lose });
  const none: RpmDependencies = { provides: [], requires: [] };
  return rpms.map((of) => of.map(({ id, name, arch }) => ({ name, arch, ...(known.get(id) ?? none) })));
}

const isModulesRpm = ({ name, arch }: koji.Rpm): boolean =>
  arch !== 'src' && arch !== 'noarch' && !/-debug(info|source)$/.test(name);

/** Told of an rpm that cannot be read; whether that is to be borne. */
export type Lose = (rpm: koji.Rpm, error: HubError) => boolean;

/** From the store, else from the hub, so many rpms in one request; without those whose loss is to be borne. */
async function symbolsOf(
  { hub, store, lost }: SymbolSource,
  rpms: readonly koji.Rpm[],
  { atATime = rpms.length, lose }: { readonly atATime?: number; readonly lose?: Lose | undefined },
): Promise<ReadonlyMap<number, RpmDependencies>> {
  const builds = new Map(
    rpms.flatMap(({ id, build_id }) => (build_id === null ? [] : [[id, build_id] as const])),
  );
  const known = await store.rpmSymbols(
    rpms.map(({ id }) => id),
    builds,
  );
  // What a version kept that read symbols only is asked for again, and does where the hub has the file no more.
  const wanted = rpms.filter(({ id }) => !known.get(id)?.packaging);
  for (let i = 0; i < wanted.length; i += atATime) {
    const some = wanted.slice(i, i + atATime);
    const headers = await hub.readAll(some.map(({ id }) => koji.getRPMHeaders(id)));
    const fresh = new Map<number, RpmDependencies>();
    for (const [n, rpm] of some.entries()) {
      try {
        fresh.set(rpm.id, dependenciesOf(rpm, unwrap(headers[n])));
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        if (known.has(rpm.id)) continue;
        if (!lose?.(rpm, error)) throw error;
        lost?.(error.message);
      }
    }
    await store.keepRpmSymbols(fresh, builds);
    for (const [id, symbols] of fresh) known.set(id, symbols);
  }
  return known;
}

/** Every rpm provides itself: where nothing is provided, the hub has no such file. */
function dependenciesOf({ id, nvr, arch }: koji.Rpm, headers: koji.RpmHeaders): RpmDependencies {
  const { PROVIDENAME, PROVIDEVERSION, PROVIDEFLAGS, REQUIRENAME, REQUIREVERSION, REQUIREFLAGS } = headers;
  if (PROVIDENAME.length === 0)
    throw new HubError(
      'refused',
      'getRPMHeaders',
      `getRPMHeaders: the hub has no file of ${nvr}.${arch} (rpm ${id})`,
    );
  const provides = { names: PROVIDENAME, versions: PROVIDEVERSION, flags: PROVIDEFLAGS };
  const requires = { names: REQUIRENAME, versions: REQUIREVERSION, flags: REQUIREFLAGS };
  return {
    provides: parseDependencies(provides),
    requires: parseDependencies(requires),
    packaging: packagingOf({ provides, requires, folders: headers.DIRNAMES }),
  };
}

/** What the rpms of one architecture provide, each with the rpm's name. */
function exportsOf(
  rpms: readonly koji.Rpm[],
  arch: string,
  known: ReadonlyMap<number, RpmDependencies>,
): SymbolTable {
  const table = new Map<string, ExportedSymbol>();
  for (const rpm of rpms.filter((each) => each.arch === arch)) {
    for (const { symbol, crc } of known.get(rpm.id)?.provides ?? [])
      table.set(symbol, { name: symbol, crc, provider: rpm.name });
  }
  return table;
}
