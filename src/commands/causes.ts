/** Causes as people read them: which declarations changed, what that hits, and how. */
import type { Cause, Causes } from '../btf/causes.ts';
import { type Hit, nameOf, ranked } from '../btf/told.ts';
import { describeUnsure, isUnsure, sizesOf, wordsOf } from '../report/causes.ts';
import { visible } from '../report/visible.ts';
import { line, table } from './text.ts';

/** Columns of a terminal. */
const WIDTH = 100;
/** How many causes are shown. */
const SHOWN = 8;

/**
 * The causes first: of kmods what broke most of them, without kmods what most exports reach. Then how each is reached, and
 * which kmod is hit by what.
 */
export function causesText(
  { causes, symbols }: Pick<Causes, 'causes' | 'symbols'>,
  hits: readonly Hit[],
): string {
  const told = ranked(causes, hits);
  const shown = told.slice(0, SHOWN);
  const broken = hits.filter(({ changed }) => changed > 0).length;
  const what =
    hits.length > 0
      ? `breaks ${broken} of ${count(hits.length, 'kmod')}`
      : `changes ${count(symbols.explained, 'exported function')}`;
  if (told.length === 0) return '';
  const heads = ['CAUSE', ...(hits.length > 0 ? ['KMODS'] : []), 'EXPORTS', 'UNCHANGED'];
  const rows = shown.map(({ cause, kmods }) => [
    nameOf(cause),
    ...(hits.length > 0 ? [String(kmods)] : []),
    String(cause.symbols),
    String(cause.unchanged),
  ]);
  const more = told.length - shown.length;
  const elsewhere = causes.length - told.length;
  return [
    `${count(told.length, 'declaration')} changed in the kernel, which ${what}:\n`,
    ...shown.map(({ cause }) => changeText(cause)),
    more > 0 ? `  … and ${more} more; --json has them all\n` : '',
    `\n${table([heads, ...rows])}`,
    unsureText(shown.map(({ cause }) => cause)),
    elsewhere > 0
      ? line(
          `${elsewhere} more changed that only exports reach which none of the kmods needs; --json has them.`,
        )
      : '',
  ].join('');
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

/** On one line if it fits, else a line for each change. */
function changeText(cause: Cause): string {
  const sizes = sizesOf(cause);
  const changes = wordsOf(cause);
  const head = `  ${nameOf(cause)}: `;
  const short = `${head}${changeLines(cause).join(', ')}${sizes}`;
  if (visible(short).length <= WIDTH) return line(short);
  const lines = changes.flatMap(({ was, now }) =>
    was && now ? [`    ${was}`, `      → ${now}`] : [`    ${was || now}`],
  );
  return [`${head.trimEnd()}${sizes}`, ...lines].map((text) => line(fitted(text))).join('');
}

/** The first changes of one, each on a line. */
export const changeLines = (cause: Cause): string[] =>
  wordsOf(cause).map(({ was, now }) => [was, now].filter(Boolean).join(' → '));

/** A line as a terminal shows it, and no longer. */
export const fitted = (text: string): string => {
  const shown = visible(text);
  return shown.length > WIDTH ? `${shown.slice(0, WIDTH - 1)}…` : shown;
};

function unsureText(causes: readonly Cause[]): string {
  const unsure = causes.filter(isUnsure);
  if (unsure.length === 0) return '';
  return `${folded(describeUnsure(unsure.length, causes.length))}\n`;
}

/** In lines that fit. */
const folded = (text: string): string => text.replace(/(.{1,99})(?: |$)/g, '$1\n').trimEnd();

/** Which kmod is hit, by how much, and by what. */
export function hitsText({ causes }: Pick<Causes, 'causes'>, hits: readonly Hit[]): string {
  if (hits.length === 0) return '';
  const rows = hits.map(({ kmod, changed, causes: those }) => {
    const names = those.flatMap((i) => causes[i] ?? []).map(nameOf);
    const more = names.length > 2 ? ` and ${names.length - 2} more` : '';
    return [
      kmod,
      String(changed),
      names.length > 0 ? `${names.slice(0, 2).join(', ')}${more}` : changed > 0 ? 'not known' : '',
    ];
  });
  return `\n${table([['KMOD', 'CHANGED', 'BY'], ...rows])}`;
}

/** A way on as many lines as it needs. */
function wayText(steps: readonly string[]): string {
  const lines: string[] = [];
  let last = ' ';
  for (const step of steps.map((it) => ` → ${visible(it)}`)) {
    if (last !== ' ' && last.length + step.length > WIDTH) {
      lines.push(last);
      last = '   ';
    }
    last += step;
  }
  return [...lines, last].map(line).join('');
}

/** How one export reaches the causes that hit it, nearest first. */
export function waysText(causes: Causes, symbol: string): string {
  const declared = causes.declared(symbol);
  const ways = causes.ways(symbol);
  if (declared === null)
    return 'The types (BTF) do not tell of it: it is a variable, or of a module that is not among the files.\n';
  if (ways.length === 0) return `${line(declared)}No declaration that it reaches has changed.\n`;
  const shown = ways.slice(0, SHOWN).map((way) => {
    const cause = causes.causes[way.cause];
    return cause
      ? wayText([...way.steps, nameOf(cause)]) + changeText(cause).replace(/^ {2}/gm, '      ')
      : '';
  });
  const more = ways.length > SHOWN ? `  … and ${ways.length - SHOWN} more; --json has them all\n` : '';
  return `${line(fitted(declared))}${shown.join('')}${more}`;
}

/** What was looked at, and what was not. */
export function coverageText({ symbols }: Causes, total: number): string {
  const { changed, functions, explained, variables, modules } = symbols;
  if (changed === 0) return `Of ${total} symbols none changed.\n`;
  const untold = [
    variables > 0 ? `${count(variables, 'variable')}, of which types (BTF) seldom tell` : '',
    modules > 0 ? `${count(modules, 'symbol')} of modules that are not among the files` : '',
  ].filter(Boolean);
  const reach = `${explained} of ${count(functions, 'function')} among them reach a declaration that changed.`;
  const looked = `Of ${total} symbols ${changed} changed.\n${reach}\n`;
  return [
    looked,
    ...(untold.length > 0 ? ['Not looked at:\n', ...untold.map((it) => `  ${it}\n`)] : []),
  ].join('');
}

/** Names of causes by their numbers. */
export const namesOf = ({ causes }: Causes, numbers: readonly number[]): string[] =>
  numbers.flatMap((i) => causes[i] ?? []).map(nameOf);

/** The same for programs: see docs/causes.md. */
export const causesJson = (causes: Causes, hits: readonly Hit[]) => ({
  symbols: causes.symbols,
  causes: causes.causes,
  kmods: hits.map(({ kmod, changed, causes: those }) => ({
    name: kmod,
    changed,
    causes: namesOf(causes, those),
  })),
});
