/** A RabbitMQ of the test's own, with TLS, client certificates, and users that may do little. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../services.ts';
import { type Authority, freePort, openssl } from './httpd.ts';

const BIN = '/usr/lib/rabbitmq/bin';

/** Whether a broker with certificates can be started. With REQUIRE_SERVICES=1 what is missing throws. */
export const rabbitServer = (): boolean =>
  openssl() && installed(`${BIN}/rabbitmq-server`, 'Debian package rabbitmq-server');

export interface RabbitServer {
  /** Addresses without user and vhost: `amqp://127.0.0.1:PORT`, and `amqps://localhost:PORT`. */
  readonly plain: string;
  readonly tls: string;
  /** Runs rabbitmqctl; answers what it prints. */
  ctl(...args: string[]): string;
  stop(): Promise<void>;
}

/** A user, and patterns of the names that it may make, write to, and read. One without a password needs a certificate. */
export interface RabbitUser {
  readonly name: string;
  readonly password?: string;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** Start it with these users in the vhost `/`. Throws an Error with its words where it does not start. */
export async function startRabbit(authority: Authority, users: readonly RabbitUser[]): Promise<RabbitServer> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-rabbitmq-'));
  const file = (name: string) => join(folder, name);
  const [tcp, tls, dist] = [await freePort(), await freePort(), await freePort()];
  const pem = authority.issue('broker');
  for (const name of ['mnesia', 'log']) mkdirSync(file(name));
  writeFileSync(file('enabled_plugins'), '[rabbitmq_auth_mechanism_ssl, rabbitmq_amqp1_0].\n');
  writeFileSync(file('definitions.json'), JSON.stringify(definitions(users)));
  writeFileSync(
    file('rabbitmq.conf'),
    [
      `listeners.tcp.one = 127.0.0.1:${tcp}`,
      `listeners.ssl.one = 127.0.0.1:${tls}`,
      `ssl_options.cacertfile = ${authority.ca}`,
      `ssl_options.certfile = ${pem}`,
      `ssl_options.keyfile = ${pem}`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = false',
      'ssl_cert_login_from = common_name',
      'auth_mechanisms.1 = EXTERNAL',
      'auth_mechanisms.2 = PLAIN',
      `load_definitions = ${file('definitions.json')}`,
      '',
    ].join('\n'),
  );
  const env = {
    ...process.env,
    HOME: folder,
    RABBITMQ_NODENAME: `kmod-gate-${randomUUID()}@localhost`,
    RABBITMQ_MNESIA_BASE: file('mnesia'),
    RABBITMQ_LOG_BASE: file('log'),
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const child = spawn(`${BIN}/rabbitmq-server`, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  let said = '';
  const started = new Promise<boolean>((resolve) => {
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (said.includes('completed with')) resolve(true);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void ended.then(() => resolve(false));
  });
  if (!(await started)) {
    const logs = readdirSync(file('log')).map((name) => readFileSync(join(file('log'), name), 'utf8'));
    await stop();
    throw new Error(`RabbitMQ does not start: ${said.slice(-500)}\n${logs.join('').slice(-2_000)}`);
  }
  return {
    plain: `amqp://127.0.0.1:${tcp}`,
    tls: `amqps://localhost:${tls}`,
    ctl: (...args) =>
      execFileSync(`${BIN}/rabbitmqctl`, ['--quiet', ...args], { env, encoding: 'utf8', stdio: 'pipe' }),
    stop,
  };
}

const definitions = (users: readonly RabbitUser[]) => ({
  vhosts: [{ name: '/' }],
  users: users.map(({ name, password }) => ({
    name,
    tags: '',
    hashing_algorithm: 'rabbit_password_hashing_sha256',
    password_hash: password === undefined ? '' : hashOf(password),
  })),
  permissions: users.map(({ name: user, configure, write, read }) => ({
    vhost: '/',
    user,
    configure,
    write,
    read,
  })),
});

/** As RabbitMQ keeps passwords: four bytes of salt, and SHA-256 of salt and password. */
function hashOf(password: string): string {
  const salt = randomBytes(4);
  return Buffer.concat([salt, createHash('sha256').update(salt).update(password).digest()]).toString(
    'base64',
  );
}
