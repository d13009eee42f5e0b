/** The first page: what needs somebody, and kernels by kmods; and the list of runs. */
import { isFine, type Matrix, type MatrixRow, type Needs } from '../report/matrix.ts';
import { describeNeed } from '../report/needs.ts';
import type { RunLine, RunPage } from '../report/report.ts';
import type { Health } from './health.ts';
import { type Content, type Html, html } from './html.ts';
import { needCard } from './needcard.ts';
import {
  ago,
  anchorOf,
  cellWord,
  cut,
  healthLine,
  kernelLink,
  kmodLink,
  page,
  someThenFolded,
  table,
  tally,
  word,
} from './parts.ts';

/** What of the address says which runs are shown; empty where nothing does. */
export interface Chosen {
  readonly gate?: string;
  readonly verdict?: string;
  readonly kmod?: string;
  readonly since?: string;
  readonly until?: string;
  readonly before?: string;
  readonly limit?: number;
}

/** So many cards are open, and so many rows of kmods that are not fine. */
const CARDS = 3;
const ROWS = 12;
/** So many rows are open in all. */
const OPEN = 16;

/** What needs somebody, then the newest kernels by kmods. */
export function overviewPage(
  { needs, more }: Needs,
  matrix: Matrix,
  gates: readonly string[],
  chosen: Chosen,
  health: Health,
  now: number,
): Html {
  const first = chosen.before === undefined;
  return page({
    title: 'Kernels at the gate',
    live: 'all',
    body: html`<p class="quiet">${healthLine(health, now)}</p>
${
  first &&
  html`<section aria-labelledby="needs"><h2 id="needs">Needs somebody${needs.length > 0 && html` <small>${needs.length + more}</small>`}</h2>
${
  needs.length === 0
    ? html`<p>${word('promote', 'nobody')} No kernel is held, and none was blocked since one passed.</p>`
    : someThenFolded(
        needs,
        CARDS,
        (some) => some.map((need) => needCard(need, now)),
        (count) => `${count} more: ${cut(needs.slice(CARDS).map(describeNeed).join('; '), 120)}`,
      )
}
${more > 0 && html`<p class="quiet">and ${more} older</p>`}</section>`
}
<section aria-labelledby="matrix"><h2 id="matrix">Kernels by kmods</h2>
${filterForm('/', gates, chosen)}
${matrix.runs.length > 0 ? matrixTable(matrix, gates.length > 1, now) : html`<p>${nothing(chosen)}</p>`}
${pager('/', chosen, matrix.older, 'kernels')}</section>`,
  });
}

/** A page of the runs, in the order given. */
export function runsPage(
  { runs, older }: RunPage,
  gates: readonly string[],
  chosen: Chosen,
  health: Health,
  now: number,
): Html {
  const rows = runs.map((line) => [
    html`<b class="tight">${kernelLink(line.build, line.nvr)}</b>`,
    line.gate,
    html`<div class="words">${line.verdict && word(line.verdict)}${word(line.status)}</div>`,
    tally(line),
    html`<div>${cut(line.state, 160)}${heldNote(line)}</div>`,
    html`<span class="tight">${ago(line.started_at, now)}</span>`,
  ]);
  const heads = ['Kernel', 'Gate', 'Verdict', 'Kmods', 'State', 'Begun'];
  return page({
    title: 'Runs',
    live: 'all',
    body: html`<p class="quiet">${healthLine(health, now)}</p>
<section>${filterForm('/runs', gates, chosen)}
${rows.length > 0 ? table('Runs, newest first', heads, rows, 'cards compact') : html`<p>${nothing(chosen)}</p>`}
${pager('/runs', chosen, older, 'runs')}</section>`,
  });
}

/** A person's hold, in a list of runs: a held run says so itself, once nothing else is left to do. */
const heldNote = ({ held_by, status }: RunLine): Content =>
  held_by && status !== 'held' && html` <span class="word warn">held by ${held_by.by}</span>`;

const FILTERS = ['gate', 'verdict', 'kmod', 'since', 'until'] as const;

function nothing(chosen: Chosen): string {
  if (FILTERS.some((name) => chosen[name] !== undefined)) return 'No run fits these filters.';
  return chosen.before === undefined ? 'No kernel has stood before a gate yet.' : 'There is no older run.';
}

/** An address with what is chosen. */
function addressOf(path: string, chosen: Chosen): string {
  const all = Object.entries(chosen).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(
    Object.fromEntries(all.map(([name, value]) => [name, String(value)])),
  ).toString();
  return query === '' ? path : `${path}?${query}`;
}

function pager(path: string, chosen: Chosen, older: string | null, what: string): Content {
  const { before, ...newest } = chosen;
  const links = [
    before !== undefined && html`<a href="${addressOf(path, newest)}">Newest ${what}</a>`,
    older !== null && html`<a href="${addressOf(path, { ...chosen, before: older })}">Older ${what}</a>`,
    path === '/' && html`<a href="${addressOf('/runs', newest)}">All runs</a>`,
  ].filter((one) => one !== false);
  return links.length > 0 && html`<p class="pager">${links.map((one) => [one, ' '])}</p>`;
}

const VERDICTS = { promote: 'promote', block: 'block', hold: 'hold', none: 'none yet' } as const;

/** Which runs are shown, in the address: it works without a script. */
function filterForm(path: string, gates: readonly string[], chosen: Chosen): Html {
  const active = FILTERS.flatMap((name) => (chosen[name] === undefined ? [] : [`${name} ${chosen[name]}`]));
  const options = (value: string | undefined, all: readonly (readonly [string, string])[]) =>
    [['', 'any'] as const, ...all].map(
      ([name, text]) =>
        html`<option value="${name}"${(value ?? '') === name && html` selected`}>${text}</option>`,
    );
  return html`<details class="filter"${active.length > 0 && html` open`}><summary>Filter${
    active.length > 0 && html`: ${active.join(', ')}`
  }</summary>
<form action="${path}" method="get">
<label>Gate <select name="gate">${options(
    chosen.gate,
    gates.map((gate) => [gate, gate]),
  )}</select></label>
<label>Verdict <select name="verdict">${options(chosen.verdict, Object.entries(VERDICTS))}</select></label>
<label>Kmod <input name="kmod" value="${chosen.kmod}" placeholder="kmod-*" autocomplete="off"></label>
<label>Begun since <input type="date" name="since" value="${chosen.since}"></label>
<label>Begun until <input type="date" name="until" value="${chosen.until}"></label>
<button type="submit">Show</button>${active.length > 0 && html` <a href="${path}">all</a>`}
</form></details>`;
}

// ---- the matrix -----------------------------------------------------------------------------------

/** Kmods as rows, since their names are long and many; those that are fine with all kernels shown are folded. */
function matrixTable({ runs, rows }: Matrix, several: boolean, now: number): Html {
  const bad = rows.filter((row) => !isFine(row));
  const fine = rows.filter(isFine);
  const shown = bad.slice(0, ROWS);
  const beside = fine.slice(0, fine.length + shown.length <= OPEN ? fine.length : 0);
  const heads = runs.map((line) => columnHead(line, several, now));
  const body = (some: readonly MatrixRow[]) =>
    html`<tbody>${some.map((row) => matrixRow(row, runs))}</tbody>`;
  const rest = [
    [bad.slice(ROWS), (n: number) => `${n} more that are not fine with each of them`] as const,
    [fine.slice(beside.length), (n: number) => (n === 1 ? '1 kmod is fine' : `${n} kmods are fine`)] as const,
  ];
  return html`<div class="scroll" role="region" aria-label="Outcomes, which may be scrolled" tabindex="0">
<table class="matrix"><caption class="unseen">Outcome of each kmod with each kernel, newest kernel first</caption>
<thead><tr><th scope="col">Kmod</th>${heads}</tr></thead>
${body([...shown, ...beside])}</table>
${rest.map(
  ([some, text]) =>
    some.length > 0 &&
    html`<details><summary>${text(some.length)}</summary><table class="matrix"><caption class="unseen">${text(some.length)}</caption>
<thead class="unseen"><tr><th scope="col">Kmod</th>${runs.map(({ nvr }) => html`<th scope="col">${nvr}</th>`)}</tr></thead>
${body(some)}</table></details>`,
)}
</div>`;
}

function columnHead(
  { build, nvr, gate, verdict, status, started_at }: RunLine,
  several: boolean,
  now: number,
): Html {
  // Room is scarce, and nearly all are called the same.
  const name = nvr.replace(/^kernel-(?=\d)/, '');
  return html`<th scope="col">${kernelLink(build, name)}
${verdict ? word(verdict) : word(status)}
<small>${several && html`${gate}, `}${ago(started_at, now)}</small></th>`;
}

function matrixRow({ kmod, cells }: MatrixRow, runs: readonly RunLine[]): Html {
  return html`<tr><th scope="row">${kmodLink(kmod)}</th>${cells.map((cell, i) => {
    if (cell === null)
      return html`<td class="quiet"><span aria-hidden="true">–</span><span class="unseen">not tried</span></td>`;
    const { tone, content } = cellWord(cell);
    const { build, run } = runs[i] ?? { build: 0, run: '' };
    // Whoever goes by the keyboard need not pass what is fine.
    return html`<td class="${tone}">${cell === 'ok' ? content : kernelLink(build, content, anchorOf(run, kmod))}</td>`;
  })}</tr>\n`;
}
