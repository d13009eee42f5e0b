/** Stablelist files, as `kernel-abi-stablelists` has them: symbols that a kernel promises to keep. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Stablelist } from '../core/model.ts';
import { SymbolFileError } from '../kabi/error.ts';
import { parseStablelist } from '../kabi/text.ts';
import { expandHome } from './home.ts';

/** A stablelist that cannot be read; the message says which file, and why. */
export class StablelistError extends Error {
  override readonly name = 'StablelistError';
}

/** Stands in a file's name for the architecture. */
const ARCH = '{arch}';

/**
 * The symbols of each architecture.
 * @param path a file for every architecture, or one an architecture with `{arch}` in its name
 * @throws StablelistError
 */
export function readStablelists(path: string, env: NodeJS.ProcessEnv): Stablelist['symbols'] {
  const at = expandHome(path, env);
  try {
    const files = filesOf(at);
    if (files.length === 0) throw new StablelistError(`no file ${at} for any architecture`);
    return Object.fromEntries(
      files.map(([arch, file]) => [arch, [...parseStablelist(readFileSync(file, 'utf8'), file).symbols]]),
    );
  } catch (cause) {
    if (cause instanceof StablelistError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StablelistError(cause instanceof SymbolFileError ? why : `cannot be read: ${why}`, { cause });
  }
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
