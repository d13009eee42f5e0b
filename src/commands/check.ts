/** `kmod-gate check` and `kmod-gate diff`: kernels and kmods compared by their symbols, with no Koji needed. */
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
import { forKernel } from '../kabi/kmod.ts';
import type { KernelSymbols, Kmod, Stablelist } from '../kabi/model.ts';
import { describeRemark } from '../kabi/remark.ts';
import { sinceList } from '../kabi/stablelist.ts';
import { spellSymbols } from '../report/report.ts';
import { CheckError, UnreadError } from './error.ts';
import { countKinds, countText, KINDS, type Kind } from './folder.ts';
import {
  type Beside,
  type Kernel,
  kernelOf,
  kmodsOf,
  type Named,
  readArguments,
  readKernelArgument,
  readStablelist,
} from './symbolfiles.ts';
import { line, type Output, paint, table } from './text.ts';

export interface CheckOptions {
  /** Files that form one kernel, folders with such, or an NVR or build id on the hub. */
  readonly kernel: readonly string[];
  readonly baseline?: readonly string[];
  readonly stablelist?: string;
  /** Which release's list counts, of several. */
  readonly release?: string;
  /** Rpms, modules, lists of modversions, folders with such, or NVRs or build ids on the hub. */
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
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function check(output: Output, options: CheckOptions): Promise<boolean> {
  const beside: Beside = { passed: [], unread: [] };
  const named = await readArguments(options);
  const kernel = await kernelOf(named.kernel, options, beside, named.kmods);
  const stable = await readStablelist(options.stablelist, options.arch ?? kernel.arch, options.release);
  if (stable && !stable.exports && !options.baseline)
    throw new CheckError('--stablelist tells what must not change: name with --baseline since when');
  const baseline = options.baseline && (await kernelOf(named.baseline, options, beside, named.kmods));
  const known = beside.unread.length;
  const found = await kmodsOf(named.kmods, kernel, options, beside);
  const { kmods, others } = forKernel(found, kernel);
  if (kmods.length === 0 && !baseline && !stable)
    throw new CheckError(
      'no kmod to check: name rpms, modules, lists of modversions, a folder of them, or builds on the hub',
    );
  const comparisons = compareKmods(kmods, kernel, baseline, beside.unread.length === known);
  const difference =
    baseline && knownOf(compareKernels(baseline.symbols, kernel.symbols, stable?.symbols), baseline, kernel);
  const before = baseline && difference && { symbols: baseline.symbols.size, difference };
  const promise = stable && promiseOf(stable, kernel, difference);
  const why = baseline && (await causesOf([named.baseline, baseline], [named.kernel, kernel], kmods));
  output.write(
    options.json
      ? `${JSON.stringify({ ...checkJson(kernel, comparisons, others, before), ...why?.json, ...besideJson(promise, beside) }, null, 2)}\n`
      : `${why?.text ?? ''}${checkText(output, kernel, comparisons, others, before, promise)}${besideText(beside)}`,
  );
  assertRead(beside);
  return (
    (!promise || promise.broken.length === 0) && comparisons.every(({ answer }) => answer === 'compatible')
  );
}

/**
 * Compare two kernels.
 * @returns whether the newer one exports all that the older one does, with the same CRCs and to as many modules, and what
 * the stablelist has as it has it
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function diff(
  output: Output,
  [older, newer]: readonly [string, string],
  options: Pick<CheckOptions, 'stablelist' | 'release' | 'arch' | 'variant' | 'json' | 'config'>,
): Promise<boolean> {
  const beside: Beside = { passed: [], unread: [] };
  const [old, young] = [await readKernelArgument(older), await readKernelArgument(newer)];
  const before = await kernelOf(old, options, beside);
  const after = await kernelOf(young, options, beside);
  const stable = await readStablelist(options.stablelist, options.arch ?? after.arch, options.release);
  const difference = knownOf(compareKernels(before.symbols, after.symbols, stable?.symbols), before, after);
  const promise = stable && promiseOf(stable, after, difference);
  const sizes = { before: before.symbols.size, after: after.symbols.size };
  const why = await causesOf([old, before], [young, after], []);
  output.write(
    options.json
      ? `${JSON.stringify({ baseline: { symbols: sizes.before, ...counts(difference) }, kernel: { symbols: sizes.after }, ...listed(difference), ...why?.json, ...besideJson(promise, beside) }, null, 2)}\n`
      : `${why?.text ?? ''}${partialText(before, 'baseline')}${partialText(after)}${differenceText(sizes.before, difference)}${promiseText(promise)}${changesText(difference)}${unlikeListText(promise)}${besideText(beside)}`,
  );
  assertRead(beside);
  const { removed, changed } = difference;
  const since = promise?.sinceList;
  const asListed = !since || since.removed.length + since.changed.length + narrower(since).length === 0;
  return asListed && removed.length + changed.length + narrower(difference).length === 0;
}

/** What is known of a difference where a kernel may export more than is known. */
const knownOf = (difference: KernelDifference, before: Kernel, after: Kernel): KernelDifference => ({
  ...difference,
  ...(before.partial === undefined ? {} : { added: [] }),
  ...(after.partial === undefined ? {} : { removed: [] }),
});

/** Throws UnreadError where a file could not be read. */
export function assertRead({ unread }: Beside): void {
  if (unread.length > 0) throw new UnreadError(unread.map(({ problem }) => problem));
}

/** What became of the symbols of a stablelist. */
interface Kept {
  readonly name: string;
  /** Those that changed or went since the baseline, or that are not as the list has them. */
  readonly broken: readonly string[];
  /** What is not as the list has it; undefined of a list without CRCs. */
  readonly sinceList: KernelDifference | undefined;
}

/** A list with CRCs tells by itself what the kernel must have; any other one, what must not change. */
function promiseOf(
  { name, exports }: Stablelist,
  kernel: Kernel,
  difference: KernelDifference | undefined,
): Kept {
  const ofList = exports && sinceList(exports, kernel);
  const measure = ofList ?? difference;
  const broken = measure ? brokenPromises(measure) : [];
  return { name, broken: broken.map(({ symbol }) => symbol), sinceList: ofList };
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
  others: readonly Kmod[],
  before: Before | undefined,
) {
  return {
    kernel: {
      symbols: kernel.symbols.size,
      ...(kernel.partial !== undefined && { partial: kernel.partial }),
    },
    ...(before && { baseline: { symbols: before.symbols, ...counts(before.difference) } }),
    kmods: comparisons.map(({ kmod: name, answer: outcome, cause, ...found }) => ({
      name,
      ...spellSymbols(found),
      outcome,
      ...(cause && { cause: CAUSES[cause] }),
    })),
    ...(others.length > 0 && { for_other_kernels: others.map(({ name }) => name) }),
    ...(before && { difference: listed(before.difference) }),
  };
}

function checkText(
  output: Output,
  kernel: Kernel,
  comparisons: readonly KmodComparison[],
  others: readonly Kmod[],
  before: Before | undefined,
  promise: Kept | undefined,
): string {
  const rows = comparisons.map(({ kmod, imports, missing, changed, answer, cause, remarks }) => [
    kmod,
    String(imports),
    String(missing.length),
    String(changed.length),
    answer,
    [
      ...(cause ? [CAUSES[cause]] : []),
      ...remarks.slice(0, REMARKS).map(describeRemark),
      ...(remarks.length > REMARKS ? [`${remarks.length - REMARKS} more; --json has them all`] : []),
    ].join('; '),
  ]);
  const heads = ['KMOD', 'IMPORTS', 'MISSING', 'CHANGED', 'OUTCOME', ''];
  const passedOver = others.map(({ name }) => name).join(', ');
  const shown = table([heads, ...rows], (padded, cell) => paint(output, TONES[cell] ?? cell, padded));
  return [
    `The kernel exports ${kernel.symbols.size} symbols.\n`,
    partialText(kernel),
    ...(before ? [differenceText(before.symbols, before.difference)] : []),
    promiseText(promise),
    ...(before ? [reexportedText(before.difference)] : []),
    unlikeListText(promise),
    ...(comparisons.length > 0 ? [`\n${shown}`] : []),
    passedOver && line(`Passed over, for other kernels: ${passedOver}`),
    blameText(comparisons, kernel.partial === undefined ? 'gone' : 'not known'),
  ].join('');
}

/** How many remarks are shown of a kmod. */
const REMARKS = 3;

/** Outcomes in the colours of those that the gate has. */
const TONES: Readonly<Record<string, string>> = { compatible: 'ok', incompatible: 'broken' };

/** How many symbols are named; `--json` has all. */
const NAMED = 20;

const andMore = (count: number): string =>
  count > NAMED ? `… and ${count - NAMED} more; --json has them all\n` : '';

/** @param gone what to say of a symbol that the kernel is not known to export */
function blameText(comparisons: readonly KmodComparison[], gone: string): string {
  const { symbols } = blame(comparisons);
  if (symbols.length === 0) return '';
  const rows = symbols.slice(0, NAMED).map(({ symbol, provided, hits }) => {
    const required = hits[0] ? formatCrc(hits[0].required) : '';
    const change = `${required} → ${provided ? formatCrc(provided.crc) : gone}`;
    const names = hits.map(({ kmod }) => kmod);
    const few =
      names.length > 3 ? `${names.slice(0, 3).join(' ')} and ${names.length - 3} more` : names.join(' ');
    return [symbol, change, provided?.provider ?? '-', few];
  });
  const more = andMore(symbols.length);
  return `\nSymbols that are not as kmods need them\n${table([['SYMBOL', 'CRC', 'NOW IN', 'HITS'], ...rows])}${more}`;
}

function differenceText(before: number, difference: KernelDifference): string {
  const { added, removed, changed, reexported } = counts(difference);
  const everything = difference.everythingChanged
    ? 'Nearly every CRC changed: the compiler or the CRC generator did, not the code.\n'
    : '';
  const anew = reexported > 0 ? `, ${reexported} exported in another way` : '';
  return `Since the baseline, of ${before} symbols: ${added} added, ${removed} removed, ${changed} changed${anew}.\n${everything}`;
}

/** Why not all that a kernel exports is known. */
const partialText = ({ partial }: Kernel, which = 'kernel'): string =>
  partial === undefined ? '' : line(`The ${which} may export more than that: ${partial}.`);

function promiseText(promise: Kept | undefined): string {
  if (!promise) return '';
  const { broken } = promise;
  return line(
    `Stablelist: ${broken.length === 0 ? 'kept' : `${broken.length} listed symbols changed or went: ${broken.join(', ')}`}`,
  );
}

/** What is not as a list with CRCs has it. */
function unlikeListText(promise: Kept | undefined): string {
  const changes = promise?.sinceList ? changesText(promise.sinceList) : '';
  return changes && `\n${line(`Not as ${promise?.name} has it`)}${changes}`;
}

/** What was found beside what was asked for. */
export const besideText = ({ passed }: Beside): string =>
  passed.length > 0 ? `\n${line(`Passed over: ${countText(passed)}`)}` : '';

export const besideJson = (promise: Kept | undefined, { passed, unread }: Beside) => ({
  ...(promise && { stablelist: { name: promise.name, broken: promise.broken } }),
  passed_over: Object.fromEntries(
    Object.entries(countKinds(passed)).map(([kind, count]) => [KINDS[kind as Kind][1], count]),
  ),
  unread,
});

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
