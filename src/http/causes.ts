/** Which declarations of the kernel's source changed, and whom that hits. */
import { nameOf, type ToldCauses, type ToldError } from '../btf/told.ts';
import { plural } from '../core/wording.ts';
import { isUnsure, sizesOf, type Wording, wordsOf } from '../report/causes.ts';
import type { CauseHit } from '../report/matrix.ts';
import { type Content, type Html, html } from './html.ts';
import { causeLink, folded, kmodLink, table } from './parts.ts';

/** So many causes are shown in a page, and so many names in a sentence. */
const CAUSES = 8;
const NAMES = 4;

/** Which declarations changed since the baseline, on one architecture, and which kmods that hits. */
export function causeSection({
  arch,
  baseline,
  why,
  causes,
  more,
  kmods,
  errors,
  changelog,
}: ToldCauses): Html {
  const head = html`<h4>In its source since ${baseline} (${arch})</h4>`;
  if (why !== null) return html`${head}<p class="quiet">It cannot be told: ${why}</p>`;
  if (causes.length === 0) return html`${head}<p class="quiet">No declaration is found that did.</p>`;
  const named = changelog?.candidates ?? [];
  const shown = causes.slice(0, CAUSES);
  const rows = shown.map((cause, i) => [
    html`<b class="tight">${causeLink(nameOf(cause))}</b>`,
    changesOf(cause),
    namesOf(kmods.flatMap((kmod) => (kmod.causes.includes(i) ? [kmod.kmod] : []))),
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
  const told = table('Declarations that changed, those that hit most kmods first', heads, rows);
  const names = shown.slice(0, NAMES - 1).map(nameOf);
  const others = causes.length - names.length + more;
  return html`${head}${folded(`${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`, told)}
${rest > 0 && html`<p class="quiet">and ${rest} more, in the JSON</p>`}
${errors.map(errorItem)}
${
  named.length > 0 &&
  html`<p class="quiet">Of ${plural(changelog?.lines ?? 0, 'new line')} of the changelog these name some of it, and prove nothing:</p>
<ul>${named.map(({ text }) => html`<li>${text}</li>`)}</ul>`
}
${ways.length > 0 && folded('How each kmod reaches them', html`<ul>${ways}</ul>`)}`;
}

/** What changed in a declaration, in lines. */
export const changesOf = (cause: CauseHit['cause']): Html =>
  html`<div>${wordsOf(cause).map(changeLine)}<span class="quiet">${sizesOf(cause)}</span></div>`;

/** The first few of many kmods. */
export function namesOf(names: readonly string[]): Content {
  const shown = names.length > NAMES ? names.slice(0, NAMES - 1) : names;
  const rest = names.length - shown.length;
  return html`<span>${shown.map((name, i) => [i > 0 && ', ', kmodLink(name)])}${rest > 0 && ` and ${rest} more`}</span>`;
}

/** What an error of a failed build names, as both kernels declare it. */
const errorItem = ({ kmod, message, was, now }: ToldError): Html =>
  html`<p><b>${kmod}</b>: ${message}<br><code>${was ?? 'not in the older kernel'}</code> → <code>${now ?? 'gone'}</code></p>`;

const changeLine = ({ was, now }: Wording): Html =>
  html`<div><code>${was}${was !== '' && now !== '' && ' → '}${now}</code></div>`;
