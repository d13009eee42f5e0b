import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { type KeyPath, locator } from '../../src/config/locate.ts';

/** Every path of a document that ends at a string, with the string. */
function leavesOf(value: unknown, path: KeyPath = []): [KeyPath, string][] {
  if (typeof value === 'string') return [[path, value]];
  if (Array.isArray(value)) return value.flatMap((item, index) => leavesOf(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => leavesOf(item, [...path, key]));
}

/** Each string in this text is the number of the line that its key, or the item itself, is on. */
const LAYOUTS = String.raw`a = "1" # b = "not a key"
'q.1'."k \" é" = '2'
multi = """
[not.a.table]
not_a_key = "\""""""
raw = '''
x = [ ''''
list = [
  "9", # ], "not an item"
  ["10", { x = "10", "y" = { z.z = "10" } }],
  """11""", "11",
]
[ table . "in.ner" ]
k = "14"
[[gate]]
name = "16"
  [gate.build] # [[not a table]]
  repo = "18"
  when = 2026-01-02 03:04:05
  [[gate.sub]]
  k = "21"
  [[gate.sub]]
  k = "23"
  [gate.sub.deep]
  k = "25"
[[gate]]
[[gate.sub]]
k = "28"
[gate.build]
repo = "30"
`;

describe('locator', () => {
  it.each([
    ['LF', LAYOUTS],
    ['CRLF', LAYOUTS.replaceAll('\n', '\r\n')],
  ])('finds every key and item, whatever the layout (%s)', (_, text) => {
    const lineOf = locator(text);
    const numbered = leavesOf(parse(text)).filter(([, value]) => /^\d+$/.test(value));
    expect(numbered).toHaveLength(16);
    for (const [path, line] of numbered) expect([path, lineOf(path)]).toEqual([path, Number(line)]);
  });

  it('falls back to the nearest table or list, then to nothing', () => {
    const lineOf = locator(LAYOUTS);
    expect(lineOf(['gate', 1, 'build', 'target'])).toBe(29);
    expect(lineOf(['gate', 1, 'on_pass', 'tag', 0])).toBe(26);
    expect(lineOf(['list', 7])).toBe(8);
    expect(lineOf(['store', 'url'])).toBeUndefined();
    expect(lineOf([])).toBeUndefined();
  });

  it('finds every value of any document', () => {
    const key = fc
      .oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ unit: 'grapheme' }))
      .filter((k) => k !== '__proto__');
    const { document } = fc.letrec<{ value: unknown; table: object; document: object }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(fc.string(), fc.constantFrom('# [x]', '"""', "''' =", ']', '\\', 'a\n[b]\nc = 1')),
        fc.integer(),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.array(tie('table'), { maxLength: 3 }),
        tie('table'),
      ),
      table: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      document: fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    }));
    fc.assert(
      fc.property(document, (anything) => {
        let count = 0;
        // Number the strings, so that each is found on one line only.
        const numbered = JSON.parse(JSON.stringify(anything), (_, v) =>
          typeof v === 'string' ? `${v}<${count++}>` : v,
        );
        const text = stringify(numbered);
        const lines = text.split('\n');
        const lineOf = locator(text);
        for (const [path, value] of leavesOf(parse(text))) {
          expect(lines[(lineOf(path) ?? 0) - 1]).toContain(value.slice(value.lastIndexOf('<')));
        }
      }),
    );
  });
});
