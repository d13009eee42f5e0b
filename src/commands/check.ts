/** `kmod-gate check` and `kmod-gate diff`: kernels and kmods compared by their symbols, with no Koji needed. */
import type { Config } from '../config/config.ts';
import { compareKernels, compareKmods, type KernelDifference } from '../kabi/compare.ts';
import { damageIn } from '../kabi/kernel.ts';
import { forKernel } from '../kabi/kmod.ts';
import type { KernelSymbols, Kmod } from '../kabi/model.ts';
import {
  besideJson,
  besideText,
  changesOf,
  changesText,
  checkJson,
  checkText,
  differenceText,
  diffJson,
  partialText,
  unlikeListText,
  whyJson,
  whyText,
} from './checktext.ts';
import { CheckError, UnreadError } from './error.ts';
import {
  type Case,
  calledBy,
  comparedCases,
  type Found,
  foundCauses,
  headlineOf,
  passedCase,
} from './findings.ts';
import { type ShowOptions, show } from './formats.ts';
import {
  alteredIn,
  isKept,
  isTolerated,
  type PromiseOptions,
  promiseCase,
  promisedIn,
  promiseOf,
  promiseText,
  readPromise,
} from './promise.ts';
import {
  type Beside,
  type Kernel,
  kernelOf,
  kmodsOf,
  type Named,
  readArguments,
  readKernelArgument,
} from './symbolfiles.ts';
import type { Output } from './text.ts';

/** What is read where something is named that is no file. */
interface HubOptions {
  /** Of builds on the hub: for x86_64, the plain kernel, and kmods for the same as the kernel, unless told. */
  readonly arch?: string;
  readonly variant?: string;
  readonly config: () => Promise<Config>;
}

export interface DiffOptions extends PromiseOptions, HubOptions {
  readonly json: boolean;
}

export interface CheckOptions extends PromiseOptions, HubOptions, ShowOptions {
  /** Files that form one kernel, folders with such, or an NVR or build id on the hub. */
  readonly kernel: readonly string[];
  readonly baseline?: readonly string[];
  /** Rpms, modules, lists of modversions, folders with such, or NVRs or build ids on the hub. */
  readonly kmods: readonly string[];
  /** A tag of the hub, all kmods of which are compared too. */
  readonly kmodsTag?: string;
}

/**
 * Compare kmods with a kernel, and the kernel with a baseline.
 * @returns whether every kmod loads, and no promise is broken
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function check(output: Output, options: CheckOptions): Promise<boolean> {
  const beside: Beside = { passed: [], unread: [] };
  const named = await readArguments(options);
  const alone = await kernelOf(named.kernel, options, beside, named.kmods);
  const promised = await readPromise(options, options.arch ?? alone.arch);
  if (promised && !promised.list?.exports && !options.baseline)
    throw new CheckError(
      `${promised.list ? '--stablelist' : '--severities'} tells what must not change: name with --baseline since when`,
    );
  const first = options.baseline && (await kernelOf(named.baseline, options, beside, named.kmods));
  const kernel = first ? whole(alone, first, 'the baseline', beside) : alone;
  const baseline = first && whole(first, alone, 'the kernel', beside);
  const known = beside.unread.length;
  const found = await kmodsOf(named.kmods, kernel, options, beside);
  const { kmods, others } = forKernel(found, kernel);
  if (kmods.length === 0 && !baseline && !promised && beside.unread.length === 0)
    throw new CheckError(
      'no kmod to check: name rpms, modules, lists of modversions, a folder of them, or builds on the hub',
    );
  const unread = beside.unread.slice(known).map(({ file }) => file);
  const comparisons = compareKmods(kmods, kernel, baseline, unread);
  const before = baseline && {
    symbols: baseline.symbols,
    difference: knownOf(
      compareKernels(
        baseline.symbols,
        kernel.symbols,
        promisedIn(promised, baseline.symbols, kernel.symbols),
      ),
      baseline,
      kernel,
    ),
  };
  const promise = promised && promiseOf(promised, kernel, before);
  const why = baseline && (await causesOf([named.baseline, baseline], [named.kernel, kernel], kmods));
  const changes = () =>
    [before?.difference, promise?.sinceList].flatMap((difference) =>
      difference ? changesOf(difference) : [],
    );
  await show(output, options, {
    text: (to) =>
      `${whyText(why)}${checkText(to, kernel, comparisons, others, before, promise)}${besideText(beside)}`,
    json: () => ({
      ...checkJson(kernel, comparisons, others, before),
      ...whyJson(why),
      ...besideJson(promise, beside),
    }),
    findings: () => {
      const cases: Case[] = [
        ...comparedCases(kmods, kernel, comparisons, why),
        ...others.map(passedCase),
        ...(promise ? [promiseCase(promise, kernel.arch, changes())] : []),
      ];
      return {
        command: 'check',
        kernel: calledBy(options.kernel),
        baseline: options.baseline ? calledBy(options.baseline) : null,
        headline: headlineOf(
          cases,
          ['does not load into this kernel', 'do not load into this kernel'],
          'every kmod loads into this kernel',
        ),
        causes: foundCauses(why),
        cases,
        notes: [
          partialText(kernel),
          before ? differenceText(before.symbols.size, before.difference) : '',
          besideText(beside),
        ].flatMap((text) => text.trim() || []),
        unread: beside.unread,
      };
    },
  });
  assertRead(beside);
  return isKept(promise) && comparisons.every(({ answer }) => answer === 'compatible');
}

/**
 * Compare two kernels.
 * @returns whether the newer one exports all that the older one does, with the same CRCs and to as many modules, but for what
 * severities let change, and what the stablelist has as it has it
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function diff(
  output: Output,
  [older, newer]: readonly [string, string],
  options: DiffOptions,
): Promise<boolean> {
  const beside: Beside = { passed: [], unread: [] };
  const [old, young] = [await readKernelArgument(older), await readKernelArgument(newer)];
  const [was, is] = [await kernelOf(old, options, beside), await kernelOf(young, options, beside)];
  const before = whole(was, is, 'the newer kernel', beside);
  const after = whole(is, was, 'the older kernel', beside);
  const promised = await readPromise(options, options.arch ?? after.arch);
  const isPromised = promisedIn(promised, before.symbols, after.symbols);
  const difference = knownOf(compareKernels(before.symbols, after.symbols, isPromised), before, after);
  const promise = promised && promiseOf(promised, after, { symbols: before.symbols, difference });
  const sizes = { before: before.symbols.size, after: after.symbols.size };
  const why = await causesOf([old, before], [young, after], []);
  output.write(
    options.json
      ? `${JSON.stringify({ ...diffJson(sizes, difference), ...whyJson(why), ...besideJson(promise, beside) }, null, 2)}\n`
      : `${whyText(why)}${partialText(before, 'baseline')}${partialText(after)}${differenceText(sizes.before, difference)}${promiseText(promise)}${changesText(difference, promise)}${unlikeListText(promise)}${besideText(beside)}`,
  );
  assertRead(beside);
  const isFine = promised ? isTolerated(promised, before.symbols) : () => false;
  const altered = [difference, promise?.sinceList].flatMap((it) => (it ? alteredIn(it) : []));
  return altered.every(isFine);
}

/** A kernel beside another one: where that shows that one of its rpms is damaged, not all is known of it, and that is told. */
function whole(kernel: Kernel, other: Kernel, name: string, beside: Beside): Kernel {
  const damage = damageIn(kernel.silent ?? [], kernel.symbols, { symbols: other.symbols, name });
  if (damage === undefined || kernel.partial !== undefined) return kernel;
  beside.unread.push({ file: damage.split(' ')[0] ?? '', problem: damage });
  return { ...kernel, partial: damage };
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

/**
 * What changed in the kernel's source, for the beginning, where both kernels' own files are given, with their types; those of rpms
 * are not looked for here, since unpacking them takes longer than all the rest.
 */
async function causesOf(
  [was, before]: readonly [readonly Named[], KernelSymbols],
  [is, after]: readonly [readonly Named[], KernelSymbols],
  kmods: readonly Kmod[],
): Promise<Found | undefined> {
  const [old, young] = [was, is].map((named) => named.flatMap(({ files = [] }) => files));
  if (![old, young].every((files) => files?.some(({ btf }) => btf))) return undefined;
  const { explainFiles } = await import('./types.ts');
  const { symbols } = before;
  return explainFiles({ files: old ?? [], symbols }, { files: young ?? [], symbols: after.symbols }, kmods);
}
