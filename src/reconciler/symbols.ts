/** What a run's kmods need of the kernel, read from the rpms' headers on the hub, with no build at all. */
import type {
  ArchChange,
  ArchSymbols,
  Gate,
  KernelChange,
  Kmod,
  Run,
  Stablelist,
  SymbolEvidence,
  SymbolsShown,
} from '../core/model.ts';
import { CAUSES, compareKernels, compareKmods, type KmodComparison } from '../kabi/compare.ts';
import type { ExportedSymbol, Kmod as KmodSymbols, SymbolTable } from '../kabi/model.ts';
import { type KernelName, parseDependencies, rpmsOfKernel, type SymbolDependency } from '../kabi/rpm.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, HubError, unwrap } from '../koji/hub.ts';
import type { RpmDependencies, Store } from '../store/store.ts';
import type { Context } from './context.ts';

/** Replies about a kernel's rpm have a megabyte and more: so many are asked for at a time. */
const KERNEL_RPMS = 8;

/**
 * Compare the kmods of a run, and the gate's stablelist, with the kernel. An rpm's symbols are asked for once ever.
 * @throws HubError where the hub cannot be asked now, or has no file of an rpm that matters
 */
export async function readSymbols(context: Context, gate: Gate, run: Run): Promise<SymbolsShown> {
  const { id, name } = run.kernel;
  const kernel = await readKernel(context, { id, name, variant: gate.variant });
  return {
    kmods: run.strategy === 'rebuild' ? [] : await readKmods(context, run.kmods, kernel),
    change: await readChange(context, gate, run, kernel),
    stablelist: gate.stablelist?.effect ?? null,
  };
}

/** Where symbols come from: the hub, and what was kept of it. */
export interface SymbolSource {
  readonly hub: Pick<Hub, 'read' | 'readAll'>;
  readonly store: Pick<Store, 'rpmSymbols' | 'keepRpmSymbols'>;
}

/** A kernel, and the id of the build that makes it. */
export interface KernelOfBuild extends KernelName {
  readonly id: number;
}

/** What the rpms of a kernel provide, by architecture. Throws HubError. */
export async function readKernel(
  source: SymbolSource,
  { id, ...kernel }: KernelOfBuild,
): Promise<ReadonlyMap<string, SymbolTable>> {
  const rpms = rpmsOfKernel(kernel, await source.hub.read(koji.listBuildRPMs(id)));
  const known = await symbolsOf(source, rpms, KERNEL_RPMS);
  return new Map(archesOf(rpms).map((arch) => [arch, exportsOf(rpms, arch, known)]));
}

const archesOf = (rpms: readonly koji.Rpm[]): string[] => [...new Set(rpms.map(({ arch }) => arch))];

async function readKmods(
  { hub, store }: Context,
  kmods: readonly Kmod[],
  kernel: ReadonlyMap<string, SymbolTable>,
): Promise<SymbolEvidence[]> {
  const answers = await hub.readAll(kmods.map(({ buildId }) => koji.listBuildRPMs(buildId)));
  const rpms = answers.map((answer) => unwrap(answer).filter(isModulesRpm));
  const known = await symbolsOf({ hub, store }, rpms.flat());
  const evidence: ArchSymbols[][] = kmods.map(() => []);
  for (const arch of archesOf(rpms.flat())) {
    const table = kernel.get(arch) ?? new Map();
    const needs = kmods.map((kmod, i) => needsOf(kmod, rpms[i] ?? [], arch, known));
    const found = compareKmods(
      needs.filter((need) => need !== undefined),
      { arch, variant: null, symbols: table },
    );
    for (const [i, need] of needs.entries()) {
      const comparison = need && found.find(({ kmod }) => kmod === need.name);
      if (comparison) evidence[i]?.push({ arch, ...spelled(comparison, kernel.get(arch), arch) });
    }
  }
  return kmods.map(({ name }, i) => ({ kmod: name, arches: heard(evidence[i] ?? []) }));
}

const isModulesRpm = ({ name, arch }: koji.Rpm): boolean =>
  arch !== 'src' && arch !== 'noarch' && !/-debug(info|source)$/.test(name);

/** A comparison with its cause in words; nothing can be compared with a kernel that says nothing. */
function spelled(
  { kmod: _, cause, ...found }: KmodComparison,
  table: SymbolTable | undefined,
  arch: string,
): Omit<ArchSymbols, 'arch'> {
  if (table && table.size > 0) return { ...found, cause: cause && CAUSES[cause] };
  const why = table ? 'the rpms of this kernel provide no symbol' : `this kernel is not built for ${arch}`;
  return { ...found, missing: [], changed: [], answer: 'inconclusive', cause: why };
}

/** A kmod that nowhere speaks of symbols is one case; else each architecture that does not is one of its own. */
const heard = (arches: readonly ArchSymbols[]): ArchSymbols[] =>
  arches.every(({ imports }) => imports === 0) ? [] : [...arches];

/** Against the newest kernel that the gate let through; null where there is none. */
async function readChange(
  context: Context,
  { on_pass, stablelist, variant }: Gate,
  { kernel: { id, name } }: Run,
  kernel: ReadonlyMap<string, SymbolTable>,
): Promise<KernelChange | null> {
  const passed = await context.hub.readAll(on_pass.tag.map((tag) => koji.listTagged(tag, { package: name })));
  const others = passed.flatMap(unwrap).filter(({ build_id }) => build_id !== id);
  const newest = others.toSorted((a, b) => b.create_event - a.create_event)[0];
  if (!newest) return null;
  const baseline = { id: newest.build_id, nvr: newest.nvr };
  try {
    const before = await readKernel(context, { id: baseline.id, name, variant });
    const arches = [...new Set([...before.keys(), ...kernel.keys()])].map((arch) =>
      changeOf(arch, before.get(arch), kernel.get(arch), stablelist),
    );
    return { baseline, unreadable: null, arches };
  } catch (error) {
    // Files of old builds are removed in time: that is no reason to judge nothing.
    if (!(error instanceof HubError) || error.kind !== 'refused') throw error;
    return { baseline, unreadable: error.message, arches: [] };
  }
}

function changeOf(
  arch: string,
  before: SymbolTable = new Map(),
  after: SymbolTable = new Map(),
  stablelist: Stablelist | null,
): ArchChange {
  const list = stablelist ? (stablelist.symbols[arch] ?? stablelist.symbols['*']) : [];
  const { common, added, removed, changed, everythingChanged } = compareKernels(before, after, new Set(list));
  const gone = removed.map(({ crc, ...lone }) => ({ ...lone, before: crc, after: null }));
  return {
    arch,
    common,
    added: added.length,
    removed: removed.length,
    changed: changed.length,
    everything: everythingChanged,
    listed: list
      ? [...gone, ...changed]
          .filter(({ stable }) => stable)
          .map(({ symbol, before, after, provider }) => ({ symbol, before, after, provider }))
      : null,
  };
}

/** From the store, else from the hub, so many rpms in one request. */
async function symbolsOf(
  { hub, store }: SymbolSource,
  rpms: readonly koji.Rpm[],
  atATime = rpms.length,
): Promise<ReadonlyMap<number, RpmDependencies>> {
  const known = await store.rpmSymbols(rpms.map(({ id }) => id));
  const wanted = rpms.filter(({ id }) => !known.has(id));
  for (let i = 0; i < wanted.length; i += atATime) {
    const some = wanted.slice(i, i + atATime);
    const headers = await hub.readAll(some.map(({ id }) => koji.getRPMHeaders(id)));
    const fresh = new Map(some.map((rpm, n) => [rpm.id, dependenciesOf(rpm, unwrap(headers[n]))]));
    await store.keepRpmSymbols(fresh);
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
  return {
    provides: parseDependencies({ names: PROVIDENAME, versions: PROVIDEVERSION, flags: PROVIDEFLAGS }),
    requires: parseDependencies({ names: REQUIRENAME, versions: REQUIREVERSION, flags: REQUIREFLAGS }),
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

/** What its rpms of one architecture need and offer; undefined where it has none. */
function needsOf(
  { nvr }: Kmod,
  rpms: readonly koji.Rpm[],
  arch: string,
  known: ReadonlyMap<number, RpmDependencies>,
): KmodSymbols | undefined {
  const own = rpms.filter((rpm) => rpm.arch === arch);
  if (own.length === 0) return undefined;
  const requires = new Map<string, SymbolDependency>();
  for (const { id } of own)
    for (const dependency of known.get(id)?.requires ?? [])
      requires.set(`${dependency.symbol} ${dependency.crc}`, dependency);
  const all = [...requires.values()];
  return {
    name: nvr,
    arch,
    variant: null,
    imports: all.filter(({ from }) => from !== 'kmod'),
    kmodImports: all.filter(({ from }) => from === 'kmod'),
    exports: exportsOf(rpms, arch, known),
  };
}
