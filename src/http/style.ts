/** The pages' one style sheet. */
import { html } from './html.ts';

/** Light and dark as the reader's system has it; on a narrow screen each table row becomes a card. */
export const STYLE = html`
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --line: #dde1e6; --text: #1b1f24; --quiet: #59636e; --link: #0757b8;
  --good: #116329; --good-bg: #d8f3df; --bad: #a40e26; --bad-bg: #ffe1e0;
  --warn: #7a4b00; --warn-bg: #fdeec4; --busy: #0550ae; --busy-bg: #dbecff; --plain-bg: #e8ebef;
  --person: #6e3096; --person-bg: #f1e3fb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101418; --card: #171c22; --line: #2d353e; --text: #e3e7eb; --quiet: #98a2ad; --link: #79b8ff;
    --good: #7ee294; --good-bg: #12361f; --bad: #ff9b95; --bad-bg: #4a1a1c;
    --warn: #f2c55c; --warn-bg: #3d2e08; --busy: #8cc4ff; --busy-bg: #11304f; --plain-bg: #29313a;
    --person: #d9b3f5; --person-bg: #3a2150;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
body > * { max-width: 84rem; margin: 0 auto; padding: 0.75rem 1rem; }
body > header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; color: var(--quiet); }
body > header > a { color: inherit; font-weight: 650; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0; display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
h3 { font-size: 0.95rem; margin: 1rem 0 0.35rem; }
p { margin: 0.35rem 0; overflow-wrap: anywhere; }
ol { margin: 0; padding-left: 1.6rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.9rem 1rem; margin-top: 1rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 1rem 0.4rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--quiet); font-size: 0.85rem; font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 400; }
tbody tr { border-top: 1px solid var(--line); }
.quiet { color: var(--quiet); }
.word { border-radius: 4px; padding: 0.05rem 0.45rem; font-size: 0.85rem; font-weight: 600; white-space: nowrap; background: var(--plain-bg); }
.words { display: flex; flex-wrap: wrap; gap: 0.25rem; }
.good { color: var(--good); background: var(--good-bg); }
.bad { color: var(--bad); background: var(--bad-bg); }
.warn { color: var(--warn); background: var(--warn-bg); }
.busy { color: var(--busy); background: var(--busy-bg); }
.muted { color: var(--quiet); font-weight: 500; }
.person { color: var(--person); background: var(--person-bg); }
.banner { border-radius: 6px; padding: 0.5rem 0.75rem; }
.waiver { color: var(--person); }
code { font: 0.9em ui-monospace, monospace; }
nav { display: flex; gap: 1rem; }
.errors { list-style: none; padding: 0.4rem 0.6rem; margin-top: 0.3rem; background: var(--page); border-left: 3px solid var(--bad); font: 0.85rem/1.5 ui-monospace, monospace; }
@media (max-width: 46rem) {
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { padding: 0.5rem 0; }
  tbody th, td { padding: 0.15rem 0; }
  td { display: grid; grid-template-columns: 5.5rem 1fr; }
  td:empty { display: none; }
  tbody tr:first-child { border-top: 0; padding-top: 0; }
  td::before { content: attr(data-head); color: var(--quiet); }
  td > .word { justify-self: start; }
}
@media (min-width: 64rem) {
  .tight { white-space: nowrap; flex-wrap: nowrap; }
}
`;
