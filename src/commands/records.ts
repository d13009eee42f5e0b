/** What is known of runs, kernels and waivers, wherever a command reads it. */
import type { Config } from '../config/config.ts';
import { didYouMean } from '../config/mistakes.ts';
import type { Gate } from '../core/model.ts';
import type { KmodHistory } from '../report/matrix.ts';
import type { NeedGate } from '../report/needs.ts';
import type { Explanation, RunPage, RunsWanted, WaiverReport } from '../report/report.ts';
import { withStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { explain, listRuns, reporting, waiverReports } from './report.ts';

/** Where `status`, `explain` and `waivers` read: a store here, or a gate elsewhere (remote.ts). */
export interface Records {
  /** Undefined where there is no run `before`. */
  runs(wanted: RunsWanted): Promise<RunPage | undefined>;
  /** @param subject NVR or Koji build id; undefined where it was never seen */
  explain(subject: string): Promise<Explanation | undefined>;
  waivers(): Promise<WaiverReport[]>;
  /** A kmod by its package's name over kernels; undefined where it was never tried. */
  kmod(name: string): Promise<KmodHistory | undefined>;
  gates(): Promise<readonly (NeedGate & Pick<Gate, 'name'>)[]>;
  /** `; did you mean …?` with the kmod that is nearest to a name; empty: none is near, or nobody can tell. */
  near(name: string): Promise<string>;
}

/** The records in the store of a configuration; the gate need not run. */
export function storedRecords(config: Config): Records {
  const within = <T>(read: (store: Store) => Promise<T>) => withStore(config.store, 'read', read);
  return {
    runs: (wanted) => within((store) => listRuns(reporting(config, store), wanted)),
    explain: (subject) => within((store) => explain(reporting(config, store), subject)),
    waivers: () => within(waiverReports),
    kmod: (name) =>
      within(async (store) => {
        const { kmodHistory } = await import('./overview.ts');
        return kmodHistory(reporting(config, store), name);
      }),
    gates: async () => config.gates,
    near: (name) => within(async (store) => didYouMean(name, await store.kmodNames())),
  };
}
