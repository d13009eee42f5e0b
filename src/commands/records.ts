/** What is known of runs, kernels and waivers, wherever a command reads it. */
import type { Config } from '../config/config.ts';
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
}

/** The records in the store of a configuration; the gate need not run. */
export function storedRecords(config: Config): Records {
  const within = <T>(read: (store: Store) => Promise<T>) => withStore(config.store.url, 'read', read);
  return {
    runs: (wanted) => within((store) => listRuns(reporting(config, store), wanted)),
    explain: (subject) => within((store) => explain(reporting(config, store), subject)),
    waivers: () => within(waiverReports),
  };
}
