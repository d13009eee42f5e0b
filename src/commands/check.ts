/** `kmod-gate check` and `kmod-gate diff`: kernels and kmods compared by their symbols, with no Koji needed. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { blame } from '../kabi/blame.ts';
import {
  CAUSES,
  compareKernels,
  compareKmods,
  type Export,
  type KernelDifference,
  type KmodComparison,
} from '../kabi/compare.ts';
import { formatCrc } from '../kabi/crc.ts';
import { combineKernel } from '../kabi/kernel.ts';
import type { KernelKind } from '../kabi/kmod.ts';
import type { KernelSymbols, Kmod } from '../kabi/model.ts';
import { variantOf } from '../kabi/rpm.ts';
import { spellSymbols } from '../report/report.ts';
import { readSymbolFile, type SymbolFile } from '../symbols/read.ts';
import { CheckError } from './error.ts';
import { line, type Output, paint, table } from './text.ts';

export interface CheckOptions {
  /** Files that form one kernel, folders of such, or an NVR or build id on the hub. */
  readonly kernel: readonly string[];
  readonly baseline?: readonly string[];
  readonly stablelist?: string;
  /** Rpms, modules, lists of modversions, folders of such, or NVRs or build ids on the hub. */
  readonly kmods: readonly string[];
  /** Of builds on the hub: for x86_64, the plain kernel, and kmods for the same as the kernel, unless told. */
  readonly arch?: string;
  readonly variant?: string;
  readonly json: boolean;
  /** Read when something is named that is no file. */
  readonly config: () => Promise<Config>;
}

/**
 * Compare kmods with a kernel, and the kernel with a baseline.
 * @returns whether every kmod loads, and no listed symbol changed
 * @throws CheckError, SymbolFileError, HubError
 */
export async function check(output: Output, options: CheckOptions): Promise<boolean> {
  if (options.stablelist !== undefined && !options.baseline)
    throw new CheckError('--stablelist tells what must not change: name with --baseline since when');
  const named = await readArguments(options);
  const kernel = await kernelOf(named.kernel, options);
  const stable = await readStablelist(options.stablelist, options.arch ?? kernel.arch);
  const baseline = options.baseline && (await kernelOf(named.baseline, options));
  const kmods = await kmodsOf(named.kmods, kernel, options);
  if (kmods.length === 0 && !baseline)
    throw new CheckError(
      'no kmod to check: name rpms, modules, lists of modversions, a folder of them, or builds on the hub',
    );
  const comparisons = compareKmods(kmods, kernel, baseline);
  const difference = baseline && compareKernels(baseline.symbols, kernel.symbols, stable);
  const before = baseline && difference && { symbols: baseline.symbols.size, difference };
  const why = baseline && (await causesOf([named.baseline, baseline], [named.kernel, kernel], kmods));
  output.write(
    options.json
      ? `${JSON.stringify({ ...checkJson(kernel, comparisons, before), ...why?.json }, null, 2)}\n`
      : `${why?.text ?? ''}${checkText(output, kernel, comparisons, before, stable !== undefined)}`,
  );
  const kept = !difference || stable === undefined || brokenPromises(difference).length === 0;
  return kept && comparisons.every(({ answer }) => answer === 'compatible');
}

/**
 * Compare two kernels.
 * @returns whether the newer one exports all that the older one does, with the same CRCs and to as many modules
 * @throws CheckError, SymbolFileError, HubError
 */
export async function diff(
  output: Output,
  [older, newer]: readonly [string, string],
  options: Pick<CheckOptions, 'stablelist' | 'arch' | 'variant' | 'json' | 'config'>,
): Promise<boolean> {
  const [old, young] = [[await read(older)], [await read(newer)]];
  const before = await kernelOf(old, options);
  const after = await kernelOf(young, options);
  const stable = await readStablelist(options.stablelist, options.arch ?? after.arch);
  const difference = compareKernels(before.symbols, after.symbols, stable);
  const sizes = { before: before.symbols.size, after: after.symbols.size };
  const why = await causesOf([old, before], [young, after], []);
  output.write(
    options.json
      ? `${JSON.stringify({ baseline: { symbols: sizes.before, ...counts(difference) }, kernel: { symbols: sizes.after }, ...listed(difference), ...why?.json }, null, 2)}\n`
      : `${why?.text ?? ''}${differenceText(sizes.before, difference, stable !== undefined)}${changesText(difference)}`,
  );
  return difference.removed.length + difference.changed.length + narrower(difference).length === 0;
}

// ---- files ------------------------------------------------------------------------------------------

/** An argument with the files that it names, or with none where it may be a build on the hub. */
export interface Named {
  readonly name: string;
  readonly files?: readonly SymbolFile[];
}

export async function read(name: string): Promise<Named> {
  if (!existsSync(name)) return { name };
  const files: SymbolFile[] = [];
  // One after the other: of rpms only the headers are kept.
  for (const path of filesOf(name)) files.push(await readSymbolFile(readFileSync(path), path));
  return { name, files };
}

/** Of a folder all files below it; links count, as weak-updates has them. */
function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const paths = readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  const files = paths.filter((each) => statSync(each, { throwIfNoEntry: false })?.isFile());
  if (files.length === 0) throw new CheckError(`${path}: there is no file in this folder`);
  return files.sort();
}

/**
 * An option that takes several files takes the kmods after it too. Where none are named apart, an argument is a
 * kernel's if all its files are; of builds on the hub the first, since one is a whole kernel.
 */
export async function readArguments(
  { kernel, baseline = [], kmods }: Pick<CheckOptions, 'kernel' | 'baseline' | 'kmods'>,
  isPart: (file: SymbolFile) => boolean = isKernelPart,
) {
  const all = async (names: readonly string[]) => {
    const named: Named[] = [];
    for (const name of names) named.push(await read(name));
    return named;
  };
  const named = { kernel: await all(kernel), baseline: await all(baseline), kmods: await all(kmods) };
  const isKernel = ({ files = [] }: Named) => files.every(isPart);
  if (kmods.length === 0) {
    const isOfKernel = (argument: Named, i: number) => isKernel(argument) && (argument.files || i === 0);
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
  const stray = [...named.kernel, ...named.baseline].find((argument) => !isKernel(argument));
  if (stray) throw new CheckError(`${stray.name}: is a kmod's, not a kernel's; put all kmods behind --`);
  return named;
}

/** Module.symvers, rpms that are named as parts of a kernel are, and what offers symbols and needs none. */
export function isKernelPart(file: SymbolFile): boolean {
  const { format, name, kernelImports, kmodImports, imports, exports, stablelists } = file;
  if (format === 'symvers' || format === 'image' || stablelists.length > 0) return true;
  if (variantOf(name.replace(/-[^-]+-[^-]+$/, '')) !== null) return true;
  return kernelImports.length + kmodImports.length + imports.length === 0 && exports.size > 0;
}

/** The list of an architecture; a rpm of stablelists has one for each, by release of the distribution. */
async function readStablelist(
  path: string | undefined,
  arch: string | null,
): Promise<ReadonlySet<string> | undefined> {
  if (path === undefined) return undefined;
  const { files } = await read(path);
  if (!files) throw new CheckError(`${path}: there is no such file`);
  const lists = files.flatMap(({ stablelists }) => stablelists);
  if (lists.length === 0) throw new CheckError(`${path}: holds no stablelist`);
  if (lists.length === 1) return lists[0]?.symbols;
  const names = lists.map(({ name }) => name);
  const fit = lists.filter(({ name }) => arch !== null && name.includes(arch));
  // The newest release has the last of them.
  const newest = fit.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })).at(-1);
  if (newest) return newest.symbols;
  throw new CheckError(
    `${path}: holds several lists (${names.join(', ')}); name one of their files, or --arch`,
  );
}

// ---- kernels and kmods ------------------------------------------------------------------------------

type Told = Pick<CheckOptions, 'arch' | 'variant' | 'config'>;

/** With Koji's client and all that it needs, which takes longer to load than the rest. */
const hubBuilds = () => import('./hubbuild.ts');

/** Of a build on the hub, where nothing tells. */
const ARCH = 'x86_64';

/** A kernel, and the variants that its build makes, where it is one on the hub. */
type Kernel = KernelSymbols & Partial<Pick<KernelKind, 'siblings'>>;

/** One kernel of all the files that form it, or of the hub. Throws SymbolFileError for files of several kernels. */
export async function kernelOf(
  named: readonly Named[],
  { arch = ARCH, variant = '', config }: Told,
): Promise<Kernel> {
  const [build] = named.filter(({ files }) => !files);
  if (build && named.length === 1) {
    const { kernelOnHub } = await hubBuilds();
    return kernelOnHub(build.name, { arch, variant, config });
  }
  if (build) throw new CheckError(`${build.name}: there is no such file`);
  return combineKernel(named.flatMap(({ files = [] }) => files));
}

/** Kmods of files, and those of the hub that are for this kernel. */
async function kmodsOf(named: readonly Named[], kernel: Kernel, told: Told): Promise<Kmod[]> {
  const inFiles = named.flatMap(({ files = [] }) => files);
  const builds = named.filter(({ files }) => !files).map(({ name }) => name);
  if (builds.length === 0) return inFiles;
  const variant = kernel.variant ?? told.variant ?? null;
  const siblings = kernel.siblings ?? (variant === null ? [] : [variant]);
  const { kmodsOnHub } = await hubBuilds();
  const options = { arch: told.arch ?? kernel.arch ?? ARCH, config: told.config };
  return [...inFiles, ...(await kmodsOnHub(builds, { variant, siblings }, options))];
}

/**
 * What changed in the kernel's source, for the beginning, where both kernels' own files are given, with their types; those of rpms
 * are not looked for here, since unpacking them takes longer than all the rest.
 */
async function causesOf(
  [was, before]: readonly [readonly Named[], KernelSymbols],
  [is, after]: readonly [readonly Named[], KernelSymbols],
  kmods: readonly Kmod[],
) {
  const [old, young] = [was, is].map((named) => named.flatMap(({ files = [] }) => files));
  if (![old, young].every((files) => files?.some(({ btf }) => btf))) return undefined;
  const { explainShort } = await import('./types.ts');
  const { symbols } = before;
  return explainShort({ files: old ?? [], symbols }, { files: young ?? [], symbols: after.symbols }, kmods);
}

// ---- what is shown ----------------------------------------------------------------------------------

interface Before {
  readonly symbols: number;
  readonly difference: KernelDifference;
}

const counts = ({ added, removed, changed, reexported }: KernelDifference) => ({
  added: added.length,
  removed: removed.length,
  changed: changed.length,
  reexported: reexported.length,
});

/** Symbols that fewer modules may use. */
const narrower = ({ reexported }: KernelDifference) => reexported.filter((symbol) => symbol.narrower);

/** Listed symbols that changed or went, or that fewer modules may use. */
const brokenPromises = (difference: KernelDifference) =>
  [...difference.removed, ...difference.changed, ...narrower(difference)].filter(({ stable }) => stable);

/** What tells two ways to export a symbol apart: `EXPORT_SYMBOL`, `namespace NS`. */
function exportText({ exportType, namespace }: Export, other: Export): string {
  return [
    ...(exportType === other.exportType ? [] : [exportType]),
    ...(namespace === other.namespace ? [] : [namespace ? `namespace ${namespace}` : 'no namespace']),
  ].join(', ');
}

const reexportText = ({ before, after }: KernelDifference['reexported'][number]) =>
  `${exportText(before, after)} → ${exportText(after, before)}`;

function listed(difference: KernelDifference) {
  const crcs = ({ crc, ...lone }: KernelDifference['added'][number]) => ({ ...lone, crc: formatCrc(crc) });
  return {
    everything_changed: difference.everythingChanged,
    added: difference.added.map(crcs),
    removed: difference.removed.map(crcs),
    changed: difference.changed.map(({ before, after, ...symbol }) => ({
      ...symbol,
      before: formatCrc(before),
      after: formatCrc(after),
    })),
    reexported: difference.reexported.map(({ before, after, ...symbol }) => ({
      ...symbol,
      before: { export_type: before.exportType, namespace: before.namespace },
      after: { export_type: after.exportType, namespace: after.namespace },
    })),
  };
}

function checkJson(
  kernel: KernelSymbols,
  comparisons: readonly KmodComparison[],
  before: Before | undefined,
) {
  return {
    kernel: { symbols: kernel.symbols.size },
    ...(before && { baseline: { symbols: before.symbols, ...counts(before.difference) } }),
    kmods: comparisons.map(({ kmod: name, answer: outcome, cause, ...found }) => ({
      name,
      ...spellSymbols(found),
      outcome,
      ...(cause && { cause: CAUSES[cause] }),
    })),
    ...(before && { difference: listed(before.difference) }),
  };
}

function checkText(
  output: Output,
  kernel: KernelSymbols,
  comparisons: readonly KmodComparison[],
  before: Before | undefined,
  promised: boolean,
): string {
  const rows = comparisons.map(({ kmod, imports, missing, changed, answer, cause }) => [
    kmod,
    String(imports),
    String(missing.length),
    String(changed.length),
    answer,
    cause ? CAUSES[cause] : '',
  ]);
  const heads = ['KMOD', 'IMPORTS', 'MISSING', 'CHANGED', 'OUTCOME', ''];
  const shown = table([heads, ...rows], (padded, cell) => paint(output, TONES[cell] ?? cell, padded));
  return [
    `The kernel exports ${kernel.symbols.size} symbols.\n`,
    ...(before ? [differenceText(before.symbols, before.difference, promised)] : []),
    ...(before ? [reexportedText(before.difference)] : []),
    ...(comparisons.length > 0 ? [`\n${shown}`] : []),
    blameText(comparisons),
  ].join('');
}

/** Outcomes in the colours of those that the gate has. */
const TONES: Readonly<Record<string, string>> = { compatible: 'ok', incompatible: 'broken' };

/** How many symbols are named; `--json` has all. */
const NAMED = 20;

const andMore = (count: number): string =>
  count > NAMED ? `… and ${count - NAMED} more; --json has them all\n` : '';

function blameText(comparisons: readonly KmodComparison[]): string {
  const { symbols } = blame(comparisons);
  if (symbols.length === 0) return '';
  const rows = symbols.slice(0, NAMED).map(({ symbol, provided, hits }) => {
    const required = hits[0] ? formatCrc(hits[0].required) : '';
    const change = `${required} → ${provided ? formatCrc(provided.crc) : 'gone'}`;
    const names = hits.map(({ kmod }) => kmod);
    const few =
      names.length > 3 ? `${names.slice(0, 3).join(' ')} and ${names.length - 3} more` : names.join(' ');
    return [symbol, change, provided?.provider ?? '-', few];
  });
  const more = andMore(symbols.length);
  return `\nSymbols that are not as kmods need them\n${table([['SYMBOL', 'CRC', 'NOW IN', 'HITS'], ...rows])}${more}`;
}

function differenceText(before: number, difference: KernelDifference, promised: boolean): string {
  const { added, removed, changed, reexported } = counts(difference);
  const broken = brokenPromises(difference);
  const promise = promised
    ? line(
        `Stablelist: ${broken.length === 0 ? 'kept' : `${broken.length} listed symbols changed or went: ${broken.map(({ symbol }) => symbol).join(', ')}`}`,
      )
    : '';
  const everything = difference.everythingChanged
    ? 'Nearly every CRC changed: the compiler or the CRC generator did, not the code.\n'
    : '';
  const anew = reexported > 0 ? `, ${reexported} exported in another way` : '';
  return `Since the baseline, of ${before} symbols: ${added} added, ${removed} removed, ${changed} changed${anew}.\n${everything}${promise}`;
}

/** The first of the symbols that are exported in another way: those that fewer modules may use come first. */
function reexportedText({ reexported }: KernelDifference): string {
  if (reexported.length === 0) return '';
  const worstFirst = reexported.toSorted((a, b) => Number(b.narrower) - Number(a.narrower));
  const rows = worstFirst
    .slice(0, NAMED)
    .map((it) => [it.symbol, reexportText(it), it.provider, it.stable ? 'listed' : '']);
  const heads = ['SYMBOL', 'EXPORTED AS', 'IN', ''];
  return `\nSymbols with the same CRC that are exported in another way\n${table([heads, ...rows])}${andMore(reexported.length)}`;
}

/** Where the changes are, and the first of them. */
function changesText(difference: KernelDifference): string {
  const { removed, changed, reexported, added } = difference;
  const all = [
    ...removed.map(({ crc, ...of }) => ({ ...of, mark: '-', change: formatCrc(crc) })),
    ...changed.map(({ before, after, ...of }) => ({
      ...of,
      mark: '!',
      change: `${formatCrc(before)} → ${formatCrc(after)}`,
    })),
    ...reexported.map((of) => ({ ...of, mark: of.narrower ? '!' : ' ', change: reexportText(of) })),
    ...added.map(({ crc, ...of }) => ({ ...of, mark: '+', change: formatCrc(crc) })),
  ];
  if (all.length === 0) return '';
  const byProvider = new Map<string, number>();
  for (const { provider } of all) byProvider.set(provider, (byProvider.get(provider) ?? 0) + 1);
  const worst = [...byProvider].sort((a, b) => b[1] - a[1]).slice(0, 5);
  const rows = all
    .slice(0, NAMED)
    .map(({ mark, symbol, change, provider, stable }) => [
      `${mark} ${symbol}`,
      change,
      provider,
      stable ? 'listed' : '',
    ]);
  const more = andMore(all.length);
  const most = line(`Most are in ${worst.map(([provider, count]) => `${provider} (${count})`).join(', ')}`);
  return `${most}\n${table([['SYMBOL', 'CHANGE', 'IN', ''], ...rows])}${more}`;
}
