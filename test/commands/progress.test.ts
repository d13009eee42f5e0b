import { describe, expect, test } from 'vitest';
import { createBar, createProgress } from '../../src/commands/progress.ts';
import { clockTime, paint, table } from '../../src/commands/text.ts';
import type { Entry } from '../../src/core/model.ts';

const entry = (kind: Entry['kind'], text: string): Entry => ({
  at: 0,
  kind,
  gate: 'c9s',
  build: 1,
  nvr: 'kernel-1-1',
  run: null,
  text,
});

/** A terminal of one kind: goes up and erases below, as the live table wants it. */
function screen() {
  let lines = [''];
  const write = (text: string, over = 0) => {
    if (over > 0) lines = [...lines.slice(0, -1 - over), ''];
    const [first = '', ...rest] = text.split('\n');
    lines[lines.length - 1] += first;
    lines.push(...rest);
  };
  return { write, colour: false, text: () => lines.join('\n') };
}

describe('progress', () => {
  test('tells the story in lines, without the details', () => {
    const out = screen();
    const progress = createProgress(out, false);
    progress.entry(entry('run', 'stands before the gate'));
    progress.entry(entry('asked', 'build kmod-a'));
    progress.entry(entry('state', '0 of 2 kmods judged'));
    progress.entry(entry('state', 'held: policy violation'));
    progress.runs([]);
    const time = clockTime(0);
    expect(out.text()).toBe(
      `${time}  c9s  kernel-1-1  stands before the gate\n${time}  c9s  kernel-1-1  held: policy violation\n`,
    );
  });
  test('on a terminal the table stays below the lines', () => {
    const out = screen();
    const progress = createProgress(out, true);
    const line = {
      run: 'c9s/1/1',
      gate: 'c9s',
      build: 1,
      nvr: 'kernel-1-1',
      status: 'running',
      state: '1 of 2 kmods judged',
      verdict: null,
      kmods: 2,
      outcomes: {},
      held_by: null,
      started_at: 0,
      ended_at: null,
    } as const;
    progress.runs([line]);
    progress.line('first');
    progress.runs([{ ...line, state: '2 of 2 kmods judged' }]);
    progress.line('second');
    expect(out.text()).toBe(
      'first\nsecond\n\nGATE  KERNEL      STATUS   VERDICT  KMODS    STATE\nc9s   kernel-1-1  running  -        2 kmods  2 of 2 kmods judged\n',
    );
  });
});

test('tables are aligned by the cells, not by their colours', () => {
  const output = { write() {}, colour: true };
  const text = table(
    [
      ['A', 'B'],
      ['ok', 'x'],
    ],
    (padded, cell) => paint(output, cell, padded),
  );
  expect(text.replaceAll('\x1b[32m', '').replaceAll('\x1b[39m', '')).toBe('A   B\nok  x\n');
  expect(text).toContain('\x1b[32mok\x1b[39m');
});

describe('a bar', () => {
  test('is drawn in one place, and gone at the end', () => {
    const out = screen();
    const bar = createBar(out, true);
    bar.show(0, 4, 'kernel-1-1');
    bar.show(1, 4, 'kernel-2-1');
    expect(out.text()).toBe(`[${'#'.repeat(7)}${' '.repeat(23)}] 1 of 4  kernel-2-1\n`);
    bar.end();
    expect(out.text()).toBe('');
  });
  test('fits the terminal, and gives it no orders', () => {
    const out = screen();
    createBar(out, true, 46).show(4, 4, '\x1b[2Jkernel-1-1');
    const [line = ''] = out.text().split('\n');
    expect(line).toHaveLength(45);
    expect(line).not.toContain('\x1b');
  });
  test('is drawn on a terminal that does not know its width', () => {
    const out = screen();
    createBar(out, true, 0).show(4, 4, 'kernel-1-1');
    expect(out.text()).toContain('4 of 4  kernel-1-1');
  });
  test('is not drawn where there is no terminal', () => {
    const out = screen();
    const bar = createBar(out, false);
    bar.show(1, 4, 'kernel-1-1');
    bar.end();
    expect(out.text()).toBe('');
  });
});
