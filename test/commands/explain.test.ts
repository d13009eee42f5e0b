/** `explain` of a kernel and of a kmod, in each form, with texts that would like to be obeyed. */
import { describe, expect, test } from 'vitest';
import { type ExplainFormat, explainCommand } from '../../src/commands/explain.ts';
import type { Records } from '../../src/commands/records.ts';
import type { KmodHistory } from '../../src/report/matrix.ts';
import type { Explanation } from '../../src/report/report.ts';
import { exampleSources } from '../http/example.ts';

const EVIL = 'a`b``</code><script>alert(1)</script>|@all #1 \u001b]0;x\u0007\u202e [x](javascript:alert(1))';
const KERNEL = 'kernel-6.12.0-141.el10';
const GATE = {
  ...{ name: 'el10', watch: 'kernels-el10-gate', kmods: { tag: 'kmods10' } },
  on_fail: { tag: ['kernels-el10-blocked'], untag: ['kernels-el10-gate'] },
};

async function kernel(): Promise<Explanation> {
  const found = await exampleSources(0).explain('4711');
  if (!found) throw new Error('no such kernel');
  return found;
}

async function history(): Promise<KmodHistory> {
  const [run] = (await kernel()).runs;
  const kmod = run?.kmods.find(({ name }) => name === 'kmod-jool');
  if (!run || !kmod) throw new Error('no such kmod');
  const place = { run: run.run, gate: 'el10', build: 4711, nvr: KERNEL, at: 0 };
  return {
    name: 'kmod-jool',
    troubles: [
      {
        ...{
          gate: 'el10',
          run: run.run,
          build: 4711,
          nvr: KERNEL,
          kmod,
          since: place,
          who: 'the maintainer',
        },
        source: 'struct genl_ops',
        steps: [{ does: 'try again', command: 'kmod-gate retry x' }],
      },
    ],
    cells: [
      { ...place, outcome: 'broken' },
      { ...place, gate: 'other', outcome: 'ok' },
    ],
    more: true,
  };
}

const records = (explanation: Explanation | undefined, kmod?: KmodHistory): Records => ({
  runs: async () => ({ runs: [], older: null }),
  explain: async () => explanation,
  waivers: async () => [],
  kmod: async (name) => (name === kmod?.name ? kmod : undefined),
  gates: async () => [GATE],
  near: async (name) => `; near ${name}`,
});

async function explain(
  from: Records,
  subject: string,
  options: { format?: ExplainFormat; gate?: string; kmod?: string } = {},
): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const output = { colour: false, write };
  await explainCommand(from, output, subject, { format: 'text', ...options });
  return text;
}

describe('a kernel', () => {
  test('says who must act, and the command', async () => {
    const text = await explain(records(await kernel()), KERNEL);
    expect(text).toMatch(/^What to do: the maintainer of kmod-jool$/m);
    expect(text).toContain(`      koji move-build kernels-el10-blocked kernels-el10-gate ${KERNEL}\n`);
  });

  test('as Markdown it has headings, a table, links, and what is fine is folded', async () => {
    const text = await explain(records(await kernel()), KERNEL, { format: 'markdown' });
    expect(text).toMatch(/^### `kernel-6\.12\.0-141\.el10` at gate `el10`: \*\*block\*\*, \*\*done\*\*\n/);
    expect(text).toContain('\n#### What to do\n\nTo act: the maintainer of kmod-jool.\n');
    expect(text).toContain('\n| **broken** | `kmod-jool-4.1.14-2.el10` | kmod | [`task 9117`](https://koji.');
    expect(text).toContain('<details><summary>10 fine</summary>\n\n- `kmod-acpi-call-1.2.2-3.el10`\n');
  });

  test('as HTML it stands alone: no script, no style sheet and no picture of others', async () => {
    const text = await explain(records(await kernel()), KERNEL, { format: 'html' });
    expect(text).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(text).not.toMatch(/<(script|link|img|iframe)|url\(|src=/i);
    expect(text).toContain('<a href="https://koji.example.org/koji/taskinfo?taskID=9117">task 9117</a>');
  });

  test('JSON is what it is', async () => {
    const explanation = await kernel();
    expect(JSON.parse(await explain(records(explanation), KERNEL, { format: 'json' }))).toEqual(
      JSON.parse(JSON.stringify(explanation)),
    );
  });

  test('of some kmods it has no reasons, causes and errors of others', async () => {
    const whole = await explain(records(await kernel()), KERNEL, { kmod: 'kmod-jool', format: 'markdown' });
    const [text = ''] = whole.split('<summary>History');
    expect(text).toContain('kmod-jool-4.1.14-2.el10');
    expect(text).not.toContain('kmod-vendor-reset');
    expect(text).not.toContain('kmod-acpi-call-1.2.2-3.el10');
    // Who must act for the kernel is told where that kmod is.
    expect(text).toContain('the maintainer of kmod-jool');
    const other = await explain(records(await kernel()), KERNEL, { kmod: 'kmod-drbd' });
    expect(other).not.toContain('What to do');
  });

  test('what there is not is an error that says what there is', async () => {
    const from = records(await kernel());
    await expect(explain(from, KERNEL, { gate: 'x' })).rejects.toThrow(
      `${KERNEL} has not stood before gate x`,
    );
    await expect(explain(from, KERNEL, { kmod: 'x*' })).rejects.toThrow('--kmod x*: ');
  });
});

describe('a kmod', () => {
  test.each(['kmod-jool', 'kmod-jool-4.1.14-2.el10'])(
    '%s: its cells, since when, and what mends it',
    async (name) => {
      const text = await explain(records(undefined, await history()), name);
      expect(text).toMatch(/^Kmod kmod-jool\n/);
      expect(text).toContain('At gate other: nothing is wrong with it.');
      expect(text).toMatch(/^At gate el10: broken$/m);
      expect(text).toMatch(/^ {2}So since kernel-6\.12\.0-141\.el10, \d{4}-/m);
      expect(text).toMatch(/^ {2}1\. try again: kmod-gate retry x$/m);
      expect(text).toMatch(/^ {2}OUTCOME {2}KERNEL {18}GATE {3}SINCE$/m);
      expect(text).toContain('Older kernels are left out.');
    },
  );

  test('at one gate', async () => {
    const from = records(undefined, await history());
    expect(await explain(from, 'kmod-jool', { gate: 'other' })).not.toContain('el10:');
    await expect(explain(from, 'kmod-jool', { gate: 'none' })).rejects.toThrow('not tried at gate none');
  });

  test('one that was never tried is named, and what is near; a name is no NVR for its dashes', async () => {
    const from = records(undefined, await history());
    await expect(explain(from, 'kmod-jool-more-yet')).rejects.toThrow(
      'kmod-jool-more-yet: no such kernel and no such kmod in the store; "kmod-gate status" lists the kernels; near kmod-jool-more-yet',
    );
  });
});

describe('what others wrote is obeyed by nobody', () => {
  async function evil(format: ExplainFormat): Promise<string> {
    const explanation = await kernel();
    const runs = explanation.runs.map((run) => ({
      ...run,
      ...{ state: EVIL, reasons: [EVIL], url: 'javascript:alert(1)' },
      kmods: run.kmods.map((kmod) => ({
        ...{ ...kmod, cause: EVIL, waived: EVIL },
        errors: kmod.errors.map((error) => ({ ...error, message: EVIL })),
        tasks: [{ id: 1, url: 'https://koji.example.org/a)b|<c>' }],
      })),
    }));
    const journal = explanation.journal.map((entry) => ({ ...entry, text: EVIL }));
    const kmods = { ...(await history()), troubles: [] };
    const whole = await explain(records({ ...explanation, runs, journal }), KERNEL, { format });
    return whole + (await explain(records(undefined, kmods), 'kmod-jool', { format }));
  }

  test.each(['text', 'markdown', 'html'] as const)('%s', async (format) => {
    const text = await evil(format);
    expect(text).toContain('alert(1)');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are looked for
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    if (format === 'html') expect(text).not.toMatch(/<script|href="javascript/i);
  });

  test('in Markdown it stays within its code, its cell and its address', async () => {
    const text = await evil('markdown');
    // All code of whatever fence taken out, nothing is left of it.
    const rest = text
      .replace(/^(`{3,})\n[\s\S]*?\n\1$/gm, '')
      .replace(/(?<!`)(`+)(?!`)(?:(?!\1(?!`))[\s\S])*?\1(?!`)/g, '');
    expect(rest).not.toMatch(/<script|@all|javascript:/);
    expect(text).toContain('(https://koji.example.org/a%29b%7c%3Cc%3E)');
    const rows = text.split('\n').filter((line) => line.startsWith('| **') && line.includes('task'));
    for (const row of rows) expect(row.replaceAll('\\|', '').split('|')).toHaveLength(7);
    expect(rows.length).toBeGreaterThan(1);
  });
});
