/** What is new in a changelog: in the forms that makers of kernels write, and where it does not go on from the older one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChangelogEntry, newLines } from '../../src/changelog/lines.ts';

const DAY = 86_400;
/** Noon of a day of November 2026, as rpm has it. */
const noon = (day: number): number => Date.UTC(2026, 10, day, 12) / 1000;
const entry = (day: number, ...lines: string[]): ChangelogEntry => ({
  at: noon(day),
  author: 'Jane Doe <jane@example.org> [5.14.0-1.el9]',
  text: lines.join('\n'),
});
const texts = (before: ChangelogEntry[], after: ChangelogEntry[]) =>
  newLines(before, after).lines.map(({ text }) => text);

const OLD = [entry(2, '- mm: old (Ann) [RHEL-1]'), entry(1, '- net: older (Bob) [RHEL-2]')];

describe('what is new', () => {
  test('line by line, the newest first', () => {
    const found = newLines(OLD, [
      entry(5, '- fs: newest (Ann) [RHEL-4]', '- fs: and one more (Ann) [RHEL-4]'),
      entry(4, '- net: new (Bob) [RHEL-3]'),
      ...OLD,
    ]);
    expect(found.lines.map(({ text }) => text)).toEqual([
      'fs: newest (Ann) [RHEL-4]',
      'fs: and one more (Ann) [RHEL-4]',
      'net: new (Bob) [RHEL-3]',
    ]);
    expect(found).toMatchObject({ repeated: 0, gap: null });
  });
  test('a change that the older kernel has under another date is counted, not shown', () => {
    const zstream = [entry(3, '- net: fixed twice (Bob) [RHEL-5]'), ...OLD];
    const found = newLines(zstream, [entry(4, '- net: fixed twice (Bob) [RHEL-5]', '- x: y'), ...OLD]);
    expect(found.lines.map(({ text }) => text)).toEqual(['x: y']);
    expect(found.repeated).toBe(1);
    expect(found.gap).toMatch(/^1 line of the older changelog is not in the newer one: it was rebased/);
  });
  test('the same line twice counts once', () => {
    expect(texts(OLD, [entry(5, '- a: b'), entry(4, '- a: b'), ...OLD])).toEqual(['a: b']);
  });
  test('what was cut off of the older one is not new', () => {
    expect(texts(OLD.slice(0, 1), [entry(3, '- c: d'), ...OLD])).toEqual(['c: d']);
  });
  test('what the newer one cut off is not missed', () => {
    expect(newLines(OLD, [entry(3, '- c: d'), ...OLD.slice(0, 1)]).gap).toBeNull();
  });
  test('nothing is new in the older of two', () => {
    const both = [entry(3, '- c: d'), ...OLD];
    expect(newLines(both, OLD).lines).toEqual([]);
  });
});

describe('where it does not go on', () => {
  test.each<[string, ChangelogEntry[], ChangelogEntry[], RegExp]>([
    [
      'begins anew',
      OLD,
      [entry(9, '- Linux v6.6.1')],
      /^the newer changelog begins on 2026-11-09, after the older one ends on 2026-11-02: what came between/,
    ],
    [
      'is of another branch',
      OLD,
      [entry(3, '- c: d'), entry(2, '- e: f')],
      /^the two changelogs share no entry/,
    ],
    ['is not there', OLD, [], /^the newer kernel has no changelog$/],
    ['was not there', [], OLD, /^the older kernel has no changelog$/],
  ])('it %s', (_, before, after, gap) => {
    expect(newLines(before, after).gap).toMatch(gap);
  });
  test('without an older one nothing is called new', () => {
    expect(texts([], OLD)).toEqual([]);
  });
});

describe('lines', () => {
  const lineOf = (...text: string[]) => newLines(OLD, [entry(3, ...text), ...OLD]).lines;
  test.each<[string, string[], string[]]>([
    ['- net: foo (A B) [RHEL-123 RHEL-124] {CVE-2024-26581}', ['RHEL-123', 'RHEL-124'], ['CVE-2024-26581']],
    ['- [fs] foo (A B) [1234567 2345678]', ['rhbz#1234567', 'rhbz#2345678'], []],
    ['- foo (bsc#1228716 jsc#PED-123 CVE-2024-1234).', ['bsc#1228716', 'jsc#PED-123'], ['CVE-2024-1234']],
    ['- foo (rhbz#2184044)', ['rhbz#2184044'], []],
    [
      '- net: foo (A B)  [Orabug: 35636291]  {CVE-2023-1 CVE-2023-20569}',
      ['Orabug: 35636291'],
      ['CVE-2023-20569'],
    ],
    ['- foo (Closes: #1012345)', ['Closes: #1012345'], []],
    ['- crypto: SHA-256 on UTF-8 (A B)', [], []],
  ])('%s', (text, tickets, cves) => {
    expect(lineOf(text)).toMatchObject([{ tickets, cves }]);
  });
  test('go on beneath, as SUSE wraps them', () => {
    expect(
      lineOf('- ALSA: hda: fix something that is long', '  (git-fixes).', '- commit abc1234').map(
        (it) => it.text,
      ),
    ).toEqual(['ALSA: hda: fix something that is long (git-fixes).', 'commit abc1234']);
  });
  test('are lines too where there is no list', () => {
    expect(lineOf('Linux v6.6.1', 'Another').map((it) => it.text)).toEqual(['Linux v6.6.1', 'Another']);
  });
});

test('of any two, what is new is in the newer one, not in the older, and as old as the older at the most', () => {
  const some = fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 5 }).map((day) => noon(1) + day * DAY),
      author: fc.constant('A'),
      text: fc
        .array(fc.constantFrom('- a: b', '- c: d', '  goes on', '', 'plain', '- e'), { maxLength: 5 })
        .map((it) => it.join('\n')),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(some, some, (before, after) => {
      const { lines, repeated, gap } = newLines(before, after);
      const all = newLines([entry(-1, '- none')], after).lines.map(({ text }) => text);
      const were = newLines([entry(-1, '- none')], before).lines.map(({ text }) => text);
      for (const { text, at } of lines) {
        expect(all).toContain(text);
        expect(were).not.toContain(text);
        expect(before.some((it) => it.at <= at)).toBe(true);
      }
      expect(lines.length + repeated).toBeLessThanOrEqual(all.length);
      if (gap === null) expect(before.length * after.length).toBeGreaterThan(0);
    }),
  );
});
