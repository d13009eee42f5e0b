/** deploy/rabbitmq/definitions.json, imported into a real RabbitMQ: what the gate needs works, and no more than that. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startConsumer } from '../../src/bus/consumer.ts';
import { memoryLog } from '../bus/helpers.ts';
import { fileOf } from '../commands/program.ts';
import { installed, RABBIT_URL, rabbit } from '../services.ts';

const here = new URL(RABBIT_URL).hostname === '127.0.0.1' && process.getuid?.() === 0;
const isThere =
  here && (await rabbit()) && installed('/usr/sbin/rabbitmqctl', 'Debian package rabbitmq-server');

/** Names of its own: a RabbitMQ that others use, too, keeps what it has. */
const MARK = `kmod-gate-test-${process.pid}`;
const VHOST = `${MARK}-koji`;
const userOf = (name: string) => `${MARK}-${name}`;

describe.runIf(isThere)('RabbitMQ with our definitions', () => {
  const rabbitmqctl = (...args: string[]) =>
    execFileSync('rabbitmqctl', ['-q', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const open: ChannelModel[] = [];
  const urlOf = (user: string) => {
    const url = new URL(RABBIT_URL);
    Object.assign(url, { username: userOf(user), password: 'for-this-test', pathname: VHOST });
    return url.href;
  };
  async function channelOf(user: string) {
    const connection = await connect(urlOf(user));
    open.push(connection);
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    return channel;
  }

  beforeAll(() => {
    const text = readFileSync(fileOf('deploy/rabbitmq/definitions.json'), 'utf8')
      .replaceAll(/"(user|name)": "(koji-hub|kmod-gate)"/g, `"$1": "${MARK}-$2"`)
      .replaceAll(/"vhost": "koji"/g, `"vhost": "${VHOST}"`)
      .replace('"vhosts": [{ "name": "koji" }]', `"vhosts": [{ "name": "${VHOST}" }]`);
    // rabbitmqctl reads it as the user rabbitmq.
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-rabbitmq-'));
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'definitions.json'), text, { mode: 0o644 });
    rabbitmqctl('import_definitions', join(folder, 'definitions.json'));
    rmSync(folder, { recursive: true });
    for (const name of ['koji-hub', 'kmod-gate'])
      rabbitmqctl('change_password', userOf(name), 'for-this-test');
  }, 120_000);
  afterAll(async () => {
    for (const connection of open) await connection.close().catch(() => {});
    rabbitmqctl('delete_vhost', VHOST);
    for (const name of ['koji-hub', 'kmod-gate']) rabbitmqctl('delete_user', userOf(name));
  }, 120_000);

  // What the messages hold is for test/bus; here it is who may send and hear them.
  test('a gate hears what the hub sends, in both families', async () => {
    const bus = {
      exchange: 'amq.topic',
      queue: 'kmod-gate',
      bindings: ['#.buildsys.#', 'koji.#'],
      prefetch: 5,
    };
    const consumer = startConsumer({ url: urlOf('kmod-gate'), ...bus }, () => {}, memoryLog().log);
    await consumer.ready;
    const hub = await channelOf('koji-hub');
    const send = (key: string, body: object) =>
      hub.publish('amq.topic', key, Buffer.from(JSON.stringify(body)), { contentType: 'application/json' });
    send('org.example.buildsys.tag', { tag: 'c9s-gate', build_id: 15, name: 'kernel', instance: 'primary' });
    send('koji.build.tag', { tag: { name: 'c9s-gate', id: 3 }, build: { build_id: 16, name: 'kernel' } });
    await hub.waitForConfirms();
    await expect.poll(() => consumer.state().received, { timeout: 30_000 }).toBe(2);
    await consumer.close();
  }, 60_000);

  test('its queue is bounded, and goes when nobody has come for a week', () => {
    const policies = rabbitmqctl('list_policies', '-p', VHOST);
    expect(policies).toMatch(
      /kmod-gate\s+\^kmod-gate\s+queues\s+\{.*"expires":604800000,"max-length":100000/,
    );
  }, 60_000);

  test.each<[string, string, (channel: Awaited<ReturnType<typeof channelOf>>) => Promise<unknown>]>([
    ['the gate', 'kmod-gate', (channel) => publish(channel, 'koji.build.tag')],
    ['the gate', 'kmod-gate', (channel) => channel.assertQueue('of-somebody-else')],
    ['the gate', 'kmod-gate', (channel) => channel.assertExchange('of-somebody-else', 'topic')],
    ['the hub', 'koji-hub', (channel) => channel.assertQueue('kmod-gate-2')],
    ['the hub', 'koji-hub', (channel) => channel.consume('kmod-gate', () => {})],
    ['the hub', 'koji-hub', (channel) => publish(channel, 'other.things')],
  ])(
    '%s may do no more (%#)',
    async (_who, user, act) => {
      const channel = await channelOf(user);
      const refused = new Promise<Error>((resolve) => channel.once('error', resolve));
      await act(channel).catch(() => {});
      expect((await refused).message).toMatch(/403 \(ACCESS-REFUSED\)/);
    },
    60_000,
  );
});

function publish(
  channel: { publish: (...args: [string, string, Buffer]) => boolean },
  key: string,
): Promise<void> {
  channel.publish('amq.topic', key, Buffer.from('{}'));
  return Promise.resolve();
}
