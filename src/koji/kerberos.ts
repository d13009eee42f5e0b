/**
 * Tickets for a hub's login, from a keytab, by the npm package `kerberos`. The package is not installed with
 * kmod-gate: it needs the headers of Kerberos to be compiled, and most gates log in without it.
 */
import { HubError } from './hub.ts';

/** What of the package is used: a GSSAPI client whose first step makes the token. */
interface KerberosPackage {
  initializeClient(
    service: string,
    options: { readonly principal?: string },
  ): Promise<{ step(challenge: string): Promise<string> }>;
}

const PACKAGE = 'kerberos';

/** Whose ticket: `principal` out of `keytab`; the keytab's first without it, the environment's tickets without both. */
export interface Identity {
  readonly keytab?: string;
  readonly principal?: string;
}

/**
 * The value of an `Authorization` header for the HTTP service of a host. With a keytab the library fetches the ticket
 * by itself, keeps it in this process's memory, and fetches another one before it ends.
 * @throws HubError `unavailable`
 */
export async function negotiateToken(host: string, { keytab, principal }: Identity): Promise<string> {
  const { initializeClient } = await load();
  if (keytab !== undefined) {
    process.env['KRB5_CLIENT_KTNAME'] = keytab;
    process.env['KRB5CCNAME'] = `MEMORY:${keytab}`;
  }
  try {
    const client = await initializeClient(`HTTP@${host}`, principal === undefined ? {} : { principal });
    return `Negotiate ${await client.step('')}`;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const whose = [principal, keytab ?? 'the tickets of the environment'].filter(Boolean).join(' with ');
    throw new HubError('unavailable', 'login', `login: Kerberos, ${whose}: ${why}${advice(why)}`, { cause });
  }
}

/** What the words of MIT Kerberos mean here. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/Preauthentication failed|Decrypt integrity|password/i, 'the keytab is out of date; export it anew'],
  [/not found in Kerberos database/i, 'the realm does not know the principal, or HTTP/HOST of the hub'],
  [
    /No Kerberos credentials|No credentials cache|Can't find client principal|keytab/i,
    'see keytab and principal',
  ],
  [/Cannot (contact|find) (any )?KDC/i, 'see krb5.conf, and the network'],
  [/Clock skew/i, 'set the clock'],
];

function advice(why: string): string {
  const found = ADVICE.find(([pattern]) => pattern.test(why));
  return found ? `; ${found[1]}` : '';
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
