/** What a run's kmods need of the kernel, read from the rpms' headers on the hub, with no build at all. */
import type {
  ArchSymbols,
  Gate,
  KernelChange,
  Kmod,
  Run,
  SymbolEvidence,
  SymbolsShown,
} from '../core/model.ts';
import { CAUSES, compareKernels, compareKmod } from '../kabi/compare.ts';
import type { ExportedSymbol, Kmod as KmodSymbols, SymbolTable } from '../kabi/model.ts';
import { parseDependencies, type SymbolDependency } from '../kabi/rpm.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, unwrap } from '../koji/hub.ts';
import type { RpmDependencies, Store } from '../store/store.ts';
import type { Context } from './context.ts';

/** Replies about a kernel's rpm have a megabyte and more: so many are asked for at a time. */
const AT_A_TIME = 4;

/**
 * Compare the kmods of a run, and the gate's stablelist, with the kernel. An rpm's symbols are asked for once ever.
 * @throws HubError where the hub cannot be asked now
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

/** A kernel of a build: `name` is the build's package, `variant` as a Gate has it. */
export interface KernelOfBuild {
  readonly id: number;
  readonly name: string;
  readonly variant: string;
}

/** What the rpms of a kernel provide, by architecture. Throws HubError. */
export async function readKernel(
  { hub, store }: SymbolSource,
  { id, name, variant }: KernelOfBuild,
): Promise<ReadonlyMap<string, SymbolTable>> {
  const prefix = variant === '' ? name : `${name}-${variant}`;
  const rpms = (await hub.read(koji.listBuildRPMs(id))).filter((rpm) => isKernelPart(prefix, rpm.name));
  const known = await symbolsOf(hub, store, rpms);
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
  const known = await symbolsOf(hub, store, rpms.flat());
  const evidence: ArchSymbols[][] = kmods.map(() => []);
  for (const arch of archesOf(rpms.flat())) {
    const needs = kmods.map((kmod, i) => kmodSymbols(kmod, rpms[i] ?? [], arch, known));
    const all = needs.filter((need) => need !== undefined);
    for (const [i, need] of needs.entries())
      if (need) evidence[i]?.push(compare(need, kernel.get(arch), all));
  }
  return kmods.map(({ name }, i) => ({ kmod: name, arches: evidence[i] ?? [] }));
}

/** Against the newest kernel that the gate let through; null where there is none. */
async function readChange(
  context: Context,
  { on_pass, stablelist, variant }: Gate,
  { kernel: { id, name } }: Run,
  kernel: ReadonlyMap<string, SymbolTable>,
): Promise<KernelChange | null> {
  const passed = await context.hub.readAll(on_pass.tag.map((tag) => koji.listTagged(tag, { package: name })));
  const baseline = passed.flatMap(unwrap).find(({ build_id }) => build_id !== id);
  if (!baseline) return null;
  const before = await readKernel(context, { id: baseline.build_id, name, variant });
  const symbols = stablelist?.symbols;
  return {
    baseline: { id: baseline.build_id, nvr: baseline.nvr },
    arches: [...kernel].map(([arch, table]) => {
      const listed = new Set(symbols?.[arch] ?? symbols?.['*']);
      const found = compareKernels(before.get(arch) ?? new Map(), table, listed);
      const broken = [...found.removed, ...found.changed].filter(({ stable }) => stable);
      return {
        arch,
        common: found.common,
        added: found.added.length,
        removed: found.removed.length,
        changed: found.changed.length,
        everything: found.everythingChanged,
        listed: broken.map(({ symbol }) => symbol),
      };
    }),
  };
}

/** The rpms that hold a kernel itself and its modules: `kernel-core`, `kernel-rt-modules-extra`. */
const isKernelPart = (prefix: string, rpm: string): boolean =>
  rpm.startsWith(prefix) &&
  /^-(core|modules(-(core|extra|internal|partner))?)$/.test(rpm.slice(prefix.length));

const isModulesRpm = ({ name, arch }: koji.Rpm): boolean =>
  arch !== 'src' && arch !== 'noarch' && !/-debug(info|source)$/.test(name);

/** From the store, else from the hub. */
async function symbolsOf(
  hub: SymbolSource['hub'],
  store: SymbolSource['store'],
  rpms: readonly koji.Rpm[],
): Promise<ReadonlyMap<number, RpmDependencies>> {
  const ids = rpms.map(({ id }) => id);
  const known = await store.rpmSymbols(ids);
  const wanted = ids.filter((id) => !known.has(id));
  for (let i = 0; i < wanted.length; i += AT_A_TIME) {
    const some = wanted.slice(i, i + AT_A_TIME);
    const headers = (await hub.readAll(some.map(koji.getRPMHeaders))).map(unwrap);
    const fresh = new Map<number, RpmDependencies>();
    for (const [n, id] of some.entries()) {
      const header = headers[n];
      // Every rpm provides itself: nothing at all means that the hub has no such file, maybe only for now.
      if (header && header.PROVIDENAME.length > 0) fresh.set(id, rpmSymbols(header));
    }
    await store.keepRpmSymbols(fresh);
    for (const [id, symbols] of fresh) known.set(id, symbols);
  }
  return known;
}

function rpmSymbols(headers: koji.RpmHeaders): RpmDependencies {
  const { PROVIDENAME, PROVIDEVERSION, PROVIDEFLAGS, REQUIRENAME, REQUIREVERSION, REQUIREFLAGS } = headers;
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

/** Undefined where none of its rpms of that architecture speaks of symbols. */
function kmodSymbols(
  { nvr }: Kmod,
  rpms: readonly koji.Rpm[],
  arch: string,
  known: ReadonlyMap<number, RpmDependencies>,
): KmodSymbols | undefined {
  const requires = new Map<string, SymbolDependency>();
  for (const { id } of rpms.filter((each) => each.arch === arch))
    for (const dependency of known.get(id)?.requires ?? [])
      requires.set(`${dependency.symbol} ${dependency.crc}`, dependency);
  if (requires.size === 0) return undefined;
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

function compare(
  kmod: KmodSymbols,
  kernel: SymbolTable | undefined,
  others: readonly KmodSymbols[],
): ArchSymbols {
  const arch = kmod.arch ?? '';
  const imports = kmod.imports.length + kmod.kmodImports.length;
  if (!kernel || kernel.size === 0) {
    const cause = kernel
      ? 'the rpms of this kernel provide no symbol'
      : `this kernel is not built for ${arch}`;
    return { arch, imports, missing: [], changed: [], fromKmods: [], answer: 'inconclusive', cause };
  }
  const found = compareKmod(
    kmod,
    { arch, variant: null, symbols: kernel },
    others.filter((other) => other !== kmod),
  );
  return {
    arch,
    imports,
    missing: found.missing.map(({ symbol, crc }) => ({ symbol, crc })),
    changed: found.changed,
    fromKmods: found.fromKmods,
    answer: found.answer,
    cause: found.cause && CAUSES[found.cause],
  };
}
