/** How to connect to PostgreSQL. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { type Address, isEncrypted } from './address.ts';
import { StoreError } from './error.ts';

/** Numbers of PostgreSQL's types. */
const { BOOL, INT8, NUMERIC } = pg.types.builtins;

/** Whole numbers are numbers, and truth is 1 or 0, as SQLite has them. */
const types = {
  getTypeParser(type: number, format?: 'text' | 'binary') {
    if (type === INT8 || type === NUMERIC) return Number;
    if (type === BOOL) return (text: string) => Number(text === 't');
    return pg.types.getTypeParser(type, format ?? 'text');
  },
} as pg.CustomTypesConfig;

/**
 * How to connect to it.
 * @param passwordFile is read at each connection, so that a renewed password counts
 * @throws StoreError for files that cannot be read
 */
export function connectionTo(address: Address, passwordFile?: string): pg.ClientConfig {
  const { host, port, user, database, password, parameters, name } = address;
  const contentOf = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (cause) {
      const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw new StoreError(`${name}: ${file} cannot be read (${why}); see store.url`, { cause });
    }
  };
  const { sslmode, sslrootcert, sslcert, sslkey, options } = parameters;
  const secret = passwordFile === undefined ? password : () => contentOf(passwordFile).replace(/\r?\n$/, '');
  return {
    ...{ host, port, user, database },
    ...(secret !== undefined && { password: secret }),
    ...(options !== undefined && { options }),
    types,
    application_name: 'kmod-gate',
    keepAlive: true,
    ssl: isEncrypted(address) && {
      ...(sslrootcert !== undefined && { ca: contentOf(sslrootcert) }),
      ...(sslcert !== undefined && { cert: contentOf(sslcert) }),
      ...(sslkey !== undefined && { key: contentOf(sslkey) }),
      // With a file of authorities `require` asks who signed, as libpq has it.
      rejectUnauthorized: sslmode !== 'require' || sslrootcert !== undefined,
      ...(sslmode !== 'verify-full' && { checkServerIdentity: () => undefined }),
    },
  };
}
