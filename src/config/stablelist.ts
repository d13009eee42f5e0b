/** Stablelists, in files of any kind that `check` takes: symbols that a kernel promises to keep. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Stablelist } from '../core/model.ts';
import { SymbolFileError } from '../kabi/error.ts';
import { isOfArch, listsOfRelease } from '../kabi/stablelist.ts';
import { readStablelistsNow } from '../symbols/read.ts';
import { expandHome } from './home.ts';

/** A stablelist that cannot be read; the message says which file, and why. */
export class StablelistError extends Error {
  override readonly name = 'StablelistError';
}

/** Stands in a file's name for the architecture. */
const ARCH = '{arch}';

/**
 * The symbols of each architecture.
 * @param path a file for every architecture, one an architecture with `{arch}` in its name, or a package with lists for
 * several, of which the current release counts
 * @throws StablelistError
 */
export function readStablelists(path: string, env: NodeJS.ProcessEnv): Stablelist['symbols'] {
  const at = expandHome(path, env);
  try {
    const files = filesOf(at);
    if (files.length === 0) throw new StablelistError(`no file ${at} for any architecture`);
    return Object.fromEntries(files.flatMap(([arch, file]) => listsOf(file, arch)));
  } catch (cause) {
    if (cause instanceof StablelistError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StablelistError(cause instanceof SymbolFileError ? why : `cannot be read: ${why}`, { cause });
  }
}

/** The lists of a file by architecture; that of a file with one list is for all that the file is for. */
function listsOf(file: string, arch: string): [arch: string, symbols: string[]][] {
  const lists = listsOfRelease(readStablelistsNow(readFileSync(file), file));
  const [first] = lists;
  if (!first) throw new StablelistError(`${file}: holds no stablelist`);
  const only = lists.length === 1 ? [first] : lists.filter((list) => isOfArch(list, arch));
  if (only[0]) return [[arch, [...only[0].symbols]]];
  return lists.map((list) => {
    if (list.arch === undefined)
      throw new StablelistError(`${file}: does not tell whose its list ${list.name} is`);
    return [list.arch, [...list.symbols]];
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
