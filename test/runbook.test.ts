/** docs/runbook.md tells of each hold that there is, and of no other. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const PAGE = readFileSync('docs/runbook.md', 'utf8').replaceAll(/\s+/g, ' ');
const HEADINGS = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/^### `(.*)`$/gm)].map(
  ([, text = '']) => text,
);

const FOLDERS = ['src/core', 'src/reconciler'];
const FILES = FOLDERS.flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`));
const SOURCE = FILES.map((file) => readFileSync(file, 'utf8')).join('\n');

/** Texts of states in the source that begin with "held", without what is filled in: the pieces between. */
const holds = [...SOURCE.matchAll(/(['`])(held(?: by|:) .*?)\1[,;)\n ]/g)].map(([, , text = '']) => ({
  text,
  pieces: text
    .split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
    .map((piece) => piece.trim())
    .filter((piece) => piece.length > 3),
}));

test('there are holds to tell of', () => expect(holds.length).toBeGreaterThan(8));

test.each(holds)('$text', ({ pieces }) => {
  // A piece may be filled in around a name of the page's own.
  for (const piece of pieces) expect(PAGE).toContain(piece.replaceAll(/\s+/g, ' '));
});

test.each(HEADINGS)('%s is a hold', (heading) => {
  const pieces = heading.replace(/^held( by|:)/, '').split(/\b[A-Z]{3,}\b/);
  for (const piece of pieces.map((one) => one.trim()).filter(({ length }) => length > 5))
    expect(SOURCE).toContain(piece);
});
