/** Where pages and JSON get what they show. */
import type { CauseHistory, KmodHistory, Matrix, Needs, SymbolHistory } from '../report/matrix.ts';
import type { Need } from '../report/needs.ts';
import type { Explanation, RunPage, RunReport, RunsWanted, WaiverReport } from '../report/report.ts';
import type { Health } from './health.ts';
import type { OnChange } from './live.ts';
import type { Metrics } from './metrics.ts';

/** Where the dashboard gets what it shows: plain data. */
export interface Sources {
  /** Names of the configured gates. */
  readonly gates: readonly string[];
  /** A page of the runs, newest first; undefined where there is no run `before`. */
  runs(wanted: RunsWanted): Promise<RunPage | undefined>;
  /** @param subject NVR or Koji build id; undefined where the store has never seen it */
  explain(subject: string): Promise<Explanation | undefined>;
  /** What a run of that needs of people; undefined: nothing. */
  needOf(report: RunReport): Need | undefined;
  /**
   * Another text whenever `explain` would say something else, but for the time; undefined where it would say nothing. Without
   * a subject, whenever anything else would.
   */
  revision(subject?: string): Promise<string | undefined>;
  /** All waivers, newest first. */
  waivers(): Promise<WaiverReport[]>;
  health(): Health;
  /** What `/metrics` serves; absent: it is not there. */
  readonly metrics?: Pick<Metrics, 'text' | 'contentType'>;
  /** Kernels that need somebody, so many at the most. */
  needs(limit: number): Promise<Needs>;
  /** Kernels by kmods; undefined where there is no run `before`. */
  matrix(wanted: RunsWanted): Promise<Matrix | undefined>;
  /** Undefined where no such kmod was ever tried. */
  kmod(name: string): Promise<KmodHistory | undefined>;
  /** @param before as an answer has it in `older` */
  symbol(name: string, before?: number): Promise<SymbolHistory>;
  cause(which: { readonly kind: string; readonly name: string }, before?: number): Promise<CauseHistory>;
  /** Tells whenever something is recorded. */
  readonly onChange: OnChange;
}
