/** `check` and `why` in the formats of pipelines: well-formed, complete, and harmless whatever names come from outside. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type CheckOptions, check } from '../../src/commands/check.ts';
import { UnreadError } from '../../src/commands/error.ts';
import { why } from '../../src/commands/why.ts';
import { BTF } from '../btf/kernels.ts';
import { type Node, readXml } from '../sim/xmlshape.ts';
import { runProgram } from './program.ts';

const config = () => Promise.reject(new Error('no configuration is needed'));
const DEMO = fileURLToPath(new URL('../../config/demo/', import.meta.url));
const KMODS = join(DEMO, 'kmods');
const symvers = (version: string) => join(DEMO, `${version}.symvers.gz`);
const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-formats-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, data: Uint8Array | string): string => {
  writeFileSync(join(folder, name), data);
  return join(folder, name);
};
const lines = (...all: string[]) => all.map((it) => `${it}\n`).join('');
const types = (version: '6.1.170' | '6.1.176') => file(`${version}.btf`, BTF[version]);

/** What standard output has, in a format. */
async function printed(options: Partial<CheckOptions> & Pick<CheckOptions, 'format'>): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const all: CheckOptions = {
    ...{ kernel: [symvers('6.1.176')], kmods: [], json: false },
    config,
    ...options,
  };
  await check({ write, colour: false }, all).catch((error) => {
    if (!(error instanceof UnreadError)) throw error;
  });
  return text;
}

/** A small kernel, and kmods of each outcome; one's name is what nobody would call it. */
const small = {
  kernel: [
    file('now.symvers', lines('0x1\tkfree\tvmlinux\tEXPORT_SYMBOL', '0x3\tprintk\tvmlinux\tEXPORT_SYMBOL')),
  ],
  baseline: [
    file('then.symvers', lines('0x1\tkfree\tvmlinux\tEXPORT_SYMBOL', '0x2\tprintk\tvmlinux\tEXPORT_SYMBOL')),
  ],
};
const EVIL = '`<b>|x@all" &amp;]]>\u001b[2J\ufffe\u202e#1';
const FINE = file('fine.modversions', lines('0x1\tkfree'));
const BROKEN = file(`${EVIL}.modversions`, lines('0x1\tkfree', '0x2\tprintk'));
const LOST = file('lost.modversions', lines('0x7\tgone'));
const kmods = [FINE, BROKEN, LOST];
const severities = file('severities', 'SYMBOL printk FAIL\n');

/** All elements of a document in their order; throws where it is not well-formed. */
const elementsOf = (xml: string): Node[] => {
  const all = (node: Node): Node[] => node.children.flatMap((child) => [child, ...all(child)]);
  return all(readXml(xml));
};

describe('JUnit XML', () => {
  test('a test case for each kmod: broken is a failure, inconclusive an error', async () => {
    const xml = await printed({ ...small, kmods, severities, format: 'junit' });
    const elements = elementsOf(xml);
    const [suites] = elements;
    expect(suites).toMatchObject({
      name: 'testsuites',
      attributes: { tests: '4', failures: '2', errors: '1' },
    });
    const results = elements.flatMap(({ name, attributes }, i) =>
      name === 'testcase' ? [[attributes['name'], elements[i + 1]?.name]] : [],
    );
    expect(results.slice(0, 1)).toEqual([['fine', 'testcase']]);
    expect(results.slice(1).map(([, result]) => result)).toEqual(['failure', 'error', 'failure']);
    expect(results[3]?.[0]).toBe('severities severities');
    expect(elements.find(({ name }) => name === 'failure')).toMatchObject({
      attributes: { type: 'broken', message: '1 of its 2 symbols has another CRC' },
      text: 'printk 0x00000002 → 0x00000003, in vmlinux',
    });
  });
  test('whatever is in a name, it is XML, and no terminal obeys it', async () => {
    const xml = await printed({ ...small, kmods, format: 'junit' });
    const names = elementsOf(xml).map(({ attributes }) => attributes['name']);
    expect(names).toContain('`<b>|x@all" &amp;]]>\\u001b[2J\ufffd\\u202e#1');
  });
  test('a file that cannot be read is an error', async () => {
    const mixed = mkdtempSync(join(folder, 'mixed-'));
    writeFileSync(join(mixed, 'a.ko'), '\x7fELF');
    writeFileSync(join(mixed, 'fine.modversions'), readFileSync(FINE));
    const elements = elementsOf(await printed({ ...small, kmods: [mixed], format: 'junit' }));
    expect(elements[0]?.attributes).toMatchObject({ tests: '2', errors: '1' });
    expect(elements.find(({ name }) => name === 'error')?.attributes).toMatchObject({ type: 'unread' });
  });
});

describe('SARIF', () => {
  const of = async (options: Partial<CheckOptions>) =>
    JSON.parse(await printed({ ...options, format: 'sarif' }));

  test('a result for each kmod that is broken or of which nothing can be said, with its rule', async () => {
    const { version, runs } = await of({ ...small, kmods, severities });
    expect(version).toBe('2.1.0');
    const [{ tool, results, invocations }] = runs;
    expect(invocations).toEqual([{ executionSuccessful: true, toolExecutionNotifications: [] }]);
    expect(results.map(({ ruleId, level }: Record<string, string>) => [ruleId, level])).toEqual([
      ['kmod-broken', 'error'],
      ['kmod-inconclusive', 'warning'],
      ['promise-broken', 'error'],
    ]);
    for (const { ruleId, ruleIndex, locations } of results) {
      expect(tool.driver.rules[ruleIndex].id).toBe(ruleId);
      const { uri } = locations[0].physicalLocation.artifactLocation;
      // RFC 3986: a relative reference without a colon or a slash.
      expect(uri).toMatch(/^[\w.!~*'()%-]+$/);
    }
    expect(results[0].message.text).toContain('printk 0x00000002 → 0x00000003, in vmlinux');
    expect(results[0].properties.symbols).toEqual(['printk']);
  });
  test('where the types are at hand, what in the kernel’s source changed', async () => {
    const { runs } = await of({
      ...{ kernel: [types('6.1.176'), symvers('6.1.176')], baseline: [types('6.1.170'), symvers('6.1.170')] },
      kmods: [KMODS],
    });
    const { results, properties } = runs[0];
    expect(results).toHaveLength(12);
    expect(results[0].message.text).toMatch(/^Changed by .*struct device/m);
    expect(properties.causes[0]).toMatchObject({
      ...{ name: 'struct device', changes: ['+ unsigned long flags[1]'] },
      ...{ size: { was: 744, now: 752 }, kmods: 12, exports: 6143 },
    });
    const prints = results.map((it: { partialFingerprints: object }) =>
      JSON.stringify(it.partialFingerprints),
    );
    expect(new Set(prints).size).toBe(12);
  });
});

describe('Markdown', () => {
  test('causes first, then the kmods, then the symbols, folded', async () => {
    const text = await printed({
      ...{ kernel: [types('6.1.176'), symvers('6.1.176')], baseline: [types('6.1.170'), symvers('6.1.170')] },
      ...{ kmods: [KMODS], format: 'markdown' },
    });
    const at = [
      '### kmod-gate check: 12 of 12 kmods do not load into this kernel\n',
      '- `struct device`: `+ unsigned long flags[1]` (752 bytes, was 744) – 12 kmods, 6143 exports\n',
      '| `kmod-jool-dkms-4.1.9-1.el9` | broken | 53 of its 126 symbols have another CRC | `struct device`, ',
      '<details><summary>Symbols of <code>kmod-jool-dkms-4.1.9-1.el9</code> (53)</summary>\n\n| Symbol |',
    ].map((part) => text.indexOf(part));
    expect(at).not.toContain(-1);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
    expect(text.match(/<details>/g)).toHaveLength(text.match(/^<\/details>$/gm)?.length ?? 0);
    // GitHub takes no more in a comment.
    expect(text.length).toBeLessThan(65_536);
  });
  test('nothing in a name is markup, a mention, or another cell', async () => {
    const text = await printed({ ...small, kmods, format: 'markdown' });
    const [row = ''] = text.split('\n').filter((it) => it.includes('x@all') && it.startsWith('|'));
    expect(row).toBe(
      '| `` `<b>\\|x@all" &amp;]]>\\u001b[2J\ufffe\\u202e#1 `` | broken | 1 of its 2 symbols has another CRC |',
    );
    expect(text).toContain('<code>&#96;&#60;b&#62;|x@all&#34; &#38;amp;]]&#62;\\u001b[2J');
  });
  test('of many kmods it is no longer than GitHub takes, and says what is left out', async () => {
    const many = mkdtempSync(join(folder, 'many-'));
    const needs = Array.from({ length: 60 }, (_, i) => `0x2\tprintk_of_a_rather_long_name_${i}`);
    const symbols = (crc: string) => needs.map((it) => `${it.replace('0x2', crc)}\tvmlinux\tEXPORT_SYMBOL`);
    for (let i = 0; i < 150; i++) writeFileSync(join(many, `kmod-number-${i}.modversions`), lines(...needs));
    const text = await printed({
      ...{ kernel: [file('many-now.symvers', lines(...symbols('0x3')))], kmods: [many], format: 'markdown' },
    });
    expect(text.length).toBeLessThan(65_536);
    expect(text).toContain('\n\nand 50 more\n');
    expect(text).toMatch(/The symbols of \d+ more are left out\.\n$/);
    expect(text.match(/<details>/g)).toHaveLength(text.match(/^<\/details>$/gm)?.length ?? 0);
  });
  test('of a fine kernel', async () => {
    const text = await printed({ ...small, kmods: [FINE], format: 'markdown' });
    expect(text).toMatch(/^### kmod-gate check: every kmod loads into this kernel \(1\)\n/);
    expect(text).toContain('<details><summary>1 fine</summary>\n\n- `fine`\n');
  });
});

describe('why', () => {
  const whyIn = async (
    format: 'junit' | 'sarif' | 'markdown',
    more: { symbol?: string; kmods?: string[] },
  ) => {
    let text = '';
    const write = (part: string) => {
      text += part;
    };
    const kernels = {
      baseline: [types('6.1.170'), symvers('6.1.170')],
      kernel: [types('6.1.176'), symvers('6.1.176')],
    };
    await why({ write, colour: false }, { ...kernels, kmods: [], json: false, format, config, ...more });
    return text;
  };
  test('of kmods: a failure each, with what changed them', async () => {
    const elements = elementsOf(await whyIn('junit', { kmods: [KMODS] }));
    expect(elements[0]?.attributes).toMatchObject({ tests: '12', failures: '12' });
    const jool = elements.findIndex(({ attributes }) => attributes['name'] === 'kmod-jool-dkms-4.1.9-1.el9');
    expect(elements[jool + 1]?.text).toMatch(/^changed by struct device\n/);
  });
  test('of no kmod, the kernel itself; of a symbol, that', async () => {
    const [result] = JSON.parse(await whyIn('sarif', {})).runs[0].results;
    expect(result).toMatchObject({ ruleId: 'kernel-changed', level: 'note' });
    expect(result.message.text).toContain('18107 of 24618 symbols changed');
    const elements = elementsOf(await whyIn('junit', { symbol: 'pci_enable_device' }));
    expect(elements.find(({ name }) => name === 'testcase')?.attributes).toMatchObject({
      name: 'pci_enable_device',
    });
    expect(await whyIn('markdown', { symbol: 'pci_enable_device' })).toContain(
      'pci_enable_device changed: pci_dev.dev',
    );
  });
});

describe('on the command line', () => {
  const args = ['check', '--kernel', small.kernel[0] ?? '', '--'];
  const out = (name: string) => join(folder, name);

  test('several files beside the text, each in the format of its ending; exit codes as ever', async () => {
    const files = ['r.sarif', 'r.xml', 'r.md', 'r.json', 'r.txt'].map(out);
    const asked = ['check', ...files.flatMap((it) => ['--output', it]), ...args.slice(1), FINE, BROKEN];
    const { code, stdout } = await runProgram(...asked);
    expect(code).toBe(1);
    const [sarif = '', xml = '', markdown, json = '', text] = files.map((it) => readFileSync(it, 'utf8'));
    expect(JSON.parse(sarif).runs[0].results).toHaveLength(1);
    expect(elementsOf(xml)[0]?.name).toBe('testsuites');
    expect(markdown).toMatch(/^### kmod-gate check: 1 of 2 kmods does not load/);
    expect(JSON.parse(json).kmods).toHaveLength(2);
    expect(text).toBe(stdout);
    expect((await runProgram(...args, FINE)).code).toBe(0);
  });
  test('--json is --format json', async () => {
    const [json, format] = [['--json'], ['--format', 'json']].map((option) =>
      runProgram('check', ...option, ...args.slice(1), FINE),
    );
    expect((await format)?.stdout).toBe((await json)?.stdout);
  });
  test('what cannot be is told before anything is read', async () => {
    const both = await runProgram('check', '--json', '--format', 'sarif', ...args.slice(1), FINE);
    expect(both).toMatchObject({ code: 2, stdout: '' });
    const ending = await runProgram('check', '--output', out('r.doc'), ...args.slice(1), FINE);
    expect(ending).toMatchObject({ code: 2, stdout: '' });
    expect(ending.stderr).toContain('must end with one of .txt, .md, .json, .xml, .sarif');
    const nowhere = await runProgram('check', '--output', out('no/r.md'), ...args.slice(1), FINE);
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toMatch(/^--output .*no\/r\.md: cannot be written: ENOENT/);
  });
});
