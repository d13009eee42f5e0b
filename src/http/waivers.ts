/** The page of waivers. */
import { moment } from '../core/wording.ts';
import type { WaiverReport } from '../report/report.ts';
import { type Html, html } from './html.ts';
import { page, someThenFolded, table, time, word } from './parts.ts';

const ROWS = 8;

/** What persons let through, those that hold first. */
export function waiversPage(waivers: readonly WaiverReport[]): Html {
  const holding = waivers.filter(({ state }) => state === 'holds');
  const all = [...holding, ...waivers.filter(({ state }) => state !== 'holds')];
  const heads = ['Kmod', 'No.', 'State', 'Kernel', 'Gate', 'By', 'Until', 'Reason'];
  const show = (some: readonly WaiverReport[]) =>
    table('Waivers, those that hold first', heads, some.map(waiverRow));
  return page({
    title: 'Waivers',
    live: 'all',
    body: html`<section>
${
  all.length > 0
    ? someThenFolded(all, Math.max(ROWS, holding.length), show, (count) => `${count} more`)
    : html`<p>Nobody has waived anything yet.</p>`
}
<p class="quiet"><code>kmod-gate waive</code> makes one, <code>kmod-gate unwaive NO.</code> ends it.</p>
</section>`,
  });
}

function waiverRow({ id, state, kmod, kernel, gate, by, at, until, ended, reason }: WaiverReport) {
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
}
