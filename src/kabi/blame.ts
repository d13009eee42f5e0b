/** Whose change broke whom. */
import type { KmodComparison } from './compare.ts';
import { isForOthers } from './remark.ts';

/** A symbol that is gone or changed, and the kmods that it hits. */
export interface BlamedSymbol {
  readonly symbol: string;
  /** As it is now; null: exported by nobody. */
  readonly provided: { readonly crc: number; readonly provider: string } | null;
  /** Each with the CRC that it was built against, in the order of the comparisons. */
  readonly hits: readonly { readonly kmod: string; readonly required: number }[];
}

/** A kmod, and the symbols that hit it: first those that are gone. */
export interface HitKmod {
  readonly kmod: string;
  readonly symbols: readonly string[];
}

export interface Blame {
  /** The symbol that hits most kmods first; of equals, by name. */
  readonly symbols: readonly BlamedSymbol[];
  /** In the order of the comparisons, without those that nothing hits. */
  readonly kmods: readonly HitKmod[];
}

/** What of a comparison is looked at. */
export interface Blamable
  extends Pick<KmodComparison, 'kmod' | 'missing' | 'changed' | 'answer'>,
    Partial<Pick<KmodComparison, 'remarks'>> {
  /** In whatever words. */
  readonly cause: string | null;
}

/**
 * Which symbols break the incompatible kmods. Inconclusive ones are left out: what a kmod for another
 * architecture misses is nobody's change. So are those of which not one CRC fits, and those that are for other kernels: no
 * symbol is to blame.
 * @param comparisons of kmods with one kernel
 */
export function blame(comparisons: readonly Blamable[]): Blame {
  const symbols = new Map<
    string,
    { provided: BlamedSymbol['provided']; hits: BlamedSymbol['hits'][number][] }
  >();
  const kmods: HitKmod[] = [];
  const hit = (symbol: string, provided: BlamedSymbol['provided'], kmod: string, required: number) => {
    const known = symbols.get(symbol);
    if (known) known.hits.push({ kmod, required });
    else symbols.set(symbol, { provided, hits: [{ kmod, required }] });
  };
  for (const { kmod, missing, changed, answer, cause, remarks = [] } of comparisons) {
    if (answer !== 'incompatible' || cause !== null || remarks.some(isForOthers)) continue;
    for (const { symbol, crc } of missing) hit(symbol, null, kmod, crc);
    for (const { symbol, required, provided, provider } of changed)
      hit(symbol, { crc: provided, provider }, kmod, required);
    kmods.push({ kmod, symbols: [...missing, ...changed].map(({ symbol }) => symbol) });
  }
  const blamed = [...symbols].map(([symbol, found]) => ({ symbol, ...found }));
  return { symbols: blamed.sort(byWeight), kmods };
}

const byWeight = (a: BlamedSymbol, b: BlamedSymbol) =>
  b.hits.length - a.hits.length || (a.symbol < b.symbol ? -1 : 1);
