/**
 * `kmod-gate why`: which changes in a kernel's source broke the kmods, from its types and symbols; who made them, from its
 * changelog; and what the errors of a failed build name. Of files, no Koji is needed.
 */
import type { Causes } from '../btf/causes.ts';
import type { Hit } from '../btf/told.ts';
import { partsOfKernel } from '../changelog/rank.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { Kmod, SymbolTable } from '../kabi/model.ts';
import { type ExplainedError, explainErrors } from '../logs/subject.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { causesJson, causesText, coverageText, hitsText, namesOf, waysText } from './causes.ts';
import {
  type Changelog,
  changelogJson,
  changelogOfFiles,
  changelogText,
  compareChangelogs,
  type Told as ToldChangelog,
} from './changelog.ts';
import { assertRead } from './check.ts';
import { besideJson, besideText } from './checktext.ts';
import { CheckError } from './error.ts';
import { errorsJson, errorsText, readLogs } from './errors.ts';
import { type Altered, type Case, calledBy, type Findings, foundCauses, headlineOf } from './findings.ts';
import { type ShowOptions, show } from './formats.ts';
import {
  ARCH,
  type Beside,
  type Kernel,
  kernelOf,
  kmodsOf,
  type Named,
  readArguments,
  type Told,
} from './symbolfiles.ts';
import { line, type Output } from './text.ts';
import { type Explained, explainFiles, importsOf, type KernelFiles } from './types.ts';

export interface WhyOptions extends Told, ShowOptions {
  /** Files that form the older kernel, folders of such, or a build on the hub: with its symbols and its types. */
  readonly baseline: readonly string[];
  readonly kernel: readonly string[];
  /** Files, folders of such, or builds on the hub. */
  readonly kmods: readonly string[];
  /** Build logs of kmods that failed with the newer kernel. */
  readonly logs?: readonly string[];
  /** Show the ways from this export. */
  readonly symbol?: string;
}

/**
 * Tell why symbols changed that kmods need.
 * @returns whether no kmod needs a symbol that changed; without kmods, whether none changed
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function why(output: Output, options: WhyOptions): Promise<boolean> {
  // The kernel's own modules are parts of it here: their types tell why their exports changed.
  const isPart = (file: SymbolFile) => file.isInTree === true;
  const errors = await readLogs(options.logs ?? []);
  const named = await readArguments(options, isPart);
  const beside: Beside = { passed: [], unread: [] };
  const was = await kernelOf(named.baseline, options, beside, named.kmods, isPart);
  const is = await kernelOf(named.kernel, options, beside, named.kmods, isPart);
  const kmods = await kmodsOf(named.kmods, is, options, beside);
  const symbol = options.symbol;
  if (symbol !== undefined && !(was.symbols.has(symbol) && is.symbols.has(symbol)))
    throw new CheckError(`--symbol ${symbol}: is not exported by both kernels`);
  const before = await sideOf(named.baseline, '--baseline', was, options);
  const after = await sideOf(named.kernel, '--kernel', is, options);
  const explained = await explainFiles(before, after, kmods, symbol);
  const { causes, hits, btfs, wanted } = explained;
  const sought = {
    causes: soughtCauses(explained, symbol),
    symbols: wanted.map((it) => it.symbol),
    // Without kmods every part of the kernel would count.
    parts: kmods.length > 0 ? partsOfKernel(wanted) : [],
  };
  const answer: Answer = {
    ...{ before: before.symbols, after: after.symbols, causes, hits, symbol },
    errors: explainErrors(errors, btfs),
    changelog: compareChangelogs(before.changelog, after.changelog, sought),
  };
  await show(output, options, {
    text: () => `${whyText(answer)}${besideText(beside)}`,
    json: () => ({ ...whyJson(answer), ...besideJson(undefined, beside) }),
    findings: () => findingsOf(answer, kmods, is.arch, options, beside),
  });
  assertRead(beside);
  if (symbol !== undefined) return before.symbols.get(symbol)?.crc === after.symbols.get(symbol)?.crc;
  return kmods.length > 0 ? hits.every(({ changed }) => changed === 0) : causes.symbols.changed === 0;
}

/** A kernel with its types, as far as they are not read from files, and its changelog. */
interface Side extends KernelFiles {
  readonly changelog: ToldChangelog;
}

async function sideOf(
  named: readonly Named[],
  option: string,
  { symbols, arch }: Kernel,
  told: Told,
): Promise<Side> {
  const files = named.flatMap(({ files: those = [] }) => those);
  const build = named.find(({ files: those }) => !those)?.name;
  if (build === undefined) return { files, symbols, changelog: await changelogOfFiles(files) };
  const { changelogOnHub, typesOnHub } = await import('./hubbuild.ts');
  const { config, variant = '' } = told;
  const types = await typesOnHub(build, { arch: arch ?? ARCH, variant, config });
  if (types.btf === null)
    throw new CheckError(`${option}: ${build}: its types (BTF) cannot be had: ${types.why}`);
  return { files, symbols, types, changelog: await changelogOnHub(build, { config }) };
}

/** Of an export those that it reaches, of kmods those that hit them, else all. */
function soughtCauses({ causes, hits }: Explained, symbol: string | undefined): Causes['causes'] {
  const all =
    symbol === undefined ? hits.flatMap((hit) => hit.causes) : causes.reached(symbol).map((it) => it.cause);
  if (symbol === undefined && hits.length === 0) return causes.causes;
  return [...new Set(all)].flatMap((i) => causes.causes[i] ?? []);
}

// ---- what is shown ----------------------------------------------------------------------------------

interface Answer {
  readonly before: SymbolTable;
  readonly after: SymbolTable;
  readonly causes: Causes;
  readonly hits: readonly Hit[];
  readonly symbol: string | undefined;
  readonly errors: readonly ExplainedError[];
  readonly changelog: Changelog | null;
}

function whyJson({ causes, hits, symbol, errors, changelog }: Answer) {
  return {
    ...(errors.length > 0 && { errors: errorsJson(errors) }),
    ...causesJson(causes, hits),
    changelog: changelogJson(changelog),
    ...(symbol !== undefined && {
      symbol: {
        name: symbol,
        declaration: causes.declared(symbol),
        ways: causes.ways(symbol).map(({ cause, steps }) => ({ cause: namesOf(causes, [cause])[0], steps })),
      },
    }),
  };
}

function findingsOf(
  answer: Answer,
  kmods: readonly Kmod[],
  arch: string | null,
  options: WhyOptions,
  beside: Beside,
): Findings {
  const { before, causes, hits, symbol } = answer;
  const kernel = calledBy(options.kernel);
  const all = kmods.map((kmod, i): Case => {
    const symbols = changesOf(
      importsOf(kmod).map((it) => it.symbol),
      answer,
    );
    const hit = hits[i];
    return {
      ...{ kind: 'kmod', name: kmod.name, arch: kmod.arch ?? arch, symbols },
      outcome: symbols.length > 0 ? 'broken' : 'fine',
      why:
        symbols.length > 0
          ? `${symbols.length} of the symbols that it needs changed: ${symbols[0]?.symbol}${symbols.length > 1 ? ', …' : ''}`
          : '',
      causes: hit ? namesOf(causes, hit.causes) : [],
    };
  });
  const cases = symbol === undefined && all.length > 0 ? all : [kernelCase(answer, kernel, arch)];
  return {
    ...{ command: 'why', kernel, baseline: calledBy(options.baseline) },
    headline:
      all.length > 0
        ? headlineOf(
            all,
            ['needs symbols that changed', 'need symbols that changed'],
            'no kmod needs a symbol that changed',
          )
        : (cases[0]?.why ?? ''),
    causes: foundCauses({ causes, hits }),
    cases,
    notes: [coverageText(causes, before.size), besideText(beside)].flatMap((text) => text.trim() || []),
    unread: beside.unread,
  };
}

/** What of some symbols is not as it was. */
function changesOf(names: readonly string[], { before, after }: Answer): Altered[] {
  return [...new Set(names)].flatMap((symbol) => {
    const [was, now] = [before.get(symbol), after.get(symbol)];
    if (!was || !now || was.crc === now.crc) return [];
    return { symbol, change: `${formatCrc(was.crc)} → ${formatCrc(now.crc)}`, provider: now.provider };
  });
}

/** The kernel, or one of its symbols, where no kmod is asked for. */
function kernelCase(answer: Answer, kernel: string, arch: string | null): Case {
  const { before, causes, symbol } = answer;
  const symbols = changesOf(symbol === undefined ? [...before.keys()] : [symbol], answer);
  const ways = symbol === undefined ? [] : causes.ways(symbol);
  return {
    ...{ kind: 'kernel', name: symbol ?? kernel, arch, symbols },
    outcome: symbols.length > 0 ? 'broken' : 'fine',
    why: [
      symbol === undefined
        ? `${symbols.length} of ${before.size} symbols changed`
        : `${symbol} ${symbols.length > 0 ? 'changed' : 'is as before'}`,
      ...ways.slice(0, 1).map(({ steps }) => steps.join(' → ')),
    ].join(': '),
    causes: namesOf(
      causes,
      ways.map(({ cause }) => cause),
    ),
  };
}

function whyText({ before, after, causes, hits, symbol, errors, changelog }: Answer): string {
  const [first, last] = [errorsText(errors), changelogText(changelog)];
  if (symbol !== undefined) {
    const [was, now] = [before, after].map((symbols) => formatCrc(symbols.get(symbol)?.crc ?? 0));
    const change = was === now ? `${now}, as before` : `${was} → ${now}`;
    return `${first}${line(`${symbol}: ${change}`)}${waysText(causes, symbol)}${last}`;
  }
  const found = causesText(causes, hits);
  const coverage = coverageText(causes, before.size);
  return [first, found, hitsText(causes, hits), found === '' ? '' : '\n', coverage, last].join('');
}
