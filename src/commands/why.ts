/** `kmod-gate why`: which changes in a kernel's source broke the kmods, from its types and symbols. No Koji is needed. */
import type { Causes } from '../btf/causes.ts';
import type { Hit } from '../btf/told.ts';
import type { Config } from '../config/config.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { Kmod, SymbolTable } from '../kabi/model.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { causesJson, causesText, coverageText, hitsText, namesOf, waysText } from './causes.ts';
import { assertRead } from './check.ts';
import { besideJson, besideText } from './checktext.ts';
import { CheckError } from './error.ts';
import { type Altered, type Case, calledBy, type Findings, foundCauses, headlineOf } from './findings.ts';
import { type ShowOptions, show } from './formats.ts';
import { type Beside, kernelOf, kmodsOf, type Named, readArguments, type Told } from './symbolfiles.ts';
import { line, type Output } from './text.ts';
import { explainFiles, importsOf } from './types.ts';

export interface WhyOptions extends ShowOptions {
  /** Files that form the older kernel, folders of such: with its symbols and its types. */
  readonly baseline: readonly string[];
  readonly kernel: readonly string[];
  readonly kmods: readonly string[];
  /** Show the ways from this export. */
  readonly symbol?: string;
  /** A tag of the hub, all kmods of which are looked at too. */
  readonly kmodsTag?: string;
  /** Of folders with several, and of the kmods of the tag. */
  readonly arch?: string;
  readonly variant?: string;
  /** Read for a tag. */
  readonly config?: () => Promise<Config>;
}

/**
 * Tell why symbols changed that kmods need.
 * @returns whether no kmod needs a symbol that changed; without kmods, whether none changed
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError
 */
export async function why(output: Output, options: WhyOptions): Promise<boolean> {
  // The kernel's own modules are parts of it here: their types tell why their exports changed.
  const isPart = (file: SymbolFile) => file.isInTree === true;
  const named = await readArguments(options, isPart);
  const old = filesOf(named.baseline, '--baseline');
  const young = filesOf(named.kernel, '--kernel');
  filesOf(named.kmods, 'kmod');
  const beside: Beside = { passed: [], unread: [] };
  const told = { ...FILES, ...options };
  const was = await kernelOf(named.baseline, told, beside, named.kmods, isPart);
  const is = await kernelOf(named.kernel, told, beside, named.kmods, isPart);
  const kmods = await kmodsOf(named.kmods, is, told, beside);
  const before = { files: old, symbols: was.symbols };
  const after = { files: young, symbols: is.symbols };
  const symbol = options.symbol;
  if (symbol !== undefined && !(before.symbols.has(symbol) && after.symbols.has(symbol)))
    throw new CheckError(`--symbol ${symbol}: is not exported by both kernels`);
  const { causes, hits } = await explainFiles(before, after, kmods, symbol);
  const answer: Answer = { before: before.symbols, after: after.symbols, causes, hits, symbol };
  await show(output, options, {
    text: () => `${whyText(answer)}${besideText(beside)}`,
    json: () => ({ ...whyJson(answer), ...besideJson(undefined, beside) }),
    findings: () => findingsOf(answer, kmods, is.arch, options, beside),
  });
  assertRead(beside);
  if (symbol !== undefined) return before.symbols.get(symbol)?.crc === after.symbols.get(symbol)?.crc;
  return kmods.length > 0 ? hits.every(({ changed }) => changed === 0) : causes.symbols.changed === 0;
}

/** All that is named is a file by now. */
const FILES: Told = {
  config: () => Promise.reject(new CheckError('--kmods-tag: no configuration says of which hub')),
};

function filesOf(named: readonly Named[], what: string): SymbolFile[] {
  return named.flatMap(({ name, files }) => {
    if (!files) throw new CheckError(`${what}: ${name}: there is no such file`);
    return files;
  });
}

// ---- what is shown ----------------------------------------------------------------------------------

interface Answer {
  readonly before: SymbolTable;
  readonly after: SymbolTable;
  readonly causes: Causes;
  readonly hits: readonly Hit[];
  readonly symbol: string | undefined;
}

function whyJson({ causes, hits, symbol }: Answer) {
  return {
    ...causesJson(causes, hits),
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

function whyText({ before, after, causes, hits, symbol }: Answer): string {
  if (symbol !== undefined) {
    const [was, now] = [before, after].map((symbols) => formatCrc(symbols.get(symbol)?.crc ?? 0));
    const change = was === now ? `${now}, as before` : `${was} → ${now}`;
    return `${line(`${symbol}: ${change}`)}${waysText(causes, symbol)}`;
  }
  const found = causesText(causes, hits);
  return [found, hitsText(causes, hits), found === '' ? '' : '\n', coverageText(causes, before.size)].join(
    '',
  );
}
