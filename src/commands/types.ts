/** Why symbols changed, from files: the types of two kernels, and what kmods need of what changed. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Causes, type ComparedExport, findCauses, moduleName } from '../btf/causes.ts';
import type { BtfPair, KernelBtfs } from '../btf/graph.ts';
import { type Btf, readBtf } from '../btf/reader.ts';
import { comparedExports, type Hit, hitOf, type Need } from '../btf/told.ts';
import type { Kmod, SymbolTable } from '../kabi/model.ts';
import { readModuleBtf } from '../symbols/image.ts';
import { imageOfRpm } from '../symbols/kernelrpm.ts';
import { filesOfRpm } from '../symbols/payload.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { fileSource } from '../symbols/source.ts';
import { CheckError } from './error.ts';

/** The files of a kernel, and what they export together. */
export interface KernelFiles {
  readonly files: readonly SymbolFile[];
  readonly symbols: SymbolTable;
  /** The types of vmlinux, where they are not among the files: of a build on the hub. */
  readonly types?: { readonly btf: Uint8Array; readonly file: string };
}

export interface Explained {
  readonly causes: Causes;
  /** In the order of the kmods. */
  readonly hits: readonly Hit[];
  readonly btfs: KernelBtfs;
  /** Exports that changed and are asked for. */
  readonly wanted: readonly ComparedExport[];
}

/**
 * Find the causes of what changed from one kernel to another, and which kmods they hit.
 * @param symbol the only export that is asked for; without, what the kmods need is, and without kmods all
 * @throws CheckError where one of them has no types, SymbolFileError
 */
export async function explainFiles(
  before: KernelFiles,
  after: KernelFiles,
  kmods: readonly Kmod[],
  symbol?: string,
): Promise<Explained> {
  const exports = comparedExports(before.symbols, after.symbols);
  const isNeeded = neededBy(kmods, symbol);
  const wanted = exports.filter((it) => it.isChanged && isNeeded(it.symbol));
  const btfs = await readTypes(before, after, wanted);
  const causes = findCauses(btfs, exports);
  return { causes, hits: kmods.map((kmod) => hitOf(needOf(kmod), exports, causes)), btfs, wanted };
}

const needOf = (kmod: Kmod): Need => ({
  kmod: kmod.name,
  symbols: new Set(importsOf(kmod).map(({ symbol }) => symbol)),
});

/** What a kmod needs of a kernel. */
export const importsOf = ({ kernelImports, imports }: Kmod) => [...kernelImports, ...imports];

function neededBy(kmods: readonly Kmod[], symbol: string | undefined): (name: string) => boolean {
  if (symbol !== undefined) return (name) => name === symbol;
  const needed = new Set(kmods.flatMap((kmod) => importsOf(kmod).map((it) => it.symbol)));
  return (name) => kmods.length === 0 || needed.has(name);
}

// ---- types ------------------------------------------------------------------------------------------

/** The types of vmlinux, which must be there, and of the modules whose exports are asked for, if they are there. */
async function readTypes(
  old: KernelFiles,
  young: KernelFiles,
  wanted: readonly ComparedExport[],
): Promise<KernelBtfs> {
  const [before, after] = [await readVmlinux(old, '--baseline'), await readVmlinux(young, '--kernel')];
  const were = await readModules(old.files, wanted, before);
  const are = await readModules(young.files, wanted, after);
  const modules = new Map<string, BtfPair>();
  for (const [name, is] of are) {
    const was = were.get(name);
    if (was) modules.set(name, { before: was, after: is });
  }
  return { before, after, modules };
}

async function readVmlinux({ files, types }: KernelFiles, option: string): Promise<Btf> {
  for (const { btf, file } of types ? [types] : files) if (btf) return readBtf(btf, file);
  const without: string[] = files.filter(({ format }) => format === 'image').map(({ file }) => file);
  for (const { file, format } of files) {
    const image = format === 'rpm' ? await imageOfRpm(fileSource(file)) : null;
    if (image?.btf) return readBtf(image.btf, image.file);
    if (image) without.push(image.file);
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
    for await (const it of filesOfRpm(fileSource(file), isWanted))
      await add(moduleOfPath(it.name) ?? '', it.data, `${file}: ${basename(it.name)}`);
  }
  return found;
}

function moduleOfPath(path: string): string | null {
  const name = /([^/]+)\.ko(\.\w+)?$/.exec(path)?.[1];
  return name === undefined ? null : moduleName(name);
}
