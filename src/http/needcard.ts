/** What needs somebody, as a card: who is to blame, why, who must act, and what they type. */
import { plural } from '../core/wording.ts';
import type { Need, NeedKind, Step } from '../report/needs.ts';
import { type Content, type Html, html } from './html.ts';
import { ago, causeLink, cut, kernelLink, kmodLink, taskLink, type Word, word } from './parts.ts';

const WORD: Record<NeedKind, readonly [Word, string]> = {
  blocked: ['block', 'blocked'],
  'would-block': ['block', 'would be blocked'],
  held: ['hold', 'held'],
  'held-by-person': ['hold', 'held by a person'],
  stuck: ['hold', 'the gate cannot go on'],
};

/** A cause is one line, and a long one is on the kernel's page: so many characters there, and elsewhere. */
const CAUSE = { whole: 600, short: 190 };

/** @param alone on the page of its kernel, which says the rest of it */
export function needCard(need: Need, now: number, alone = false): Html {
  const { kind, build, nvr, gate, source, task, who, otherwise, started_at, cause } = need;
  const [name, text] = WORD[kind];
  const head = html`<h3>${word(name, text)} ${kernelLink(build, nvr)} <small>gate ${gate}, begun ${ago(started_at, now)}</small></h3>`;
  return html`<article class="need ${name === 'block' ? 'bad-edge' : 'warn-edge'}">
${!alone && head}
<p>${culpritOf(need)}: ${cut(cause, alone ? CAUSE.whole : CAUSE.short)}${task && html` <span class="quiet">(task ${taskLink(task)})</span>`}</p>
${source !== undefined && html`<p class="quiet">Changed in the kernel: ${causeLink(source)}</p>`}
<p>Must act: <b>${who}</b>${otherwise !== undefined && html` <span class="quiet">(or it is ${otherwise})</span>`}</p>
${stepList(need.steps)}
</article>`;
}

function culpritOf({ culprit, also, kind }: Need): Content {
  const { name } = culprit;
  const more = also.length > 0 && html` and ${plural(also.length, 'more kmod', 'more kmods')}`;
  if (culprit.kind === 'kmod') return [html`<b>${kmodLink(name)}</b>`, more];
  if (culprit.kind === 'stablelist') return [html`<b>stablelist</b>`, more];
  if (culprit.kind === 'person') return html`<b>${name}</b>`;
  return kind === 'stuck' ? html`<b>gate ${name}</b>` : html`<b>nothing was tried and is fine</b>`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What to do, in order. */
export const stepList = (steps: readonly Step[]): Content =>
  steps.length > 0 &&
  html`<ol class="steps">${steps.map(
    ({ does, command }) =>
      html`<li>${capital(does)}${command !== null && html`<br><code>${command}</code>`}</li>`,
  )}</ol>`;
