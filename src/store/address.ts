/** Where a store on PostgreSQL is: a URL as libpq reads it, as far as it matters here. */
import { userInfo } from 'node:os';

/** What is behind the `?` of a URL, in libpq's words. */
const PARAMETERS = ['host', 'options', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'];
const SSLMODES = ['disable', 'require', 'verify-ca', 'verify-full'];

/** The database of a URL. */
export interface Address {
  /** For messages: without password and parameters. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Whether a store's URL is one of PostgreSQL. */
export const isPostgresUrl = (url: string): boolean => /^postgres(ql)?:\/\//.test(url);

/** The database that a URL names, or what is wrong with the URL, in words. */
export function readAddress(url: string): Address | string {
  if (!isPostgresUrl(url) || !URL.canParse(url)) return 'is no URL such as "postgres://USER@HOST/DATABASE"';
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const parameters = Object.fromEntries(searchParams);
  const unknown = Object.keys(parameters).find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) return `has ${unknown}=…; known here: ${PARAMETERS.join(', ')}`;
  const { sslmode, host = decodeURIComponent(hostname).replace(/^\[|\]$/g, '') } = parameters;
  if (sslmode !== undefined && !SSLMODES.includes(sslmode))
    return `has sslmode=${sslmode}; known here: ${SSLMODES.join(', ')}`;
  const database = decodeURIComponent(pathname.slice(1));
  if (host === '' || database === '' || database.includes('/'))
    return `names no ${host === '' ? 'host' : 'database'}: "postgres://USER@HOST/DATABASE"`;
  const user = decodeURIComponent(username) || process.env['PGUSER'] || userInfo().username;
  const at = host.includes(':') ? `[${host}]` : host;
  return {
    name: `postgres://${user}@${at}:${port || 5432}/${database}`,
    ...{ host, user, database, parameters },
    port: Number(port || 5432),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

/** Whether all goes over TLS. */
export const isEncrypted = ({ parameters: { sslmode = 'disable' } }: Address): boolean =>
  sslmode !== 'disable';
