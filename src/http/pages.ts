/** The dashboard's pages: reports in, HTML out. Times (`now` too) are milliseconds since the epoch. */
import type { Entry, Verdict } from '../core/model.ts';
import {
  BLAME_SHOWN,
  type BlameReport,
  describeBlamed,
  type Explanation,
  type KmodReport,
  type RunReport,
  type TaskReport,
  tallyOf,
  worstFirst,
} from '../core/report.ts';
import { describeError, span } from '../core/wording.ts';
import { type Health, isWorking } from './health.ts';
import { type Content, type Html, html, link } from './html.ts';
import { STYLE } from './style.ts';

/** A live page loads itself again after so many seconds. */
const REFRESH = 10;

/** All runs, in the order given. */
export function runsPage(reports: readonly RunReport[], health: Health, now: number): Html {
  const rows = reports.map((report) => [
    // By build id: drafts share an NVR.
    html`<a class="tight" href="/kernel/${report.build}"><b>${report.nvr}</b></a>`,
    report.gate,
    report.verdict && word(report.verdict),
    word(report.status),
    tally(report.kmods),
    report.state,
    html`<span class="tight">${time(report.started_at, `${span(now - report.started_at)} ago`)}</span>`,
  ]);
  const heads = ['Kernel', 'Gate', 'Verdict', 'Status', 'Kmods', 'State', 'Begun'];
  return page({
    title: 'Kernels at the gate',
    aside: healthLine(health, now),
    live: true,
    body: html`<section>${
      rows.length > 0
        ? table('Runs, newest first', heads, rows)
        : html`<p>No kernel has stood before a gate yet.</p>`
    }</section>`,
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
<section><h2>History</h2>${history(journal)}</section>`,
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
<header><a href="/">kmod-gate</a><span>${parts.aside}</span></header>
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
  const { started_at, ended_at, reasons, tag_changes, blame = [] } = report;
  const length = span((ended_at ?? now) - started_at);
  return html`<section>
<h2>Gate ${report.gate} ${report.verdict && word(report.verdict)} ${word(report.status)}</h2>
<p>${report.state}</p>
<p class="quiet">Begun ${time(started_at, dateTime(started_at))}, ${ended_at === null ? 'for' : 'took'} ${length}</p>
${reasons.length > 0 && html`<h3>Why</h3><ol>${reasons.map((reason) => html`<li>${reason}</li>`)}</ol>`}
<h3>Kmods</h3>
${report.kmods.length > 0 ? kmodTable(report.kmods) : html`<p>None was found to try.</p>`}
${blame.length > 0 && html`<h3>Symbols that are not as kmods need them</h3>${blameTable(blame)}`}
${tag_changes.length > 0 && html`<h3>Tag changes</h3>${tagTable(tag_changes)}`}
</section>`;
}

function kmodTable(kmods: readonly KmodReport[]): Html {
  const rows = worstFirst(kmods).map((kmod) => [
    [html`<b class="tight">${kmod.nvr}</b>`, !kmod.required && html` <span class="quiet">advisory</span>`],
    word(kmod.outcome),
    // One element: on a narrow screen the cell is a grid.
    kmod.cause !== '' && html`<div>${kmod.cause}${errorList(kmod)}</div>`,
    kmod.tasks.length > 0 && html`<div>${kmod.tasks.map((task) => [taskLink(task), ' '])}</div>`,
  ]);
  return table('Kmods, broken ones first', ['Kmod', 'Outcome', 'Cause', 'Tasks'], rows);
}

/** First errors of build.log. */
function errorList({ errors }: KmodReport): Content {
  if (errors.length === 0) return null;
  const items = errors.map(
    (error) => html`<li><span class="quiet">${error.arch}</span> ${describeError(error)}</li>`,
  );
  return html`<ol class="errors">${items}</ol>`;
}

function blameTable(blame: readonly BlameReport[]): Html {
  const rows = blame
    .slice(0, BLAME_SHOWN)
    .map((blamed) => [
      html`<b class="tight">${blamed.symbol}</b>`,
      blamed.arch,
      describeBlamed(blamed),
      blamed.provider,
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

function history(journal: readonly Entry[]): Html {
  const rows = journal.map(({ at, gate, text }) => [
    html`<span class="tight quiet">${time(at, dateTime(at))}</span>`,
    gate,
    text,
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

type Word = Verdict | RunReport['status'] | KmodReport['outcome'];

const TONES: Record<Word, 'good' | 'bad' | 'warn' | 'busy' | 'plain'> = {
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
  'already-broken': 'plain',
  cancelled: 'plain',
  inconclusive: 'warn',
  building: 'busy',
  waiting: 'plain',
};

/** A word of a verdict, status or outcome in its colour. */
function word(name: Word, text: string = name): Html {
  return html`<span class="word ${TONES[name]}">${text}</span>`;
}

/** `1 broken`, `11 ok`. */
function tally(kmods: readonly KmodReport[]): Html {
  const words = [...tallyOf(kmods)].map(([outcome, count]) => word(outcome, `${count} ${outcome}`));
  return html`<div class="words">${words.length > 0 ? words : 'none'}</div>`;
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
