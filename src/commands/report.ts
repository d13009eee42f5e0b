/** `status` and `explain`: what the store knows, as text. */
import type { ToldChangelog, ToldError } from '../btf/told.ts';
import type { Config } from '../config/config.ts';
import type { ArchDetail, Gate, KernelBuild, Run, SymbolEvidence } from '../core/model.ts';
import { DEFAULT_POLICY } from '../core/policy.ts';
import { describeError, plural } from '../core/wording.ts';
import { awaitedOf } from '../report/awaited.ts';
import { keyOf, sharedErrors } from '../report/errors.ts';
import { briefly } from '../report/journal.ts';
import { type Need, shellWord } from '../report/needs.ts';
import type {
  Explanation,
  KmodReport,
  Links,
  RunLine,
  RunPage,
  RunReport,
  RunsWanted,
  WaiverReport,
} from '../report/report.ts';
import {
  asRecorded,
  BLAME_SHOWN,
  byCalendar,
  describeBlamed,
  describePruned,
  isSpared,
  outcomeNotes,
  reportOf,
  stageOf,
  tallyInOrder,
  WHOSE,
  waiverReport,
  worstFirst,
} from '../report/report.ts';
import { visibleIn } from '../report/visible.ts';
import type { RunSummary, Store } from '../store/store.ts';
import { causesText, hitsText } from './causes.ts';
import type { Records } from './records.ts';
import { dateTime, line, type Output, paint, table } from './text.ts';

/** Pages of Koji's web interface below `weburl`. */
export function webLinks(weburl: string | undefined): Links {
  const page = (path: string) => (weburl ? `${weburl.replace(/\/$/, '')}/${path}` : undefined);
  return {
    task: (id) => page(`taskinfo?taskID=${id}`),
    build: (id) => page(`buildinfo?buildID=${id}`),
  };
}

/** What reports are made with. */
export interface Reporting {
  readonly store: Store;
  readonly gates: readonly Gate[];
  readonly links: Links;
  /** Milliseconds since the epoch by the calendar, which tells what waivers hold; the machine's clock unless told. */
  readonly now?: () => number;
}

/** Reports of what a configured gate has in its store. */
export const reporting = ({ gates, koji }: Config, store: Store, now = Date.now): Reporting => ({
  store,
  gates,
  links: webLinks(koji.weburl),
  now,
});

/** Reports of the newest runs, newest first, without each symbol. */
export async function newestReports(reporting: Reporting, limit: number): Promise<RunReport[]> {
  const runs = await reporting.store.runs(limit);
  return Promise.all(runs.map((run) => report(reporting, run)));
}

/**
 * List runs by what is recorded of them; none is read, however much it has.
 * @param wanted which; `since` and `until` by the calendar
 * @returns undefined where there is no run `before`
 */
export async function listRuns(
  { store, links }: Pick<Reporting, 'store' | 'links'>,
  wanted: RunsWanted,
): Promise<RunPage | undefined> {
  const ahead = await store.ahead();
  const { since, until } = wanted;
  const found = await store.summaries({
    ...wanted,
    ...(since !== undefined && { since: since - ahead }),
    ...(until !== undefined && { until: until - ahead }),
  });
  if (!found) return undefined;
  const lines = found.runs.map((summary) => listed(summary, links));
  return { runs: byCalendar(lines, ahead), older: found.older };
}

function listed(summary: RunSummary, links: Links): RunLine {
  const { id, gate, kernel, verdict, closing, said, held, kmods, tally, startedAt } = summary;
  const url = links.build(kernel.id);
  return {
    run: id,
    gate,
    build: kernel.id,
    nvr: kernel.nvr,
    ...(url && { url }),
    ...stageOf(closing, verdict, said),
    verdict,
    held_by: held ?? null,
    started_at: startedAt,
    ended_at: closing?.at ?? null,
    kmods,
    outcomes: tallyInOrder(tally),
  };
}

/** Reports of all waivers, newest first. */
export async function waiverReports(store: Store): Promise<WaiverReport[]> {
  const now = Date.now();
  const reports = (await store.waivers()).map((waiver) => waiverReport(waiver, now));
  return byCalendar(reports, await store.ahead());
}

/** A gate that the configuration has no more is judged by a plain one. */
const UNKNOWN_GATE = { policy: DEFAULT_POLICY, build: null, stablelist: null };

/**
 * Report of a run.
 * @param detail every symbol that was compared, where the report is to have them
 */
export async function report(
  { store, gates, links, now = Date.now }: Reporting,
  run: Run,
  detail?: SymbolEvidence<ArchDetail>[],
): Promise<RunReport> {
  const gate = gates.find(({ name }) => name === run.gate) ?? UNKNOWN_GATE;
  const ahead = await store.ahead();
  const said = await store.lastSaid(run.gate, run.kernel.id);
  const causes = await store.causesOf(run);
  const whole = reportOf(gate, run, said, links, now() - ahead, causes, detail);
  const prunedAt = await store.prunedAt(run.id);
  const kept = prunedAt === null ? whole : asRecorded(whole, prunedAt, await store.judgedIn(run));
  return byCalendar(kept, ahead);
}

/** One row a run. */
export function statusTable(output: Output, lines: readonly RunLine[]): string {
  if (lines.length === 0) return 'No kernel has stood before a gate yet.\n';
  const rows = lines.map((line) => [
    line.gate,
    line.nvr,
    line.status,
    line.verdict ?? '-',
    tally(line),
    // A held run says so itself, once nothing else is left to do.
    line.held_by && line.status !== 'held' ? `${line.state}; held by ${line.held_by.by}` : line.state,
  ]);
  return table([['GATE', 'KERNEL', 'STATUS', 'VERDICT', 'KMODS', 'STATE'], ...rows], (padded, cell) =>
    paint(output, cell, padded),
  );
}

/** `1 broken, 11 ok (4 to rebuild)`; `12 kmods` before a verdict. */
function tally({ kmods, outcomes, to_rebuild = 0 }: RunLine): string {
  const rebuild = to_rebuild > 0 ? ` (${to_rebuild} to rebuild)` : '';
  const counts = Object.entries(outcomes).map(
    ([outcome, count]) => `${count} ${outcome}${outcome === 'ok' ? rebuild : ''}`,
  );
  return counts.join(', ') || (kmods > 0 ? plural(kmods, 'kmod') : 'none');
}

/**
 * Explain a kernel build.
 * @param subject NVR or Koji build id
 * @returns undefined when the store has never seen it
 */
export async function explain(reporting: Reporting, subject: string): Promise<Explanation | undefined> {
  const { store } = reporting;
  const kernel = await kernelMeant(store, subject);
  if (!kernel) return undefined;
  const runs = await store.runsOf(kernel.id);
  return {
    build: kernel.id,
    nvr: kernel.nvr,
    runs: await Promise.all(runs.map((run) => reportWhole(reporting, run))),
    journal: byCalendar(await store.journal(kernel.id), await store.ahead()),
  };
}

/** So many runs of the gate before tell how long builds take. */
const PAST = 3;

async function reportWhole(reporting: Reporting, run: Run): Promise<RunReport> {
  const { store, links } = reporting;
  const whole = await report(reporting, run, await store.symbolDetail(run));
  if (run.closing) return whole;
  const before = await store.summaries({ limit: PAST, before: run.id, gate: run.gate });
  const past = await Promise.all((before?.runs ?? []).map(({ id }) => store.run(id)));
  const awaited = awaitedOf(
    run,
    past.filter((one) => one !== undefined),
    links,
  );
  return { ...whole, awaited: byCalendar(awaited, await store.ahead()) };
}

/** Another text whenever `explain` would say something else of a kernel build, but for the time. */
export async function revisionOf({ store }: Reporting, subject: string): Promise<string | undefined> {
  const kernel = await kernelMeant(store, subject);
  return kernel && `${kernel.id}.${await store.revision(kernel.id)}`;
}

const kernelMeant = (store: Store, subject: string): Promise<KernelBuild | undefined> =>
  store.kernel(/^\d+$/.test(subject) ? Number(subject) : subject);

/** @param needs by run what it needs of people */
export function explanationText(
  output: Output,
  explanation: Explanation,
  needs: ReadonlyMap<string, Need> = new Map(),
): string {
  const { nvr, build, runs, journal } = visibleIn(explanation);
  const history = journal.map((entry) => `  ${dateTime(entry.at)}  ${briefly(entry, runs)}\n`).join('');
  const parts = runs.map((report) => runText(output, report, needs.get(report.run)));
  if (parts.length === 0) parts.push(`${nvr} (build ${build}) has not stood before a gate.\n`);
  return `${parts.join('\n')}\nHistory\n${history}`;
}

function runText(output: Output, report: RunReport, need: Need | undefined): string {
  const verdict = report.verdict ? ` ${paint(output, report.verdict)},` : '';
  const head = `${report.nvr} (build ${report.build}) at gate ${report.gate}:${verdict} ${paint(output, report.status)}\n`;
  const { held_by, baseline } = report;
  const lines = [head];
  if (report.pruned_at !== undefined) lines.push(`  ${describePruned(report.pruned_at)}\n`);
  if (!held_by || !report.state.startsWith('held by')) lines.push(`  ${report.state}\n`);
  if (held_by) {
    const why = held_by.reason ? `: ${held_by.reason}` : '';
    lines.push(
      `  held by ${held_by.by} since ${dateTime(held_by.at)}${why}; "kmod-gate release ${report.nvr}" ends it\n`,
    );
  }
  lines.push(`  baseline: ${baseline?.nvr ?? 'none, no kernel had passed when it began'}\n`);
  if (report.url) lines.push(`  ${report.url}\n`);
  if (report.reasons.length > 0) {
    lines.push('\nWhy\n', ...report.reasons.map((reason, i) => `  ${i + 1}. ${reason}\n`));
  }
  lines.push(...needText(need), ...causeText(report));
  const notes = outcomeNotes(report).map((note) => `  ${note}\n`);
  lines.push('\nKmods\n', indent(kmodTable(output, report)), ...notes);
  lines.push(...errorText(report), ...blameText(report));
  const changes = report.tag_changes.map(
    ({ change, result, task }) =>
      `  ${change}: ${result}${task ? ` (${task.url ?? `task ${task.id}`})` : ''}\n`,
  );
  if (changes.length > 0) lines.push('\nTags\n', ...changes);
  const rebuilds = report.rebuilds.map(({ kmod, target, result, nvr, task }) => [
    nvr ?? kmod,
    target,
    task ? (task.url ?? `task ${task.id}`) : '-',
    result,
  ]);
  if (rebuilds.length > 0)
    lines.push('\nRebuilt\n', indent(table([['KMOD', 'TARGET', 'TASK', 'RESULT'], ...rebuilds])));
  return lines.join('');
}

/** Who must act, and the commands that do it. */
function needText(need: Need | undefined): string[] {
  if (!need) return [];
  const { who, steps, otherwise } = visibleIn(need);
  const told = steps.map(
    ({ does, command }) => `  - ${does}\n${command === null ? '' : `      ${command}\n`}`,
  );
  return [`\nWhat to do: ${who}\n`, ...told, ...(otherwise === undefined ? [] : [`  ${otherwise}\n`])];
}

function kmodTable(output: Output, report: RunReport): string {
  const shared = sharedErrors(report);
  const rows = worstFirst(report.kmods).map((kmod) => {
    const { name, nvr, required, outcome, cause, whose, waived, tasks, errors } = kmod;
    const reason = report.reasons.findIndex(
      (text) => cause !== '' && text.startsWith(nvr) && text.endsWith(`: ${cause}`),
    );
    const first = errors.find((error) => cause.includes(describeError(error)));
    const kmods = first && shared.get(keyOf(first))?.kmods;
    const said = kmods ? cause.replace(first.message, () => `an error of ${kmods} kmods, see below`) : cause;
    const words = [
      outcome,
      ...(isSpared(kmod) ? ['waived'] : []),
      ...(report.needs_rebuild.includes(name) ? ['to rebuild'] : []),
    ];
    return [
      words.join(', '),
      whose ? WHOSE[whose] : '-',
      required ? nvr : `${nvr} (advisory)`,
      shownBy(tasks),
      // A verdict's reasons are right above; before it, who waived what is told here alone.
      reason >= 0 ? `see ${reason + 1}. above` : waived && outcome !== 'ok' ? `${said} (${waived})` : said,
    ];
  });
  return table([['OUTCOME', 'WHOSE', 'KMOD', 'TASK', 'CAUSE'], ...rows], (padded, cell) =>
    paint(output, cell.endsWith(', waived') ? 'waived' : (cell.split(', ')[0] ?? cell), padded),
  );
}

/**
 * The task that shows the outcome, and how often this kernel was tried. All in a row, with their URLs, would leave no room
 * for anything else; --json has them, and those with the baseline.
 */
function shownBy(tasks: KmodReport['tasks']): string {
  const own = tasks.filter(({ against }) => against === undefined);
  const shown = own.find(({ shows }) => shows) ?? own.at(-1);
  if (!shown) return '-';
  const tries = own.length > 1 ? `, ${own.length} tries` : '';
  return `${shown.url ?? `task ${shown.id}`}${tries}`;
}

function errorText(report: RunReport): string[] {
  const shared = sharedErrors(report);
  const lines = [...shared].flatMap(([key, { places }]) => [`  ${key}\n`, indent(indent(table(places)))]);
  for (const { nvr, errors } of report.kmods) {
    const own = errors.filter((error) => !shared.has(keyOf(error)));
    if (own.length > 0)
      lines.push(`  ${nvr}\n`, ...own.map((error) => `    ${error.arch}  ${describeError(error)}\n`));
  }
  return lines.length > 0 ? ['\nFirst errors of build.log\n', ...lines] : [];
}

/** What changed in the kernel's source, an architecture after the other. */
function causeText({ causes = [] }: RunReport): string[] {
  return causes.flatMap((told) => {
    const head = `\nWhat changed in the kernel's source since ${told.baseline} (${told.arch})\n`;
    if (told.why !== null) return [head, `  cannot be told: ${told.why}\n`];
    const text = `${causesText(told, told.kmods)}${hitsText(
      told,
      told.kmods.filter(({ changed }) => changed > 0),
    )}`;
    return [
      head,
      text === '' ? '  no declaration is found that did\n' : indent(text),
      ...told.errors.flatMap(errorLines),
      ...changelogLines(told.changelog),
    ];
  });
}

/** What an error of a failed build names, as both kernels declare it. */
const errorLines = ({ kmod, message, was, now }: ToldError): string[] => [
  `  ${kmod}: ${message}\n`,
  `    ${was ?? 'not in the older kernel'}\n`,
  `      → ${now ?? 'gone'}\n`,
];

function changelogLines(changelog: ToldChangelog | null): string[] {
  if (!changelog || changelog.candidates.length === 0) return [];
  const { candidates, lines } = changelog;
  return [
    `  Of ${plural(lines, 'new line')} of the changelog these name some of it, and prove nothing:\n`,
    ...candidates.map(({ text }) => `    ${text}\n`),
  ];
}

function blameText({ blame = [] }: RunReport): string[] {
  if (blame.length === 0) return [];
  const rows = blame.slice(0, BLAME_SHOWN).map((blamed) => {
    const { arch, symbol, provider, listed, kmods } = blamed;
    return [
      listed ? `${symbol} (stablelist)` : symbol,
      arch,
      describeBlamed(blamed),
      provider ?? '-',
      kmods.map(({ name }) => name).join(' '),
    ];
  });
  const heads = ['SYMBOL', 'ARCH', 'CRC', 'NOW IN', 'HITS'];
  const more =
    blame.length > BLAME_SHOWN ? `  and ${blame.length - BLAME_SHOWN} more; --json has them all\n` : '';
  return ['\nSymbols that are not as kmods need them\n', indent(table([heads, ...rows])), more];
}

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** What `kmod-gate status` lists. */
export interface StatusOptions extends Pick<RunsWanted, 'limit' | 'before' | 'gate' | 'verdict' | 'kmod'> {
  readonly json: boolean;
}

/**
 * `kmod-gate status`: a page of the newest runs.
 * @returns false where there is no run `before`
 */
export async function status(records: Records, output: Output, options: StatusOptions): Promise<boolean> {
  const { json: _, ...wanted } = options;
  const { gate, verdict, kmod } = options;
  const asked = Object.entries({ gate, verdict, kmod }).filter(([, value]) => value !== undefined);
  const page = await records.runs(wanted);
  if (!page) return false;
  const { runs, older } = page;
  if (options.json) output.write(`${JSON.stringify(page, null, 2)}\n`);
  else if (runs.length === 0 && options.before !== undefined) output.write('There is no older run.\n');
  else if (runs.length === 0 && asked.length > 0) output.write('No run is such.\n');
  else output.write(statusTable(output, runs));
  if (older !== null && !options.json)
    output.write(
      `\n${line(`Older ones: kmod-gate status ${[...asked.map(([name, value]) => `--${name} ${shellWord(String(value))} `)].join('')}--before ${older}`)}`,
    );
  return true;
}
