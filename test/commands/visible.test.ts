/** Nothing from outside reaches a terminal or a page as it came: hubs, logs, messages, files and stores may hold anything. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configCheck } from '../../src/commands/config.ts';
import { createLog, type LogFormat } from '../../src/commands/log.ts';
import { createProgress } from '../../src/commands/progress.ts';
import { explanationText, statusTable } from '../../src/commands/report.ts';
import { paint, standardOutput, table } from '../../src/commands/text.ts';
import { type Explanation, lineOf } from '../../src/report/report.ts';
import { visible, visibleIn, visibleLines } from '../../src/report/visible.ts';
import { exampleSources } from '../http/example.ts';
import { runProgram } from './program.ts';

/** Every character that a terminal or a reader could be led astray by, spelled out apart from the code. */
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const FORBIDDEN = new Set(
  [
    ...range(0x00, 0x08),
    ...range(0x0a, 0x1f),
    ...range(0x7f, 0x9f),
    ...[0x061c, 0x200e, 0x200f, 0x2028, 0x2029],
    ...range(0x202a, 0x202e),
    ...range(0x2066, 0x2069),
  ].map((code) => String.fromCharCode(code)),
);
const forbidden = (text: string, but = '') =>
  [...text].filter((character) => FORBIDDEN.has(character) && !but.includes(character));

/** Orders to terminals, complete and not, and whatever else there is. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\x1b[2J',
        '\x1b[',
        '\x1bc',
        '\x1b]0;title',
        '\x1b]8;;http://evil\x07',
        '\x1bPq',
        '\x1b[31m',
        '\u009b2J',
        '\u009d0;x',
        '\u0090',
        '\r\n',
        '\u202egpj.exe',
        '\u2028',
      ),
      fc.constantFrom(...FORBIDDEN),
      fc.string({ unit: 'binary' }),
    ),
  )
  .map((parts) => parts.join(''));
const HOSTILE = `a${[...FORBIDDEN].join('')}\x1b]0;b`;

describe('visible', () => {
  test('of any text nothing is left that orders or turns, and the rest stays', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(forbidden(visible(text))).toEqual([]);
        expect(forbidden(visibleLines(text), '\n')).toEqual([]);
        expect(visible(visible(text))).toBe(visible(text));
        const kept = (of: string) => [...of].filter((one) => !FORBIDDEN.has(one)).join('');
        const shown = [...FORBIDDEN].reduce((rest, one) => rest.replaceAll(one, visible(one)), text);
        expect(visible(text)).toBe(shown);
        if (kept(text) === text) expect(visible(text)).toBe(text);
      }),
    );
  });
  test('what is not shown as itself is told', () => {
    expect(visible('\x1b[2Ja\u009b\u202eb\nc\td')).toBe('\\u001b[2Ja\\u009b\\u202eb\\nc\td');
    expect(visibleLines('a\r\nb')).toBe('a\\r\nb');
    expect(visible('ä → 🐧 – …')).toBe('ä → 🐧 – …');
  });
  test('JSON with it is the same JSON', () => {
    fc.assert(
      fc.property(fc.array(hostile), (texts) => {
        const json = visibleLines(JSON.stringify({ texts }, null, 2));
        expect(forbidden(json, '\n')).toEqual([]);
        expect(JSON.parse(json)).toEqual({ texts });
      }),
    );
  });
  test('data keeps its shape', () => {
    expect(visibleIn({ a: ['\x1b', 1, null], b: { c: undefined, d: true } })).toEqual({
      a: ['\\u001b', 1, null],
      b: { c: undefined, d: true },
    });
  });
});

/** The data with every text that is no word of the gate's own made hostile. */
function spoilt<T>(data: T): T {
  const words = new Set(['outcome', 'status', 'verdict', 'kind', 'whose', 'result']);
  const spoil = (value: unknown, key = ''): unknown => {
    if (typeof value === 'string') return words.has(key) ? value : `${value}${HOSTILE}\n${value}`;
    if (Array.isArray(value)) return value.map((one) => spoil(one, key));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, spoil(one, name)]));
  };
  return spoil(data) as T;
}

const PLAIN = { write() {}, colour: false };
const exampleOf = async (build: string) => (await exampleSources(0).explain(build)) as Explanation;

describe('what commands print', () => {
  test('explain and status hold no order to a terminal and no line that is not theirs', async () => {
    for (const build of ['4711', '4730']) {
      const example = await exampleOf(build);
      const text = explanationText(PLAIN, spoilt(example));
      expect(forbidden(text, '\n')).toEqual([]);
      // A line break within a text would pose as a line of the gate.
      expect(text.split('\n')).toHaveLength(explanationText(PLAIN, example).split('\n').length);
      const rows = statusTable(PLAIN, spoilt(example.runs.map(lineOf)));
      expect(forbidden(rows, '\n')).toEqual([]);
      expect(rows.split('\n')).toHaveLength(example.runs.length + 2);
    }
  });
  test('any table cell', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostile, hostile)), (rows) => {
        const text = table([['A', 'B'], ...rows]);
        expect(forbidden(text, '\n')).toEqual([]);
        expect(text.split('\n')).toHaveLength(rows.length + 2);
      }),
    );
  });
  test('lines of the journal as they happen', () => {
    const written: string[] = [];
    const progress = createProgress({ write: (text) => void written.push(text), colour: false }, false);
    progress.entry({
      at: 0,
      kind: 'verdict',
      gate: 'c9s',
      build: 1,
      nvr: HOSTILE,
      run: null,
      text: `${HOSTILE}\n`,
    });
    expect(forbidden(written.join(''), '\n')).toEqual([]);
    expect(written.join('').split('\n')).toHaveLength(2);
  });
  test('standard output, whatever a command forgets', () => {
    const terminal = (isTTY: boolean) => {
      const written: string[] = [];
      const stream = { isTTY, write: (text: string) => written.push(text) > 0 };
      return { written, output: standardOutput(stream as unknown as NodeJS.WriteStream, {}) };
    };
    fc.assert(
      fc.property(hostile, (text) => {
        const { written, output } = terminal(false);
        output.write(text);
        expect(forbidden(written.join(''), '\n')).toEqual([]);
        const coloured = terminal(true);
        coloured.output.write(text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control characters
        const uncoloured = coloured.written.join('').replace(/\x1b\[(2|22|3\d)m/g, '');
        expect(forbidden(uncoloured, '\n')).toEqual([]);
      }),
    );
    const { written, output } = terminal(true);
    output.write(`${paint(output, 'block')} and ${paint(output, 'expired')}\n`);
    output.write('below', 3);
    expect(written.join('')).toBe('\x1b[31mblock\x1b[39m and \x1b[2mexpired\x1b[22m\n\x1b[3A\x1b[Jbelow');
  });
  test('mistakes in a configuration', async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'gate.toml');
    writeFileSync(file, '[koji]\nserver = "\\u001b]0;x\\nforged: line\\u009b"\n"\\u202ekey" = 1\n');
    let text = '';
    const code = await configCheck(file, (more) => {
      text += more;
    });
    expect(code).toBe(2);
    expect(forbidden(text, '\n')).toEqual([]);
    expect(text).not.toMatch(/^forged/m);
  });
  test('errors on standard error, also of the command line', async () => {
    for (const args of [
      ['explain', 'x', '--config', `no\x1b]0;such\nforged\u009b`],
      ['expl\x1bain\u009b\u202e'],
      ['check', '--kernel', 'no\x1b[2Jsuch\u009b', '--', 'x\x1bc'],
    ]) {
      const { code, stderr } = await runProgram(...args);
      expect(code).toBe(2);
      expect(forbidden(stderr, '\n')).toEqual([]);
      expect(stderr).toContain('\\u001b');
    }
  });
});

describe('the log', () => {
  const logged = (format: LogFormat, text: string): string => {
    let written = '';
    const log = createLog(format, 'info', {
      write: (line) => {
        written += line;
      },
    });
    log.child({ part: 'koji' }).warn({ reason: text, err: new Error(text) }, text);
    return written;
  };
  test('is one line of JSON, the same JSON', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const line = logged('json', text);
        expect(forbidden(line, '\n')).toEqual([]);
        expect(line.split('\n')).toHaveLength(2);
        expect(JSON.parse(line)).toMatchObject({ reason: text, msg: text });
      }),
    );
  });
  test('made readable holds no orders, and its messages end no line', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const format of ['pretty', 'journald'] as const)
          expect(forbidden(logged(format, text), '\n')).toEqual([]);
      }),
    );
    expect(logged('pretty', 'x\nforged')).not.toMatch(/^forged/m);
  });
});
