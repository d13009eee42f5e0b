/** A PostgreSQL of the test's own, with TLS and a user that needs a password. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../services.ts';
import { type Authority, freePort, openssl } from './httpd.ts';

const ROOT = '/usr/lib/postgresql';
const bin = (): string => {
  const [newest = 'none'] = readdirSync(ROOT).toSorted((a, b) => Number(b) - Number(a));
  return join(ROOT, newest, 'bin');
};

/** Whether a server with certificates can be started. With REQUIRE_SERVICES=1 what is missing throws. */
export const postgresServer = (): boolean =>
  openssl() &&
  installed(ROOT, 'Debian package postgresql') &&
  installed(`${bin()}/initdb`, 'Debian package postgresql');

export interface PostgresServer {
  readonly port: number;
  start(): Promise<void>;
  /** At once, as a machine ends. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export const USER = 'gate';
export const PASSWORD = 's3cret';

/** Make a database `kmod_gate` of the user `gate`, and start its server. It runs as a user who is not root. */
export async function startPostgres(authority: Authority): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-postgres-'));
  const isRoot = process.getuid?.() === 0;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const who = isRoot ? { uid: id('-u'), gid: id('-g') } : {};
  const own = (path: string) => void (who.uid !== undefined && chownSync(path, who.uid, who.gid ?? 0));
  own(folder);
  const data = join(folder, 'data');
  const port = await freePort();
  const run = (program: string, ...args: string[]) =>
    execFileSync(join(bin(), program), args, { ...who, cwd: folder, stdio: 'pipe' });
  run('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync');
  const pem = join(data, 'server.pem');
  copyFileSync(authority.issue('database'), pem);
  own(pem);
  chmodSync(pem, 0o600);
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    [
      `listen_addresses = '127.0.0.1, 127.0.0.2'`,
      `port = ${port}`,
      `unix_socket_directories = '${folder}'`,
      'ssl = on',
      `ssl_cert_file = '${pem}'`,
      `ssl_key_file = '${pem}'`,
      'fsync = off',
      '',
    ].join('\n'),
  );
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'local all postgres trust\nhostssl all gate 127.0.0.0/8 scram-sha-256\n',
  );
  let server: ReturnType<typeof spawn> | undefined;
  let ended: Promise<void> = Promise.resolve();
  const start = async () => {
    const child = spawn(join(bin(), 'postgres'), ['-D', data], {
      ...who,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    server = child;
    ended = new Promise((resolve) => child.once('exit', () => resolve()));
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`postgres does not start: ${said}`)));
      child.stderr.on('data', (chunk) => {
        said += chunk;
        if (said.includes('ready to accept connections')) resolve();
      });
    });
  };
  await start();
  const ask = (database: string, sql: string) =>
    run('psql', '-h', folder, '-p', String(port), '-U', 'postgres', '-d', database, '-qc', sql);
  ask('postgres', `CREATE USER ${USER} PASSWORD '${PASSWORD}'`);
  ask('postgres', `CREATE DATABASE kmod_gate OWNER ${USER} ENCODING 'UTF8' TEMPLATE template0`);
  const stop = async () => {
    server?.kill('SIGQUIT');
    await ended;
  };
  return {
    port,
    start,
    stop,
    async remove() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
