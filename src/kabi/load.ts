/** What the kernel asks of a module's file when it loads it, beside CRCs (Linux: kernel/module/main.c, version.c). */
import type { ExportedSymbol, KernelSymbols, Kmod, Loading } from './model.ts';
import { MODULES_ONLY, type Remark } from './remark.ts';

/** Licenses that may use what is exported to GPL modules only (Linux: include/linux/license.h). */
const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

/** Every module has its CRC; it is looked up whatever the license. */
const LAYOUT = 'module_layout';

/**
 * Why the kernel would refuse a module. Where its symbols do not tell how they are exported, as those of rpms do not,
 * nothing follows.
 * @param offerOf what the module gets under that name; undefined: nobody exports it
 */
export function refusals(
  { name, imports, loading, unversioned }: Kmod,
  kernel: KernelSymbols,
  offerOf: (symbol: string) => Partial<ExportedSymbol> | undefined,
): Remark[] {
  if (!loading) return [];
  const needed = [...imports.map(({ symbol }) => symbol), ...loading.unversioned];
  const isGpl = loading.license !== null && GPL_COMPATIBLE.has(loading.license);
  const refused = needed.flatMap((symbol): Remark[] => {
    const { exportType = '', namespace = '', provider = '' } = offerOf(symbol) ?? {};
    const found: Remark[] = [];
    // A weak one is then taken for one that is not there.
    if (!isGpl && exportType.endsWith('_GPL') && symbol !== LAYOUT && !loading.weak.includes(symbol))
      found.push({ kind: 'gpl-only', symbol, provider, license: loading.license });
    if (namespace !== '' && !mayUse(name, loading, namespace))
      found.push({ kind: 'namespace', symbol, provider, namespace });
    return found;
  });
  const unexported = (tellsAll(kernel) ? loading.unversioned : [])
    .filter((symbol) => offerOf(symbol) === undefined)
    .map((symbol): Remark => ({ kind: 'unexported', symbol }));
  return [...refused, ...unexported, ...(unversioned ? [] : otherFlags(loading, kernel))];
}

/** A namespace must be imported, but one of named modules, which none may import (Linux 6.16). */
const mayUse = (module: string, { namespaces }: Loading, namespace: string): boolean =>
  namespace.startsWith(MODULES_ONLY)
    ? namespace
        .slice(MODULES_ONLY.length)
        .split(',')
        .some((pattern) => isNamed(module, pattern))
    : namespaces.includes(namespace);

/** Patterns are names, of which the end may be a `*`. A module's own name has `_` where its file has `-`. */
function isNamed(module: string, pattern: string): boolean {
  const [name, wanted] = [module, pattern].map((it) => it.replaceAll('-', '_')) as [string, string];
  return wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
}

/** Whether it is known of every export, also of those without a CRC: from Module.symvers alone, which tells namespaces. */
function tellsAll({ symbols, partial }: KernelSymbols): boolean {
  if (partial !== undefined) return false;
  for (const { namespace } of symbols.values()) if (namespace !== undefined) return true;
  return false;
}

/** With CRCs the version, its first word, does not count; what follows must be the same. */
function otherFlags({ vermagic }: Loading, kernel: KernelSymbols): Remark[] {
  if (vermagic === null || kernel.vermagic === undefined) return [];
  const [own, kernels] = [flagsOf(vermagic), flagsOf(kernel.vermagic)];
  return own === kernels ? [] : [{ kind: 'vermagic', own, kernel: kernels }];
}

/** `SMP preempt mod_unload modversions` of a vermagic. */
export const flagsOf = (vermagic: string): string => vermagic.trim().split(/\s+/).slice(1).join(' ');

/** Whether it exports a symbol, with a CRC or without. */
export const exportsAny = ({ exports, loading }: Kmod): boolean =>
  exports.size > 0 || (loading !== undefined && loading.exports.length > 0);

/** A module that exports a symbol of which it has no CRC. */
export const withoutCrc = (symbol: string, kmods: readonly Kmod[]): Partial<ExportedSymbol> | undefined =>
  kmods.some(({ loading }) => loading?.exports.includes(symbol)) ? {} : undefined;
