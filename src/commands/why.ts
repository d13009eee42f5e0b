/** `kmod-gate why`: which changes in a kernel's source broke the kmods, from its types and symbols. No Koji is needed. */
import type { Causes } from '../btf/causes.ts';
import type { Hit } from '../btf/told.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { SymbolTable } from '../kabi/model.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { causesJson, causesText, coverageText, hitsText, namesOf, waysText } from './causes.ts';
import { assertRead, besideJson, besideText } from './check.ts';
import { CheckError } from './error.ts';
import { type Beside, kernelOf, kmodsOf, type Named, readArguments, type Told } from './symbolfiles.ts';
import { line, type Output } from './text.ts';
import { explainFiles } from './types.ts';

export interface WhyOptions {
  /** Files that form the older kernel, folders of such: with its symbols and its types. */
  readonly baseline: readonly string[];
  readonly kernel: readonly string[];
  readonly kmods: readonly string[];
  /** Show the ways from this export. */
  readonly symbol?: string;
  readonly json: boolean;
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
  const was = await kernelOf(named.baseline, FILES, beside, named.kmods, isPart);
  const is = await kernelOf(named.kernel, FILES, beside, named.kmods, isPart);
  const kmods = await kmodsOf(named.kmods, is, FILES, beside);
  const before = { files: old, symbols: was.symbols };
  const after = { files: young, symbols: is.symbols };
  const symbol = options.symbol;
  if (symbol !== undefined && !(before.symbols.has(symbol) && after.symbols.has(symbol)))
    throw new CheckError(`--symbol ${symbol}: is not exported by both kernels`);
  const { causes, hits } = await explainFiles(before, after, kmods, symbol);
  const answer: Answer = { before: before.symbols, after: after.symbols, causes, hits, symbol };
  output.write(
    options.json
      ? `${JSON.stringify({ ...whyJson(answer), ...besideJson(undefined, beside) }, null, 2)}\n`
      : `${whyText(answer)}${besideText(beside)}`,
  );
  assertRead(beside);
  if (symbol !== undefined) return before.symbols.get(symbol)?.crc === after.symbols.get(symbol)?.crc;
  return kmods.length > 0 ? hits.every(({ changed }) => changed === 0) : causes.symbols.changed === 0;
}

/** All that is named is a file by now. */
const FILES: Told = { config: () => Promise.reject(new CheckError('builds on the hub are not read here')) };

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
