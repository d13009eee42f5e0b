/**
 * Tickets for a hub's login, from a keytab, by the npm package `kerberos`. The package is not installed with
 * kmod-gate: it needs the headers of Kerberos to be compiled, and most gates log in without it.
 */
import { HubError } from './hub.ts';

/** What of the package is used: a GSSAPI client whose first step makes the token. */
interface KerberosPackage {
  initializeClient(service: string): Promise<{ step(challenge: string): Promise<string> }>;
}

const PACKAGE = 'kerberos';

/**
 * The value of an `Authorization` header for the HTTP service of a host. The library fetches the ticket with
 * the keytab, keeps it in this process's memory, and fetches another one before it ends.
 * @param keytab file with the key of the principal to log in as
 * @throws HubError `unavailable`
 */
export async function negotiateToken(host: string, keytab: string): Promise<string> {
  const { initializeClient } = await load();
  process.env['KRB5_CLIENT_KTNAME'] = keytab;
  process.env['KRB5CCNAME'] = `MEMORY:${keytab}`;
  try {
    const client = await initializeClient(`HTTP@${host}`);
    return `Negotiate ${await client.step('')}`;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HubError('unavailable', 'login', `login: Kerberos, with ${keytab}: ${why}`, { cause });
  }
}

async function load(): Promise<KerberosPackage> {
  try {
    const loaded = await import(PACKAGE);
    return loaded.default ?? loaded;
  } catch (cause) {
    const how =
      'install the headers of Kerberos (libkrb5-dev or krb5-devel), then "npm install --no-save kerberos" where kmod-gate is';
    throw new HubError('unavailable', 'login', `login: Kerberos needs the npm package kerberos: ${how}`, {
      cause,
    });
  }
}
