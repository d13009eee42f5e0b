/** Kernels by kmods, and one kmod, symbol or cause over kernels: plain data. */
import type { Cause } from '../btf/causes.ts';
import type { Need, Step } from './needs.ts';
import { isSpared, type KmodReport, RANKS, type RunLine, type RunReport, type Tallied } from './report.ts';

/** What needs somebody, the newest kernel first; `more` are not told. */
export interface Needs {
  readonly needs: readonly Need[];
  readonly more: number;
}

/** What a kmod came to with a kernel; null: it was not tried with it. */
export type MatrixCell = Tallied | null;

export interface MatrixRow {
  readonly kmod: string;
  /** One for each run of the matrix, in their order. */
  readonly cells: readonly MatrixCell[];
}

/** The newest runs of kernels, and how each kmod did with them. */
export interface Matrix {
  /** Newest first; of each kernel at each gate the newest run. */
  readonly runs: readonly RunLine[];
  /** What is not fine with the newest kernels comes first. */
  readonly rows: readonly MatrixRow[];
  /** The run after which older ones begin; null: there is none. */
  readonly older: string | null;
}

/** Outcomes by run and kmod. */
export type CellsOfRuns = ReadonlyMap<string, ReadonlyMap<string, Tallied>>;

/** A kmod's outcome as a cell has it: `waived` where only a waiver keeps it from counting. */
export const cellOf = (kmod: KmodReport): Tallied => (isSpared(kmod) ? 'waived' : kmod.outcome);

/** Put the cells of runs together. */
export function matrixOf(runs: readonly RunLine[], cells: CellsOfRuns, older: string | null): Matrix {
  const names = new Set(runs.flatMap(({ run }) => [...(cells.get(run)?.keys() ?? [])]));
  const rows = [...names].toSorted().map((kmod) => ({
    kmod,
    cells: runs.map(({ run }) => cells.get(run)?.get(kmod) ?? null),
  }));
  return { runs, rows: rows.toSorted((a, b) => compareRows(a.cells, b.cells)), older };
}

/** By the newest kernel on which they differ, the worse first. */
function compareRows(a: readonly MatrixCell[], b: readonly MatrixCell[]): number {
  const bad = Number(isFine({ cells: a })) - Number(isFine({ cells: b }));
  if (bad !== 0) return bad;
  for (const [i, cell] of a.entries()) {
    const other = b[i] ?? null;
    const difference = rankOf(cell) - rankOf(other);
    if (difference !== 0) return difference;
  }
  return 0;
}

const rankOf = (cell: MatrixCell): number =>
  cell === null ? Number.MAX_SAFE_INTEGER : cell === 'waived' ? RANKS['already-broken'] - 0.5 : RANKS[cell];

/** Whether nothing of a row asks to be looked at. */
export const isFine = ({ cells }: Pick<MatrixRow, 'cells'>): boolean =>
  cells.every((cell) => cell === null || cell === 'ok' || cell === 'building' || cell === 'waiting');

/** A kmod with one kernel at one gate. */
export interface KmodWithKernel {
  readonly run: string;
  readonly gate: string;
  readonly build: number;
  readonly nvr: string;
  readonly outcome: Tallied;
  /** When that was said, or the run began, in ms. */
  readonly at: number;
}

/** A kmod that is not fine at a gate. */
export interface KmodTrouble {
  readonly gate: string;
  /** The newest run that says so, and what it says. */
  readonly run: string;
  readonly build: number;
  readonly nvr: string;
  readonly kmod: KmodReport;
  /** The first kernel with which it was so; null: not known. */
  readonly since: Pick<KmodWithKernel, 'run' | 'build' | 'nvr' | 'at'> | null;
  /** The declaration of the kernel's source that changed and hits it. */
  readonly source?: string;
  readonly who: string;
  readonly steps: readonly Step[];
}

/** A kmod over kernels and gates. */
export interface KmodHistory {
  readonly name: string;
  /** Where it is not fine with the newest kernel that it was judged with, by gate. */
  readonly troubles: readonly KmodTrouble[];
  /** Newest first; of each kernel at each gate the newest run, and so many at the most. */
  readonly cells: readonly KmodWithKernel[];
  readonly more: boolean;
}

/** A kernel with which a symbol was not as kmods needed it. */
export interface SymbolHit extends Pick<RunReport, 'run' | 'gate' | 'build' | 'nvr'> {
  readonly arch: string;
  /** When the run began, in ms. */
  readonly at: number;
  /** The CRC that it has there, `0x%08x`; null: it is gone. */
  readonly provided: string | null;
  readonly provider: string | null;
  /** The kmods, and the CRC that each needs. */
  readonly kmods: readonly { readonly name: string; readonly required: string }[];
}

/** What is known of a symbol, newest kernel first. Only symbols that kmods miss are kept. */
export interface SymbolHistory {
  readonly symbol: string;
  readonly hits: readonly SymbolHit[];
  /** How many runs were looked through, and what continues that; null: those are all. */
  readonly looked: number;
  readonly older: number | null;
}

/** A kernel in which a declaration changed. */
export interface CauseHit extends Pick<RunReport, 'run' | 'gate' | 'build' | 'nvr'> {
  readonly arch: string;
  readonly at: number;
  /** NVR of the kernel that it is compared with. */
  readonly baseline: string;
  readonly cause: Cause;
  /** Names of the kmods that it hits. */
  readonly kmods: readonly string[];
}

/** What is known of a declaration of the kernel's source, newest kernel first. */
export interface CauseHistory {
  /** `struct`, `function` and so on, and its name. */
  readonly kind: string;
  readonly name: string;
  readonly hits: readonly CauseHit[];
  readonly looked: number;
  readonly older: number | null;
}
