/** What `check` and `diff` show, as text and as JSON. */
import { blame } from '../kabi/blame.ts';
import { CAUSES, type Export, type KernelDifference, type KmodComparison } from '../kabi/compare.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { KernelSymbols, Kmod } from '../kabi/model.ts';
import { describeRemark } from '../kabi/remark.ts';
import { spellSymbols } from '../report/report.ts';
import { causesJson, causesText } from './causes.ts';
import type { Altered, Found } from './findings.ts';
import { countKinds, countText, KINDS, type Kind } from './folder.ts';
import { type Kept, promiseJson, promiseText, type Since } from './promise.ts';
import type { Beside, Kernel } from './symbolfiles.ts';
import { line, type Output, paint, table } from './text.ts';

const counts = ({ added, removed, changed, reexported }: KernelDifference) => ({
  added: added.length,
  removed: removed.length,
  changed: changed.length,
  reexported: reexported.length,
});

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

export const diffJson = (sizes: { before: number; after: number }, difference: KernelDifference) => ({
  baseline: { symbols: sizes.before, ...counts(difference) },
  kernel: { symbols: sizes.after },
  ...listed(difference),
});

/** What changed in the kernel's source, for the beginning. */
export function whyText(why: Found | undefined): string {
  const text = why ? causesText(why.causes, why.hits) : '';
  return text === '' ? '' : `${text}\n`;
}
export const whyJson = (why: Found | undefined) => (why ? { why: causesJson(why.causes, why.hits) } : {});

export function checkJson(
  kernel: KernelSymbols,
  comparisons: readonly KmodComparison[],
  others: readonly Kmod[],
  before: Since | undefined,
) {
  return {
    kernel: {
      symbols: kernel.symbols.size,
      ...(kernel.partial !== undefined && { partial: kernel.partial }),
    },
    ...(before && { baseline: { symbols: before.symbols.size, ...counts(before.difference) } }),
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

export function checkText(
  output: Output,
  kernel: Kernel,
  comparisons: readonly KmodComparison[],
  others: readonly Kmod[],
  before: Since | undefined,
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
    ...(before ? [differenceText(before.symbols.size, before.difference)] : []),
    promiseText(promise),
    ...(before ? [reexportedText(before.difference, wordOf(promise))] : []),
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

export function differenceText(before: number, difference: KernelDifference): string {
  const { added, removed, changed, reexported } = counts(difference);
  const everything = difference.everythingChanged
    ? 'Nearly every CRC changed: the compiler or the CRC generator did, not the code.\n'
    : '';
  const anew = reexported > 0 ? `, ${reexported} exported in another way` : '';
  return `Since the baseline, of ${before} symbols: ${added} added, ${removed} removed, ${changed} changed${anew}.\n${everything}`;
}

/** Why not all that a kernel exports is known. */
export const partialText = ({ partial }: Kernel, which = 'kernel'): string =>
  partial === undefined ? '' : line(`The ${which} may export more than that: ${partial}.`);

/** What is not as a list with CRCs has it. */
export function unlikeListText(promise: Kept | undefined): string {
  const changes = promise?.sinceList ? changesText(promise.sinceList, promise) : '';
  return changes && `\n${line(`Not as ${promise?.promised.list?.name} has it`)}${changes}`;
}

/** What was found beside what was asked for. */
export const besideText = ({ passed }: Beside): string =>
  passed.length > 0 ? `\n${line(`Passed over: ${countText(passed)}`)}` : '';

export const besideJson = (promise: Kept | undefined, { passed, unread }: Beside) => ({
  ...(promise && promiseJson(promise)),
  passed_over: Object.fromEntries(
    Object.entries(countKinds(passed)).map(([kind, count]) => [KINDS[kind as Kind][1], count]),
  ),
  unread,
});

/** The first of the symbols that are exported in another way: those that fewer modules may use come first. */
function reexportedText({ reexported }: KernelDifference, word: string): string {
  if (reexported.length === 0) return '';
  const worstFirst = reexported.toSorted((a, b) => Number(b.narrower) - Number(a.narrower));
  const rows = worstFirst
    .slice(0, NAMED)
    .map((it) => [it.symbol, reexportText(it), it.provider, it.stable ? word : '']);
  const heads = ['SYMBOL', 'EXPORTED AS', 'IN', ''];
  return `\nSymbols with the same CRC that are exported in another way\n${table([heads, ...rows])}${andMore(reexported.length)}`;
}

/** What is said of a symbol that is promised. */
const wordOf = (promise: Kept | undefined): string => (promise?.promised.list ? 'listed' : 'promised');

/** All changes, each with a mark: first what went. */
export function changesOf({ removed, changed, reexported, added }: KernelDifference): Change[] {
  return [
    ...removed.map(({ crc, ...of }) => ({ ...of, mark: '-', change: formatCrc(crc) })),
    ...changed.map(({ before, after, ...of }) => ({
      ...of,
      mark: '!',
      change: `${formatCrc(before)} → ${formatCrc(after)}`,
    })),
    ...reexported.map((of) => ({ ...of, mark: of.narrower ? '!' : ' ', change: reexportText(of) })),
    ...added.map(({ crc, ...of }) => ({ ...of, mark: '+', change: formatCrc(crc) })),
  ];
}

/** A change of the kernel's symbols; `stable`: of one that is promised. */
interface Change extends Altered {
  readonly mark: string;
  readonly stable: boolean;
}

/** Where the changes are, and the first of them, promised symbols before others. */
export function changesText(difference: KernelDifference, promise: Kept | undefined): string {
  const word = wordOf(promise);
  const all = changesOf(difference).toSorted((a, b) => Number(b.stable) - Number(a.stable));
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
      stable ? word : '',
    ]);
  const more = andMore(all.length);
  const most = line(`Most are in ${worst.map(([provider, count]) => `${provider} (${count})`).join(', ')}`);
  return `${most}\n${table([['SYMBOL', 'CHANGE', 'IN', ''], ...rows])}${more}`;
}
