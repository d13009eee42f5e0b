/** Compile errors of logs, read, and shown with what the kernels declare of what they name. */
import { createReadStream } from 'node:fs';
import type { LogError } from '../core/model.ts';
import { createErrorFinder } from '../logs/buildlog.ts';
import type { ExplainedError } from '../logs/subject.ts';
import { fitted } from './causes.ts';
import { CheckError } from './error.ts';
import { line } from './text.ts';

/** Most errors of a log that are looked at. */
const ERRORS_MAX = 20;

/**
 * The compile errors of build logs, each once.
 * @throws CheckError of one that cannot be read, or in which there is none
 */
export async function readLogs(files: readonly string[]): Promise<LogError[]> {
  const found = new Map<string, LogError>();
  for (const file of files) {
    const finder = createErrorFinder(ERRORS_MAX);
    try {
      for await (const part of createReadStream(file, 'utf8')) {
        finder.push(part);
        if (finder.done()) break;
      }
    } catch (error) {
      throw new CheckError(`--log ${file}: cannot be read: ${(error as Error).message}`);
    }
    const errors = finder.finish().filter(({ kind }) => kind === 'source');
    if (errors.length === 0)
      throw new CheckError(
        `--log ${file}: no error of a compiler is found in it; name the build.log of a failed kmod`,
      );
    for (const error of errors) found.set(`${error.file}:${error.line}: ${error.message}`, error);
  }
  return [...found.values()];
}

/** Those of which the kernels say something, what changed first, and how many others there are. */
export function errorsText(explained: readonly ExplainedError[]): string {
  if (explained.length === 0) return '';
  const told = explained.filter(({ declared }) => declared);
  const ordered = told.toSorted((a, b) => Number(b.declared?.changed) - Number(a.declared?.changed));
  const others = explained.length - told.length;
  return [
    'Errors of the build, and what the kernels declare:\n',
    ...ordered.map(errorText),
    others > 0
      ? `  Of ${others} of ${explained.length} errors the types do not tell: they know no macros and inline functions.\n`
      : '',
    '\n',
  ].join('');
}

function errorText({ error, declared }: ExplainedError): string {
  const { file, line: at, message } = error;
  const place = file === '' ? '' : `${file}${at > 0 ? `:${at}` : ''}: `;
  return line(fitted(`  ${place}${message}`)) + declaredText(declared);
}

function declaredText(declared: ExplainedError['declared']): string {
  if (!declared) return '';
  const { what, was, now, changed } = declared;
  const said = (text: string) => line(fitted(`    ${text}`));
  if (was !== null && now !== null)
    return changed ? said(was) + line(fitted(`      → ${now}`)) : said(`${now}: the same in both kernels`);
  if (was !== null) return said(`${was}: the newer kernel does not have it, or not as a function or type`);
  if (now !== null) return said(`${now}: the older kernel does not have it, or not as a function or type`);
  return said(`${what}: neither kernel has it`);
}

/** The same for programs: see docs/causes.md. */
export const errorsJson = (explained: readonly ExplainedError[]) =>
  explained.map(({ error: { file, line: at, message }, declared }) => ({
    file,
    line: at,
    message,
    declared,
  }));
