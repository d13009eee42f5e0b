/** Text for terminals: tables, colours, times. */
import { styleText } from 'node:util';

/** Where a command writes, and whether it is a terminal that shows colours. */
export interface Output {
  write(text: string): void;
  readonly colour: boolean;
}

/** Standard output; no colour when it is no terminal or NO_COLOR is set (https://no-color.org). */
export function standardOutput(stream: NodeJS.WriteStream = process.stdout, env = process.env): Output {
  return { write: (text) => void stream.write(text), colour: stream.isTTY === true && !env['NO_COLOR'] };
}

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

/** A word of a verdict, outcome or status in its colour. */
export function paint(output: Output, word: string, text = word): string {
  const colour = COLOURS[word];
  return output.colour && colour ? styleText(colour, text, { validateStream: false }) : text;
}

/**
 * Rows as aligned columns, two spaces between; the first row is the head. Cells hold no colours.
 * @param decorate gets each padded cell with the cell's own text
 */
export function table(
  rows: readonly (readonly string[])[],
  decorate: (padded: string, cell: string) => string = (padded) => padded,
): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        decorate(column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0), cell),
      )
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
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
