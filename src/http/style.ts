/** The pages' one style sheet. */
import { html } from './html.ts';

/** Light and dark as the reader's system has it; on a narrow screen each row of a list becomes a card. */
export const STYLE = html`
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #fff; --line: #d8dde3; --text: #1b1f24; --quiet: #57606a; --link: #0757b8;
  --good: #0f5c27; --good-bg: #d8f3df; --bad: #a40e26; --bad-bg: #ffdfde; --bad-line: #cf222e;
  --warn: #6f4400; --warn-bg: #fdeec4; --warn-line: #bf8700; --busy: #0550ae; --busy-bg: #dbecff; --plain-bg: #e8ebef;
  --person: #6e3096; --person-bg: #f1e3fb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --card: #171c22; --line: #303842; --text: #e3e7eb; --quiet: #9ba5b0; --link: #79b8ff;
    --good: #86e59b; --good-bg: #12361f; --bad: #ffa39e; --bad-bg: #4a1a1c; --bad-line: #f85149;
    --warn: #f2c55c; --warn-bg: #3d2e08; --warn-line: #d29922; --busy: #8cc4ff; --busy-bg: #11304f; --plain-bg: #29313a;
    --person: #d9b3f5; --person-bg: #3a2150;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; }
body > header, main { max-width: 84rem; margin: 0 auto; padding: 0.6rem 1rem; }
body > header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; }
.brand { color: inherit; font-weight: 700; }
nav { display: flex; gap: 1.1rem; }
a { color: var(--link); text-decoration: none; }
p a, li a, dd a { text-decoration: underline; text-decoration-thickness: from-font; text-underline-offset: 2px; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--card); padding: 0.4rem 0.8rem; z-index: 3; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
h1 { font-size: 1.35rem; margin: 0.2rem 0 0.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0; display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
h3 { font-size: 0.95rem; margin: 0.9rem 0 0.3rem; }
h4 { font-size: 0.875rem; margin: 0.6rem 0 0.25rem; }
small { font-size: 0.85rem; font-weight: 400; color: var(--quiet); }
p { margin: 0.35rem 0; overflow-wrap: anywhere; }
ol, ul { margin: 0; padding-left: 1.4rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.8rem 1rem; margin-top: 0.9rem; overflow-x: auto; }
details { margin: 0.35rem 0; }
summary { cursor: pointer; color: var(--link); padding: 0.15rem 0; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.word { display: inline-block; border-radius: 4px; padding: 0.05rem 0.45rem; font-size: 0.85rem; font-weight: 600; white-space: nowrap; background: var(--plain-bg); }
.words { display: flex; flex-wrap: wrap; gap: 0.25rem 0.4rem; align-items: center; }
.good { color: var(--good); background: var(--good-bg); }
.bad { color: var(--bad); background: var(--bad-bg); }
.warn { color: var(--warn); background: var(--warn-bg); }
.busy { color: var(--busy); background: var(--busy-bg); }
.plain { background: var(--plain-bg); }
.muted { color: var(--quiet); font-weight: 500; background: var(--page); }
.person { color: var(--person); background: var(--person-bg); }
.banner { border-radius: 6px; padding: 0.5rem 0.75rem; }
.waiver { color: var(--person); }
code { font: 0.875em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.need { border-left: 4px solid var(--line); padding: 0.1rem 0 0.1rem 0.8rem; margin: 0.8rem 0; }
.bad-edge { border-color: var(--bad-line); }
.warn-edge { border-color: var(--warn-line); }
.need h3 { margin: 0 0 0.3rem; display: flex; flex-wrap: wrap; gap: 0.2rem 0.6rem; align-items: baseline; overflow-wrap: anywhere; }
.steps { padding-left: 1.3rem; display: grid; gap: 0.3rem; }
.steps code { display: inline-block; background: var(--page); border: 1px solid var(--line); border-radius: 4px; padding: 0.15rem 0.5rem; margin-top: 0.1rem; user-select: all; }
.errors { list-style: none; padding: 0.4rem 0.6rem; margin-top: 0.3rem; background: var(--page); border-left: 3px solid var(--bad-line); font: 0.85rem/1.5 ui-monospace, monospace; }
.pager { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; margin-top: 0.7rem; }
.filter form { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: end; padding: 0.3rem 0 0.6rem; }
label { color: var(--quiet); font-size: 0.85rem; display: grid; gap: 0.15rem; }
input, select, button { font: inherit; color: var(--text); background: var(--card); border: 1px solid var(--quiet); border-radius: 4px; padding: 0.25rem 0.45rem; min-width: 0; }
button { cursor: pointer; background: var(--plain-bg); }
progress { width: 6rem; accent-color: var(--link); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.cards { width: 100%; }
.cards th, .cards td { padding: 0.4rem 1rem 0.4rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.cards th:last-child, .cards td:last-child { padding-right: 0; }
.cards thead th { color: var(--quiet); font-size: 0.85rem; font-weight: 500; white-space: nowrap; }
.cards tbody th { font-weight: 400; }
.cards tbody tr { border-top: 1px solid var(--line); }
.scroll { overflow-x: auto; margin-top: 0.4rem; }
.matrix { border-collapse: separate; border-spacing: 2px; }
.matrix th, .matrix td { min-width: 8.2rem; max-width: 8.2rem; padding: 0.22rem 0.4rem; text-align: left; font-size: 0.85rem; border-radius: 4px; vertical-align: middle; }
.matrix td { white-space: nowrap; font-weight: 600; }
.matrix td.muted { font-weight: 500; }
.matrix td a { color: inherit; display: block; }
.matrix th:first-child { min-width: 13rem; max-width: 13rem; position: sticky; left: 0; background: var(--card); z-index: 1; font-weight: 400; overflow-wrap: anywhere; }
.matrix thead th { vertical-align: bottom; overflow-wrap: anywhere; font-weight: 600; }
.matrix thead small { display: block; }
.scroll details summary { position: sticky; left: 0; width: max-content; max-width: 20rem; }
@media (max-width: 46rem) {
  section { padding: 0.7rem 0.75rem; }
  body > header, main { padding: 0.5rem 0.75rem; }
  .cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tbody tr { padding: 0.45rem 0; }
  .cards tbody th, .cards td { padding: 0.1rem 0; }
  .cards td { display: grid; grid-template-columns: 5.2rem 1fr; }
  .cards td:empty { display: none; }
  .cards tbody tr:first-child { border-top: 0; padding-top: 0; }
  .cards td::before { content: attr(data-head); color: var(--quiet); }
  .cards td > .word { justify-self: start; }
  .compact td { display: inline-block; margin-right: 0.6rem; }
  .compact td::before { content: none; }
  .compact .words { display: inline-flex; }
  .matrix th:first-child { min-width: 8.5rem; max-width: 8.5rem; }
}
@media (min-width: 64rem) {
  .tight { white-space: nowrap; flex-wrap: nowrap; }
}
`;
