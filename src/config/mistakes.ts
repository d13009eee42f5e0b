/** Mistakes in a configuration file, or in another TOML file: where they are and how they are worded. */
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { ConfigError, type Mistake } from './error.ts';
import { type KeyPath, locator } from './locate.ts';
import { keysAt } from './schema.ts';

/** A mistake before its line is looked up. */
export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
}

/** The document that a TOML text is. Throws ConfigError with the line; `file` is its name in messages. */
export function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    // Below the first line of its message the parser quotes the file, which may hold a password.
    const [reason = ''] = cause.message.replace('Invalid TOML document: ', '').split('\n');
    const message = `not valid TOML, column ${cause.column}: ${reason}`;
    throw new ConfigError(file, [{ path: '', line: cause.line, message }]);
  }
}

/** Findings as mistakes with the lines that they have in `text`, sorted by line. */
export function locateMistakes(findings: readonly Finding[], text: string): Mistake[] {
  const lineOf = locator(text);
  return findings
    .map(({ path, message }): Mistake => {
      const line = lineOf(path);
      return { path: formatPath(path), ...(line === undefined ? {} : { line }), message };
    })
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function formatPath(path: KeyPath): string {
  return path.reduce<string>((above, key) => {
    if (typeof key === 'number') return `${above}[${key}]`;
    const name = /^[\w-]+$/.test(String(key)) ? String(key) : JSON.stringify(key);
    return above === '' ? name : `${above}.${name}`;
  }, '');
}

/**
 * What an issue of the schema means to the writer of `document`: what is there, what is expected, what was meant.
 * @param schema of the document; the configuration's unless told
 */
export function explainIssue(issue: z.core.$ZodIssue, document: unknown, schema?: z.ZodType): Finding[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(path, schema);
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `unknown key${didYouMean(key, known) || `; known here: ${known.join(', ')}`}`,
    }));
  }
  const value = valueAt(document, path);
  const got = value === undefined ? 'missing' : `got ${showValue(value, path)}`;
  const values = issue.code === 'invalid_value' ? issue.values.map(String) : [];
  const suggestion = typeof value === 'string' ? didYouMean(value, values) : '';
  return [{ path, message: `${got}, expected ${issue.message}${suggestion}` }];
}

/** So many names are listed where one is wrong. */
const LISTED = 20;

/**
 * A finding where a name is of nothing that there is.
 * @param where in words, such as `target t`; empty where the path says it
 */
export function unknownName(
  path: KeyPath,
  where: string,
  what: string,
  name: string,
  known: readonly string[],
): Finding {
  const names = [...new Set(known)];
  const more = names.length > LISTED ? `, and ${names.length - LISTED} more` : '';
  const there = names.length > 0 ? `; there is ${names.slice(0, LISTED).join(', ')}${more}` : '';
  const said = `${where === '' ? '' : `${where}: `}no such ${what}: ${name}${there}`;
  return { path, message: `${said}${didYouMean(name, known) || '; name one of those, or add it'}` };
}

/** The value at `path` of a parsed document, undefined where there is none. */
export function valueAt(document: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    document,
  );
}

/** A value in few words. Passwords stay out of it: what is shown here ends up in logs. */
function showValue(value: unknown, path: KeyPath): string {
  if (path.at(-1) === 'password') return 'something else (not shown)';
  if (typeof value === 'string') {
    const text = JSON.stringify(maskUrl(value));
    return text.length > 80 ? `${text.slice(0, 77)}..."` : text;
  }
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' ? 'a table' : String(value);
}

/** A URL with its password, if it has one, as `***`. Also takes what is not quite a URL. */
export function maskUrl(url: string): string {
  return url.replace(/(:\/\/[^:/]*):.*@/, '$1:***@');
}

/** `; did you mean "…"?` with the candidate nearest to `word`, or nothing if none is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const [first] = nearest(word, candidates, 1);
  return first === undefined ? '' : `; did you mean "${first}"?`;
}

/** The candidates that are near to `word`, the nearest first, and so many at the most. */
export function nearest(word: string, candidates: readonly string[], most: number): string[] {
  const limit = Math.ceil(word.length / 3);
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

/** Levenshtein's distance: the fewest characters to insert, delete or replace. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, char] of [...from].entries()) {
    const above = row;
    row = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const [diagonal = 0, up = 0, left = 0] = [above[column], above[column + 1], row[column]];
      row.push(Math.min(up + 1, left + 1, diagonal + (char === other ? 0 : 1)));
    }
  }
  return row.at(-1) ?? 0;
}
