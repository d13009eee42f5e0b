/** Client certificates and certificate authorities, as Koji's client names them: `cert`, `serverca`. */

import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { readText } from '../files/read.ts';
import { SettingsError } from './hub.ts';

/** Files in PEM. */
export interface CertificateFiles {
  /** The table of the configuration that names them, for messages. Default: koji. */
  readonly table?: 'koji' | 'bus';
  /** The client certificate, and its key too unless `key` has it. */
  readonly cert?: string;
  readonly key?: string;
  /** Who signed the hub's certificate; without it the system's authorities count. */
  readonly serverca?: string;
}

/**
 * Read the files and check what would otherwise only fail in the middle of a handshake.
 * @param now milliseconds since the epoch
 * @returns the authority for every call, and the certificate for the login
 * @throws SettingsError
 */
export function readCertificates(
  files: CertificateFiles,
  now: number,
): { ca: SecureContextOptions; client: SecureContextOptions } {
  const { table = 'koji' } = files;
  const read = (what: Named, file: string) => readFile(what, file, table);
  const ca = files.serverca === undefined ? {} : { ca: read('serverca', files.serverca) };
  // Node takes a file without any, and then trusts nobody.
  if (files.serverca !== undefined) parse('serverca', files.serverca, ca.ca ?? '', table);
  if (files.cert === undefined) return { ca, client: ca };
  const cert = read('cert', files.cert);
  const key = files.key === undefined ? cert : read('key', files.key);
  checkDates(files.cert, cert, now, table);
  const client = { ...ca, cert, key };
  try {
    createSecureContext(client);
  } catch (cause) {
    const where = files.key === undefined ? files.cert : `${files.cert} and ${files.key}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SettingsError(
      `${where}: certificate and key do not make a pair (${why}); the key may stand in cert's file, or in one named by key`,
      { cause },
    );
  }
  return { ca, client };
}

type Named = Exclude<keyof CertificateFiles, 'table'>;

function readFile(what: Named, file: string, table: string): string {
  try {
    return readText(file);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SettingsError(`${what} in [${table}] cannot be read: ${why}`, { cause });
  }
}

function parse(what: Named, file: string, pem: string, table: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new SettingsError(`${file}: holds no certificate in PEM; name one with ${what} in [${table}]`, {
      cause,
    });
  }
}

function checkDates(file: string, pem: string, now: number, table: string): void {
  const { validFrom, validTo, subject } = parse('cert', file, pem, table);
  const who = subject.replaceAll('\n', ', ');
  if (Date.parse(validTo) <= now)
    throw new SettingsError(`${file}: the certificate of ${who} expired on ${validTo}; get a new one`);
  if (Date.parse(validFrom) > now) {
    throw new SettingsError(
      `${file}: the certificate of ${who} is valid from ${validFrom} only; check the clock`,
    );
  }
}
