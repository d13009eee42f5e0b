/** Completion and the manual page hold every command and option; bash and man take them as they are. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLine } from '../../src/commands/commandline.ts';
import { completion, flat, SHELLS, tell } from '../../src/commands/completion.ts';
import { manual } from '../../src/commands/manual.ts';
import { installed } from '../services.ts';

const program = commandLine({ setExit: () => {}, stopSignal: () => new AbortController().signal });
const all = flat(tell(program));
const BASH = '/bin/bash';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What bash offers where the last of the words is being typed. */
function complete(...words: string[]): string[] {
  const file = join(folder, 'completion.bash');
  writeFileSync(file, completion('bash', program));
  const typed = ['kmod-gate', ...words].map((word) => `'${word}'`).join(' ');
  const script = `source ${file}; COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _kmod_gate; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync(BASH, ['-c', script], { encoding: 'utf8', cwd: folder }).trimEnd().split('\n');
}

test('there are the commands', () => {
  const names = all.map(({ path }) => path.join(' '));
  for (const name of [
    'status',
    'explain',
    'demo kernel',
    'config check',
    'stablelist suggest',
    'man',
    'completion',
  ])
    expect(names).toContain(name);
  expect(names).not.toContain('help');
});

describe.each(SHELLS)('%s', (shell) => {
  const script = completion(shell, program);
  test.each(all.map((one) => [one.path.join(' ') || 'kmod-gate', one] as const))(
    'has %s',
    (_, { path, options }) => {
      for (const word of path) expect(script).toMatch(new RegExp(`\\b${word}\\b`));
      for (const { long, short } of options) {
        if (long) expect(script).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
        if (short) expect(script).toContain(shell === 'fish' ? `-s ${short.slice(1)}` : short);
      }
    },
  );
});

describe.skipIf(!installed(BASH, 'bash'))('in a real bash', () => {
  test.each(all.map((one) => [one.path.join(' ') || 'kmod-gate', one] as const))(
    'every word of %s',
    (_, { path, options, commands }) => {
      const offered = complete(...path, '');
      for (const one of commands) expect(offered).toContain(one.path.at(-1));
      for (const { long } of options) if (long) expect(offered).toContain(long);
    },
    20_000,
  );

  test('what is begun is completed, and nothing of another command', () => {
    expect(complete('expl')).toEqual(['explain']);
    expect(complete('explain', '--f')).toEqual(['--format']);
    expect(complete('config', 'ch')).toEqual(['check']);
    expect(complete('status', '--for')).toEqual(['']);
  });

  test('values are choices or files', () => {
    expect(complete('explain', '--format', '')).toEqual(['text', 'markdown', 'html', 'json']);
    expect(complete('status', '--verdict', 'b')).toEqual(['block']);
    expect(complete('completion', 'x')).toEqual(['']);
    writeFileSync(join(folder, 'mine.toml'), '');
    expect(complete('status', '-c', 'mi')).toEqual(['mine.toml']);
    expect(complete('config', 'check', 'mi')).toEqual(['mine.toml']);
    expect(complete('status', '--limit', '')).toEqual(['']);
  });
});

describe('the manual page', () => {
  const page = manual(program, '1.2.3');

  test.each(all.map((one) => [one.path.join(' ') || 'kmod-gate', one] as const))(
    'has %s',
    (name, { path, options }) => {
      const from = path.length === 0 ? 0 : page.indexOf(`.SS "kmod\\-gate ${name.replaceAll('-', '\\-')}`);
      expect(from).toBeGreaterThanOrEqual(0);
      const next = page.indexOf('\n.S', from + 1);
      const section = path.length === 0 ? page : page.slice(from, next);
      for (const { long } of options) if (long) expect(section).toContain(long.replaceAll('-', '\\-'));
    },
  );

  test('no text is an order of roff', () => {
    const orders = page.match(/^[.'].*/gm) ?? [];
    for (const order of orders) expect(order).toMatch(/^\.(TH|SH|SS|TP|TQ|B|I|BR) ?/);
  });

  test.skipIf(!installed('/usr/bin/man', 'man-db') || !installed('/usr/bin/groff', 'groff'))(
    'man shows it without a warning',
    () => {
      const file = join(folder, 'kmod-gate.1');
      writeFileSync(file, page);
      const { stderr, status } = spawnSync('/usr/bin/groff', ['-man', '-Tutf8', '-ww', '-z', file], {
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const shown = execFileSync('/usr/bin/man', ['-l', file], {
        encoding: 'utf8',
        env: {
          ...process.env,
          MANPAGER: 'cat',
          MANWIDTH: '100',
          GROFF_NO_SGR: '',
          MAN_KEEP_FORMATTING: '',
          LC_ALL: 'C.UTF-8',
        },
      });
      expect(shown).toContain('kmod-gate explain <kernel|kmod>');
      expect(shown).toMatch(
        /--format <format>\n\s+What to print; markdown is for a ticket\. One of text, markdown, html, json\./,
      );
      expect(shown).toMatch(/EXIT STATUS\n\s+0 {2,}Fine\./);
    },
  );
});
