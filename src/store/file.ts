/** The file of a store: which one it really is, whose it is, and that one gate at a time writes to it. */
import { existsSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import Database from 'libsql';
import { StoreError } from './error.ts';

/**
 * Where a path leads, through links and folders that are links; the file need not be there yet, nor what a link names. Two
 * paths of one file must not be two stores.
 * @returns an absolute path; as it stands where its folder is not there
 */
export function realFile(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  if (!existsSync(dirname(path))) return resolve(path);
  const folder = realpathSync(dirname(path));
  const target = linkAt(join(folder, basename(path)));
  return target === undefined ? join(folder, basename(path)) : realFile(resolve(folder, target));
}

/** What a link names; undefined where there is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Another program's database is left as it is: nothing is written before this. */
export function assertOwn(file: string): void {
  if (!existsSync(file)) return;
  const database = new Database(file);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const names = tables.map((table) => (table as { name: string }).name);
    if (names.length > 0 && !names.includes('installation'))
      throw new StoreError(`${file}: another program's database; name another file in store.url`);
  } finally {
    database.close();
  }
}

/**
 * A transaction that stays open in a file beside the store: SQLite's own lock, which the system takes away
 * when the process dies, however it dies.
 * @param file as `realFile` answers it
 * @throws StoreError when another gate has it, or could have it by another name of the file
 */
export function lockFor(file: string): Database.Database {
  assertOneName(file);
  const lock = new Database(`${file}.lock`);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    const what = 'another kmod-gate uses this store; stop it first, or name another store.url';
    throw new StoreError(`${file}: ${what}`, { cause: error });
  }
}

/** Of a hard link nothing tells where the other names are, and SQLite would keep a journal beside each. */
function assertOneName(file: string): void {
  const names = existsSync(file) ? statSync(file).nlink : 1;
  if (names <= 1) return;
  const what = `the file has ${names} names (hard links), by each of which a gate could open it`;
  throw new StoreError(
    `${file}: ${what}; remove the others, or copy it and name the copy in store.url ("find -samefile ${file}" lists them)`,
  );
}
