/** One kernel out of its parts. */
import { formatCrc } from './crc.ts';
import { SymbolFileError } from './error.ts';
import { flagsOf } from './load.ts';
import type { ExportedSymbol, ImportedSymbol, KernelSymbols, Kmod, SymbolTable } from './model.ts';
import { type KernelRpms, kernelRpms } from './requires.ts';
import { kernelOfPart } from './rpm.ts';

/** What one rpm, Module.symvers or module exports. */
export type KernelPart = Pick<Kmod, 'name' | 'arch' | 'variant' | 'exports' | 'packaging' | 'loading'>;

/**
 * The symbols of all parts together, such as kernel-core, kernel-modules-core and kernel-modules. A part that
 * exports nothing (`kernel-modules-internal` of a small kernel) is one too.
 * @throws SymbolFileError where parts are of different kernels, and where there is no symbol at all
 */
export function combineKernel(parts: readonly KernelPart[]): KernelSymbols {
  const symbols = merge(parts);
  if (symbols.size === 0) {
    const mend = 'take kernel-core and kernel-modules rpms, or a Module.symvers';
    throw new SymbolFileError(parts.map(({ name }) => name).join(', '), null, 'no kernel symbol in it', mend);
  }
  const arch = common(parts, 'arch');
  const rpms = rpmsOf(parts, arch);
  const vermagic = vermagicOf(parts);
  const beside = { ...(rpms && { rpms }), ...(vermagic !== undefined && { vermagic }) };
  return { arch, variant: common(parts, 'variant'), symbols, ...beside };
}

/** An rpm that gave so many symbols, and gives none, is damaged: they do not all go at once. */
const MANY = 1000;

/**
 * Why a kernel may export more than is known: one of its rpms gives no symbol, and its namesake of another kernel gives
 * thousands. Those that other rpms give here have only moved.
 * @param silent names of the rpms of the kernel that give no symbol
 * @param other what the other kernel exports, and how it is called
 */
export function damageIn(
  silent: readonly string[],
  now: SymbolTable,
  other: { readonly symbols: SymbolTable; readonly name: string },
): string | undefined {
  for (const name of silent) {
    const gave = [...other.symbols.values()].filter(({ provider }) => provider === name);
    const moved = gave.filter((symbol) => now.has(symbol.name)).length;
    if (gave.length >= MANY && moved < gave.length / 2)
      return `${name} provides no symbol, and that of ${other.name} provided ${gave.length}`;
  }
  return undefined;
}

/** What its rpms say beside symbols: those that are called as the kernel or as a part of it. */
function rpmsOf(parts: readonly KernelPart[], arch: string | null): KernelRpms | undefined {
  const rpms = parts.flatMap(({ name, packaging }) =>
    packaging ? [{ name: name.replace(/-[^-]+-[^-]+$/, ''), packaging }] : [],
  );
  const [prefix] = rpms.flatMap(({ name }) => kernelOfPart(name) ?? []);
  const whole = prefix ?? rpms[0]?.name;
  if (whole === undefined) return undefined;
  const own = rpms.filter(({ name }) => name === whole || kernelOfPart(name) === whole);
  return kernelRpms(whole, own, arch);
}

/** That of its modules, where all have the same options. */
function vermagicOf(parts: readonly KernelPart[]): string | undefined {
  const told = parts.flatMap(({ loading }) => loading?.vermagic ?? []);
  return new Set(told.map(flagsOf)).size === 1 ? told[0] : undefined;
}

/**
 * What is known of a kernel by its own modules alone: what they export, and what they need of vmlinux, with the CRCs
 * that vmlinux has, since they were built together. What else vmlinux exports is not known.
 * @throws SymbolFileError where they are of different kernels
 */
export function kernelOfModules(
  modules: readonly (KernelPart & Pick<Kmod, 'imports'>)[],
): Omit<KernelSymbols, 'partial'> {
  const exported = merge(modules);
  const needed = modules.map((module): KernelPart => {
    const others = module.imports.filter(({ symbol, crc }) => exported.get(symbol)?.crc !== crc);
    return { ...module, exports: new Map(others.map((it) => [it.symbol, ofVmlinux(it)])) };
  });
  return combineKernel([...modules, ...needed]);
}

const ofVmlinux = ({ symbol, crc }: ImportedSymbol): ExportedSymbol => ({
  name: symbol,
  crc,
  provider: 'vmlinux',
});

function merge([first, ...others]: readonly KernelPart[]): SymbolTable {
  if (first && others.length === 0) return first.exports;
  const symbols = new Map(first?.exports);
  for (const part of others)
    for (const symbol of part.exports.values()) {
      const known = symbols.get(symbol.name);
      if (!known) symbols.set(symbol.name, symbol);
      else if (known.crc !== symbol.crc)
        throw mixed(part, describe(symbol), `another has ${describe(known)}`);
    }
  return symbols;
}

const describe = ({ name, crc, provider }: ExportedSymbol) => `${name} = ${formatCrc(crc)} of ${provider}`;

/** The one value that parts have; those that do not tell go with the others. */
function common(parts: readonly KernelPart[], what: 'arch' | 'variant'): string | null {
  const first = parts.find((part) => part[what] !== null);
  const other = first && parts.find((part) => part[what] !== null && part[what] !== first[what]);
  if (other) throw mixed(other, `${what} ${other[what] || 'plain'}`, `another has ${first[what] || 'plain'}`);
  return first?.[what] ?? null;
}

function mixed(part: KernelPart, it: string, other: string): SymbolFileError {
  return new SymbolFileError(part.name, null, `it has ${it}, ${other}`, 'take the files of one kernel');
}
