/** The dashboard's pages: reports in, HTML out. Times (`now` too) are milliseconds since the epoch. */

import { nameOf, type ToldCauses, type ToldError } from '../btf/told.ts';
import type { Entry, Verdict } from '../core/model.ts';
import { describeError, moment, plural, span } from '../core/wording.ts';
import { isUnsure, sizesOf, type Wording, wordsOf } from '../report/causes.ts';
import { briefly, someOf } from '../report/journal.ts';
import {
  BLAME_SHOWN,
  type BlameReport,
  describeBlamed,
  describePruned,
  type Explanation,
  isSpared,
  type KmodReport,
  outcomeNotes,
  type RunLine,
  type RunPage,
  type RunReport,
  type Tallied,
  type TaskReport,
  type WaiverReport,
  WHOSE,
  worstFirst,
} from '../report/report.ts';
import { type Health, isWorking } from './health.ts';
import { type Content, type Html, html, link } from './html.ts';
import { STYLE } from './style.ts';

/** A live page loads itself again after so many seconds. */
const REFRESH = 10;

/**
 * A page of the runs, in the order given.
 * @param later whether newer ones come before it: the first page is live
 */
export function runsPage({ runs, older }: RunPage, later: boolean, health: Health, now: number): Html {
  const rows = runs.map((line) => [
    // By build id: drafts share an NVR.
    html`<a class="tight" href="/kernel/${line.build}"><b>${line.nvr}</b></a>`,
    line.gate,
    line.verdict && word(line.verdict),
    word(line.status),
    tally(line),
    html`<div>${line.state}${heldNote(line)}</div>`,
    html`<span class="tight">${time(line.started_at, `${span(now - line.started_at)} ago`)}</span>`,
  ]);
  const heads = ['Kernel', 'Gate', 'Verdict', 'Status', 'Kmods', 'State', 'Begun'];
  const none = later ? 'There is no older run.' : 'No kernel has stood before a gate yet.';
  const pages = [
    later && html`<a href="/">Newest</a>`,
    older !== null && html`<a href="/?before=${encodeURIComponent(older)}">Older</a>`,
  ].filter((page) => page !== false);
  return page({
    title: 'Kernels at the gate',
    aside: healthLine(health, now),
    live: !later,
    body: html`<section>${rows.length > 0 ? table('Runs, newest first', heads, rows) : html`<p>${none}</p>`}
${pages.length > 0 && html`<p>${pages.map((page) => [page, ' '])}</p>`}</section>`,
  });
}

/** Everything about one kernel build. */
export function kernelPage({ nvr, build, runs, journal }: Explanation, now: number): Html {
  return page({
    title: nvr,
    aside: link(runs[0]?.url, `Koji build ${build}`),
    live: runs.some(({ ended_at }) => ended_at === null),
    body: html`
${runs.length === 0 && html`<section><p>It has not stood before a gate.</p></section>`}
${runs.map((report) => runSection(report, now))}
<section><h2>History</h2>${history(journal, runs)}</section>`,
  });
}

/** What persons let through, those that hold first. */
export function waiversPage(waivers: readonly WaiverReport[]): Html {
  const holding = waivers.filter(({ state }) => state === 'holds');
  const rows = [...holding, ...waivers.filter(({ state }) => state !== 'holds')].map((waiver) => {
    const { id, state, kmod, kernel, gate, by, at, until, ended, reason } = waiver;
    const end = ended
      ? html`<div class="tight">${time(ended.at, moment(ended.at))}<br><span class="quiet">ended by ${ended.by}</span></div>`
      : until === null
        ? 'no end'
        : html`<span class="tight">${time(until, moment(until))}</span>`;
    return [
      html`<b class="tight">${kmod}</b>`,
      String(id),
      word(state),
      kernel === 'next' ? 'the next one' : html`<span class="tight">${kernel}</span>`,
      gate ?? 'any',
      html`<div>${by}<br><span class="tight quiet">${time(at, moment(at))}</span></div>`,
      end,
      reason,
    ];
  });
  const heads = ['Kmod', 'No.', 'State', 'Kernel', 'Gate', 'By', 'Until', 'Reason'];
  return page({
    title: 'Waivers',
    live: false,
    body: html`<section>
${
  rows.length > 0
    ? table('Waivers, those that hold first', heads, rows)
    : html`<p>Nobody has waived anything yet.</p>`
}
<p class="quiet"><code>kmod-gate waive</code> makes one, <code>kmod-gate unwaive NO.</code> ends it.</p>
</section>`,
  });
}

/** A page that only says something: what is not there, what went wrong. */
export function messagePage(title: string, text: string): Html {
  return page({ title, live: false, body: html`<section><p>${text}</p></section>` });
}

function page(parts: { title: string; aside?: Content; live: boolean; body: Content }): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${parts.live && html`<meta http-equiv="refresh" content="${REFRESH}">`}
<title>${parts.title} - kmod-gate</title>
<style>${STYLE}</style>
</head>
<body>
<header><a href="/">kmod-gate</a><nav><a href="/">Kernels</a> <a href="/waivers">Waivers</a></nav><span>${parts.aside}</span></header>
<main>
<h1>${parts.title}</h1>
${parts.body}
</main>
</body>
</html>
`;
}

function healthLine(health: Health, now: number): Content {
  const { started_at, looked_at, trouble } = health;
  const look =
    looked_at === null
      ? `first look at the hub under way for ${span(now - started_at)}`
      : `last look at the hub ${span(now - looked_at)} ago`;
  const silent = trouble && `the hub does not answer since ${span(now - trouble.since)}: ${trouble.reason}`;
  return [
    isWorking(health, now) && !silent ? look : html`<span class="word bad">${silent ?? look}</span>`,
    '; ',
    busLine(health, now),
  ];
}

function busLine({ bus }: Health, now: number): Content {
  if (!bus) return 'no bus: kernels are found by sweeps';
  const since = span(now - bus.since);
  if (!bus.connected)
    return html`<span class="word warn">bus not connected for ${since}</span> ${bus.lastError}`;
  const undecodable = bus.undecodable > 0 ? `, ${bus.undecodable} undecodable` : '';
  const last = bus.lastMessageAt ? `, last ${span(now - bus.lastMessageAt)} ago` : '';
  return `bus connected for ${since}, ${bus.received} received${undecodable}${last}`;
}

function runSection(report: RunReport, now: number): Html {
  const { started_at, ended_at, reasons, tag_changes, rebuilds, blame = [], causes = [] } = report;
  const length = span((ended_at ?? now) - started_at);
  return html`<section>
<h2>Gate ${report.gate} ${report.verdict && word(report.verdict)} ${word(report.status)}</h2>
${stateOf(report)}
${report.pruned_at !== undefined && html`<p class="quiet">${describePruned(report.pruned_at)}</p>`}
<p class="quiet">Begun ${time(started_at, dateTime(started_at))}, ${ended_at === null ? 'for' : 'took'} ${length}; ${
    report.baseline ? `baseline ${report.baseline.nvr}` : 'no baseline: no kernel had passed'
  }</p>
${reasons.length > 0 && html`<h3>Why</h3><ol>${reasons.map((reason) => html`<li>${reason}</li>`)}</ol>`}
${causes.map(causeSection)}
<h3>Kmods</h3>
${report.kmods.length > 0 ? kmodTable(report) : html`<p>None was found to try.</p>`}
${outcomeNotes(report).map((note) => html`<p class="quiet">${note}</p>`)}
${blame.length > 0 && html`<h3>Symbols that are not as kmods need them</h3>${blameTable(blame)}`}
${tag_changes.length > 0 && html`<h3>Tag changes</h3>${tagTable(tag_changes)}`}
${rebuilds.length > 0 && html`<h3>Rebuilt</h3>${rebuildTable(rebuilds)}`}
</section>`;
}

/** A person's hold, in a list of runs: a held run says so itself, once nothing else is left to do. */
function heldNote({ held_by, status }: RunLine): Content {
  return held_by && status !== 'held' && html` <span class="word warn">held by ${held_by.by}</span>`;
}

/** Where a run stands; a person's hold with what ends it. */
function stateOf({ held_by, nvr, state }: RunReport): Content {
  if (!held_by) return html`<p>${state}</p>`;
  const { by, at, reason } = held_by;
  return html`${!state.startsWith('held by') && html`<p>${state}</p>`}
<p class="banner warn">Held by <b>${by}</b> since ${time(at, dateTime(at))}${
    reason && `: ${reason}`
  }<br><code>kmod-gate release ${nvr}</code> ends it.</p>`;
}

function kmodTable({ kmods, needs_rebuild }: RunReport): Html {
  const rows = worstFirst(kmods).map((kmod) => {
    const { name, nvr, required, outcome, cause, whose, waived, tasks } = kmod;
    const marks = [
      isSpared(kmod) && word('waived'),
      needs_rebuild.includes(name) && html`<span class="quiet">to rebuild</span>`,
      whose && html`<span class="quiet">${WHOSE[whose]}</span>`,
    ];
    // It does not count against this kernel, and should not look so.
    const muted = outcome === 'already-broken';
    const nameOf = muted ? html`<span class="tight quiet">${nvr}</span>` : html`<b class="tight">${nvr}</b>`;
    return [
      [nameOf, !required && html` <span class="quiet">advisory</span>`],
      html`<div class="words tight">${word(outcome)}${marks}</div>`,
      // One element: on a narrow screen the cell is a grid.
      cause !== '' &&
        html`<div class="${muted && 'quiet'}">${cause}${isSpared(kmod) && html`<p class="waiver">${waived}</p>`}${errorList(kmod)}</div>`,
      tasks.length > 0 &&
        html`<div>${tasks.map((task) => [taskLink(task), task.against !== undefined && html` <span class="quiet">with ${task.against}</span>`, ' '])}</div>`,
    ];
  });
  return table('Kmods, broken ones first', ['Kmod', 'Outcome', 'Cause', 'Tasks'], rows);
}

/** First errors of build.log, but for the one that is the cause. */
function errorList({ errors, cause }: KmodReport): Content {
  const more = errors.filter((error) => !cause.includes(describeError(error)));
  if (more.length === 0) return null;
  const items = more.map(
    (error) => html`<li><span class="quiet">${error.arch}</span> ${describeError(error)}</li>`,
  );
  return html`<ol class="errors">${items}</ol>`;
}

/** Which declarations changed since the baseline, on one architecture, and which kmods that hits. */
function causeSection({ arch, baseline, why, causes, more, kmods, errors, changelog }: ToldCauses): Html {
  const head = html`<h3>What changed in the kernel's source since ${baseline} (${arch})</h3>`;
  if (why !== null) return html`${head}<p class="quiet">It cannot be told: ${why}</p>`;
  if (causes.length === 0) return html`${head}<p class="quiet">No declaration is found that did.</p>`;
  const named = changelog?.candidates ?? [];
  const rows = causes
    .slice(0, CAUSES_SHOWN)
    .map((cause, i) => [
      html`<b class="tight">${nameOf(cause)}</b>`,
      html`<div>${wordsOf(cause).map(changeLine)}<span class="quiet">${sizesOf(cause)}</span></div>`,
      someOf(kmods.flatMap((kmod) => (kmod.causes.includes(i) ? [kmod.kmod] : []))),
      `${cause.symbols}${isUnsure(cause) ? `, and ${cause.unchanged} that did not change` : ''}`,
    ]);
  const rest = causes.length - rows.length + more;
  const ways = kmods.flatMap(({ kmod, way, causes: [first] }) => {
    const cause = causes[first ?? -1];
    return way && cause
      ? [html`<li><b>${kmod}</b>: <code>${[way.symbol, ...way.steps, nameOf(cause)].join(' → ')}</code></li>`]
      : [];
  });
  const heads = ['Declaration', 'Change', 'Hits', 'Exports'];
  return html`${head}${table('Declarations that changed, those that hit most kmods first', heads, rows)}
${rest > 0 && html`<p class="quiet">and ${rest} more, in the JSON</p>`}
${errors.map(errorItem)}
${
  named.length > 0 &&
  html`<p class="quiet">Of ${plural(changelog?.lines ?? 0, 'new line')} of the changelog these name some of it, and prove nothing:</p>
<ul>${named.map(({ text }) => html`<li>${text}</li>`)}</ul>`
}
${ways.length > 0 && html`<details><summary>How each kmod reaches them</summary><ul>${ways}</ul></details>`}`;
}

/** What an error of a failed build names, as both kernels declare it. */
const errorItem = ({ kmod, message, was, now }: ToldError): Html =>
  html`<p><b>${kmod}</b>: ${message}<br><code>${was ?? 'not in the older kernel'}</code> → <code>${now ?? 'gone'}</code></p>`;

/** So many causes are shown in a page. */
const CAUSES_SHOWN = 8;

const changeLine = ({ was, now }: Wording): Html =>
  html`<div><code>${was}${was !== '' && now !== '' && ' → '}${now}</code></div>`;

function blameTable(blame: readonly BlameReport[]): Html {
  const rows = blame
    .slice(0, BLAME_SHOWN)
    .map((blamed) => [
      html`<b class="tight">${blamed.symbol}</b>`,
      html`<span class="tight">${blamed.arch}</span>`,
      html`<span class="tight">${describeBlamed(blamed)}</span>`,
      blamed.provider && html`<span class="tight">${blamed.provider}</span>`,
      blamed.kmods.map(({ name }) => name).join(', '),
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

/** The first cell of a row names it. Roles are spelled out: browsers drop them from a table shown as cards. */
function table(label: string, heads: readonly string[], rows: readonly (readonly Content[])[]): Html {
  const head = heads.map((text) => html`<th role="columnheader" scope="col">${text}</th>`);
  const body = rows.map(([first, ...others]) => {
    const cells = others.map((cell, i) => html`<td role="cell" data-head="${heads[i + 1]}">${cell}</td>`);
    return html`<tr role="row"><th role="rowheader" scope="row">${first}</th>${cells}</tr>\n`;
  });
  return html`<table role="table" aria-label="${label}">
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">
${body}</tbody>
</table>`;
}

type Word = Verdict | RunReport['status'] | Tallied | WaiverReport['state'];

const TONES: Record<Word, 'good' | 'bad' | 'warn' | 'busy' | 'plain' | 'muted' | 'person'> = {
  promote: 'good',
  block: 'bad',
  hold: 'warn',
  running: 'busy',
  held: 'warn',
  done: 'plain',
  observed: 'plain',
  superseded: 'plain',
  'taken-over': 'plain',
  ok: 'good',
  broken: 'bad',
  unattributed: 'bad',
  'already-broken': 'muted',
  cancelled: 'plain',
  inconclusive: 'warn',
  waived: 'person',
  holds: 'person',
  expired: 'muted',
  ended: 'muted',
  building: 'busy',
  waiting: 'plain',
};

/** A word of a verdict, status or outcome in its colour. */
function word(name: Word, text: string = name): Html {
  return html`<span class="word ${TONES[name]}">${text}</span>`;
}

/** `1 broken`, `11 ok`, `(4 to rebuild)`; `12 kmods` before a verdict. */
function tally({ kmods, outcomes, to_rebuild = 0 }: RunLine): Html {
  const counts = Object.entries(outcomes) as [Tallied, number][];
  const words = counts.map(([outcome, count]) => word(outcome, `${count} ${outcome}`));
  // Some of those that are ok, and no more kmods.
  if (to_rebuild > 0) words.push(html`<span class="quiet">(${to_rebuild} to rebuild)</span>`);
  if (words.length === 0)
    return html`<span class="quiet">${kmods > 0 ? plural(kmods, 'kmod') : 'none'}</span>`;
  return html`<div class="words">${words}</div>`;
}

function taskLink({ id, url }: TaskReport): Html {
  return link(url, id);
}

function time(at: number, text: string): Html {
  return html`<time datetime="${new Date(at).toISOString()}" title="${dateTime(at)}">${text}</time>`;
}

/** `2026-11-23 14:03:07 UTC`: readers sit in many time zones. */
function dateTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
