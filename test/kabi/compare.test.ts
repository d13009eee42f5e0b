import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blame } from '../../src/kabi/blame.ts';
import { compareKernels, compareKmod, compareKmods } from '../../src/kabi/compare.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import type { ExportedSymbol, KernelSymbols, Kmod, SymbolTable } from '../../src/kabi/model.ts';

type Crcs = Readonly<Record<string, number>>;

const imported = (crcs: Crcs) => Object.entries(crcs).map(([symbol, crc]) => ({ symbol, crc }));
const exported = (crcs: Crcs, provider: string): SymbolTable =>
  new Map(Object.entries(crcs).map(([name, crc]) => [name, { name, crc, provider }]));

const kernel = (crcs: Crcs, more: Partial<KernelSymbols> = {}): KernelSymbols => ({
  ...{ arch: null, variant: null, symbols: exported(crcs, 'vmlinux') },
  ...more,
});
const kmod = (
  imports: Crcs,
  more: Partial<Kmod> & { kernels?: Crcs; kmods?: Crcs; own?: Crcs } = {},
): Kmod => ({
  ...{ name: 'kmod-a', arch: null, variant: null, imports: imported(imports) },
  ...{ kernelImports: imported(more.kernels ?? {}), kmodImports: imported(more.kmods ?? {}) },
  exports: exported(more.own ?? {}, 'kmod-a'),
  ...more,
});
const many = (from: number, to: number, crc = 1): Crcs =>
  Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`symbol_${from + i}`, crc]));

const KERNEL = kernel({ printk: 1, kfree: 2, schedule: 3 });

describe('a kmod against a kernel', () => {
  const told = (it: Kmod, against = KERNEL, others: readonly Kmod[] = []) => {
    const { answer, cause, missing, changed } = compareKmod(it, against, others);
    const hits = [
      ...missing.map(({ symbol }) => `-${symbol}`),
      ...changed.map(({ symbol, required, provided }) => `${symbol} ${required} → ${provided}`),
    ];
    return [answer + (cause ? `: ${cause}` : ''), ...hits].join(', ');
  };
  const other = kmod({}, { name: 'kmod-o', own: { o_get: 7, printk: 99 } });
  /** Its rpm provides `kernel(o_get)`. */
  const o_get = { name: 'o_get', crc: 7, provider: 'kmod-k', asKernel: true } as const;
  const kernelLike = kmod({}, { name: 'kmod-k', exports: new Map([['o_get', o_get]]) });

  test.each<[string, string, string]>([
    ['all it needs', told(kmod({ printk: 1, kfree: 2 })), 'compatible'],
    ['one changed', told(kmod({ printk: 1, kfree: 9 })), 'incompatible, kfree 9 → 2'],
    ['one, and that is changed', told(kmod({ kfree: 9 })), 'incompatible, kfree 9 → 2'],
    ['one gone', told(kmod({ printk: 1, gone: 2 })), 'incompatible, -gone'],
    ['needs nothing', told(kmod({})), 'inconclusive: no-requirements'],
    ['no modversions', told(kmod({}, { unversioned: true })), 'inconclusive: no-modversions'],
    ['no name in common', told(kmod({ a: 1, b: 2 })), 'inconclusive: nothing-in-common, -a, -b'],
    [
      'another architecture',
      told(kmod({ printk: 5 }, { arch: 'aarch64' }), kernel({ printk: 1 }, { arch: 'x86_64' })),
      'inconclusive: other-arch, printk 5 → 1',
    ],
    [
      'another flavour',
      told(kmod({ printk: 1 }, { variant: 'rt' }), kernel({ printk: 1 }, { variant: 'default' })),
      'inconclusive: other-variant',
    ],
    [
      'the same variant',
      told(kmod({ printk: 1 }, { variant: 'rt' }), kernel({ printk: 1 }, { variant: 'rt' })),
      'compatible',
    ],
    ['from another kmod', told(kmod({ printk: 1 }, { kmods: { o_get: 7 } }), KERNEL, [other]), 'compatible'],
    [
      'from another kmod, changed',
      told(kmod({ printk: 1 }, { kmods: { o_get: 8 } }), KERNEL, [other]),
      'incompatible, o_get 8 → 7',
    ],
    [
      'from a kmod that is not given',
      told(kmod({ printk: 1 }, { kmods: { o_get: 7 } })),
      'inconclusive: kmod-not-given, -o_get',
    ],
    [
      'the same, and broken',
      told(kmod({ printk: 2 }, { kmods: { o_get: 7 } })),
      'incompatible, -o_get, printk 2 → 1',
    ],
    ['from whom is not told', told(kmod({ printk: 1, o_get: 7 }), KERNEL, [other]), 'compatible'],
    [
      'from another module of its own',
      told(kmod({ printk: 1 }, { kmods: { mine: 4 }, own: { mine: 4 } })),
      'compatible',
    ],
    [
      'what its rpm needs of a kmod, and the kernel has',
      told(kmod({ printk: 1 }, { kmods: { kfree: 2 } })),
      'inconclusive: kmod-not-given, -kfree',
    ],
    [
      'what its rpm needs of the kernel, and another kmod has',
      told(kmod({}, { kernels: { printk: 1, o_get: 7 } }), KERNEL, [other]),
      'incompatible, -o_get',
    ],
    [
      'the same, and it has that itself',
      told(kmod({}, { kernels: { printk: 1, mine: 4 }, own: { mine: 4 } })),
      'incompatible, -mine',
    ],
    [
      'what its rpm needs of the kernel, with the CRC that another kmod has',
      told(kmod({}, { kernels: { kfree: 2, printk: 99 } }), KERNEL, [other]),
      'incompatible, printk 99 → 1',
    ],
    [
      'what its rpm needs of the kernel, and a kmod provides as if it were one',
      told(kmod({}, { kernels: { printk: 1, o_get: 7 } }), KERNEL, [kernelLike]),
      'compatible',
    ],
    [
      'what its rpm needs of a kmod, and one provides as if it were a kernel',
      told(kmod({ printk: 1 }, { kmods: { o_get: 7 } }), KERNEL, [kernelLike]),
      'inconclusive: kmod-not-given, -o_get',
    ],
    [
      'needs of all kinds',
      told(
        kmod({ kfree: 2, o_get: 7 }, { kernels: { printk: 1 }, kmods: { mine: 4 }, own: { mine: 4 } }),
        KERNEL,
        [other],
      ),
      'compatible',
    ],
    [
      'all that its rpm needs of the kernel is gone',
      told(kmod({}, { kernels: { a: 1 }, kmods: { o_get: 7 } }), KERNEL, [other]),
      'inconclusive: nothing-in-common, -a',
    ],
  ])('%s', (_, found, expected) => expect(found).toBe(expected));

  test('says whose each symbol is', () => {
    const it = compareKmod(kmod({ printk: 9 }, { kmods: { o_get: 7 } }), KERNEL, [other]);
    expect(it).toEqual({
      kmod: 'kmod-a',
      imports: 2,
      missing: [],
      changed: [{ symbol: 'printk', required: 9, provided: 1, provider: 'vmlinux' }],
      fromKmods: [{ symbol: 'o_get', crc: 7, provider: 'kmod-o' }],
      fromBroken: [],
      remarks: [],
      answer: 'incompatible',
      cause: null,
    });
  });
  test('of several offers the one that fits counts, of kmods of its own kind', () => {
    const p = kmod({ printk: 1 }, { name: 'kmod-p', own: { shared: 5 } });
    const q = kmod({ printk: 1 }, { name: 'kmod-q', own: { shared: 6 } });
    const user = kmod({ printk: 1 }, { name: 'kmod-u', kmods: { shared: 6 } });
    expect(told(user, KERNEL, [p, q])).toBe('compatible');
    const kernel2 = kernel({ printk: 1, shared: 4 });
    expect(told(kmod({ printk: 1, shared: 6 }), kernel2, [p, q])).toBe('compatible');
    const foreign = { ...q, arch: 'aarch64' };
    expect(told({ ...user, arch: 'x86_64' }, KERNEL, [foreign, p])).toBe('incompatible, shared 6 → 5');
  });
  test('a kmod that cannot be read: what it may give is not known, and what the kernel lacks is gone all the same', () => {
    const giver = kmod({ printk: 1 }, { name: 'kmod-giver', own: { given: 5 } });
    const shown = (...kmods: Kmod[]) =>
      compareKmods(kmods, KERNEL, undefined, ['kmod-giver']).map(
        ({ kmod: name, answer, cause }) => `${name} ${answer} ${cause}`,
      );
    const user = (kernels: Crcs, kmods: Crcs) => kmod({}, { name: 'kmod-user', kernels, kmods });
    // Part of it was read, and that gives the symbol.
    expect(shown(user({ printk: 1 }, { given: 5 }), giver)[0]).toBe('kmod-user inconclusive kmod-untold');
    expect(shown(user({ printk: 1 }, { other: 6 }), giver)[0]).toBe('kmod-user inconclusive kmod-not-read');
    expect(shown(user({ printk: 1, nowhere: 3 }, { other: 6 }), giver)[0]).toBe(
      'kmod-user incompatible null',
    );
    expect(shown(user({ printk: 9 }, { other: 6 }), giver)[0]).toBe('kmod-user incompatible null');
    expect(shown(user({ printk: 1 }, {}), giver)[0]).toBe('kmod-user compatible null');
  });
  test('a kernel that is not known whole: what needs a kmod of which it may have all is as unclear', () => {
    const partial = { ...KERNEL, partial: 'one rpm cannot be read' };
    const giver = kmod({ printk: 1, nowhere: 3 }, { name: 'kmod-giver', own: { given: 5 } });
    const user = kmod({ printk: 1 }, { name: 'kmod-user', kmods: { given: 5 } });
    const shown = compareKmods([user, giver], partial).map(({ answer, cause }) => `${answer} ${cause}`);
    expect(shown).toEqual(['inconclusive kmod-untold', 'inconclusive kernel-not-whole']);
    // What is broken for sure breaks it for sure.
    const broken = { ...giver, imports: [{ symbol: 'printk', crc: 9 }] };
    const far = kmod({ printk: 1 }, { name: 'kmod-far', kmods: { own: 7 } });
    const near = kmod(
      { printk: 1 },
      { name: 'kmod-near', kmods: { given: 5, of_untold: 8 }, own: { own: 7 } },
    );
    const untold = kmod({ printk: 1, nowhere: 3 }, { name: 'kmod-untold', own: { of_untold: 8 } });
    expect(compareKmods([far, near, broken, untold], partial).map(({ answer }) => answer)).toEqual([
      'incompatible',
      'incompatible',
      'incompatible',
      'inconclusive',
    ]);
  });
  test('a kmod whose provider does not load does not load either, however long the chain', () => {
    const p = kmod({ printk: 9 }, { name: 'kmod-p', own: { of_p: 5 } });
    const q = kmod({ printk: 1 }, { name: 'kmod-q', kmods: { of_p: 5 }, own: { of_q: 6 } });
    const r = kmod({ printk: 1 }, { name: 'kmod-r', kmods: { of_q: 6 } });
    const found = compareKmods([r, q, p], KERNEL);
    expect(found.map(({ kmod: name, answer }) => [name, answer])).toEqual([
      ['kmod-r', 'incompatible'],
      ['kmod-q', 'incompatible'],
      ['kmod-p', 'incompatible'],
    ]);
    expect(found[0]?.fromBroken).toEqual([{ symbol: 'of_q', crc: 6, provider: 'kmod-q' }]);
    const untold = compareKmods([r, q, { ...p, imports: [] }], KERNEL);
    expect(untold.map(({ answer, cause }) => `${answer} ${cause}`)).toEqual([
      'inconclusive kmod-untold',
      'inconclusive kmod-untold',
      'inconclusive no-requirements',
    ]);
  });
  describe('not one CRC is the same: it does not load, however many it needs', () => {
    const rebuilt = kernel(many(0, 100, 2));
    test.each<[string, Crcs, string]>([
      ['one', many(0, 1), 'incompatible'],
      ['few: that may be so by chance', many(0, 19), 'incompatible'],
      ['many: that has one cause', many(0, 20), 'incompatible: no-crc-in-common'],
      ['many, and some are gone', many(90, 120), 'incompatible: no-crc-in-common'],
      ['many, and one fits', { ...many(0, 40), symbol_50: 2 }, 'incompatible'],
      ['many, and not even a name is there', many(200, 240), 'inconclusive: nothing-in-common'],
    ])('%s', (_, imports, expected) => {
      expect(told(kmod(imports), rebuilt).split(',')[0]).toBe(expected);
    });
  });
  test('nothing of what it needs is there: the baseline tells whose fault that is', () => {
    const small = kmod({ a: 1, b: 2 }, { name: 'kmod-small', own: { of_small: 5 } });
    const user = kmod({ printk: 1 }, { name: 'kmod-user', kmods: { of_small: 5 } });
    const shown = (baseline?: KernelSymbols) =>
      compareKmods([small, user], KERNEL, baseline).map(({ answer, cause }) => `${answer} ${cause}`);
    const had = { a: 1, b: 2, printk: 1 };
    expect(shown()).toEqual(['inconclusive nothing-in-common', 'inconclusive kmod-untold']);
    expect(shown(kernel({ ...had, b: 3 }))[0]).toBe('inconclusive nothing-in-common');
    expect(shown(kernel({ printk: 1 }))[0]).toBe('inconclusive nothing-in-common');
    expect(shown(kernel(had))).toEqual(['incompatible null', 'incompatible null']);
    expect(blame(compareKmods([small], KERNEL, kernel(had))).symbols.map(({ symbol }) => symbol)).toEqual([
      'a',
      'b',
    ]);
    const foreign = kernel(had, { arch: 'aarch64' });
    expect(compareKmods([{ ...small, arch: 'x86_64' }], KERNEL, foreign)[0]?.answer).toBe('inconclusive');
  });
  test('names that every object has are symbols like others', () => {
    expect(told(kmod({ constructor: 1, __proto__x: 1 }))).toBe(
      'inconclusive: nothing-in-common, -constructor, -__proto__x',
    );
  });
});

describe('two kernels', () => {
  test('added, removed, changed: whose, and whether on the stablelist', () => {
    const difference = compareKernels(
      exported({ same: 1, gone: 2, moved: 3, kept: 4 }, 'kernel-core'),
      exported({ same: 1, moved: 30, kept: 40, fresh: 5 }, 'kernel-modules'),
      new Set(['moved', 'gone', 'absent']),
    );
    expect(difference).toEqual({
      common: 3,
      added: [{ symbol: 'fresh', crc: 5, provider: 'kernel-modules', stable: false }],
      removed: [{ symbol: 'gone', crc: 2, provider: 'kernel-core', stable: true }],
      changed: [
        { symbol: 'moved', before: 3, after: 30, provider: 'kernel-modules', stable: true },
        { symbol: 'kept', before: 4, after: 40, provider: 'kernel-modules', stable: false },
      ],
      reexported: [],
      everythingChanged: false,
    });
  });
  describe('the same CRC, exported in another way', () => {
    const [PLAIN, GPL] = ['EXPORT_SYMBOL', 'EXPORT_SYMBOL_GPL'];
    type How = Pick<ExportedSymbol, 'exportType' | 'namespace'>;
    const as = (how: How): SymbolTable =>
      new Map([['a', { name: 'a', crc: 1, provider: 'vmlinux', ...how }]]);
    test.each<[string, How, How, boolean | null]>([
      ['became GPL-only', { exportType: PLAIN, namespace: '' }, { exportType: GPL, namespace: '' }, true],
      [
        'is no longer GPL-only',
        { exportType: GPL, namespace: '' },
        { exportType: PLAIN, namespace: '' },
        false,
      ],
      [
        'came into a namespace',
        { exportType: GPL, namespace: '' },
        { exportType: GPL, namespace: 'N' },
        true,
      ],
      ['into another one', { exportType: GPL, namespace: 'M' }, { exportType: GPL, namespace: 'N' }, true],
      ['left its namespace', { exportType: GPL, namespace: 'N' }, { exportType: GPL, namespace: '' }, false],
      [
        'left it, GPL-only now',
        { exportType: PLAIN, namespace: 'N' },
        { exportType: GPL, namespace: '' },
        true,
      ],
      [
        'was unused',
        { exportType: 'EXPORT_UNUSED_SYMBOL', namespace: '' },
        { exportType: PLAIN, namespace: '' },
        false,
      ],
      [
        'is to become GPL-only',
        { exportType: PLAIN, namespace: '' },
        { exportType: 'EXPORT_SYMBOL_GPL_FUTURE', namespace: '' },
        false,
      ],
      ['as before', { exportType: GPL, namespace: 'N' }, { exportType: GPL, namespace: 'N' }, null],
      ['one does not tell, as of an rpm', {}, { exportType: GPL, namespace: 'N' }, null],
      ['one tells no namespace, as of a .ko', { exportType: GPL }, { exportType: GPL, namespace: 'N' }, null],
    ])('%s', (_, before, after, narrower) => {
      const { reexported, changed, common } = compareKernels(as(before), as(after), new Set('a'));
      const of = { symbol: 'a', provider: 'vmlinux', stable: true };
      expect(reexported).toEqual(narrower === null ? [] : [{ ...of, before, after, narrower }]);
      expect([changed, common]).toEqual([[], 1]);
    });
    test('is no case of its own where the CRC changed too', () => {
      const after = new Map([['a', { name: 'a', crc: 2, provider: 'x', exportType: GPL, namespace: '' }]]);
      const found = compareKernels(as({ exportType: PLAIN, namespace: '' }), after);
      expect([found.changed.length, found.reexported.length]).toEqual([1, 0]);
    });
  });
  test.each([
    [1000, 950, true],
    [1000, 949, false],
    [999, 999, false],
    [20_000, 15_000, false],
  ])('of %d common symbols %d changed: everything changed is %s', (common, changes, expected) => {
    const before = exported(many(0, common), 'vmlinux');
    const after = exported({ ...many(0, common), ...many(0, changes, 2) }, 'vmlinux');
    expect(compareKernels(before, after).everythingChanged).toBe(expected);
  });
  test('no symbol is lost, and the way back is the way there', () => {
    const table = fc.dictionary(fc.constantFrom(...'abcdefgh'), fc.nat(3)).map((it) => exported(it, 'x'));
    fc.assert(
      fc.property(table, table, (a, b) => {
        const [there, back] = [compareKernels(a, b), compareKernels(b, a)];
        expect(there.common + there.added.length).toBe(b.size);
        expect(there.common + there.removed.length).toBe(a.size);
        expect(there.added).toEqual(back.removed);
        expect(there.changed.length).toBe(back.changed.length);
      }),
    );
  });
});

test('blame leaves out a kmod of which not one CRC fits: no symbol is to blame', () => {
  const against = kernel(many(0, 100, 2));
  const foreign = kmod(many(0, 50), { name: 'kmod-foreign' });
  const hit = kmod({ symbol_1: 2, symbol_2: 1 }, { name: 'kmod-hit' });
  expect(blame(compareKmods([foreign, hit], against)).kmods).toEqual([
    { kmod: 'kmod-hit', symbols: ['symbol_2'] },
  ]);
});

test('blame: the symbols that hit most kmods first, and what hits each kmod', () => {
  const against = kernel({ printk: 10, kfree: 20, same: 1 });
  const kmods = [
    kmod({ same: 1, kfree: 2, gone: 4 }, { name: 'kmod-b' }),
    kmod({ same: 1, kfree: 3, printk: 1 }, { name: 'kmod-c' }),
    kmod({ same: 1 }, { name: 'kmod-fine' }),
    kmod({ nothing: 1, common: 1 }, { name: 'kmod-foreign' }),
  ];
  expect(blame(kmods.map((it) => compareKmod(it, against)))).toEqual({
    symbols: [
      {
        symbol: 'kfree',
        provided: { crc: 20, provider: 'vmlinux' },
        hits: [
          { kmod: 'kmod-b', required: 2 },
          { kmod: 'kmod-c', required: 3 },
        ],
      },
      { symbol: 'gone', provided: null, hits: [{ kmod: 'kmod-b', required: 4 }] },
      {
        symbol: 'printk',
        provided: { crc: 10, provider: 'vmlinux' },
        hits: [{ kmod: 'kmod-c', required: 1 }],
      },
    ],
    kmods: [
      { kmod: 'kmod-b', symbols: ['gone', 'kfree'] },
      { kmod: 'kmod-c', symbols: ['kfree', 'printk'] },
    ],
  });
});

describe('a kernel of parts', () => {
  const part = (name: string, crcs: Crcs, more: Partial<KernelSymbols> = {}) => ({
    ...{ name, arch: 'x86_64', variant: '', exports: exported(crcs, name) },
    ...more,
  });
  test('is all of them together', () => {
    const whole = combineKernel([
      part('core', { a: 1 }, { arch: null }),
      part('modules', { b: 2, a: 1 }),
      part('internal', {}),
    ]);
    expect(whole).toMatchObject({ arch: 'x86_64', variant: '' });
    const shown = ({ name, crc, provider }: ExportedSymbol) => `${name} ${crc} ${provider}`;
    expect([...whole.symbols.values()].map(shown)).toEqual(['a 1 core', 'b 2 modules']);
  });
  test.each<[string, ReturnType<typeof part>[], string]>([
    [
      'two kernels',
      [part('core', { a: 1 }), part('newer', { a: 2 })],
      'newer: it has a = 0x00000002 of newer, another has a = 0x00000001 of core',
    ],
    [
      'two architectures',
      [part('core', { a: 1 }), part('arm', { b: 2 }, { arch: 'aarch64' })],
      'arm: it has arch aarch64, another has x86_64',
    ],
    [
      'two variants',
      [part('core', { a: 1 }), part('rt', { b: 2 }, { variant: 'rt' })],
      'rt: it has variant rt, another has plain',
    ],
    ['no symbol', [part('core', {}), part('docs', {})], 'core, docs: no kernel symbol in it'],
  ])('%s are refused', (_, parts, problem) => expect(() => combineKernel(parts)).toThrow(problem));
});
