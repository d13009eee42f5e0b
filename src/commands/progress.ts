/** What a running gate does, shown as it happens: lines, and on a terminal a table of live runs below them. */
import type { Entry } from '../core/model.ts';
import type { RunLine } from '../report/report.ts';
import { visible } from '../report/visible.ts';
import { statusTable } from './report.ts';
import { clockTime, type Output } from './text.ts';

export interface Progress {
  /** Show a journal line. */
  entry(entry: Entry): void;
  /** Show any line, such as one of the log. */
  line(text: string): void;
  /** Show these runs in the table; no effect where there is no terminal. */
  runs(lines: readonly RunLine[]): void;
}

/** Lines that tell the story. Of states only those in which a kernel waits; `explain` has the rest. */
function isStory({ kind, text }: Entry): boolean {
  if (kind === 'state') return /^(held:|waits )/.test(text);
  return kind !== 'asked' && kind !== 'answered';
}

/** Lines, and on a terminal a text below them that is drawn anew. */
export interface Screen {
  line(text: string): void;
  /** Show these lines below, in place of those before; no effect where there is no terminal. */
  below(lines: string): void;
}

/** @param live whether it is a terminal */
export function createScreen(output: Output, live: boolean): Screen {
  let drawn = 0;
  let current = '';

  function draw(lines: string): void {
    output.write(`${lines}${current}`, drawn);
    drawn = current.split('\n').length - 1;
  }

  return {
    line: (text) => draw(`${text}\n`),
    below(lines) {
      if (!live) return;
      current = clip(lines);
      draw('');
    },
  };
}

/**
 * @param live draw the table; only for a terminal
 * @param timeOf how the time of a journal line is shown
 */
export function createProgress(output: Output, live: boolean, timeOf = clockTime): Progress {
  const screen = createScreen(output, live);
  return {
    entry(entry) {
      const about = entry.gate ? `${entry.gate}  ${entry.nvr}  ` : '';
      if (isStory(entry)) screen.line(`${timeOf(entry.at)}  ${visible(about + entry.text)}`);
    },
    line: screen.line,
    runs: (lines) => screen.below(lines.length > 0 ? `\n${statusTable(output, lines)}` : ''),
  };
}

/** Lines that wrap would spoil the count of lines to go up; colours are not counted. */
function clip(text: string, columns = process.stdout.columns): string {
  // A terminal that does not know its width tells 0.
  const most = (columns || 120) - 1;
  const keep = (line: string) => {
    let seen = 0;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control characters
    return line.replace(/\x1b\[\d+m|[^\x1b]/g, (piece) => (piece.length > 1 || seen++ < most ? piece : ''));
  };
  return text.split('\n').map(keep).join('\n');
}

/** A bar that tells how far something is. */
export interface Bar {
  /** @param text what is in hand */
  show(done: number, all: number, text: string): void;
  /** Take it away. */
  end(): void;
}

const BAR_WIDTH = 30;

/**
 * @param live draw it; only for a terminal
 * @param columns that it has
 */
export function createBar(output: Output, live: boolean, columns?: number): Bar {
  let drawn = 0;
  return {
    show(done, all, text) {
      if (!live) return;
      const full = '#'.repeat(Math.floor((BAR_WIDTH * done) / Math.max(1, all)));
      output.write(clip(`[${full.padEnd(BAR_WIDTH)}] ${done} of ${all}  ${visible(text)}\n`, columns), drawn);
      drawn = 1;
    },
    end() {
      if (drawn > 0) output.write('', drawn);
      drawn = 0;
    },
  };
}
