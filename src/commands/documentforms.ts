/** A document as Markdown (GitHub's and GitLab's), for a ticket, and as a page of HTML that stands alone. */
import { type Content, type Html, html, link, markupOf } from '../http/html.ts';
import { code, fenced } from '../report/markup.ts';
import { visible } from '../report/visible.ts';
import { type Block, type Span, type Spans, spansOf, textOf } from './document.ts';
import { folded, more, tableLines } from './markdown.ts';

/** So many rows of a table, or items of a list, are shown in a ticket. */
const SHOWN = 100;

/** GitHub takes 65,536 characters in a comment. What comes after this many is left out, and said. */
const LONGEST = 60_000;

export function asMarkdown(blocks: readonly Block[]): string {
  const parts = blocks.map(blockMarkdown).filter((part) => part !== '');
  const kept: string[] = [];
  let length = 0;
  for (const part of parts) {
    length += part.length + 2;
    if (length > LONGEST) {
      kept.push('What follows is left out here, as a comment has no room for it; `--format html` has it.');
      break;
    }
    kept.push(part);
  }
  return `${kept.join('\n\n')}\n`;
}

function blockMarkdown(block: Block): string {
  switch (block.kind) {
    case 'heading':
      return `${'#'.repeat(block.level + 2)} ${lineMarkdown(block.of)}`;
    case 'line':
      return lineMarkdown(block.of);
    case 'list': {
      const items = block.items
        .slice(0, SHOWN)
        .map((item, i) => `${block.ordered ? `${i + 1}.` : '-'} ${lineMarkdown(item)}`);
      return [...items, ...more(block.items.length, SHOWN, '\n')].join('\n');
    }
    case 'table': {
      const rows = block.rows.slice(0, SHOWN).map((row) => row.map(lineMarkdown));
      return [...tableLines(block.heads, rows), ...more(block.rows.length, SHOWN, '\n')].join('\n');
    }
    case 'lines':
      return fenced(block.of.map(visible).join('\n'));
    case 'folded':
      return folded(entities(block.summary), block.blocks.map(blockMarkdown).join('\n\n'));
  }
}

const lineMarkdown = (spans: Spans): string => spansOf(spans).map(spanMarkdown).join('');

function spanMarkdown(span: Span): string {
  if (typeof span === 'string') return around(span, plain);
  if ('link' in span) {
    const url = addressOf(span.link);
    return url === undefined ? code(span.text) : `[${code(span.text)}](${url})`;
  }
  return 'word' in span ? `**${plain(span.word)}**` : code(span.code);
}

/** Words in which nothing is markup. What a reader would make a mention, a reference or a link of is code. */
const plain = (text: string): string => (/[@#]|:\/\/|www\./i.test(text) ? code(text) : entities(text));

/** Each sign that may be markup as an entity of HTML, which never is; within a word `_` is none. */
const entities = (text: string): string =>
  visible(text).replace(
    /(?!(?<=[A-Za-z0-9])_[A-Za-z0-9])[^A-Za-z0-9 .,:;()+'→–-]/gu,
    (sign) => `&#${sign.codePointAt(0)};`,
  );

/** Spaces at the ends of a piece stay outside of its markup. */
function around(text: string, mark: (inner: string) => string): string {
  const [, before = '', inner = '', after = ''] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? [];
  return inner === '' ? text : `${before}${mark(inner)}${after}`;
}

/** A URL that ends where it ends, whatever is in it; undefined for what is none. */
function addressOf(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).href.replace(/[()<>|\\`]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
}

/** One file without scripts, that asks nobody for anything. */
export function asHtml(title: string, blocks: readonly Block[]): string {
  const page = html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
<main>
${blocks.map(blockHtml)}
</main>
</html>
`;
  return markupOf(page);
}

function blockHtml(block: Block): Html {
  switch (block.kind) {
    case 'heading':
      return block.level === 1
        ? html`<h1>${lineHtml(block.of)}</h1>\n`
        : html`<h2>${lineHtml(block.of)}</h2>\n`;
    case 'line':
      return html`<p>${lineHtml(block.of)}</p>\n`;
    case 'list': {
      const items = block.items.map((item) => html`<li>${lineHtml(item)}</li>\n`);
      return block.ordered ? html`<ol>${items}</ol>\n` : html`<ul>${items}</ul>\n`;
    }
    case 'table':
      return html`<div class="wide"><table>
<thead><tr>${block.heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${block.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${lineHtml(cell)}</td>`)}</tr>\n`)}</tbody>
</table></div>\n`;
    case 'lines':
      return html`<pre>${block.of.map(visible).join('\n')}</pre>\n`;
    case 'folded':
      return html`<details><summary>${block.summary}</summary>\n${block.blocks.map(blockHtml)}</details>\n`;
  }
}

const lineHtml = (spans: Spans): Content => spansOf(spans).map(spanHtml);

function spanHtml(span: Span): Content {
  if (typeof span === 'string') return visible(span);
  const text = visible(textOf(span));
  if ('link' in span) return link(span.link, text);
  return 'word' in span ? html`<strong>${text}</strong>` : html`<code>${text}</code>`;
}

const STYLE = html`
:root { color-scheme: light dark; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin-top: 1.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; }
tbody tr { border-top: 1px solid #8886; }
code, pre { font: 0.9em ui-monospace, monospace; } pre { overflow-x: auto; white-space: pre-wrap; }
`;
