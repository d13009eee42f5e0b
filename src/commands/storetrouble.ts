/** What a database says of its file while it is written: the disk's trouble, and no bug. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../store/error.ts';
import type { Store } from '../store/store.ts';

/** SQLite ends the transaction itself then, and what is heard is that there is none to take back. */
const TAKEN_BACK = /cannot rollback/;

const isOfDatabase = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'SqliteError';

/** @returns the error to throw: one of the database names the store; any other is itself */
export function storeTrouble(url: string, error: unknown): unknown {
  if (!isOfDatabase(error)) return error;
  const file = url.replace(/^sqlite:/, '');
  const isLost = TAKEN_BACK.test(error.message);
  const why = isFull(file)
    ? 'the disk is full (ENOSPC)'
    : isLost
      ? 'the disk is full, or fails'
      : error.message;
  return new StoreError(`${file}: cannot be written: ${why}; nothing of it was recorded`, { cause: error });
}

function isFull(file: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    // SQLite writes some pages at a time.
    return bavail * bsize < ROOM;
  } catch {
    return false;
  }
}

/** A disk with less room than this, in bytes, takes no transaction. */
const ROOM = 1024 * 1024;

/** The same store, which tells of the first time that its database said no. */
export function heardStore<S extends Store>(store: S): { readonly store: S; trouble(): Error | undefined } {
  let first: Error | undefined;
  const hear = (error: unknown) => {
    if (isOfDatabase(error)) first ??= error;
    throw error;
  };
  const heard = new Proxy(store, {
    get(of, name, receiver) {
      const value: unknown = Reflect.get(of, name, receiver);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const answer: unknown = value.apply(of, args);
        return answer instanceof Promise ? answer.catch(hear) : answer;
      };
    },
  });
  return { store: heard, trouble: () => first };
}
