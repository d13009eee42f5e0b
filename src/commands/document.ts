/** What a command tells, as plain data: shown on a terminal here, as Markdown and HTML by documentforms.ts. */
import { visible } from '../report/visible.ts';
import { line, type Output, paint, table } from './text.ts';

/**
 * A piece of a line. A plain text is a sentence; `code` is a name, a command or what a log or a program said; `word` an outcome
 * or a verdict, in its colour. Wherever they come from, nothing in them is markup.
 */
export type Span =
  | string
  | { readonly code: string }
  | { readonly word: string }
  | { readonly link: string; readonly text: string };

/** One line. */
export type Spans = Span | readonly Span[];

export type Block =
  | { readonly kind: 'heading'; readonly level: 1 | 2; readonly of: Spans }
  | { readonly kind: 'line'; readonly of: Spans }
  | { readonly kind: 'list'; readonly ordered: boolean; readonly items: readonly Spans[] }
  | {
      readonly kind: 'table';
      readonly heads: readonly string[];
      readonly rows: readonly (readonly Spans[])[];
    }
  /** Lines as they are. */
  | { readonly kind: 'lines'; readonly of: readonly string[] }
  /** What most readers need not see; on a terminal it is not shown. */
  | { readonly kind: 'folded'; readonly summary: string; readonly blocks: readonly Block[] };

export const heading = (level: 1 | 2, ...of: Span[]): Block => ({ kind: 'heading', level, of });
export const says = (...of: Span[]): Block => ({ kind: 'line', of });
export const listed = (items: readonly Spans[], ordered = false): Block => ({ kind: 'list', ordered, items });

/** A link, or only its text where there is none. */
export const linked = (link: string | undefined, text: string): Span =>
  link === undefined ? { code: text } : { link, text };

export const spansOf = (spans: Spans): readonly Span[] => (Array.isArray(spans) ? spans : [spans as Span]);

export const textOf = (span: Span): string => {
  if (typeof span === 'string') return span;
  if ('code' in span) return span.code;
  return 'word' in span ? span.word : span.text;
};

/** As text; links are spelled out behind their texts. */
export function asText(output: Output, blocks: readonly Block[]): string {
  return blocks.map((block) => blockText(output, block)).join('');
}

function blockText(output: Output, block: Block): string {
  switch (block.kind) {
    case 'heading':
      return `${block.level === 1 ? '' : '\n'}${lineText(output, block.of)}\n`;
    case 'line':
      return `  ${lineText(output, block.of)}\n`;
    case 'list':
      return block.items
        .map((item, i) => `  ${block.ordered ? `${i + 1}. ` : ''}${lineText(output, item)}\n`)
        .join('');
    case 'table': {
      const rows = block.rows.map((row) => row.map((cell) => spansOf(cell).map(onTerminal).join('')));
      const heads = block.heads.map((head) => head.toUpperCase());
      return table([heads, ...rows], (padded, cell) => paint(output, cell, padded)).replace(/^(?=.)/gm, '  ');
    }
    case 'lines':
      return block.of.map((text) => `  ${line(text)}`).join('');
    case 'folded':
      return '';
  }
}

const onTerminal = (span: Span): string =>
  typeof span !== 'string' && 'link' in span && span.link !== span.text
    ? `${span.text} (${span.link})`
    : textOf(span);

const lineText = (output: Output, spans: Spans): string =>
  spansOf(spans)
    .map((span) => {
      const text = visible(onTerminal(span));
      return typeof span !== 'string' && 'word' in span ? paint(output, span.word, text) : text;
    })
    .join('');
