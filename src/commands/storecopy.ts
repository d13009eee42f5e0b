/** `kmod-gate store copy`: moves all that a gate knows into another database. */
import { existsSync, rmSync } from 'node:fs';
import { maskUrl } from '../config/mistakes.ts';
import { plural } from '../core/wording.ts';
import { isPostgresUrl } from '../store/address.ts';
import { copyStore } from '../store/copy.ts';
import { StoreError } from '../store/error.ts';
import { realFile } from '../store/file.ts';
import { type Connected, connect, explain } from '../store/open.ts';
import { line, type Output } from './text.ts';

/**
 * Copy a store and say what was copied.
 * @param passwordFile holds the password for PostgreSQL
 * @throws StoreError where there is nothing to copy, a gate uses it, or there is something in the target already; then the
 * target is as it was
 */
export async function storeCopy(
  from: string,
  to: string,
  output: Output,
  passwordFile?: string,
): Promise<void> {
  for (const url of [from, to])
    if (!/^sqlite:./.test(url) && !isPostgresUrl(url))
      throw new StoreError(
        `${maskUrl(url)}: no URL of a store; it is "sqlite:PATH" or "postgres://USER@HOST/DATABASE"`,
      );
  const [source, target] = [fileOf(from), fileOf(to)];
  if (source !== undefined && !existsSync(source)) throw new StoreError(`${source}: no such store`);
  if (source === target && (source !== undefined || from === to))
    throw new StoreError(`${maskUrl(to)}: is the store that is to be copied; name another one`);
  const isNew = target !== undefined && !existsSync(target);
  try {
    // Of SQLite a writer holds the lock; of PostgreSQL it would make a store where there is none.
    const mode = source === undefined ? 'append' : 'write';
    const counts = await within(from, mode, passwordFile, (one) =>
      within(to, 'write', passwordFile, (other) => copyStore(one, other)),
    );
    const told = (['kernel_build', 'run', 'waiver', 'journal'] as const).map(
      (table) => counts.get(table) ?? 0,
    );
    const [kernels = 0, runs = 0, waivers = 0, lines = 0] = told;
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
    output.write(
      line(
        `Copied ${plural(kernels, 'kernel')}, ${plural(runs, 'run')}, ${plural(waivers, 'waiver')} and ${plural(lines, 'line')} of the journal: all ${all} rows of ${counts.size} tables are there.`,
      ),
    );
    output.write(
      'Name the copy in store.url, and start no gate with the old store any more: both would act.\n',
    );
  } catch (error) {
    if (isNew && target !== undefined)
      for (const end of ['', '-wal', '-shm', '.lock']) rmSync(`${target}${end}`, { force: true });
    throw error;
  }
}

/** The file of a store; undefined where it is none. */
const fileOf = (url: string): string | undefined =>
  isPostgresUrl(url) ? undefined : realFile(url.replace(/^sqlite:/, ''));

async function within<T>(
  url: string,
  mode: 'append' | 'write',
  passwordFile: string | undefined,
  work: (database: Connected) => Promise<T>,
): Promise<T> {
  const database = await connect(url, mode, passwordFile);
  try {
    return await work(database);
  } catch (error) {
    throw explain(url, error);
  } finally {
    await database.close().catch(() => {});
  }
}
