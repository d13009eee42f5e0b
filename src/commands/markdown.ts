/** Findings as Markdown (GitHub's and GitLab's), for a comment on a merge request: causes first, symbols folded. */
import { sizesOf } from '../report/causes.ts';
import { code, fenced, inline } from '../report/markup.ts';
import { visible } from '../report/visible.ts';
import type { Altered, Case, Findings, FoundCause } from './findings.ts';

/** So much is shown. `--format json` has all. */
const SHOWN = { causes: 10, kmods: 100, symbols: 20 };
/** GitHub takes 65,536 characters in a comment: beyond this no more kmods' symbols are added. */
const LONGEST = 50_000;

export function markdown({ command, kernel, baseline, headline, causes, cases, notes, unread }: Findings) {
  const bad = cases.filter(({ outcome }) => outcome === 'broken' || outcome === 'inconclusive');
  const fine = cases.filter(({ outcome }) => outcome === 'fine');
  const passed = cases.filter(({ outcome }) => outcome === 'passed');
  const since = baseline === null ? '' : ` since ${code(baseline)}`;
  const parts = [
    `### kmod-gate ${command}: ${inline(headline)}`,
    `Kernel ${code(kernel)}${since}.`,
    ...unread.slice(0, SHOWN.kmods).map(({ problem }) => `**Could not be read:** ${code(problem)}`),
    ...more(unread.length, SHOWN.kmods, ''),
    ...(causes.length > 0 ? [causesPart(causes)] : []),
    ...(bad.length > 0 ? [caseTable(bad)] : []),
    ...(fine.length > 0 ? [folded(`${fine.length} fine`, list(fine))] : []),
    ...(passed.length > 0 ? [folded(`${passed.length} passed over, for other kernels`, list(passed))] : []),
    ...(notes.length > 0 ? [folded('More', fenced(notes.join('\n')))] : []),
  ];
  return `${[...parts, ...symbolParts(bad, LONGEST - parts.join('').length)].join('\n\n')}\n`;
}

function causesPart(causes: readonly FoundCause[]): string {
  const shown = causes.slice(0, SHOWN.causes).map(({ name, changes, size, kmods, exports }) => {
    const hits = [...(kmods > 0 ? [`${kmods} kmods`] : []), `${exports} exports`].join(', ');
    return `- ${code(name)}: ${changes.map(code).join(', ')}${sizesOf({ size })} – ${hits}`;
  });
  return [
    'What changed in the source of the kernel:',
    '',
    ...shown,
    ...more(causes.length, SHOWN.causes, '- '),
  ].join('\n');
}

function caseTable(cases: readonly Case[]): string {
  const told = cases.some(({ causes }) => causes.length > 0);
  const rows = cases.slice(0, SHOWN.kmods).map(({ name, arch, outcome, why, causes }) => {
    const because = causes.slice(0, 3).map(code).join(', ') + (causes.length > 3 ? ', …' : '');
    const whose = code(arch === null ? name : `${name} ${arch}`);
    return [whose, outcome, inline(why), ...(told ? [because] : [])];
  });
  const heads = ['Kmod', 'Outcome', 'Why', ...(told ? ['Changed by'] : [])];
  return [...tableLines(heads, rows), ...more(cases.length, SHOWN.kmods, '\n')].join('\n');
}

export const tableLines = (heads: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  row(heads),
  row(heads.map(() => '---')),
  ...rows.map(row),
];

/** Of each that has any, folded; as many as there is room for. */
function symbolParts(cases: readonly Case[], room: number): string[] {
  const having = cases.filter(({ symbols }) => symbols.length > 0);
  const parts: string[] = [];
  let left = room;
  for (const { name, symbols } of having) {
    const part = folded(`Symbols of ${html(name)} (${symbols.length})`, symbolTable(symbols));
    left -= part.length;
    if (left < 0) break;
    parts.push(part);
  }
  const rest = having.length - parts.length;
  return rest > 0 ? [...parts, `The symbols of ${rest} more are left out.`] : parts;
}

const symbolTable = (symbols: readonly Altered[]): string => {
  const shown = symbols.slice(0, SHOWN.symbols);
  const rows = shown.map(({ symbol, change, provider }) => [symbol, change, provider].map(code));
  return [...tableLines(['Symbol', 'CRC', 'In'], rows), ...more(symbols.length, SHOWN.symbols, '\n')].join(
    '\n',
  );
};

const list = (cases: readonly Case[]): string => {
  const names = cases.slice(0, SHOWN.kmods).map(({ name }) => `- ${code(name)}`);
  return [...names, ...more(cases.length, SHOWN.kmods, '- ')].join('\n');
};

export const more = (count: number, shown: number, before: string): string[] =>
  count > shown ? [`${before}and ${count - shown} more`] : [];

/** GFM takes Markdown within HTML after an empty line. */
export const folded = (summary: string, content: string): string =>
  `<details><summary>${summary}</summary>\n\n${content}\n\n</details>`;

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

const html = (text: string): string =>
  `<code>${visible(text).replace(/[&<>"'`]/g, (it) => `&#${it.charCodeAt(0)};`)}</code>`;
