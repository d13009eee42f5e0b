/** Which exports of a kernel may change, by SUSE's `kabi/severities`. */
import { matchesGlob } from './glob.ts';
import type { ExportedSymbol, Stablelist } from './model.ts';

/** What a pattern is compared with. */
export const KINDS_OF_RULES = ['SYMBOL', 'MODULE', 'NAMESPACE'] as const;
/** `PASS`: it may change or go. */
export const VERDICTS = ['PASS', 'FAIL'] as const;

export interface SeverityRule {
  readonly kind: (typeof KINDS_OF_RULES)[number];
  readonly pattern: string;
  readonly verdict: (typeof VERDICTS)[number];
  readonly line: number;
}

/** The rules of a file in its order. The first that matches counts; what none matches must not change. */
export interface Severities {
  readonly file: string;
  readonly rules: readonly SeverityRule[];
}

/** An export, as far as its file tells of it; see `ExportedSymbol`. */
export type Whose = Pick<ExportedSymbol, 'name'> & Partial<ExportedSymbol>;

/**
 * Whether an export may change or go. A symbol without a namespace matches no pattern of namespaces, as in suse-kabi-tools.
 * @param symbol as the older kernel has it
 * @returns null where that depends on its module or namespace, and nothing tells which these are
 */
export function mayChange({ rules }: Severities, symbol: Whose): boolean | null {
  const { name, provider, namespace } = symbol;
  // Only Module.symvers tells of namespaces, and names a module with its folder; an rpm or a module's file does not.
  const module = provider === 'vmlinux' || namespace !== undefined ? provider : undefined;
  const values = { SYMBOL: name, MODULE: module, NAMESPACE: namespace };
  const possible = new Set<SeverityRule['verdict']>();
  for (const { kind, pattern, verdict } of rules) {
    const value = values[kind];
    if (value === undefined) possible.add(verdict);
    else if (value !== '' && matchesGlob(pattern, value)) return settled(possible.add(verdict));
  }
  return settled(possible.add('FAIL'));
}

const settled = (possible: ReadonlySet<SeverityRule['verdict']>): boolean | null =>
  possible.size > 1 ? null : possible.has('PASS');

/** What a kernel promises: the listed symbols, or all that it exports, without those that severities let change. */
export interface Promised {
  readonly list?: Stablelist;
  readonly severities?: Severities;
}

/**
 * Whether an export must stay as it is. What the list tells of its module and namespace counts.
 * @param symbol as the older kernel has it
 * @returns null where severities do not tell: see `mayChange`
 */
export function isPromised({ list, severities }: Promised, symbol: Whose): boolean | null {
  if (list && !list.symbols.has(symbol.name)) return false;
  if (!severities) return list !== undefined;
  const may = mayChange(severities, list?.exports?.get(symbol.name) ?? symbol);
  return may === null ? null : !may;
}
