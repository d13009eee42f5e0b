/** A Kerberos realm for a test: a KDC on a port of its own, and keytabs. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './httpd.ts';

export const REALM = 'KMODGATE.TEST';

export interface Kdc {
  /** Its krb5.conf, for KRB5_CONFIG. */
  readonly krb5: string;
  /** Make principals; answers the keytab with their keys, in this order. */
  keytab(...principals: string[]): string;
  /** It answers nobody, and does so again. */
  pause(): void;
  resume(): void;
  /** What an administrator types. */
  admin(query: string): void;
  stop(): Promise<void>;
}

export async function startKdc(): Promise<Kdc> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-kdc-'));
  const port = await freePort();
  const krb5 = join(folder, 'krb5.conf');
  writeFileSync(
    krb5,
    `[libdefaults]
default_realm = ${REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
${REALM} = {
  kdc = 127.0.0.1:${port}
}
[domain_realm]
localhost = ${REALM}
`,
  );
  const profile = join(folder, 'kdc.conf');
  writeFileSync(
    profile,
    `[kdcdefaults]
kdc_listen = 127.0.0.1:${port}
kdc_tcp_listen = 127.0.0.1:${port}
[realms]
${REALM} = {
  database_name = ${folder}/principal
  key_stash_file = ${folder}/stash
  acl_file = ${folder}/acl
}
`,
  );
  const env = { ...process.env, KRB5_CONFIG: krb5, KRB5_KDC_PROFILE: profile };
  const admin = (query: string) =>
    void execFileSync('kadmin.local', ['-r', REALM, '-q', query], { env, stdio: 'pipe' });
  execFileSync('kdb5_util', ['create', '-s', '-P', 'in-the-test-only', '-r', REALM], { env, stdio: 'pipe' });
  const child = spawn('krb5kdc', ['-n', '-r', REALM], { env, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    krb5,
    admin,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    keytab(...principals) {
      const file = join(folder, `${principals.join('+').replaceAll('/', '-')}.keytab`);
      for (const principal of principals) {
        admin(`addprinc -randkey ${principal}@${REALM}`);
        admin(`ktadd -k ${file} ${principal}@${REALM}`);
      }
      return file;
    },
    async stop() {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
