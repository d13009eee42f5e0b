/** What is seen of many kernels at once, from the store: for the dashboard, and for whoever else shows it. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Run } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { formatCrc } from '../kabi/crc.ts';
import {
  type CauseHistory,
  cellOf,
  type KmodHistory,
  type KmodTrouble,
  type KmodWithKernel,
  type Matrix,
  matrixOf,
  type Needs,
  type SymbolHistory,
} from '../report/matrix.ts';
import { mendOf, type Need, needOf, sourceOf } from '../report/needs.ts';
import { byCalendar, type RunLine, type RunReport, type RunsWanted, type Tallied } from '../report/report.ts';
import type { EvidenceOf, JudgedCell } from '../store/store.ts';
import { listRuns, type Reporting, report } from './report.ts';

/** Reports of runs that are over: nothing of them changes but by a fact, and then the run is another object. */
const known = new WeakMap<Run, RunReport>();

/** The report of a run without each symbol; undefined where there is none. Lets others have a turn first. */
async function reportAside(reporting: Reporting, id: string): Promise<RunReport | undefined> {
  await breathe();
  const run = await reporting.store.run(id);
  if (!run) return undefined;
  const before = known.get(run);
  if (before) return before;
  const made = await report(reporting, run);
  if (run.closing && run.verdict) known.set(run, made);
  return made;
}

const gateOf = ({ gates }: Reporting, name: string) => gates.find((gate) => gate.name === name);

/** What needs somebody now, the newest kernel first. */
export async function needs(reporting: Reporting, limit: number): Promise<Needs> {
  const ids = await reporting.store.needing();
  const found: Need[] = [];
  let looked = 0;
  for (const id of ids) {
    if (found.length >= limit) break;
    looked += 1;
    const run = await reportAside(reporting, id);
    const need = run && needOf(run, gateOf(reporting, run.gate));
    if (need) found.push(need);
  }
  return { needs: found, more: ids.length - looked };
}

/** Cells of so many kernels are read at a time; others have a turn between. */
const AT_A_TIME = 20;

/**
 * Kernels by kmods.
 * @param wanted which runs; with a kmod it alone, or those that fit the pattern
 * @returns undefined where there is no run `before`
 */
export async function matrix(reporting: Reporting, wanted: RunsWanted): Promise<Matrix | undefined> {
  const { store } = reporting;
  const page = await listRuns(reporting, { ...wanted, latest: true });
  if (!page) return undefined;
  const plain = page.runs.filter(({ verdict, outcomes }) => verdict !== null && !outcomes.waived);
  const cells = new Map<string, ReadonlyMap<string, Tallied>>();
  for (let from = 0; from < plain.length; from += AT_A_TIME) {
    await breathe();
    const some = plain.slice(from, from + AT_A_TIME);
    const found = await store.cells(
      some.map(({ run, build: id, nvr }) => ({ id: run, kernel: { id, nvr } })),
    );
    for (const [run, of] of found) cells.set(run, of);
  }
  for (const line of page.runs)
    if (!cells.has(line.run)) cells.set(line.run, await cellsNow(reporting, line));
  await breathe();
  const all = matrixOf(page.runs, cells, page.older);
  if (wanted.kmod === undefined) return all;
  const names = new Set(all.rows.map(({ kmod }) => kmod).filter(fits(wanted.kmod)));
  return { ...all, rows: all.rows.filter(({ kmod }) => names.has(kmod)) };
}

/** Cells of a run that goes on, or of which a person waived some. */
async function cellsNow(reporting: Reporting, { run: id, ended_at }: RunLine): Promise<Map<string, Tallied>> {
  const run = await reportAside(reporting, id);
  const all = (run?.kmods ?? []).map((kmod) => [kmod.name, cellOf(kmod)] as const);
  // What was not tried when a run ended never will be.
  return new Map(all.filter(([, cell]) => ended_at === null || !isOpen(cell)));
}

const isOpen = (cell: Tallied): boolean => cell === 'building' || cell === 'waiting';

const fits = (pattern: string) => matcher([pattern]);

/** So many cells of a kmod are shown, and of so many the waivers are looked at. */
const CELLS = 60;
const LOOKED_AT = 12;

/** A kmod over kernels and gates; undefined where it was never tried. */
export async function kmodHistory(reporting: Reporting, name: string): Promise<KmodHistory | undefined> {
  const { store } = reporting;
  const judged = await store.cellsOfKmod(name, CELLS + 1);
  const open = await openCells(reporting, name);
  if (judged.length + open.length === 0) return undefined;
  const over: KmodWithKernel[] = [];
  for (const cell of judged.filter(({ run }) => !open.some((one) => one.run === run)))
    over.push(await withWaiver(reporting, cell, over.length < LOOKED_AT));
  const cells = newestOfKernels([...open, ...byCalendar(over, await store.ahead())]);
  const troubles: KmodTrouble[] = [];
  for (const gate of new Set(cells.map((cell) => cell.gate))) {
    const newest = cells.find((cell) => cell.gate === gate && !isOpen(cell.outcome));
    const trouble = newest && newest.outcome !== 'ok' && (await troubleOf(reporting, name, newest));
    if (trouble) troubles.push(trouble);
  }
  return { name, troubles, cells: cells.slice(0, CELLS), more: judged.length > CELLS };
}

/** Cells of runs that have no verdict yet. */
async function openCells(reporting: Reporting, name: string): Promise<KmodWithKernel[]> {
  // A name that is a pattern is none.
  if (/[*?]/.test(name)) return [];
  const page = await listRuns(reporting, { limit: LOOKED_AT, kmod: name, verdict: 'none', latest: true });
  const cells: KmodWithKernel[] = [];
  for (const { run, gate, build, nvr, started_at: at, ended_at } of page?.runs ?? []) {
    if (ended_at !== null) continue;
    const kmod = (await reportAside(reporting, run))?.kmods.find((one) => one.name === name);
    if (kmod) cells.push({ run, gate, build, nvr, outcome: cellOf(kmod), at });
  }
  return cells;
}

async function withWaiver(
  reporting: Reporting,
  { run, gate, kernel, kmod: name, outcome, at }: JudgedCell,
  isNew: boolean,
): Promise<KmodWithKernel> {
  const cell = { run, gate, build: kernel.id, nvr: kernel.nvr, at };
  if (!isNew || outcome === 'ok' || outcome === 'already-broken') return { ...cell, outcome };
  const kmod = (await reportAside(reporting, run))?.kmods.find((one) => one.name === name);
  return { ...cell, outcome: kmod?.outcome === outcome ? cellOf(kmod) : outcome };
}

function newestOfKernels(cells: readonly KmodWithKernel[]): KmodWithKernel[] {
  const seen = new Set<string>();
  return cells.filter(({ gate, build }) => {
    const key = `${gate}/${build}`;
    return !seen.has(key) && seen.add(key);
  });
}

async function troubleOf(
  reporting: Reporting,
  name: string,
  { run: id, gate, build, nvr }: KmodWithKernel,
): Promise<KmodTrouble | undefined> {
  const run = await reportAside(reporting, id);
  const kmod = run?.kmods.find((one) => one.name === name);
  if (!run || !kmod) return undefined;
  const first = await reporting.store.brokenSince(name, gate);
  const since = first && {
    ...{ run: first.run, build: first.kernel.id, nvr: first.kernel.nvr, at: first.at },
  };
  const source = sourceOf(run, kmod);
  const { who, steps } = mendOf(run, kmod, gateOf(reporting, gate));
  return {
    ...{ gate, run: id, build, nvr, kmod, since: byCalendar(since ?? null, await reporting.store.ahead()) },
    ...(source !== undefined && { source }),
    ...{ who, steps },
  };
}

/** So many runs are looked through for a symbol, and for a cause. */
const SYMBOL_RUNS = 20;
const CAUSE_RUNS = 50;

/** What is known of a symbol that kmods missed, in runs before the one of that number. */
export async function symbolHistory(
  { store }: Reporting,
  symbol: string,
  before?: number,
): Promise<SymbolHistory> {
  const { runs, older } = await store.runsWithSymbols(SYMBOL_RUNS, before);
  const hits: SymbolHistory['hits'][number][] = [];
  for (const of of runs) {
    await breathe();
    hits.push(...symbolHits(of, symbol, await store.detailOf(of.run)));
  }
  return { symbol, hits: byCalendar(hits, await store.ahead()), looked: runs.length, older };
}

function symbolHits(
  of: EvidenceOf,
  symbol: string,
  evidence: Awaited<ReturnType<Reporting['store']['detailOf']>>,
): SymbolHistory['hits'][number][] {
  const found = evidence.flatMap(({ kmod, arches }) =>
    arches.flatMap(({ arch, missing, changed }) => {
      const gone = missing.find((one) => one.symbol === symbol);
      const other = changed.find((one) => one.symbol === symbol);
      if (!gone && !other) return [];
      const required = formatCrc(other?.required ?? gone?.crc ?? 0);
      return [{ arch, kmod: { name: kmod, required }, provided: other ?? null }];
    }),
  );
  return [...new Set(found.map(({ arch }) => arch))].map((arch) => {
    const here = found.filter((one) => one.arch === arch);
    const provided = here.find((one) => one.provided)?.provided ?? null;
    return {
      ...placeOf(of),
      arch,
      provided: provided && formatCrc(provided.provided),
      provider: provided?.provider ?? null,
      kmods: here.map(({ kmod }) => kmod),
    };
  });
}

const placeOf = ({ run, gate, kernel, at }: EvidenceOf) => ({
  ...{ run, gate, build: kernel.id, nvr: kernel.nvr, at },
});

/** What is known of a declaration of the kernel's source that changed, in runs before the one of that number. */
export async function causeHistory(
  { store }: Reporting,
  { kind, name }: { readonly kind: string; readonly name: string },
  before?: number,
): Promise<CauseHistory> {
  const { runs, older } = await store.runsWithCauses(CAUSE_RUNS, before);
  const hits = runs.flatMap((of) =>
    of.causes.flatMap(({ arch, baseline, causes, kmods }) =>
      causes.flatMap((cause, i) => {
        if (cause.kind !== kind || cause.name !== name) return [];
        const hit = kmods.filter((one) => one.causes.includes(i)).map(({ kmod }) => kmod);
        return [{ ...placeOf(of), arch, baseline, cause, kmods: hit }];
      }),
    ),
  );
  return { kind, name, hits: byCalendar(hits, await store.ahead()), looked: runs.length, older };
}
