/** `kmod-gate stablelist suggest`: what kmods need that a list lacks, by how many need it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type SuggestOptions, suggest } from '../../src/commands/suggest.ts';
import type { Config } from '../../src/config/config.ts';
import { parseStablelist } from '../../src/kabi/text.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { SMALL } from '../scenarios/stage.ts';
import { modversions, writeElf } from '../symbols/elf.ts';
import { runProgram } from './program.ts';

const KMODS = fileURLToPath(new URL('../../config/demo/kmods', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-suggest-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, data: string | Uint8Array) => {
  writeFileSync(join(folder, name), data);
  return join(folder, name);
};

async function suggested(options: Partial<SuggestOptions>): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const config = () => Promise.reject(new Error('no configuration is needed'));
  await suggest({ write, colour: false }, { kmods: [], config, format: 'text', ...options });
  return text;
}
const suggestedJson = async (options: Partial<SuggestOptions>) =>
  JSON.parse(await suggested({ ...options, format: 'json' }));

describe('of real kmods', () => {
  /** Counted by the shell: how many of the files have each symbol. */
  const counted = execFileSync('sh', ['-c', `cut -f2 "$1"/* | sort | uniq -c`, 'sh', KMODS], {
    encoding: 'utf8',
  });
  const counts = new Map(
    counted
      .trim()
      .split('\n')
      .map((it) => it.trim().split(' '))
      .map(([count, symbol = '']) => [symbol, Number(count)]),
  );

  test('each symbol, by how many need it', async () => {
    const { kmods, needed, symbols } = await suggestedJson({ kmods: [KMODS] });
    expect(kmods).toBe(readdirSync(KMODS).length);
    expect(needed).toBe(counts.size);
    const found = symbols.map((it: { symbol: string; kmods: string[] }) => [it.symbol, it.kmods.length]);
    expect(new Map(found)).toEqual(counts);
    const numbers = found.map(([, count]: [string, number]) => count);
    expect(numbers).toEqual(numbers.toSorted((a: number, b: number) => b - a));
  });
  test('as lines for a list, after which nothing is missing', async () => {
    const lines = await suggested({ kmods: [KMODS], format: 'list' });
    const list = `[list]\n${lines}`;
    expect([...parseStablelist(list, 'list').symbols].sort()).toEqual([...counts.keys()].sort());
    const stablelist = file('list', list);
    expect(await suggestedJson({ kmods: [KMODS], stablelist })).toMatchObject({ symbols: [] });
    const most = file('most', `[list]\n\tkfree\n`);
    const text = await suggested({ kmods: [KMODS], stablelist: most });
    expect(text).toContain(
      `12 kmods need ${counts.size} symbols of the kernel, and ${counts.size - 1} of those are`,
    );
    expect(text).toMatch(/^__fentry__ +12 +kmod-acpi-call/m);
    expect(text).not.toMatch(/^kfree /m);
  });
});

describe('what is no kernel’s', () => {
  const X86 = { wordSize: 64, littleEndian: true, machine: 62 } as const;
  const sections = {
    '.modinfo': Buffer.from('name=giver\0license=GPL\0'),
    __versions: modversions(X86, { kfree: 1 }),
  };
  const giver = file(
    'giver.ko',
    writeElf(X86, sections, [{ name: '__crc_giver_open', section: 'absolute', value: 2 }]),
  );
  const taker = file('taker.modversions', '0x1\tkfree\n0x2\tgiver_open\n');
  const kernel = file('kernel.symvers', '0x1\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n');

  test('is left out where the kernel is told, and counted', async () => {
    const found = await suggestedJson({ kmods: [giver, taker], kernel: [kernel] });
    expect(found).toMatchObject({ needed: 1, elsewhere: 1, symbols: [{ symbol: 'kfree' }] });
  });
  test('without a kernel, what one of the kmods gives is left out', async () => {
    expect(await suggestedJson({ kmods: [giver, taker] })).toMatchObject({ needed: 1, elsewhere: 1 });
    expect(await suggestedJson({ kmods: [taker] })).toMatchObject({ needed: 2, elsewhere: 0 });
  });
});

test('the kmods of a tag, on the hub', async () => {
  const server = await serveWorld(createWorld(loadScenario(SMALL)));
  const config = async () =>
    ({ koji: { server: server.url, authtype: 'noauth', timeout: 2_000 } }) as unknown as Config;
  try {
    const { symbols } = await suggestedJson({ kmodsTag: 'kmods9s-release', config });
    expect(symbols[0]).toEqual({
      symbol: 'module_layout',
      kmods: ['kmod-alpha-1.0-1.el9', 'kmod-beta-2.1-3.el9', 'kmod-gamma-0.8-1.el9'],
    });
  } finally {
    await server.close();
  }
});

test('on the command line', async () => {
  const { code, stdout } = await runProgram('stablelist', 'suggest', '--format', 'list', KMODS);
  expect(code).toBe(0);
  expect(stdout.split('\n').slice(0, 2)).toEqual(stdout.split('\n').slice(0, 2).toSorted());
  const none = await runProgram('stablelist', 'suggest');
  expect(none).toMatchObject({ code: 2, stdout: '' });
  expect(none.stderr).toMatch(/^no kmod to go by/);
});
