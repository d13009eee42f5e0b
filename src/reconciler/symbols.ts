/** What a run's kmods need of the kernel, by their rpms' headers, with no build at all. */
import { measuredBy } from '../core/cell.ts';
import type {
  ArchChange,
  ArchDetail,
  BuildEvidence,
  Gate,
  KernelChange,
  KernelRef,
  Kmod,
  ListChange,
  LogError,
  Run,
  Stablelist,
  SymbolEvidence,
  SymbolsShown,
} from '../core/model.ts';
import {
  CAUSES,
  compareKernels,
  compareKmods,
  type KernelDifference,
  type KmodComparison,
} from '../kabi/compare.ts';
import { type KmodRpm, kmodOfBuild } from '../kabi/kmod.ts';
import { machineOf, type Kmod as NamedKmod, type SymbolTable } from '../kabi/model.ts';
import { sinceList } from '../kabi/stablelist.ts';
import { type HubError, isUnknown } from '../koji/hub.ts';
import {
  archesOf,
  type BuiltKernel,
  besideAnother,
  type Lose,
  readKernel,
  readKmodRpms,
  type SymbolSource,
} from './rpms.ts';

/**
 * Compare the kmods of a run, and the gate's stablelist, with the kernel. An rpm's symbols are asked for once ever. A kmod
 * of which the hub has no file is inconclusive, and stops no other; of a kernel, what an rpm without a file may export is
 * not gone, once it has been waited for.
 * @param last what the hub cannot give of an rpm is not waited for any more
 * @throws HubError where the hub cannot be asked now, or has no file of any rpm of the kernel
 */
export async function readSymbols(
  context: SymbolSource,
  gate: Gate,
  run: Run,
  last = false,
): Promise<SymbolsShown<ArchDetail>> {
  const { id, name } = run.kernel;
  // All kmods are measured by it, so it is waited for, and with it the files of a build that was only just made.
  const lose: Lose = (_, { kind }) => last && kind === 'refused';
  const own = await readKernel(context, { id, name, variant: gate.variant }, lose);
  const read = baselineReader(context, gate, run, last, own);
  const before = await read(run.baseline);
  // A damage that a waiver has let through once is seen beside a kernel from before it.
  const others = run.strategy === 'rebuild' ? [] : run.kmods.flatMap((kmod) => measuredBy(kmod, run));
  let kernel = own;
  for (const ref of [run.baseline, ...others]) {
    const other = await read(ref);
    if (other?.kernel) kernel = besideAnother(kernel, other.kernel, other.ref);
  }
  return {
    kmods: run.strategy === 'rebuild' ? [] : await readKmods(context, run, kernel, read, last),
    change: before && changeSince(before, kernel, gate.stablelist),
    ...(gate.stablelist?.exports && {
      sinceList: changesSinceList(gate.stablelist.exports, kernel, before?.kernel),
    }),
    stablelist: gate.stablelist?.effect ?? null,
  };
}

/** Whether what the hub says of an rpm is as good as that it has none. */
const isBearable = (error: HubError, last: boolean): boolean =>
  (last && error.kind === 'refused') || isUnknown(error);

/** What each kmod needs of the kernel, and whether that fits its baselines, where there are any. */
async function readKmods(
  source: SymbolSource,
  run: Run,
  kernel: BuiltKernel,
  read: BaselineReader,
  last: boolean,
): Promise<SymbolEvidence<ArchDetail>[]> {
  const { kmods } = run;
  /** Of which build and architecture there is an rpm that cannot be read, and why. */
  const lost: Lost[] = [];
  const lose: Lose = ({ build_id, arch }, error) => {
    const bearable = isBearable(error, last);
    if (bearable && build_id !== null) lost.push({ build: build_id, arch, why: error.message });
    return bearable;
  };
  const rpms = await readKmodRpms(
    source,
    kmods.map(({ buildId }) => buildId),
    lose,
  );
  const now = compareAll(kmods, rpms, kernel, lost);
  const then = new Map<number, ArchDetail[][]>();
  for (const ref of kmods.flatMap((kmod) => measuredBy(kmod, run))) {
    if (then.has(ref.id)) continue;
    const old = (await read(ref))?.kernel;
    if (old) then.set(ref.id, compareAll(kmods, rpms, old, lost));
  }
  return kmods.map((kmod, i) => {
    const { name, arches } = kmod;
    const measured = measuredBy(kmod, run);
    const before = new Map(
      (now[i] ?? []).flatMap(({ arch }) => {
        const answers = measured.map(({ id }) => then.get(id)?.[i]?.find((one) => one.arch === arch)?.answer);
        const answer = answers.includes('compatible')
          ? 'compatible'
          : answers.every((one) => one === 'incompatible')
            ? 'incompatible'
            : answers.find((one) => one !== undefined) && 'inconclusive';
        return answers.length > 0 && answer ? [[arch, answer] as const] : [];
      }),
    );
    const tried = (now[i] ?? []).filter(({ arch }) => !arches || arches.includes(arch));
    const providers = new Set(tried.flatMap(({ fromKmods }) => fromKmods.map(({ provider }) => provider)));
    const needs = kmods.filter(({ nvr }) => providers.has(nvr)).map((kmod) => kmod.name);
    return {
      kmod: name,
      ...(needs.length > 0 && { needs }),
      arches: heard(tried, kernel).map((found) => {
        const answer = before.get(found.arch);
        return answer ? { ...found, before: answer } : found;
      }),
    };
  });
}

/** So many symbols are named in a cause. */
const NAMED = 3;

interface Lost {
  readonly build: number;
  readonly arch: string;
  readonly why: string;
}

/** Each kmod on each architecture that it has rpms for. */
function compareAll(
  kmods: readonly Kmod[],
  rpms: readonly KmodRpm[][],
  { tables, rpms: beside, partial, ...kind }: BuiltKernel,
  lost: readonly Lost[],
): ArchDetail[][] {
  const evidence: ArchDetail[][] = kmods.map(() => []);
  for (const arch of archesOf(rpms.flat())) {
    const of = archFor(arch, tables);
    const rpmsOfKernel = beside.get(of);
    const notAll = partial.get(of);
    const kernel = {
      ...{ arch, variant: kind.variant, symbols: tables.get(of) ?? new Map() },
      ...(rpmsOfKernel && { rpms: rpmsOfKernel }),
      ...(notAll !== undefined && { partial: notAll }),
    };
    const needs = kmods.map(({ nvr }, i) => {
      const own = (rpms[i] ?? []).some((rpm) => rpm.arch === arch);
      return own ? kmodOfBuild(nvr, rpms[i] ?? [], kernel, kind) : undefined;
    });
    const gone = lost.filter((one) => one.arch === arch);
    const found = compareKmods(
      needs.filter((need) => need !== undefined),
      kernel,
      undefined,
      gone.map(({ build }) => kmods.find(({ buildId }) => buildId === build)?.nvr ?? ''),
    );
    for (const [i, need] of needs.entries()) {
      const comparison = need && found.find(({ kmod }) => kmod === need.name);
      if (!need || !comparison) continue;
      const own = gone.find(({ build }) => build === kmods[i]?.buildId);
      const other = gone.find(() => comparison.cause === 'kmod-not-read');
      const why = own ?? other;
      // What a kmod that cannot be read may give is not gone.
      const missing = comparison.missing.filter(
        ({ symbol }) => gone.length === 0 || isOfKernel(need, symbol),
      );
      const told = spelled({ ...comparison, missing }, tables.get(of), kernel);
      evidence[i]?.push({ arch, ...(why ? unreadable(told, why, tables.has(of)) : told) });
    }
  }
  return evidence;
}

/** The architecture of the kernel that loads modules for another: where it has not that one, a level of the same. */
const archFor = (arch: string, tables: BuiltKernel['tables']): string =>
  tables.has(arch) ? arch : ([...tables.keys()].find((one) => machineOf(one) === machineOf(arch)) ?? arch);

const isOfKernel = ({ kernelImports }: Pick<NamedKmod, 'kernelImports'>, symbol: string): boolean =>
  kernelImports.some((one) => one.symbol === symbol);

/**
 * Where the kernel is built for the architecture, at least one symbol counts as needed, so that it is not taken for one
 * that needs none; where it is not, that is most likely an rpm of tools.
 */
const unreadable = <T extends Omit<ArchDetail, 'arch'>>(told: T, { why }: Lost, isBuilt: boolean): T => ({
  ...told,
  imports: isBuilt ? Math.max(1, told.imports) : told.imports,
  missing: [],
  changed: [],
  remarks: [],
  answer: 'inconclusive',
  cause: `its symbols cannot be read: ${why}`,
});

/**
 * A comparison with its cause in words; nothing can be compared with a kernel that says nothing. What one of which not all
 * is known may have is not listed as missing: those who read that take it for gone.
 */
function spelled(
  { kmod: _, cause, ...found }: KmodComparison,
  table: SymbolTable | undefined,
  { arch, partial }: { readonly arch: string; readonly partial?: string },
): Omit<ArchDetail, 'arch'> {
  if (cause === 'kernel-not-whole') {
    const names = found.missing.map(({ symbol }) => symbol);
    const misses = `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ', …' : ''}`;
    return { ...found, missing: [], cause: `${CAUSES[cause]}: ${partial}; it misses ${misses}` };
  }
  if (cause === 'other-variant' || (table && table.size > 0)) {
    const missing = partial === undefined ? found.missing : [];
    return { ...found, missing, cause: cause && CAUSES[cause] };
  }
  const silent = table ? 'the rpms of this kernel provide no symbol' : `this kernel is not built for ${arch}`;
  const why = partial === undefined ? silent : `${silent}: ${partial}`;
  return { ...found, missing: [], changed: [], remarks: [], answer: 'inconclusive', cause: why };
}

/**
 * A kmod that nowhere speaks of symbols is one case; else each architecture that does not is one of its own. One on
 * which it is for other variants only, as a 64k kernel is on aarch64 alone, counts where there is no other.
 */
function heard(all: readonly ArchDetail[], { tables }: BuiltKernel): ArchDetail[] {
  // 32-bit tools beside 64-bit modules: no kernel there, and nothing that needs one.
  const known = all.filter(({ arch, imports }) => imports > 0 || tables.has(archFor(arch, tables)));
  const arches = known.length > 0 ? known : all;
  const own = arches.filter(({ cause }) => cause !== CAUSES['other-variant']);
  if (own.length === 0) return [...arches];
  return own.every(({ imports, remarks = [] }) => imports === 0 && remarks.length === 0) ? [] : own;
}

/** The baseline, and its kernel, or why that cannot be read. */
interface Baseline {
  readonly ref: KernelRef;
  readonly kernel: BuiltKernel | null;
  readonly unreadable: string | null;
}

type BaselineReader = (ref: KernelRef | null) => Promise<Baseline | null>;

/**
 * @param now the run's kernel: where thousands of its symbols are in an rpm that gave none before, that one was damaged
 * @returns reads each baseline once; null where there is none, and a kernel is no baseline of its own
 */
function baselineReader(
  context: SymbolSource,
  { variant }: Gate,
  { kernel }: Run,
  last = false,
  now?: BuiltKernel,
): BaselineReader {
  const lose: Lose = (_, error) => isBearable(error, last);
  const known = new Map<number, Baseline>();
  const readAnew = async (ref: KernelRef): Promise<Baseline> => {
    try {
      const read = await readKernel(context, { id: ref.id, name: kernel.name, variant }, lose);
      return { ref, kernel: now ? besideAnother(read, now, kernel) : read, unreadable: null };
    } catch (error) {
      // Old builds and their files are removed in time: that is no reason to judge nothing.
      if (!isUnknown(error)) throw error;
      context.lost?.(error.message);
      return { ref, kernel: null, unreadable: error.message };
    }
  };
  return async (ref) => {
    if (!ref || ref.id === kernel.id) return null;
    const found = known.get(ref.id) ?? (await readAnew(ref));
    known.set(ref.id, found);
    return found;
  };
}

/**
 * Ties errors of a failed build to the kernel difference: where one names a symbol that this kernel changed since the
 * kmod's baseline, or no longer has, it says so. Throws HubError where the hub cannot be asked now.
 */
export async function tieErrors(
  context: SymbolSource,
  gate: Gate,
  run: Run,
  build: BuildEvidence,
  kmod: string,
): Promise<BuildEvidence> {
  if (!build.arches.some(({ errors }) => errors.some(isNamed))) return build;
  const { id, name } = run.kernel;
  const tried = run.kmods.find((one) => one.name === kmod);
  const read = baselineReader(context, gate, run);
  const before = (await read((tried && measuredBy(tried, run)[0]) ?? null))?.kernel;
  if (!before) return build;
  const now = await readKernel(context, { id, name, variant: gate.variant }, (_, error) => isUnknown(error));
  const arches = build.arches.map((evidence) => {
    const [old, fresh] = [before.tables.get(evidence.arch), now.tables.get(evidence.arch)];
    // Where everything changed, that says nothing of one symbol.
    if (!old || !fresh || compareKernels(old, fresh).everythingChanged) return evidence;
    const isWhole = !now.partial.has(evidence.arch);
    return { ...evidence, errors: evidence.errors.map((error) => tie(error, old, fresh, isWhole)) };
  });
  return { ...build, arches };
}

const isNamed = ({ kind, identifier }: LogError): boolean => kind === 'source' && identifier !== undefined;

/** @param isWhole whether what is not in `fresh` is gone */
function tie(error: LogError, old: SymbolTable, fresh: SymbolTable, isWhole: boolean): LogError {
  const before = isNamed(error) ? old.get(error.identifier ?? '') : undefined;
  const after = fresh.get(error.identifier ?? '');
  if (!before || before.crc === after?.crc || (!after && !isWhole)) return error;
  const { provider } = after ?? before;
  return { ...error, change: { before: before.crc, after: after?.crc ?? null, provider } };
}

function changeSince(
  { ref, kernel: before, unreadable }: Baseline,
  now: BuiltKernel,
  stablelist: Stablelist | null,
): KernelChange {
  const arches = before ? [...new Set([...before.tables.keys(), ...now.tables.keys()])] : [];
  const sideOf = (kernel: BuiltKernel | null, arch: string): Side => ({
    table: kernel?.tables.get(arch) ?? new Map(),
    partial: kernel?.partial.get(arch),
  });
  return {
    baseline: ref,
    unreadable,
    arches: arches.map((arch) => changeOf(arch, sideOf(before, arch), sideOf(now, arch), stablelist)),
  };
}

/** What a kernel exports on one architecture, and why that may not be all. */
interface Side {
  readonly table: SymbolTable;
  readonly partial: string | undefined;
}

/** What is not in a table that may not be all of it is neither new nor gone. */
function changeOf(arch: string, before: Side, after: Side, stablelist: Stablelist | null): ArchChange {
  const list = stablelist ? listedOn(arch, stablelist) : [];
  const found = compareKernels(before.table, after.table, new Set(list));
  const { common, changed, everythingChanged } = found;
  const added = before.partial === undefined ? found.added : [];
  const removed = after.partial === undefined ? found.removed : [];
  const why = before.partial ?? after.partial;
  const isUntold = (symbol: string) =>
    before.table.has(symbol)
      ? after.partial !== undefined && !after.table.has(symbol)
      : before.partial !== undefined;
  return {
    arch,
    common,
    added: added.length,
    removed: removed.length,
    changed: changed.length,
    everything: everythingChanged,
    ...(why !== undefined && { partial: { why, listed: list?.filter(isUntold).length ?? 0 } }),
    listed: list ? listedIn({ removed, changed }) : null,
  };
}

/** Listed symbols that went or changed. */
function listedIn({ removed, changed }: Pick<KernelDifference, 'removed' | 'changed'>) {
  const gone = removed.map(({ crc, ...lone }) => ({ ...lone, before: crc, after: null }));
  return [...gone, ...changed]
    .filter(({ stable }) => stable)
    .map(({ symbol, before, after, provider }) => ({ symbol, before, after, provider }));
}

/** Of the architecture, or of any. */
const onArch = <T>(arch: string, of: Readonly<Record<string, T>>): T | undefined => of[arch] ?? of['*'];

/** What must not change on an architecture: nothing where the list tells by itself how all of it must be. */
const listedOn = (arch: string, { symbols, exports = {} }: Stablelist): readonly string[] | undefined =>
  onArch(arch, exports) ? [] : onArch(arch, symbols);

/** What is not as a list with CRCs has it, on each architecture that the kernel or the one before it is built for. */
function changesSinceList(
  exports: NonNullable<Stablelist['exports']>,
  kernel: BuiltKernel,
  before: BuiltKernel | null | undefined,
): ListChange[] {
  const arches = new Set([...kernel.tables.keys(), ...(before?.tables.keys() ?? [])]);
  return [...arches].flatMap((arch) => {
    const list = onArch(arch, exports);
    if (!list) return [];
    const symbols = kernel.tables.get(arch) ?? new Map();
    const why = kernel.partial.get(arch);
    const untold = why === undefined ? [] : [...list.keys()].filter((symbol) => !symbols.has(symbol));
    const listed = listedIn(sinceList(list, { symbols, ...(why !== undefined && { partial: why }) }));
    return [{ arch, listed, ...(why !== undefined && { partial: { why, listed: untold.length } }) }];
  });
}
