/** What pages are made of: their frame, words in colour, tables, times, links to one another. */
import type { Verdict } from '../core/model.ts';
import { plural, span } from '../core/wording.ts';
import type { RunLine, RunReport, Tallied, TaskReport, WaiverReport } from '../report/report.ts';
import { type Health, isWorking, standsBy } from './health.ts';
import { type Content, type Html, html, link } from './html.ts';
import { SCRIPT } from './live.ts';
import { loginTrouble } from './ready.ts';
import { STYLE } from './style.ts';

/** A page, and what of the store makes it another one: `all`, a kernel build's id, or nothing. */
interface PageParts {
  readonly title: string;
  readonly aside?: Content;
  readonly live?: 'all' | number;
  readonly body: Content;
}

/** The frame of every page. */
export function page({ title, aside, live, body }: PageParts): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} - kmod-gate</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a class="brand" href="/">kmod-gate</a><nav aria-label="Pages"><a href="/">Overview</a> <a href="/runs">Runs</a> <a href="/waivers">Waivers</a></nav></header>
<main id="main"${live !== undefined && html` data-live="${live}"`}>
<h1>${title}${aside && html` <small>${aside}</small>`}</h1>
${body}
</main>
${live !== undefined && html`<script>${SCRIPT}</script>`}
</body>
</html>
`;
}

/**
 * The first cell of a row names it. On a narrow screen each row is a card; in a compact one the columns have no names. Roles
 * are spelled out: browsers drop them from a table shown as cards.
 */
export function table(
  label: string,
  heads: readonly string[],
  rows: readonly (readonly Content[])[],
  kind: 'cards' | 'cards compact' = 'cards',
): Html {
  const head = heads.map((text) => html`<th role="columnheader" scope="col">${text}</th>`);
  const body = rows.map(([first, ...others]) => {
    const cells = others.map((cell, i) => html`<td role="cell" data-head="${heads[i + 1]}">${cell}</td>`);
    return html`<tr role="row"><th role="rowheader" scope="row">${first}</th>${cells}</tr>\n`;
  });
  return html`<table role="table" class="${kind}" aria-label="${label}">
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">
${body}</tbody>
</table>`;
}

/** What a reader may want to see, and need not. */
export const folded = (summary: Content, body: Content): Html =>
  html`<details><summary>${summary}</summary>
${body}
</details>`;

/** Some, and the others folded. */
export function someThenFolded<T>(
  all: readonly T[],
  shown: number,
  show: (some: readonly T[]) => Content,
  more: (count: number) => string,
): Content {
  const rest = all.slice(shown);
  return [show(all.slice(0, shown)), rest.length > 0 && folded(more(rest.length), show(rest))];
}

/** What a page has a word in colour for. */
export type Word = Verdict | RunReport['status'] | Tallied | WaiverReport['state'];

type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'plain' | 'muted' | 'person';

/** Each word's colour, and a sign for those who do not see colours well. */
const WORDS: Record<Word, readonly [tone: Tone, sign: string]> = {
  promote: ['good', '✓'],
  block: ['bad', '✗'],
  hold: ['warn', '!'],
  running: ['busy', '…'],
  held: ['warn', '!'],
  done: ['plain', ''],
  observed: ['plain', ''],
  superseded: ['plain', ''],
  'taken-over': ['plain', ''],
  ok: ['good', '✓'],
  broken: ['bad', '✗'],
  unattributed: ['bad', '?'],
  'already-broken': ['muted', '✗'],
  cancelled: ['plain', ''],
  inconclusive: ['warn', '?'],
  waived: ['person', '–'],
  holds: ['person', ''],
  expired: ['muted', ''],
  ended: ['muted', ''],
  building: ['busy', '…'],
  waiting: ['plain', '·'],
};

/** A word of a verdict, status or outcome in its colour, with its sign. */
export function word(name: Word, text: string = name): Html {
  const [tone, sign] = WORDS[name];
  return html`<span class="word ${tone}">${sign !== '' && html`<span aria-hidden="true">${sign}</span> `}${text}</span>`;
}

/** The same in a cell of the matrix, which has the colour as a whole. */
export function cellWord(name: Tallied): { readonly tone: Tone; readonly content: Html } {
  const [tone, sign] = WORDS[name];
  return { tone, content: html`<span aria-hidden="true">${sign}</span> ${name.replace('-', ' ')}` };
}

/** `1 broken`, `11 ok`, `(4 to rebuild)`; `12 kmods` before a verdict. */
export function tally({ kmods, outcomes, to_rebuild = 0 }: RunLine): Html {
  const counts = Object.entries(outcomes) as [Tallied, number][];
  const words = counts.map(([outcome, count]) => word(outcome, `${count} ${outcome}`));
  // Some of those that are ok, and no more kmods.
  if (to_rebuild > 0) words.push(html`<span class="quiet">(${to_rebuild} to rebuild)</span>`);
  if (words.length === 0)
    return html`<span class="quiet">${kmods > 0 ? plural(kmods, 'kmod') : 'none'}</span>`;
  return html`<div class="words">${words}</div>`;
}

export const taskLink = ({ id, url }: TaskReport): Html => link(url, id);

/** By build id: drafts share an NVR. */
export const kernelLink = (build: number, nvr: Content, anchor?: string): Html =>
  html`<a href="/kernel/${build}${anchor !== undefined && `#${encodeURIComponent(anchor)}`}">${nvr}</a>`;

/** Where a kernel's page tells of a kmod in a run. */
export const anchorOf = (run: string, kmod: string): string => `${run}/${kmod}`;

export const kmodLink = (name: string, text: Content = name): Html =>
  name === 'stablelist' ? html`${text}` : html`<a href="/kmod/${encodeURIComponent(name)}">${text}</a>`;

export const symbolLink = (name: string): Html =>
  html`<a href="/symbol/${encodeURIComponent(name)}">${name}</a>`;

/** @param name as causes are called: `struct device` */
export function causeLink(name: string): Html {
  const [kind = '', ...rest] = name.split(' ');
  return html`<a href="/cause/${encodeURIComponent(kind)}/${encodeURIComponent(rest.join(' '))}">${name}</a>`;
}

export function time(at: number, text: string): Html {
  return html`<time datetime="${new Date(at).toISOString()}" title="${dateTime(at)}">${text}</time>`;
}

export const ago = (at: number, now: number): Html => time(at, `${span(now - at)} ago`);

/** `2026-11-23 14:03:07 UTC`: readers sit in many time zones. */
export function dateTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A long text, cut at a word; the whole of it is said elsewhere. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const part = text.slice(0, length - 1);
  return `${part.replace(/\s+\S{0,30}$/, '')}…`;
}

/** Whether the gate looks at its hub and hears its bus. */
export function healthLine(health: Health, now: number): Content {
  const { started_at, looked_at, trouble, lease } = health;
  if (lease && standsBy(health)) return standbyLine(lease, now);
  const look =
    looked_at === null
      ? `first look at the hub under way for ${span(now - started_at)}`
      : `last look at the hub ${span(now - looked_at)} ago`;
  const silent = trouble && `the hub does not answer since ${span(now - trouble.since)}: ${trouble.reason}`;
  const locked = loginTrouble(health, now);
  return [
    isWorking(health, now) && !silent ? look : html`<span class="word bad">${silent ?? look}</span>`,
    locked && html`; <span class="word bad">${locked}</span>`,
    '; ',
    busLine(health, now),
    lease && `; ${lease.name} acts since ${span(now - lease.since)}`,
  ];
}

/** Of a gate that waits to follow another one. */
function standbyLine({ name, holder, reason, since }: NonNullable<Health['lease']>, now: number): Content {
  const acts = holder === null ? 'nobody acts' : `${holder} acts`;
  return [
    `${name} stands by since ${span(now - since)}: `,
    holder === null || reason !== undefined ? html`<span class="word warn">${acts}</span>` : acts,
    reason !== undefined && `; ${reason}`,
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

/** A page that only says something: what is not there, what went wrong. */
export const messagePage = (title: string, text: string): Html =>
  page({ title, body: html`<section><p>${text}</p></section>` });
