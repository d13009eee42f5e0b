/** What the dashboard of a running gate shows: its store, by the reports, and how it is. */
import type { Health } from '../http/health.ts';
import type { OnChange } from '../http/live.ts';
import type { Sources } from '../http/sources.ts';
import { needOf } from '../report/needs.ts';
import { causeHistory, kmodHistory, matrix, needs, symbolHistory } from './overview.ts';
import { explain, listRuns, type Reporting, revisionOf, waiverReports } from './report.ts';

/** Sources of the dashboard. */
export function dashboardSources(reports: Reporting, health: () => Health, onChange: OnChange): Sources {
  const { store, gates } = reports;
  return {
    gates: gates.map(({ name }) => name),
    runs: (wanted) => listRuns(reports, wanted),
    explain: (subject) => explain(reports, subject),
    needOf: (report) =>
      needOf(
        report,
        gates.find(({ name }) => name === report.gate),
      ),
    revision: async (subject) =>
      subject === undefined
        ? `${await store.newestFact()}.${await store.wordsOfPersons()}`
        : revisionOf(reports, subject),
    waivers: () => waiverReports(store),
    health,
    needs: (limit) => needs(reports, limit),
    matrix: (wanted) => matrix(reports, wanted),
    kmod: (name) => kmodHistory(reports, name),
    symbol: (name, before) => symbolHistory(reports, name, before),
    cause: (which, before) => causeHistory(reports, which, before),
    onChange,
  };
}

/** Who is told of changes. */
export function listeners(): { readonly listen: OnChange; tell(build: number | null): void } {
  const all = new Set<Parameters<OnChange>[0]>();
  return {
    listen(listener) {
      all.add(listener);
      return () => void all.delete(listener);
    },
    tell(build) {
      for (const listener of all) listener(build);
    },
  };
}
