/** Stablelists, in files of any kind that `check` takes: symbols that a kernel promises to keep. */

import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Stablelist } from '../core/model.ts';
import { LIST_MAX, readBytes, readText } from '../files/read.ts';
import { SymbolFileError } from '../kabi/error.ts';
import type { Stablelist as List } from '../kabi/model.ts';
import { isPromised, type Severities } from '../kabi/severities.ts';
import { isOfArch, listsOfRelease, tellsMost } from '../kabi/stablelist.ts';
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
 * The symbols of each architecture that must not change, and the CRCs of those that the file has with them. A file with
 * CRCs is for one architecture: that in its name as `Module.kabi_ARCH` has it, or that of its folder as in SUSE's
 * `kabi/ARCH/`.
 * @param path a file for every architecture, one an architecture with `{arch}` in its name, or a package with lists for
 * several, of which the current release counts
 * @param severities which of the listed ones may change all the same
 * @throws StablelistError, also where the list does not tell what the severities ask for
 */
export function readStablelists(
  path: string,
  env: NodeJS.ProcessEnv,
  severities?: Severities,
): Omit<Stablelist, 'effect'> {
  return orUnusable(() => {
    const at = expandHome(path, env);
    const files = filesOf(at);
    if (files.length === 0) throw new StablelistError(`no file ${at} for any architecture`);
    const lists = files.flatMap(([arch, file]) => listsOf(file, arch, severities));
    const exports = lists.flatMap(([arch, list]) =>
      list.exports ? [[arch === '*' ? archOf(list, at) : arch, list.exports] as const] : [],
    );
    return {
      symbols: Object.fromEntries(lists.map(([arch, { symbols }]) => [arch, [...symbols]])),
      ...(exports.length > 0 && { exports: Object.fromEntries(exports) }),
    };
  });
}

/** SUSE's `kabi/severities`. Throws StablelistError. */
export const readSeveritiesNow = (path: string, env: NodeJS.ProcessEnv): Severities =>
  orUnusable(() => {
    const at = expandHome(path, env);
    return parseSeverities(readText(at, LIST_MAX, 'latin1'), at);
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

/** SUSE's `kabi/ARCH/symvers-FLAVOUR`. */
const IN_FOLDER = /(?:^|\/)kabi\/([^/]+)\/[^/]+$/;
/** `Module.kabi_dup_ARCH` is that of driver updates. */
const archOf = ({ arch }: List, file: string): string =>
  arch?.replace(/^dup_/, '') ?? IN_FOLDER.exec(file)?.[1] ?? '*';

/** The lists of a file by architecture; that of a file with one list is for all that the file is for. */
function listsOf(
  file: string,
  arch: string,
  severities: Severities | undefined,
): [arch: string, list: List][] {
  const lists = listsOfRelease(readStablelistsNow(readBytes(file, LIST_MAX), file));
  const [first] = lists;
  if (!first) throw new StablelistError(`${file}: holds no stablelist`);
  const promised = (list: List) => (severities ? promisedOf(list, file, severities) : list);
  const only = lists.length === 1 ? first : tellsMost(lists.filter((list) => isOfArch(list, arch)));
  if (only) return [[arch, promised(only)]];
  const arches = new Set(
    lists.map((list) => {
      if (list.arch !== undefined) return list.arch;
      throw new StablelistError(`${file}: does not tell whose its list ${list.name} is`);
    }),
  );
  return [...arches].flatMap((each) => {
    const best = tellsMost(lists.filter((list) => list.arch === each));
    return best ? [[each, promised(best)]] : [];
  });
}

/** A list without what severities let change: all that they ask for must be told, since rpms do not tell it either. */
function promisedOf(list: List, file: string, severities: Severities): List {
  const symbols = new Set(
    [...list.symbols].filter((name) => {
      const promised = isPromised({ list, severities }, { name });
      if (promised !== null) return promised;
      throw new StablelistError(
        `${file}: does not tell of which module and namespace ${name} is, and ${severities.file} asks for that: take Module.kabi_ARCH, or SUSE's kabi/ARCH/symvers-FLAVOUR`,
      );
    }),
  );
  const exports = list.exports && new Map([...list.exports].filter(([name]) => symbols.has(name)));
  return { ...list, symbols, ...(exports && { exports }) };
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
