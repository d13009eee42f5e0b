/** `[store]`: where the gate keeps what it knows. */
import { isEncrypted, isPostgresUrl, readAddress } from '../store/address.ts';
import { expandHome } from './home.ts';
import { type Finding, maskUrl, valueAt } from './mistakes.ts';
import { saidPlaintext } from './rules.ts';
import { type ConfigFile, formatDuration } from './schema.ts';

/**
 * The database: `sqlite:PATH`, relative to the working directory, `sqlite::memory:`, or `postgres://USER@HOST/DATABASE`, which
 * several gates may share.
 */
export interface StoreSettings {
  readonly url: string;
  /** File with the password for PostgreSQL, instead of one in the URL; read at each connection. */
  readonly password_file?: string;
  /** The password may go to another host without TLS. */
  readonly plaintext?: boolean;
  /** For how long all of a run that is over stays in it; null, or absent: for ever. */
  readonly keep?: number | null;
}

/** `env` gives HOME. */
export const storeSettings = (
  { url, keep, password_file, plaintext }: ConfigFile['store'],
  env: NodeJS.ProcessEnv,
): StoreSettings => ({
  ...{ url, keep },
  ...(password_file !== undefined && { password_file: expandHome(password_file, env) }),
  ...(plaintext && { plaintext }),
});

/** What is wrong with the URL, and what does not go together. What is not of the right kind is left to the schema. */
export function checkStore(document: unknown): Finding[] {
  const of = (key: string) => valueAt(document, ['store', key]);
  const [url, file] = [of('url'), of('password_file')];
  if (typeof url !== 'string') return [];
  if (!isPostgresUrl(url)) {
    const message = 'is for PostgreSQL: a file of SQLite has no password';
    return file === undefined ? [] : [{ path: ['store', 'password_file'], message }];
  }
  const path = ['store', 'url'];
  const address = readAddress(url);
  if (typeof address === 'string') return [{ path, message: address }];
  const findings: Finding[] = [];
  if (address.password !== undefined && file !== undefined)
    findings.push({ path, message: 'has a password, and password_file names another one: keep one of them' });
  const secret = address.password !== undefined || file !== undefined;
  if (secret && !isEncrypted(address) && !isHere(address.host) && !saidPlaintext(document, 'store'))
    findings.push({
      path,
      message: `goes to ${address.host} without TLS, and lets everybody on the way read: add "?sslmode=verify-full", or set plaintext = true where that is meant`,
    });
  return findings;
}

/** Whether it is this machine itself, by the network or by a socket. */
const isHere = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1|\/.*)$/i.test(host);

/** On one line, passwords as `***`. */
export function describeStore({ url, password_file, keep }: StoreSettings): string {
  const secret = password_file === undefined ? '' : `, password from ${password_file}`;
  const kept = keep ? `for ${formatDuration(keep)}` : 'for ever';
  return `${maskUrl(url)}${secret}, keeps all of a run ${kept}`;
}
