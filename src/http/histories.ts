/** Pages of one kmod, one symbol, one cause: over kernels and gates. */
import { plural } from '../core/wording.ts';
import type { CauseHistory, KmodHistory, KmodTrouble, SymbolHistory } from '../report/matrix.ts';
import { WHOSE } from '../report/report.ts';
import { changesOf, namesOf } from './causes.ts';
import { type Content, type Html, html } from './html.ts';
import { stepList } from './needcard.ts';
import {
  ago,
  anchorOf,
  causeLink,
  cut,
  dateTime,
  folded,
  kernelLink,
  kmodLink,
  page,
  someThenFolded,
  table,
  taskLink,
  time,
  word,
} from './parts.ts';

const ROWS = 10;

/** A kmod over kernels and gates: since when it is broken, and what would mend it. */
export function kmodPage({ name, troubles, cells, more }: KmodHistory, now: number): Html {
  const gates = [...new Set(cells.map(({ gate }) => gate))];
  const kernels = [...new Map(cells.map((cell) => [cell.build, cell])).values()];
  const rows = kernels.map(({ build, nvr, at, run }) => [
    html`<b class="tight">${kernelLink(build, nvr, anchorOf(run, name))}</b>`,
    html`<span class="tight">${ago(at, now)}</span>`,
    ...gates.map((gate) => {
      const cell = cells.find((one) => one.gate === gate && one.build === build);
      return cell ? word(cell.outcome) : html`<span class="quiet">not tried</span>`;
    }),
  ]);
  return page({
    title: name,
    aside: 'kmod',
    live: 'all',
    body: html`${
      troubles.length === 0
        ? html`<section><p>${word('ok')} It is fine with the newest kernel that it was judged with.</p></section>`
        : troubles.map((trouble) => troubleSection(trouble, now))
    }
<section><h2>With each kernel</h2>
${someThenFolded(
  rows,
  ROWS,
  (some) =>
    table(
      'Outcome with each kernel, newest first',
      ['Kernel', 'Judged', ...gates.map((gate) => `Gate ${gate}`)],
      some,
    ),
  (count) => `${plural(count, 'older kernel')}`,
)}
${more && html`<p class="quiet">and older ones: <a href="/runs?kmod=${encodeURIComponent(name)}">all its runs</a></p>`}</section>`,
  });
}

function troubleSection(
  { run, gate, build, nvr, kmod, since, source, who, steps }: KmodTrouble,
  now: number,
): Html {
  const { outcome, cause, whose, errors, tasks, waived } = kmod;
  const shown = tasks.find(({ shows }) => shows);
  return html`<section>
<h2>${word(outcome)} at gate ${gate}</h2>
<p>With ${kernelLink(build, nvr, anchorOf(run, kmod.name))}: ${cut(cause, 400)}${shown && html` <span class="quiet">(task ${taskLink(shown)})</span>`}</p>
${since && html`<p>So since ${kernelLink(since.build, since.nvr, anchorOf(since.run, kmod.name))}, ${time(since.at, dateTime(since.at))} (${ago(since.at, now)}).</p>`}
${source !== undefined && html`<p>Changed in the kernel: ${causeLink(source)}</p>`}
${waived !== null && html`<p class="waiver">${waived}</p>`}
<h3>What would mend it</h3>
<p>Must act: <b>${who}</b>${whose && html` <span class="quiet">(the trouble is of the ${WHOSE[whose]})</span>`}</p>
${stepList(steps)}
${errors.length > 0 && folded(`${plural(errors.length, 'first error')} of build.log`, html`<ol class="errors">${errors.map(({ arch, file, line, message }) => html`<li><span class="quiet">${arch}</span> ${file}${line > 0 && `:${line}`}: ${message}</li>`)}</ol>`)}
</section>`;
}

/** A symbol that kmods missed: with which kernels, and which kmods. */
export function symbolPage(
  { symbol, hits, looked, older }: SymbolHistory,
  before: boolean,
  now: number,
): Html {
  const rows = hits.map(({ build, nvr, gate, arch, at, provided, provider, kmods }) => [
    html`<b class="tight">${kernelLink(build, nvr)}</b>`,
    html`<span class="tight">${ago(at, now)}</span>`,
    gate,
    arch,
    html`<span class="tight">${kmods[0]?.required} → ${provided ?? 'gone'}</span>`,
    provider,
    namesOf(kmods.map(({ name }) => name)),
  ]);
  const heads = ['Kernel', 'When', 'Gate', 'Arch', 'CRC', 'Now in', 'Hits'];
  return page({
    title: symbol,
    aside: 'symbol',
    live: 'all',
    body: html`<section>
${hits.length > 0 && html`<p>${whom(hits)}</p>`}
${
  rows.length > 0
    ? someThenFolded(
        rows,
        ROWS,
        (some) => table('Kernels in which it is not as kmods need it, newest first', heads, some),
        (count) => `${count} older`,
      )
    : html`<p>In none of ${plural(looked, 'run')} that symbols were compared in did a kmod miss it.</p>`
}
${olderLink(`/symbol/${encodeURIComponent(symbol)}`, older, before, looked)}</section>`,
  });
}

/** A declaration of the kernel's source: when it changed, how, and whom that hit. */
export function causePage(
  { kind, name, hits, looked, older }: CauseHistory,
  before: boolean,
  now: number,
): Html {
  const rows = hits.map(({ build, nvr, gate, arch, at, baseline, cause, kmods }) => [
    html`<b class="tight">${kernelLink(build, nvr)}</b>`,
    html`<span class="tight">${ago(at, now)}</span>`,
    html`<span>${gate}, ${arch}</span>`,
    html`<span class="tight">${baseline}</span>`,
    changesOf(cause),
    namesOf(kmods),
  ]);
  const heads = ['Kernel', 'When', 'Gate', 'Compared with', 'Change', 'Hits'];
  return page({
    title: `${kind} ${name}`,
    aside: "declaration of the kernel's source",
    live: 'all',
    body: html`<section>
${hits.length > 0 && html`<p>${whom(hits.map((hit) => ({ ...hit, kmods: hit.kmods.map((one) => ({ name: one })) })))}</p>`}
${
  rows.length > 0
    ? someThenFolded(
        rows,
        ROWS,
        (some) => table('Kernels in which it changed, newest first', heads, some),
        (count) => `${count} older`,
      )
    : html`<p>In none of ${plural(looked, 'run')} that causes were looked for in did it change.</p>`
}
${olderLink(`/cause/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`, older, before, looked)}</section>`,
  });
}

interface Hitting {
  readonly nvr: string;
  readonly build: number;
  readonly kmods: readonly { readonly name: string }[];
}

/** `First seen with kernel-…; it has hit kmod-a, kmod-b`. */
function whom(hits: readonly Hitting[]): Content {
  const first = hits.at(-1);
  const kmods = [...new Set(hits.flatMap((hit) => hit.kmods.map(({ name }) => name)))];
  return html`First seen with ${first && kernelLink(first.build, first.nvr)}; it has hit ${plural(kmods.length, 'kmod')}${
    kmods.length > 0 &&
    html`: ${kmods.slice(0, 12).map((name, i) => [i > 0 && ', ', kmodLink(name)])}${kmods.length > 12 && ' …'}`
  }.`;
}

const olderLink = (path: string, older: number | null, before: boolean, looked: number): Content =>
  (older !== null || before) &&
  html`<p class="pager"><span class="quiet">Looked through ${plural(looked, 'run')}.</span> ${
    before && html`<a href="${path}">Newest</a> `
  }${older !== null && html`<a href="${path}?before=${older}">Look through older ones</a>`}</p>`;
