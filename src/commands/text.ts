/** Text for terminals: tables, colours, times. */
import { styleText } from 'node:util';
import { type ConfigError, formatMistakes } from '../config/error.ts';
import { visible, visibleIn, visibleLines } from '../report/visible.ts';

/** Where a command writes, and whether it is a terminal that shows colours. */
export interface Output {
  /** @param over on a terminal: first go up so many lines, and erase what is there */
  write(text: string, over?: number): void;
  readonly colour: boolean;
}

/**
 * Standard output; no colour when it is no terminal or NO_COLOR is set (https://no-color.org). Whatever is written, nothing
 * but colours of `paint` reaches the terminal as an order.
 */
export function standardOutput(stream: NodeJS.WriteStream = process.stdout, env = process.env): Output {
  const colour = stream.isTTY === true && !env['NO_COLOR'];
  return {
    colour,
    write(text, over = 0) {
      const up = over > 0 ? `\x1b[${over}A\x1b[J` : '';
      stream.write(up + (colour ? exceptColours(text) : visibleLines(text)));
    },
  };
}

/** Standard error, for what is no log. */
export const writeError = (text: string): void => void process.stderr.write(visibleLines(text));

/** Visible but for the colours that `paint` gives. */
function exceptColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control characters
  const parts = text.split(/(\x1b\[(?:2|22|3[1-69])m)/);
  return parts.map((part, i) => (i % 2 === 1 ? part : visibleLines(part))).join('');
}

/** A line of a command, of values that may come from outside. */
export const line = (text: string): string => `${visible(text)}\n`;

const COLOURS: Record<string, Parameters<typeof styleText>[0]> = {
  promote: 'green',
  ok: 'green',
  done: 'green',
  block: 'red',
  broken: 'red',
  unattributed: 'red',
  hold: 'yellow',
  held: 'yellow',
  inconclusive: 'yellow',
  waived: 'magenta',
  'already-broken': 'dim',
  expired: 'dim',
  ended: 'dim',
  building: 'cyan',
  running: 'cyan',
};

/** The mistakes of a file, a line each. */
export const mistakeLines = ({ file, mistakes }: ConfigError): string =>
  `${formatMistakes(visibleIn({ file, mistakes }))}\n`;

/** A word of a verdict, outcome or status in its colour. */
export function paint(output: Output, word: string, text = word): string {
  const colour = COLOURS[word];
  return output.colour && colour ? styleText(colour, text, { validateStream: false }) : text;
}

/**
 * Rows as aligned columns, two spaces between; the first row is the head. Cells hold no colours, and are made visible.
 * @param decorate gets each padded cell with the cell's own text
 */
export function table(
  cells: readonly (readonly string[])[],
  decorate: (padded: string, cell: string) => string = (padded) => padded,
): string {
  const rows = cells.map((row) => row.map(visible));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const aligned = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        decorate(column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0), cell),
      )
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${aligned(row)}\n`).join('');
}

/** `14:03:07` in local time. */
export function clockTime(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}

/** `2026-11-23 14:03:07` in local time. */
export function dateTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(at)}`;
}
