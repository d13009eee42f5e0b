import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareEvr, matcher, sourceRpmPath } from '../../src/core/names.ts';
import { rpmvercmp } from '../../src/kabi/evr.ts';

describe('rpmvercmp', () => {
  test.each([
    ['1.0', '<', '1.1'],
    ['1.9', '<', '1.10'],
    ['1.0', '=', '1.00'],
    ['1.0', '<', '1.0.1'],
    ['1.0a', '<', '1.0.1'],
    ['1.0', '<', '1.0a'],
    ['2.0~rc1', '<', '2.0'],
    ['2.0~rc1', '<', '2.0~rc2'],
    ['2.0', '<', '2.0^git1'],
    ['2.0^git1', '<', '2.0.1'],
    ['70.el9', '<', '70.2.1.el9'],
    ['427.9.el9', '<', '427.13.1.el9_4'],
    ['6.1.192', '=', '6_1_192'],
    ['20260101123456789012', '<', '20260101123456789013'],
  ])('%s %s %s', (a, sign, b) => {
    const order = sign === '=' ? 0 : -1;
    expect(rpmvercmp(a, b)).toBe(order);
    expect(rpmvercmp(b, a)).toBe(-order || 0);
  });
  test('an epoch outweighs any version', () => {
    expect(
      compareEvr({ epoch: 1, version: '1', release: '1' }, { epoch: null, version: '9', release: '9' }),
    ).toBeGreaterThan(0);
  });
});

test('patterns match whole names, as a shell does', () => {
  const kmods = matcher(['kmod-*', 'v?box']);
  expect(['kmod-', 'kmod-a', 'akmod-a', 'vxbox', 'vbox', 'kmodxa'].filter(kmods)).toEqual([
    'kmod-',
    'kmod-a',
    'vxbox',
  ]);
  expect(matcher(['a.b+c'])('a.b+c')).toBe(true);
  expect(matcher(['a.b'])('aXb')).toBe(false);
});

/** What a pattern means, by the table of all its beginnings and all those of the name. */
function matchesByTable(pattern: string, name: string): boolean {
  let row = [true, ...Array.from(name, () => false)];
  for (const mark of pattern.split('')) {
    const above = row;
    row = [mark === '*' && above[0] === true];
    for (let i = 1; i <= name.length; i++)
      row[i] =
        mark === '*'
          ? above[i] === true || row[i - 1] === true
          : above[i - 1] === true && (mark === '?' || mark === name[i - 1]);
  }
  return row.at(-1) === true;
}

test('patterns match what the table of their meaning says', () => {
  const text = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 12 });
  const any = fc.string({ unit: 'binary', maxLength: 6 });
  const pairs = fc.oneof(
    fc.tuple(text('a', 'b', '*', '?'), text('a', 'b')),
    fc.tuple(text('a', '*', '?', '.', '\n', '[', '\\'), text('a', '*', '.', '\n', '[', '\\')),
    fc.tuple(any, any),
  );
  fc.assert(
    fc.property(pairs, ([pattern, name]) => {
      expect(matcher([pattern])(name)).toBe(matchesByTable(pattern, name));
    }),
    { numRuns: 2_000 },
  );
});

test('a pattern of many stars is answered at once', () => {
  const long = 'a'.repeat(5_000);
  expect(matcher([`${'*a'.repeat(7)}*b`])('a'.repeat(48))).toBe(false);
  expect(matcher([`${'*a'.repeat(1_000)}*b`])(long)).toBe(false);
  expect(matcher([`${'*a'.repeat(1_000)}*`])(long)).toBe(true);
}, 5_000);

test('a source rpm is named by its path below work', () => {
  const build = { name: 'kmod-bbswitch', version: '0.8', release: '1.el9', volume_name: 'DEFAULT' };
  expect(sourceRpmPath(build)).toBe(
    '../packages/kmod-bbswitch/0.8/1.el9/src/kmod-bbswitch-0.8-1.el9.src.rpm',
  );
  expect(sourceRpmPath({ ...build, volume_name: 'slow' })).toMatch(/^\.\.\/vol\/slow\/packages\//);
  expect(sourceRpmPath({ ...build, release: '1.el9,draft_7' })).toBe(
    '../packages/kmod-bbswitch/0.8/1.el9,draft_7/src/kmod-bbswitch-0.8-1.el9.src.rpm',
  );
});
