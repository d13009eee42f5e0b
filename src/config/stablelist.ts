/** Stablelists, in files of any kind that `check` takes: symbols that a kernel promises to keep. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Stablelist } from '../core/model.ts';
import { SymbolFileError } from '../kabi/error.ts';
import type { Stablelist as List } from '../kabi/model.ts';
import { isPromised, type Severities } from '../kabi/severities.ts';
import { isOfArch, listsOfRelease } from '../kabi/stablelist.ts';
import { parseSeverities } from '../kabi/text.ts';
import { readStablelistsNow } from '../symbols/read.ts';
import { expandHome } from './home.ts';

/** A stablelist that cannot be read; the message says which file, and why. */
export class StablelistError extends Error {
  override readonly name = 'StablelistError';
}

/** Stands in a file's name for the architecture. */
const ARCH = '{arch}';

/**
 * The symbols of each architecture that must not change.
 * @param path a file for every architecture, one an architecture with `{arch}` in its name, or a package with lists for
 * several, of which the current release counts
 * @param severities which of the listed ones may change all the same
 * @throws StablelistError, also where the list does not tell what the severities ask for
 */
export function readStablelists(
  path: string,
  env: NodeJS.ProcessEnv,
  severities?: Severities,
): Stablelist['symbols'] {
  return orUnusable(() => {
    const at = expandHome(path, env);
    const files = filesOf(at);
    if (files.length === 0) throw new StablelistError(`no file ${at} for any architecture`);
    return Object.fromEntries(files.flatMap(([arch, file]) => listsOf(file, arch, severities)));
  });
}

/** SUSE's `kabi/severities`. Throws StablelistError. */
export const readSeveritiesNow = (path: string, env: NodeJS.ProcessEnv): Severities =>
  orUnusable(() => {
    const at = expandHome(path, env);
    return parseSeverities(readFileSync(at, 'latin1'), at);
  });

function orUnusable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof StablelistError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StablelistError(cause instanceof SymbolFileError ? why : `cannot be read: ${why}`, { cause });
  }
}

/** The lists of a file by architecture; that of a file with one list is for all that the file is for. */
function listsOf(
  file: string,
  arch: string,
  severities: Severities | undefined,
): [arch: string, symbols: string[]][] {
  const lists = listsOfRelease(readStablelistsNow(readFileSync(file), file));
  const [first] = lists;
  if (!first) throw new StablelistError(`${file}: holds no stablelist`);
  const only = lists.length === 1 ? [first] : lists.filter((list) => isOfArch(list, arch));
  if (only[0]) return [[arch, promisedOf(only[0], file, severities)]];
  return lists.map((list) => {
    if (list.arch === undefined)
      throw new StablelistError(`${file}: does not tell whose its list ${list.name} is`);
    return [list.arch, promisedOf(list, file, severities)];
  });
}

/** The listed symbols that severities do not let change: all that they ask for must be told, since rpms do not tell it either. */
function promisedOf(list: List, file: string, severities: Severities | undefined): string[] {
  return [...list.symbols].filter((name) => {
    const promised = isPromised({ list, ...(severities && { severities }) }, { name });
    if (promised !== null) return promised;
    throw new StablelistError(
      `${file}: does not tell of which module and namespace ${name} is, and ${severities?.file} asks for that: take Module.kabi_ARCH, or SUSE's kabi/ARCH/symvers-FLAVOUR`,
    );
  });
}

function filesOf(path: string): [arch: string, file: string][] {
  const name = basename(path);
  if (!name.includes(ARCH)) return [['*', path]];
  const [before = '', after = ''] = name.split(ARCH);
  return readdirSync(dirname(path))
    .filter(
      (file) => file.startsWith(before) && file.endsWith(after) && file.length > name.length - ARCH.length,
    )
    .map((file) => [file.slice(before.length, file.length - after.length), join(dirname(path), file)]);
}
