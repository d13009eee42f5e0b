/** Debian's httpd before a hub, as production has it: a certificate or a ticket is asked for at the login alone. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../services.ts';

const HTTPD = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';
/** The header in which httpd tells the hub whose certificate it has verified. */
export const VERIFIED = 'x-verified-client';

/** Whether certificates can be made. With REQUIRE_SERVICES=1 what is missing throws, here and below. */
export const openssl = (): boolean => installed('/usr/bin/openssl', 'Debian package openssl');

/** Whether httpd is there, to stand before a hub. */
export const httpd = (): boolean => openssl() && installed(HTTPD, 'Debian package apache2');

/** Whether httpd can ask for tickets, and there is a KDC to issue them. */
export const kerberized = (): boolean =>
  httpd() &&
  installed(`${MODULES}/mod_auth_gssapi.so`, 'Debian package libapache2-mod-auth-gssapi') &&
  installed('/usr/sbin/krb5kdc', 'Debian package krb5-kdc') &&
  installed('/usr/sbin/kadmin.local', 'Debian package krb5-admin-server') &&
  installed('node_modules/kerberos', 'npm install --no-save kerberos, with libkrb5-dev');

/** A folder with certificates, made by openssl. */
export interface Authority {
  /** The authority's own certificate. */
  readonly ca: string;
  /** Sign a certificate; answers the file with certificate and key. `days` may be negative: expired. */
  issue(name: string, days?: number): string;
  remove(): void;
}

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-ca-'));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const request = (name: string) => [
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
  ];
  openssl(...request('ca'), '-x509', '-days', '2', '-out', 'ca.crt');
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  return {
    ca: file('ca.crt'),
    issue(name, days = 1) {
      openssl(...request(name), '-out', `${name}.csr`);
      const sign = [
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.crt',
        '-CAkey',
        'ca.key',
        '-CAcreateserial',
      ];
      openssl(...sign, '-days', String(days), '-extfile', 'names', '-out', `${name}.crt`);
      writeFileSync(
        file(`${name}.pem`),
        readFileSync(file(`${name}.crt`), 'utf8') + readFileSync(file(`${name}.key`), 'utf8'),
      );
      return file(`${name}.pem`);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Httpd {
  /** The hub's address behind it. */
  readonly url: string;
  stop(): Promise<void>;
}

/** By certificate, or by Kerberos with the keytab of the service. */
export type Login = 'certificate' | { readonly keytab: string; readonly krb5: string };

/**
 * Start httpd before a hub. Throws an Error with its words where it does not start.
 * @param protocols what TLS it speaks, as `SSLProtocol` of mod_ssl has it
 */
export async function startHttpd(
  hub: string,
  authority: Authority,
  login: Login = 'certificate',
  protocols = '+TLSv1.2 +TLSv1.3',
): Promise<Httpd> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-httpd-'));
  const port = await freePort();
  const pem = authority.issue('hub');
  const config = join(folder, 'httpd.conf');
  const log = join(folder, 'error.log');
  writeFileSync(
    config,
    configuration({ folder, port, pem, ca: authority.ca, hub: new URL(hub).origin, log, login, protocols }),
  );
  const env = login === 'certificate' ? process.env : { ...process.env, KRB5_CONFIG: login.krb5 };
  const child = spawn(HTTPD, ['-f', config, '-DFOREGROUND'], { stdio: 'ignore', env });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `https://localhost:${port}/kojihub`;
  for (let tries = 0; tries < 100; tries++) {
    if (child.exitCode !== null) break;
    if (existsSync(log) && readFileSync(log, 'utf8').includes('resuming normal operations'))
      return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const words = existsSync(log) ? readFileSync(log, 'utf8') : 'no log';
  await stop();
  throw new Error(`httpd did not start:\n${words}`);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function configuration(at: {
  folder: string;
  port: number;
  pem: string;
  ca: string;
  hub: string;
  log: string;
  login: Login;
  protocols: string;
}): string {
  const auth = at.login === 'certificate' ? [] : ['authn_core', 'authz_user', 'auth_gssapi'];
  const modules = [
    'mpm_event',
    'authz_core',
    'ssl',
    'socache_shmcb',
    'headers',
    'proxy',
    'proxy_http',
    ...auth,
  ];
  return `
ServerRoot ${at.folder}
ServerName 127.0.0.1
PidFile ${at.folder}/httpd.pid
DefaultRuntimeDir ${at.folder}
ErrorLog ${at.log}
LogLevel notice
Listen 127.0.0.1:${at.port} https
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
Mutex file:${at.folder}
SSLSessionCache none
SSLEngine on
SSLProtocol -all ${at.protocols}
SSLCertificateFile ${at.pem}
SSLCACertificateFile ${at.ca}
<Location /kojihub/ssllogin>
${at.login === 'certificate' ? BY_CERTIFICATE : byKerberos(at.login.keytab)}
</Location>
ProxyPass /kojihub ${at.hub}/kojihub
`;
}

const BY_CERTIFICATE = `
  SSLVerifyClient require
  SSLVerifyDepth 2
  RequestHeader set ${VERIFIED} "expr=%{SSL_CLIENT_S_DN_CN}"`;

const byKerberos = (keytab: string): string => `
  AuthType GSSAPI
  AuthName hub
  GssapiCredStore keytab:${keytab}
  GssapiLocalName On
  Require valid-user
  RequestHeader set ${VERIFIED} "expr=%{REMOTE_USER}"`;
