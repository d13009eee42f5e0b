/** `kmod-gate stablelist suggest`: which symbols kmods need that a stablelist lacks. */
import type { Config } from '../config/config.ts';
import type { Kmod, SymbolTable } from '../kabi/model.ts';
import { assertRead } from './check.ts';
import { besideJson, besideText } from './checktext.ts';
import { CheckError } from './error.ts';
import { type PromiseOptions, readPromise } from './promise.ts';
import {
  type Beside,
  type Kernel,
  kernelOf,
  kmodsOf,
  readArguments,
  readKmodArguments,
} from './symbolfiles.ts';
import { line, type Output, table } from './text.ts';
import { importsOf } from './types.ts';

export interface SuggestOptions extends Pick<PromiseOptions, 'stablelist' | 'release'> {
  /** As `check` takes them. */
  readonly kmods: readonly string[];
  readonly kmodsTag?: string;
  /** Files that form a kernel, or a build on the hub: only what it exports is suggested. */
  readonly kernel?: readonly string[];
  readonly arch?: string;
  readonly variant?: string;
  readonly config: () => Promise<Config>;
  readonly format: 'text' | 'json' | 'list';
}

/** A symbol, and the kmods that need it. */
interface Wanted {
  readonly symbol: string;
  readonly kmods: readonly string[];
}

/**
 * Suggest symbols for a stablelist, those that most kmods need first.
 * @throws CheckError, UnreadError once all else is shown, SymbolFileError, HubError
 */
export async function suggest(output: Output, options: SuggestOptions): Promise<void> {
  const beside: Beside = { passed: [], unread: [] };
  const { kernel, kmods } = await readNamed(options, beside);
  if (kmods.length === 0 && beside.unread.length === 0)
    throw new CheckError('no kmod to go by: name some as to "kmod-gate check", or --kmods-tag');
  const promised = await readPromise(options, options.arch ?? kernel.arch);
  const listed = promised?.list?.symbols ?? new Set();
  const exported = options.kernel ? kernel : undefined;
  const { wanted, elsewhere } = wantedBy(kmods, exported);
  const lacking = wanted.filter(({ symbol }) => !listed.has(symbol));
  const found = { kmods: kmods.length, needed: wanted.length, lacking, elsewhere };
  const texts = {
    text: () => `${suggestionText(found)}${besideText(beside)}`,
    json: () =>
      `${JSON.stringify({ ...suggestionJson(found), ...besideJson(undefined, beside) }, null, 2)}\n`,
    list: () =>
      lacking
        .map(({ symbol }) => `\t${symbol}\n`)
        .sort()
        .join(''),
  };
  output.write(texts[options.format]());
  assertRead(beside);
}

const NOTHING: SymbolTable = new Map();

async function readNamed(
  options: SuggestOptions,
  beside: Beside,
): Promise<{ kernel: Kernel; kmods: Kmod[] }> {
  const { kernel: names, arch = null, variant = null } = options;
  if (!names) {
    const kernel = { arch, variant, symbols: NOTHING };
    return { kernel, kmods: await kmodsOf(await readKmodArguments(options.kmods), kernel, options, beside) };
  }
  const named = await readArguments({ kernel: names, kmods: options.kmods });
  const kernel = await kernelOf(named.kernel, options, beside, named.kmods);
  return { kernel, kmods: await kmodsOf(named.kmods, kernel, options, beside) };
}

/**
 * What kmods need of a kernel, by how many need it. What an rpm needs of a kmod is none of it; where a module's file does not
 * tell whose a symbol is, it is the kernel's if that exports it, or, without a kernel, if none of the kmods does.
 * @returns also how many symbols are needed that are no kernel's
 */
function wantedBy(
  kmods: readonly Kmod[],
  kernel: Kernel | undefined,
): { wanted: Wanted[]; elsewhere: number } {
  const needs = new Map<string, Set<string>>();
  for (const kmod of kmods) {
    const symbols = [...importsOf(kmod).map(({ symbol }) => symbol), ...(kmod.loading?.unversioned ?? [])];
    for (const symbol of symbols) needs.set(symbol, (needs.get(symbol) ?? new Set()).add(kmod.name));
  }
  const ofKernels = new Set(kmods.flatMap(({ kernelImports }) => kernelImports.map(({ symbol }) => symbol)));
  const isKernels = (symbol: string) => {
    if (kernel) return kernel.symbols.has(symbol);
    return ofKernels.has(symbol) || !kmods.some(({ exports }) => exports.has(symbol));
  };
  const wanted = [...needs]
    .filter(([symbol]) => isKernels(symbol))
    .map(([symbol, names]) => ({ symbol, kmods: [...names].sort() }))
    .sort((a, b) => b.kmods.length - a.kmods.length || (a.symbol < b.symbol ? -1 : 1));
  return { wanted, elsewhere: needs.size - wanted.length };
}

// ---- what is shown ------------------------------------------------------------------------------------

interface Suggestion {
  readonly kmods: number;
  readonly needed: number;
  readonly lacking: readonly Wanted[];
  readonly elsewhere: number;
}

/** So many kmods are named beside a symbol. */
const NAMED = 3;

function suggestionText({ kmods, needed, lacking, elsewhere }: Suggestion): string {
  const rows = lacking.map(({ symbol, kmods: names }) => {
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
    return [symbol, String(names.length), `${names.slice(0, NAMED).join(' ')}${more}`];
  });
  const left = elsewhere > 0 ? ` ${elsewhere} more are no kernel's, or not this one's.` : '';
  const head = `${kmods} kmods need ${needed} symbols of the kernel, and ${lacking.length} of those are not listed.${left}`;
  return `${line(head)}${rows.length > 0 ? `\n${table([['SYMBOL', 'KMODS', 'NEEDED BY'], ...rows])}` : ''}`;
}

const suggestionJson = ({ lacking, ...counts }: Suggestion) => ({ ...counts, symbols: lacking });
