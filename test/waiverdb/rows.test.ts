/** Which records of a WaiverDB waive. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { madeAt, readRows, UnreadableError } from '../../src/waiverdb/rows.ts';

const WANTED = { testcase: 'kmod-gate.c9s', productVersion: 'el-9' };
const row = (id: number, more: Record<string, unknown> = {}) => ({
  ...{ id, subject_type: 'koji_build', subject_identifier: 'kernel-6.1-1.el9', testcase: 'kmod-gate.c9s' },
  ...{ product_version: 'el-9', scenario: null, waived: true, username: 'ada', proxied_by: null },
  ...{ comment: 'so', timestamp: '2026-12-01T10:00:00.123456', ...more },
});
const holding = (...rows: unknown[]) => readRows(rows, WANTED, () => false).holding.map(({ id }) => id);

test.each<[string, number[], unknown[]]>([
  ['one', [1], [row(1)]],
  [
    'a newer one of the same in place of an older one, whoever gives it',
    [2],
    [row(1), row(2, { username: 'grace' })],
  ],
  [
    'none that a newer one takes back, whoever does',
    [],
    [row(1), row(2, { waived: false, username: 'grace' })],
  ],
  ['one that is given again', [3], [row(1), row(2, { waived: false }), row(3)]],
  ['one of a kmod, and one of all', [1, 2], [row(1, { scenario: 'kmod-a' }), row(2)]],
  [
    'none of a kmod, once that of all is taken back',
    [],
    [row(1, { scenario: 'kmod-a' }), row(2, { waived: false })],
  ],
  [
    'none of all, once that of a kmod is taken back',
    [],
    [row(1), row(2, { waived: false, scenario: 'kmod-a' })],
  ],
  [
    'one of another kmod than that which is taken back',
    [1],
    [row(1, { scenario: 'kmod-a' }), row(2, { waived: false, scenario: 'kmod-b' })],
  ],
  ['none of another testcase', [], [row(1, { testcase: 'kmod-gate.c8s' })]],
  ['none of another product version', [], [row(1, { product_version: 'el-8' })]],
  ['none of another kind of subject', [], [row(1, { subject_type: 'compose' })]],
  [
    'none with a pattern in place of a kernel',
    [],
    [row(1, { subject_identifier: 'kernel-*-1' }), row(2, { subject_identifier: '*' })],
  ],
  ['none for the kernel that comes next', [], [row(1, { subject_identifier: 'next' })]],
  [
    'none with a pattern in place of a kmod, or without a name',
    [],
    [row(1, { scenario: 'kmod-*' }), row(2, { scenario: '' })],
  ],
  [
    'none that is not plainly waived',
    [],
    [row(1, { waived: 'true' }), row(2, { waived: 1 }), row(3, { waived: null })],
  ],
  ['none of nobody', [], [row(1, { username: '  ' })]],
  [
    'none before one that cannot be read: it may take it back',
    [3],
    [row(1), row(2, { waived: 'no' }), row(3)],
  ],
])('%s', (_, ids, rows) => {
  expect(holding(...rows)).toEqual(ids);
  expect(holding(...rows.toReversed())).toEqual(ids);
});

test.each([
  [null],
  [7],
  [{}],
  [row(1, { id: '1' })],
  [row(1, { id: 0 })],
  [row(1, { subject_identifier: null })],
])('a record that cannot be told apart makes the list worth nothing: %j', (broken) => {
  expect(() => holding(row(5), broken)).toThrow(UnreadableError);
});

test('what cannot be read is told', () => {
  const { unread } = readRows([row(2, { waived: 'no' })], WANTED, () => false);
  expect(unread).toEqual([
    expect.stringMatching(/^record 2 of kernel-6\.1-1\.el9: waived: .*expected boolean/),
  ]);
});

test('times are UTC where they name no zone', () => {
  expect(madeAt({ timestamp: '2026-12-01T10:00:00.123456' })).toBe(Date.UTC(2026, 11, 1, 10, 0, 0, 123));
  expect(madeAt({ timestamp: '2026-12-01T10:00:00+01:00' })).toBe(Date.UTC(2026, 11, 1, 9));
  expect(madeAt({ timestamp: 'yesterday' })).toBeUndefined();
});

test('whatever the list, what holds is a waiver that nothing newer speaks against', () => {
  const scenario = fc.constantFrom(null, 'kmod-a', 'kmod-b', '*');
  const some = fc.record({
    ...{ scenario, waived: fc.constantFrom<unknown>(true, false, 'x') },
    ...{
      subject_identifier: fc.constantFrom('kernel-1-1', 'kernel-2-1', 'kernel-*'),
      username: fc.constantFrom('ada', 'grace', ''),
    },
  });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 8 }), (all) => {
      const rows = all.map((more, i) => row(i + 1, more));
      for (const held of readRows(rows, WANTED, () => false).holding) {
        expect(held).toMatchObject({ waived: true, username: expect.stringMatching(/./) });
        expect(held.subject_identifier + held.scenario).not.toContain('*');
        const against = rows.filter(
          (one) =>
            one.id > held.id &&
            one.subject_identifier === held.subject_identifier &&
            one.waived !== true &&
            (one.waived !== false ||
              one.username === '' ||
              one.scenario === null ||
              held.scenario === null ||
              one.scenario === held.scenario),
        );
        expect(against).toEqual([]);
      }
    }),
  );
});
