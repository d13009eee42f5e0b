/** Who changed it: lines of the kernel's changelog that name what changed, read, and as people and programs read them. */
import { type ChangelogEntry, dayOf, type NewLines, newLines } from '../changelog/lines.ts';
import { type Candidate, rankLines, type Sought } from '../changelog/rank.ts';
import { headersOfRpm } from '../symbols/payload.ts';
import type { SymbolFile } from '../symbols/read.ts';
import { readRpmChangelog } from '../symbols/rpm.ts';
import { fileSource } from '../symbols/source.ts';
import { fitted } from './causes.ts';
import { line } from './text.ts';

/** What the changelog says between two kernels. */
export interface Changelog extends NewLines {
  /** All of `lines`, those that name what changed first. */
  readonly ranked: readonly Candidate[];
}

/** The changelog of the first rpm that has one; null where there is no rpm. Throws SymbolFileError. */
export async function changelogOfFiles(files: readonly SymbolFile[]): Promise<ChangelogEntry[] | null> {
  const rpms = files.filter(({ format }) => format === 'rpm');
  for (const { file } of rpms) {
    const entries = readRpmChangelog(await headersOfRpm(fileSource(file)), file);
    if (entries.length > 0) return entries;
  }
  return rpms.length > 0 ? [] : null;
}

/** A kernel's changelog; null where it was named by files that have none, or why it cannot be had. */
export type Told = readonly ChangelogEntry[] | { readonly why: string } | null;

/** Null where one of the kernels was named by files that have no changelog. */
export function compareChangelogs(before: Told, after: Told, sought: Sought): Changelog | null {
  if (!before || !after) return null;
  const unknown = (gap: string) => ({ lines: [], repeated: 0, gap, ranked: [] });
  if ('why' in before) return unknown(before.why);
  if ('why' in after) return unknown(after.why);
  const found = newLines(before, after);
  return { ...found, ranked: rankLines(found.lines, sought) };
}

/** How many lines are shown. */
const SHOWN = 6;
/** How many names of each. */
const NAMES = 3;

/** A few of the lines that name what changed, and how many there are. */
export function changelogText(changelog: Changelog | null): string {
  if (!changelog) return '';
  const { lines, repeated, gap, ranked } = changelog;
  const naming = ranked.filter(({ names }) => names.length > 0);
  const what = 'a declaration, a symbol or a part of the kernel that counts here';
  if (lines.length + repeated === 0 && gap !== null)
    return `\n${line(`Who changed it is not known: ${gap}.`)}`;
  const head =
    lines.length === 0
      ? 'The changelog has no new line.'
      : naming.length === 0
        ? `The changelog has ${plural(lines.length, 'new line')}, and none names ${what}.`
        : `Of ${plural(lines.length, 'new line')} of the changelog ${naming.length} ${naming.length === 1 ? 'names' : 'name'} ${what}.\nThey are candidates and no proof:`;
  const more = lines.length - Math.min(SHOWN, naming.length);
  return [
    `\n${head}\n`,
    ...naming.slice(0, SHOWN).map(candidateText),
    more > 0 ? `  … and ${plural(more, 'other line')}; --json has them all\n` : '',
    repeated > 0
      ? `${plural(repeated, 'more line')} of it the older kernel has too, under another date.\n`
      : '',
    gap === null ? '' : line(`The changelogs may not tell all: ${gap}.`),
  ].join('');
}

function candidateText({ text, names }: Candidate): string {
  const few = names.slice(0, NAMES).join(', ');
  const more = names.length > NAMES ? ` and ${names.length - NAMES} more` : '';
  return `${line(fitted(`  ${text}`))}${line(fitted(`    names ${few}${more}`))}`;
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** The same for programs: see docs/causes.md. */
export const changelogJson = (changelog: Changelog | null) =>
  changelog && {
    new: changelog.lines.length,
    repeated: changelog.repeated,
    gap: changelog.gap,
    candidates: changelog.ranked.map(({ at, ...candidate }) => ({ date: dayOf(at), ...candidate })),
  };
