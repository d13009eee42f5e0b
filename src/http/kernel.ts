/** The page of one kernel build: reports in, HTML out. */
import type { Entry } from '../core/model.ts';
import { describeChange } from '../core/symbols.ts';
import { describeError, plural, span } from '../core/wording.ts';
import type { Awaited } from '../report/awaited.ts';
import { keyOf, sharedErrors } from '../report/errors.ts';
import { briefly } from '../report/journal.ts';
import type { Need } from '../report/needs.ts';
import {
  BLAME_SHOWN,
  type BlameReport,
  describeBlamed,
  describePruned,
  type Explanation,
  isSpared,
  type KmodReport,
  outcomeNotes,
  type RunReport,
  WHOSE,
  worstFirst,
} from '../report/report.ts';
import { causeSection } from './causes.ts';
import { type Content, type Html, html, link } from './html.ts';
import { needCard } from './needcard.ts';
import {
  anchorOf,
  cut,
  dateTime,
  folded,
  kmodLink,
  page,
  someThenFolded,
  symbolLink,
  table,
  taskLink,
  time,
  word,
} from './parts.ts';

/**
 * Everything about one kernel build.
 * @param needs what its runs need of people, by run
 */
export function kernelPage(
  { nvr, build, runs, journal }: Explanation,
  needs: ReadonlyMap<string, Need>,
  now: number,
): Html {
  // The newest run at each gate counts; those before it are history.
  const newest = runs.filter(({ gate }, i) => runs.findIndex((one) => one.gate === gate) === i);
  const before = runs.filter((run) => !newest.includes(run));
  return page({
    title: nvr,
    aside: link(runs[0]?.url, `Koji build ${build}`),
    live: build,
    body: html`
${runs.length === 0 && html`<section><p>It has not stood before a gate.</p></section>`}
${newest.map((report) => runSection(report, needs.get(report.run), now))}
${before.map((report) => folded(`Run ${report.run}, before`, runSection(report, undefined, now)))}
<section><h2>History</h2>${folded(plural(journal.length, 'line'), history(journal, runs))}</section>`,
  });
}

function runSection(report: RunReport, need: Need | undefined, now: number): Html {
  const { started_at, ended_at, reasons, tag_changes, rebuilds, blame = [], causes = [] } = report;
  // A person's hold is told with the state.
  const card = need?.kind === 'held-by-person' ? undefined : need;
  const length = span((ended_at ?? now) - started_at);
  const changes = causes.length + (report.kernel_change ? 1 : 0) + blame.length > 0;
  return html`<section>
<h2>Gate ${report.gate} ${report.verdict && word(report.verdict)} ${word(report.status)}</h2>
${stateOf(report)}
${report.pruned_at !== undefined && html`<p class="quiet">${describePruned(report.pruned_at)}</p>`}
<p class="quiet">Begun ${time(started_at, dateTime(started_at))}, ${ended_at === null ? 'for' : 'took'} ${length}; ${
    report.baseline ? `baseline ${report.baseline.nvr}` : 'no baseline: no kernel had passed'
  }</p>
${card && html`<h3>What decides</h3>${needCard(card, now, true)}`}
${(report.awaited ?? []).length > 0 && html`<h3>What is awaited</h3>${awaitedTable(report.awaited ?? [], now)}`}
<h3>Kmods</h3>
${report.kmods.length > 0 ? kmodTables(report, card) : html`<p>None was found to try.</p>`}
${outcomeNotes(report).map((note) => html`<p class="quiet">${note}</p>`)}
${errorsOnce(report)}
${reasons.length > 0 && reasonList(reasons, card !== undefined)}
${changes && html`<h3>What changed in the kernel</h3>${differenceOf(report)}`}
${causes.map(causeSection)}
${blame.length > 0 && folded(`${plural(blame.length, 'symbol')} not as kmods need them`, blameTable(blame))}
${tag_changes.length > 0 && folded(`${plural(tag_changes.length, 'tag change')}`, tagTable(tag_changes))}
${rebuilds.length > 0 && html`<h3>Rebuilt</h3>${rebuildTable(rebuilds)}`}
</section>`;
}

/** Where what decides is said already, the reasons are folded. */
function reasonList(reasons: readonly string[], isSaid: boolean): Content {
  const list = html`<ol>${reasons.map((reason) => html`<li>${reason}</li>`)}</ol>`;
  if (isSaid || reasons.length > REASONS) return folded(`All ${plural(reasons.length, 'reason')}`, list);
  return html`<h3>Why</h3>${list}`;
}

/** So many reasons are open. */
const REASONS = 5;

const differenceOf = ({ kernel_change }: RunReport): Content =>
  kernel_change && html`<p class="quiet">${describeChange(kernel_change)}</p>`;

/** Where a run stands; a person's hold with what ends it. */
function stateOf({ held_by, nvr, state }: RunReport): Content {
  if (!held_by) return html`<p>${state}</p>`;
  const { by, at, reason } = held_by;
  return html`${!state.startsWith('held by') && html`<p>${state}</p>`}
<p class="banner warn">Held by <b>${by}</b> since ${time(at, dateTime(at))}${
    reason && `: ${reason}`
  }<br><code>kmod-gate release ${nvr}</code> ends it.</p>`;
}

// ---- what is awaited ------------------------------------------------------------------------------

const AWAITED = 6;

const awaitedTable = (awaited: readonly Awaited[], now: number): Content =>
  someThenFolded(
    awaited,
    AWAITED,
    (some) =>
      table(
        'What is awaited, the oldest first',
        ['What', 'From', 'Task', 'So far'],
        some.map(({ what, from, task, since, usual }) => [
          html`<b>${what}</b>`,
          from === 'builders' ? 'the builders' : 'the hub',
          task && taskLink(task),
          progress(now - since, usual, what),
        ]),
      ),
    (count) => `and ${count} more`,
  );

/** How long it takes, beside how long it took before. */
function progress(ms: number, usual: number | undefined, what: string): Html {
  if (usual === undefined) return html`<span>${span(ms)}</span>`;
  const share = Math.min(99, Math.round((100 * ms) / Math.max(1, usual)));
  return html`<div class="words"><progress max="100" value="${share}" aria-label="${what}"></progress> ${span(ms)} of usually ${span(usual)}</div>`;
}

// ---- kmods ----------------------------------------------------------------------------------------

const SHOWN = 4;
/** The whole of a cause is among the reasons. */
const CAUSE = 300;

/** What is not fine, the worst first; what is fine, folded and short. */
function kmodTables(report: RunReport, need: Need | undefined): Content {
  const all = worstFirst(report.kmods);
  const isOpen = ({ outcome }: KmodReport) => outcome === 'building' || outcome === 'waiting';
  const open = all.filter(isOpen);
  const bad = all.filter((kmod) => kmod.outcome !== 'ok' && !isOpen(kmod));
  const fine = all.filter(({ outcome }) => outcome === 'ok');
  const heads = ['Kmod', 'Outcome', 'Cause', 'Tasks'];
  const fineRows = fine.map((kmod) => [
    nameOf(report, kmod),
    outcomeOf(report, kmod),
    kmod.cause,
    tasksOf(kmod),
  ]);
  return [
    someThenFolded(
      bad,
      SHOWN,
      (some) =>
        some.length > 0 &&
        table(
          'Kmods, broken ones first',
          heads,
          some.map((kmod) => kmodRow(report, kmod, need)),
        ),
      (count) => `and ${plural(count, 'more kmod')}`,
    ),
    open.length > 0 &&
      folded(
        `${plural(open.length, 'kmod is', 'kmods are')} not judged yet`,
        table(
          'Kmods that are not judged yet',
          heads,
          open.map((kmod) => kmodRow(report, kmod, need)),
        ),
      ),
    fine.length > 0 &&
      folded(
        [
          `${plural(fine.length, 'kmod is', 'kmods are')} fine`,
          report.needs_rebuild.length > 0 && ` (${report.needs_rebuild.length} to rebuild)`,
        ],
        table('Kmods that are fine', heads, fineRows),
      ),
  ];
}

function kmodRow(report: RunReport, kmod: KmodReport, need: Need | undefined): Content[] {
  const { outcome, waived } = kmod;
  const cause = need?.culprit.nvr === kmod.nvr ? 'as above' : cut(kmod.cause, CAUSE);
  // It does not count against this kernel, and should not look so.
  const muted = outcome === 'already-broken';
  return [
    nameOf(report, kmod),
    outcomeOf(report, kmod),
    // One element: on a narrow screen the cell is a grid.
    cause !== '' &&
      html`<div class="${muted && 'quiet'}">${cause}${isSpared(kmod) && html`<p class="waiver">${waived}</p>`}</div>`,
    tasksOf(kmod),
  ];
}

function nameOf({ run }: RunReport, { name, nvr, required, outcome }: KmodReport): Content {
  const text =
    outcome === 'already-broken'
      ? html`<span class="tight">${nvr}</span>`
      : html`<b class="tight">${nvr}</b>`;
  return [
    html`<span id="${anchorOf(run, name)}">${kmodLink(name, text)}</span>`,
    !required && html` <span class="quiet">advisory</span>`,
  ];
}

/** Of each architecture, where they differ. */
function outcomeOf({ needs_rebuild }: RunReport, kmod: KmodReport): Html {
  const { name, outcome, arches, whose } = kmod;
  const several = new Set(Object.values(arches)).size > 1;
  return html`<div class="words">${word(outcome)}${isSpared(kmod) && word('waived')}${
    needs_rebuild.includes(name) && html`<span class="quiet">to rebuild</span>`
  }${whose && html`<span class="quiet">${WHOSE[whose]}</span>`}${
    several &&
    Object.entries(arches).map(
      ([arch, one]) => html`<span class="quiet">${arch} ${one.replace('-', ' ')}</span>`,
    )
  }</div>`;
}

const tasksOf = ({ tasks }: KmodReport): Content =>
  tasks.length > 0 &&
  html`<div>${tasks.map((task) => [
    taskLink(task),
    task.against !== undefined && html` <span class="quiet">with ${task.against}</span>`,
    ' ',
  ])}</div>`;

/** First errors of build.log, each once: those of several kmods, and those that are not said as a cause. */
function errorsOnce(report: RunReport): Content {
  const shared = sharedErrors(report);
  const common = [...shared].map(
    ([key, { kmods, places }]) =>
      html`<li>${key} <span class="quiet">(${plural(kmods, 'kmod')}: ${places.map(([nvr, place]) => `${nvr} ${place}`).join(', ')})</span></li>`,
  );
  const own = report.kmods.flatMap(({ name, errors, cause }) =>
    errors
      .filter((error) => !shared.has(keyOf(error)) && !cause.includes(describeError(error)))
      .map(
        (error) => html`<li><span class="quiet">${name}, ${error.arch}</span> ${describeError(error)}</li>`,
      ),
  );
  const all = [...common, ...own];
  if (all.length === 0) return null;
  return folded(`${plural(all.length, 'more error')} of build.log`, html`<ol class="errors">${all}</ol>`);
}

// ---- the rest -------------------------------------------------------------------------------------

function blameTable(blame: readonly BlameReport[]): Html {
  const rows = blame
    .slice(0, BLAME_SHOWN)
    .map((blamed) => [
      html`<b class="tight">${symbolLink(blamed.symbol)}</b>`,
      html`<span class="tight">${blamed.arch}</span>`,
      html`<span class="tight">${describeBlamed(blamed)}</span>`,
      blamed.provider && html`<span class="tight">${blamed.provider}</span>`,
      html`<span>${blamed.kmods.map(({ name }, i) => [i > 0 && ', ', kmodLink(name)])}</span>`,
    ]);
  const more =
    blame.length > BLAME_SHOWN &&
    html`<p class="quiet">and ${blame.length - BLAME_SHOWN} more, in the JSON</p>`;
  const heads = ['Symbol', 'Arch', 'CRC', 'Now in', 'Hits'];
  return html`${table('Symbols, those that hit most kmods first', heads, rows)}${more}`;
}

function tagTable(changes: RunReport['tag_changes']): Html {
  const rows = changes.map(({ change, result, task }) => [change, result, task && taskLink(task)]);
  return table('Tag changes, oldest first', ['Change', 'Result', 'Task'], rows);
}

function rebuildTable(rebuilds: RunReport['rebuilds']): Html {
  const rows = rebuilds.map(({ kmod, target, result, nvr, task }) => [
    html`<b class="tight">${nvr ?? kmod}</b>`,
    target,
    result,
    task && taskLink(task),
  ]);
  return table('Kmods built anew for this kernel, in order', ['Kmod', 'Target', 'Result', 'Task'], rows);
}

function history(journal: readonly Entry[], runs: readonly RunReport[]): Html {
  const rows = journal.map((entry) => [
    html`<span class="tight quiet">${time(entry.at, dateTime(entry.at))}</span>`,
    entry.gate,
    briefly(entry, runs),
  ]);
  return table('History, oldest first', ['Time', 'Gate', 'What'], rows);
}
