/** Twelve real kmods against four real kernels, and all of it once more by other code. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { blame } from '../../src/kabi/blame.ts';
import { compareKernels, compareKmod } from '../../src/kabi/compare.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';

const DEMO = fileURLToPath(new URL('../../config/demo', import.meta.url));
const KERNELS = ['6.1.170', '6.1.176', '6.1.187', '6.1.192'] as const;
const KMODS = readdirSync(`${DEMO}/kmods`);

const read = (path: string) => readSymbolFile(readFileSync(`${DEMO}/${path}`), path);
const kernels = await Promise.all(
  KERNELS.map(async (version) => combineKernel([await read(`${version}.symvers.gz`)])),
);
const kmods = await Promise.all(KMODS.map((file) => read(`kmods/${file}`)));

/** The second computation: lines of text, CRCs as they are written, no code of the project. */
const lines = (text: string) => text.trimEnd().split('\n');
const written = KERNELS.map((version) =>
  lines(gunzipSync(readFileSync(`${DEMO}/${version}.symvers.gz`)).toString()).map((line) => line.split('\t')),
);
const crcs = written.map((kernel) => Object.fromEntries(kernel.map(([crc, symbol]) => [symbol, crc])));
const hex = (crc: number) => `0x${(crc + 2 ** 32).toString(16).slice(1)}`;

describe('kmods', () => {
  test('there are twelve, and each loads into the first kernel', () => {
    expect(kmods.length).toBe(12);
    const answers = kmods.map((kmod) => kernels[0] && compareKmod(kmod, kernels[0]).answer);
    expect(new Set(answers)).toEqual(new Set(['compatible']));
  });
  test.each(KERNELS.map((version, i) => [version, i] as const))(
    'against %s, as counted from text',
    (_, i) => {
      const kernel = kernels[i];
      for (const [k, kmod] of kmods.entries()) {
        const wanted = lines(readFileSync(`${DEMO}/kmods/${KMODS[k]}`, 'utf8')).map((line) =>
          line.split('\t'),
        );
        const changed: string[] = [];
        const missing: string[] = [];
        for (const [crc, symbol = ''] of wanted) {
          const provided = crcs[i]?.[symbol];
          if (provided === undefined) missing.push(symbol);
          else if (provided !== crc) changed.push(`${symbol} ${crc} ${provided}`);
        }
        const found = kernel && compareKmod(kmod, kernel);
        const shown = found?.changed.map(
          ({ symbol, required, provided }) => `${symbol} ${hex(required)} ${hex(provided)}`,
        );
        expect(found?.imports).toBe(wanted.length);
        expect(shown).toEqual(changed);
        expect(found?.missing.map(({ symbol }) => symbol)).toEqual(missing);
        expect(found?.answer).toBe(changed.length + missing.length > 0 ? 'incompatible' : 'compatible');
      }
    },
  );
  test('blame says the same from both sides', () => {
    const kernel = kernels[1];
    const { symbols, kmods: hit } = blame(kernel ? kmods.map((kmod) => compareKmod(kmod, kernel)) : []);
    const pairs = symbols.flatMap(({ symbol, hits }) => hits.map(({ kmod }) => `${kmod} ${symbol}`));
    const back = hit.flatMap(({ kmod, symbols: those }) => those.map((symbol) => `${kmod} ${symbol}`));
    expect(pairs.toSorted()).toEqual(back.toSorted());
    expect(pairs.length).toBe(286);
    expect(hit.length).toBe(12);
  });
});

describe('kernels', () => {
  test.each([
    [0, 1, { changed: 18_107, added: 7, removed: 3 }],
    [1, 2, { changed: 8_905, added: 25, removed: 4 }],
    [2, 3, { changed: 18_261, added: 52, removed: 12 }],
    [3, 3, { changed: 0, added: 0, removed: 0 }],
  ] as const)('from number %d to %d', (from, to, counts) => {
    const [before, after] = [kernels[from], kernels[to]];
    if (!before || !after) throw new Error('no such kernel');
    const { added, removed, changed, everythingChanged } = compareKernels(before.symbols, after.symbols);
    expect({ changed: changed.length, added: added.length, removed: removed.length }).toEqual(counts);
    expect(everythingChanged).toBe(false);

    const [old, now] = [crcs[from] ?? {}, crcs[to] ?? {}];
    const differing = Object.keys(now).filter((symbol) => symbol in old && old[symbol] !== now[symbol]);
    expect(changed.map(({ symbol }) => symbol)).toEqual(differing);
    expect(changed.every(({ symbol, after: crc }) => hex(crc) === now[symbol])).toBe(true);
    expect(removed.map(({ symbol }) => symbol)).toEqual(
      Object.keys(old).filter((symbol) => !(symbol in now)),
    );
  });
  test('a new CRC generator changes everything, and is told apart', () => {
    const symbols = kernels[0]?.symbols ?? new Map();
    const regenerated = new Map(
      [...symbols].map(([name, it]) => [name, { ...it, crc: (it.crc ^ 1) >>> 0 }] as const),
    );
    expect(compareKernels(symbols, regenerated).everythingChanged).toBe(true);
  });
});

test('500 kmods against 20 kernels', () => {
  let compatible = 0;
  for (let k = 0; k < 20; k++)
    for (let m = 0; m < 500; m++) {
      const [kernel, kmod] = [kernels[k % 4], kmods[m % 12]];
      if (kernel && kmod && compareKmod(kmod, kernel).answer === 'compatible') compatible++;
    }
  expect(compatible).toBe(5 * 500);
});
