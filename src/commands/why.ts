/** `kmod-gate why`: which changes in a kernel's source broke the kmods, from its types and symbols. No Koji is needed. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Causes, type ComparedExport, findCauses, moduleName } from '../btf/causes.ts';
import type { BtfPair, KernelBtfs } from '../btf/graph.ts';
import { type Btf, readBtf } from '../btf/reader.ts';
import { formatCrc } from '../kabi/crc.ts';
import type { Kmod, SymbolTable } from '../kabi/model.ts';
import { readImage, readModuleBtf } from '../symbols/image.ts';
import { filesOfRpm } from '../symbols/payload.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { causesText, coverageText, type Hit, hitsText, nameOf, waysText } from './causes.ts';
import { isKernelPart, kernelOf, type Named, readArguments } from './check.ts';
import { CheckError } from './error.ts';
import { line, type Output } from './text.ts';

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
 * @throws CheckError, SymbolFileError
 */
export async function why(output: Output, options: WhyOptions): Promise<boolean> {
  // The kernel's own modules are parts of it here: their types tell why their exports changed.
  const named = await readArguments(options, (file) => isKernelPart(file) || file.isInTree === true);
  const [old, young] = [filesOf(named.baseline, '--baseline'), filesOf(named.kernel, '--kernel')];
  const kmods: readonly Kmod[] = filesOf(named.kmods, 'kmod');
  const [before, after] = [await symbolsOf(named.baseline), await symbolsOf(named.kernel)];
  const exports = comparedExports(before, after);
  const symbol = options.symbol;
  if (symbol !== undefined && !exports.some((it) => it.symbol === symbol))
    throw new CheckError(`--symbol ${symbol}: is not exported by both kernels`);
  const isNeeded = neededBy(kmods, symbol);
  const wanted = exports.filter((it) => it.isChanged && isNeeded(it.symbol));
  const btfs = await readTypes(old, young, wanted);
  const causes = findCauses(btfs, exports);
  const hits = kmods.map((kmod) => hitOf(kmod, exports, causes));
  const answer: Answer = { before, after, causes, hits, symbol };
  output.write(options.json ? `${JSON.stringify(whyJson(answer), null, 2)}\n` : whyText(answer));
  const changed = symbol === undefined ? exports : exports.filter((it) => it.symbol === symbol);
  return kmods.length > 0 && symbol === undefined
    ? hits.every((hit) => hit.changed === 0)
    : changed.every((it) => !it.isChanged);
}

function filesOf(named: readonly Named[], what: string): SymbolFile[] {
  return named.flatMap(({ name, files }) => {
    if (!files) throw new CheckError(`${what}: ${name}: there is no such file`);
    return files;
  });
}

const noHub = async () => {
  throw new CheckError('only files have types');
};

async function symbolsOf(named: readonly Named[]): Promise<SymbolTable> {
  return (await kernelOf(named, { config: noHub })).symbols;
}

const comparedExports = (before: SymbolTable, after: SymbolTable): ComparedExport[] =>
  [...after.values()].flatMap(({ name, crc, provider }) => {
    const was = before.get(name);
    return was ? [{ symbol: name, provider, isChanged: was.crc !== crc }] : [];
  });

const importsOf = ({ kernelImports, imports }: Kmod) => [...kernelImports, ...imports];

function neededBy(kmods: readonly Kmod[], symbol: string | undefined): (name: string) => boolean {
  if (symbol !== undefined) return (name) => name === symbol;
  const needed = new Set(kmods.flatMap((kmod) => importsOf(kmod).map((it) => it.symbol)));
  return (name) => kmods.length === 0 || needed.has(name);
}

// ---- types ------------------------------------------------------------------------------------------

/** The types of vmlinux, which must be there, and of the modules whose exports are asked for, if they are there. */
async function readTypes(
  old: readonly SymbolFile[],
  young: readonly SymbolFile[],
  wanted: readonly ComparedExport[],
): Promise<KernelBtfs> {
  const [before, after] = [await readVmlinux(old, '--baseline'), await readVmlinux(young, '--kernel')];
  const [were, are] = [await readModules(old, wanted, before), await readModules(young, wanted, after)];
  const modules = new Map<string, BtfPair>();
  for (const [name, is] of are) {
    const was = were.get(name);
    if (was) modules.set(name, { before: was, after: is });
  }
  return { before, after, modules };
}

/** A kernel within its rpm, by its file's name. */
const KERNEL_FILE = /(^|\/)(vmlinu[xz]|[iI]mage|bzImage|zImage)(-[^/]*)?(\.(gz|xz|zst))?$/;

async function readVmlinux(files: readonly SymbolFile[], option: string): Promise<Btf> {
  for (const { btf, file } of files) if (btf) return readBtf(btf, file);
  const without: string[] = files.filter(({ format }) => format === 'image').map(({ file }) => file);
  for (const { file, format } of files)
    if (format === 'rpm')
      for await (const { name, data } of filesOfRpm(readFileSync(file), file, (it) => KERNEL_FILE.test(it))) {
        const inside = `${file}: ${basename(name)}`;
        const image = await readImage(data, inside);
        if (image?.btf) return readBtf(image.btf, inside);
        without.push(inside);
      }
  throw new CheckError(
    without.length > 0
      ? `${option}: ${without[0]} has no types (BTF): it was built without CONFIG_DEBUG_INFO_BTF`
      : `${option}: no kernel with its types (BTF) is among the files: name its vmlinuz, vmlinux or kernel-core rpm too`,
  );
}

/** Of the modules, and of rpms that export what is asked for. */
async function readModules(
  files: readonly SymbolFile[],
  wanted: readonly ComparedExport[],
  base: Btf,
): Promise<Map<string, Btf>> {
  const names = new Set(wanted.map(({ provider }) => moduleName(provider)));
  const found = new Map<string, Btf>();
  const add = async (name: string, data: Uint8Array, file: string) => {
    const btf = await readModuleBtf(data, file);
    if (btf) found.set(name, readBtf(btf, file, base));
  };
  const isAsked = new Set(wanted.map(({ provider }) => provider));
  for (const { file, format, name, exports } of files) {
    if (format === 'module' && names.has(moduleName(name)))
      await add(moduleName(name), readFileSync(file), file);
    const offers = format === 'rpm' && wanted.some(({ symbol }) => exports.has(symbol));
    if (!offers) continue;
    const isOfRpm = isAsked.has(name);
    const isWanted = (path: string) => {
      const module = moduleOfPath(path);
      return module !== null && (isOfRpm || names.has(module));
    };
    for await (const it of filesOfRpm(readFileSync(file), file, isWanted))
      await add(moduleOfPath(it.name) ?? '', it.data, `${file}: ${basename(it.name)}`);
  }
  return found;
}

function moduleOfPath(path: string): string | null {
  const name = /([^/]+)\.ko(\.\w+)?$/.exec(path)?.[1];
  return name === undefined ? null : moduleName(name);
}

// ---- kmods ------------------------------------------------------------------------------------------

function hitOf(kmod: Kmod, exports: readonly ComparedExport[], causes: Causes): Hit {
  const needed = new Set(importsOf(kmod).map(({ symbol }) => symbol));
  const changed = exports.filter(({ symbol, isChanged }) => isChanged && needed.has(symbol));
  const ways = changed.map(({ symbol }) => ({ symbol, ways: causes.ways(symbol) }));
  const weights = new Map<number, { count: number; steps: number }>();
  for (const { cause, steps } of ways.flatMap((it) => it.ways)) {
    const known = weights.get(cause) ?? { count: 0, steps: 0 };
    weights.set(cause, { count: known.count + 1, steps: known.steps + steps.length });
  }
  const ordered = [...weights].sort(([, a], [, b]) => b.count - a.count || a.steps - b.steps);
  return { kmod: kmod.name, changed: changed.length, ways, causes: ordered.map(([cause]) => cause) };
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
  const named = (i: number) => causes.causes[i];
  const names = (all: readonly number[]) => all.flatMap((i) => named(i) ?? []).map(nameOf);
  return {
    symbols: causes.symbols,
    causes: causes.causes,
    kmods: hits.map(({ kmod, changed, causes: those }) => ({ name: kmod, changed, causes: names(those) })),
    ...(symbol !== undefined && {
      symbol: {
        name: symbol,
        declaration: causes.declared(symbol),
        ways: causes.ways(symbol).map(({ cause, steps }) => ({ cause: names([cause])[0], steps })),
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
