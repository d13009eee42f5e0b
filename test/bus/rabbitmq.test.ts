/** What production brokers ask of a gate: certificates, few rights, queues with limits, several hosts. On a RabbitMQ of its own. */
import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ConsumerOptions, startConsumer } from '../../src/bus/consumer.ts';
import type { Consumer, OnHint } from '../../src/bus/intake.ts';
import { connectPublisher } from '../../src/bus/publisher.ts';
import { brokerOptions, consumerOptions } from '../../src/commands/broker.ts';
import type { Config } from '../../src/config/config.ts';
import type { Hint } from '../../src/core/model.ts';
import { type Authority, createAuthority, freePort } from '../servers/httpd.ts';
import { type RabbitServer, rabbitServer, startRabbit } from '../servers/rabbitmq.ts';
import { jsonMessage, memoryLog, openProxy } from './helpers.ts';

type Bus = NonNullable<Config['bus']>;

const build = (id: number): Hint => ({ kind: 'build', id });
const soon = <T>(check: () => T) => vi.waitFor(check, { timeout: 60_000, interval: 10 });
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

// rabbitmqctl takes seconds.
describe.skipIf(!rabbitServer())('a RabbitMQ with certificates', { timeout: 90_000 }, () => {
  let authority: Authority;
  let server: RabbitServer;
  let admin: ChannelModel;
  let channel: Channel;
  let queue: string;
  let consumers: Consumer[];

  beforeAll(async () => {
    authority = createAuthority();
    const all = { configure: '.*', write: '.*', read: '.*' };
    server = await startRabbit(authority, [
      { name: 'admin', password: 'admin', ...all },
      { name: 'kmod-gate', ...all },
      // As on Fedora's public broker: whoever comes makes queues with names in the form of a UUID, and no other.
      { name: 'public', configure: `^${UUID}$`, write: `^(${UUID})$`, read: '.*' },
      // As docs/bus.md has it, without and with dead letters.
      ...['gate', 'dead'].map((name) => ({
        ...{ name, password: name, read: '^(amq\\.topic|kmod-gate)$', configure: '^kmod-gate(\\.dead)?$' },
        write: name === 'dead' ? '^(amq\\.default|kmod-gate(\\.dead)?)$' : '^kmod-gate(\\.dead)?$',
      })),
      // May read what is there.
      { name: 'reader', password: 'reader', configure: '^$', write: '^$', read: '.*' },
    ]);
    await connectAdmin();
  }, 120_000);
  const connectAdmin = async () => {
    admin = await connect(withPlain('admin'));
    admin.on('error', () => {});
    channel = await admin.createChannel();
    channel.on('error', () => {});
  };
  afterAll(async () => {
    await admin?.close();
    await server?.stop();
    authority?.remove();
  }, 60_000);
  beforeEach(async () => {
    queue = `q-${randomUUID()}`;
    consumers = [];
  });
  afterEach(async () => {
    await Promise.all(consumers.map((consumer) => consumer.close()));
    await channel.deleteQueue(queue);
    await channel.deleteQueue(`${queue}.dead`);
  });

  const bus = (more: Partial<Bus>): Bus => ({
    url: server.tls,
    serverca: authority.ca,
    exchange: 'amq.topic',
    queue,
    bindings: ['koji.#'],
    prefetch: 10,
    ...more,
  });
  /** Without TLS. */
  const plain = (more: Partial<Bus>) => {
    const { serverca: _, ...rest } = bus({ url: withPlain('admin'), ...more });
    return rest;
  };
  const withPlain = (user: string) => `${server.plain.replace('//', `//${user}:${user}@`)}`;

  function start(settings: Bus, takeHint?: OnHint, more: Partial<ConsumerOptions> = {}) {
    const hints: Hint[] = [];
    const { log, lines } = memoryLog();
    const subscribed = vi.fn();
    const consumer = startConsumer(
      { ...consumerOptions(settings, subscribed), backoff: { first: 20, most: 100 }, ...more },
      takeHint ?? ((hint) => void hints.push(hint)),
      log,
    );
    consumers.push(consumer);
    return { consumer, hints, lines, subscribed };
  }
  const send = (id: number) => {
    const { routingKey, body } = jsonMessage('koji.build.complete', { info: { id } });
    channel.publish('amq.topic', routingKey, Buffer.from(body));
  };
  /** Columns of the queues that are there, as rabbitmqctl lists them. */
  const queues = (...columns: string[]): Record<string, unknown>[] =>
    JSON.parse(server.ctl('list_queues', '--formatter=json', 'name', ...columns));
  const described = (name: string, ...columns: string[]) =>
    queues(...columns).find((one) => one['name'] === name);

  describe('a login', () => {
    test('by certificate (SASL EXTERNAL) is the user that the certificate names, without any password', async () => {
      const cert = authority.issue('kmod-gate');
      const settings = bus({
        cert,
        login: 'external',
        client_properties: { app_contacts_email: ['a@example.org'] },
      });
      const { consumer, hints, lines } = start(settings);
      await consumer.ready;
      send(1);
      await soon(() => expect(hints).toEqual([build(1)]));
      const [connection] = JSON.parse(
        server.ctl(
          'list_connections',
          '--formatter=json',
          'user',
          'auth_mechanism',
          'ssl',
          'client_properties',
        ),
      ).filter((one: { user: string }) => one.user === 'kmod-gate');
      expect(connection).toMatchObject({ auth_mechanism: 'EXTERNAL', ssl: true });
      expect(JSON.stringify(connection.client_properties)).toContain('a@example.org');
      expect(lines.join()).not.toContain('BEGIN');
    });

    test('with a certificate of nobody known is refused, and it is said what to do', async () => {
      const { consumer } = start(bus({ cert: authority.issue('nobody'), login: 'external' }));
      await soon(() => expect(consumer.state().lastError).toMatch(/EXTERNAL.*rabbitmq_auth_mechanism_ssl/s));
    });

    test('at a broker that is not who it says is none', async () => {
      const other = createAuthority();
      const { consumer } = start(
        bus({ serverca: other.ca, cert: authority.issue('kmod-gate'), login: 'external' }),
      );
      await soon(() => expect(consumer.state().lastError).toMatch(/see serverca in \[bus\]/));
      expect(consumer.state().connected).toBe(false);
      other.remove();
    });

    test('reads a certificate that is renewed at the next connection', async () => {
      const cert = authority.issue('nobody');
      let file = cert;
      const settings = bus({ cert, login: 'external' });
      const tls = () => ({ ...brokerOptions({ ...settings, cert: file }).tls?.() });
      const { consumer } = start(settings, undefined, { tls });
      await soon(() => expect(consumer.state().lastError).toContain('EXTERNAL'));
      file = authority.issue('kmod-gate');
      await consumer.ready;
    });

    test.each<[string, () => Partial<Bus>, RegExp]>([
      ['that is not there', () => ({ cert: '/nowhere.pem' }), /^cert in \[bus\] cannot be read: ENOENT/],
      [
        'of a broker that is none',
        () => ({ serverca: '/dev/null' }),
        /^\/dev\/null: .* with serverca in \[bus\]/,
      ],
      [
        'that has expired',
        () => ({ cert: authority.issue('kmod-gate', -1) }),
        /expired on .*; get a new one/,
      ],
    ])('with a certificate %s is a mistake at the start', (_, more, message) => {
      expect(() => start(bus(more()))).toThrow(message);
    });
  });

  describe('few rights', () => {
    test('where only names in the form of a UUID may be made, the queue gets a new one at each connection', async () => {
      const cert = authority.issue('public');
      const { consumer, hints, subscribed } = start(bus({ cert, login: 'external', queue: 'uuid' }));
      await consumer.ready;
      const own = () => queues('durable', 'exclusive', 'auto_delete').filter(({ name }) => name !== queue);
      const [first] = own();
      expect(first).toMatchObject({ durable: false, exclusive: true, auto_delete: true });
      expect(first?.['name']).toMatch(new RegExp(`^${UUID}$`));
      server.ctl('close_all_user_connections', 'public', 'for the test');
      await soon(() => expect(consumer.state().reconnects).toBe(1));
      // What was sent in between is lost, so the gate is told to sweep.
      expect(subscribed).toHaveBeenCalledTimes(2);
      const second = own();
      expect(second).toHaveLength(1);
      expect(second[0]?.['name']).not.toBe(first?.['name']);
      send(2);
      await soon(() => expect(hints).toEqual([build(2)]));
      await consumer.close();
      await vi.waitFor(() => expect(own()).toEqual([]), { timeout: 30_000, interval: 500 });
    });

    test('a name of its own is refused there, with the words of the broker', async () => {
      const { consumer } = start(bus({ cert: authority.issue('public'), login: 'external' }));
      await soon(() =>
        expect(consumer.state().lastError).toMatch(/403 .*access to queue 'q-.* refused for user 'public'/s),
      );
    });

    test('with declare = false a queue that is there is read, bound or not by the gate', async () => {
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-length': 9 } });
      await channel.bindQueue(queue, 'amq.topic', 'koji.build.*');
      const { consumer, hints, lines } = start(plain({ url: withPlain('reader'), declare: false }));
      await consumer.ready;
      send(3);
      await soon(() => expect(hints).toEqual([build(3)]));
      expect(lines.join()).toContain('is read as it is bound');
    });

    test('with declare = false no queue is made, and it is said what to do', async () => {
      const { consumer } = start(plain({ declare: false }));
      await soon(() =>
        expect(consumer.state().lastError).toMatch(/404 .*no queue.*declare = true in \[bus\]/s),
      );
      await channel.assertQueue(queue, { durable: true });
      await consumer.ready;
    });
  });

  describe('a queue of its own', () => {
    test('has the limits of the configuration: the oldest messages go, and the queue itself after a time', async () => {
      const { consumer } = start(plain({ max_length: 3, expires: 604_800_000 }));
      await consumer.ready;
      await consumer.close();
      expect(described(queue, 'durable', 'arguments')).toMatchObject({
        durable: true,
        arguments: expect.arrayContaining([
          ['x-max-length', expect.anything(), 3],
          ['x-expires', expect.anything(), 604_800_000],
        ]),
      });
      for (const id of [1, 2, 3, 4, 5]) send(id);
      await vi.waitFor(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(3));
      const { hints } = start(plain({ max_length: 3, expires: 604_800_000 }));
      await soon(() => expect(hints).toEqual([build(3), build(4), build(5)]));
    });

    test('that has expired is made anew, and the gate told to sweep', async () => {
      const settings = plain({ expires: 200 });
      const first = start(settings);
      await first.consumer.ready;
      await first.consumer.close();
      await vi.waitFor(() => expect(described(queue)).toBeUndefined(), { timeout: 60_000, interval: 100 });
      const second = start(settings);
      await second.consumer.ready;
      expect(second.subscribed).toHaveBeenCalledOnce();
      send(7);
      await soon(() => expect(second.hints).toEqual([build(7)]));
    });

    test('may be a quorum queue; what cannot be taken goes to the dead letters after some tries', async () => {
      const dead_letter = `${queue}.dead`;
      const settings = plain({ queue_type: 'quorum', delivery_limit: 2, dead_letter, max_length: 100 });
      const taken: Hint[] = [];
      const { consumer } = start(settings, (hint) => {
        taken.push(hint);
        if (hint.kind === 'build' && hint.id === 13) throw new Error('no luck');
      });
      await consumer.ready;
      expect(described(queue, 'type')).toMatchObject({ type: 'quorum' });
      send(13);
      send(14);
      await vi.waitFor(async () => expect((await channel.checkQueue(dead_letter)).messageCount).toBe(1), {
        timeout: 60_000,
        interval: 50,
      });
      expect(taken.filter((hint) => hint.kind === 'build' && hint.id === 13)).toHaveLength(3);
      expect(taken).toContainEqual(build(14));
      const message = await channel.get(dead_letter, { noAck: true });
      expect(message && JSON.parse(message.content.toString())).toEqual({ info: { id: 13 } });
    });
  });

  describe('several hosts', () => {
    test('hand over: when one is lost, the next is listened to', async () => {
      const proxy = await openProxy({ host: '127.0.0.1', port: Number(new URL(server.plain).port) });
      const first = `amqp://admin:admin@127.0.0.1:${proxy.port}`;
      const { consumer, hints, lines } = start(plain({ url: [first, withPlain('admin')] }));
      await consumer.ready;
      await proxy.close();
      await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
      expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
        broker: server.plain,
        msg: 'listening to the bus',
      });
      send(5);
      await soon(() => expect(hints).toEqual([build(5)]));
    });

    test('are tried in turn', async () => {
      const nobody = `amqp://127.0.0.1:${await freePort()}`;
      const settings = plain({ url: [nobody, withPlain('reader'), withPlain('admin')] });
      const { consumer, hints, lines } = start(settings);
      await consumer.ready;
      const failed = lines
        .map((line) => JSON.parse(line))
        .filter(({ msg }) => msg.startsWith('no connection'));
      // The first does not answer, the second does not let the queue be made: no wait between them.
      expect(failed.map(({ retryInMs }) => retryInMs)).toEqual([0, 0]);
      expect(failed[0].broker).toBe(nobody);
      send(4);
      await soon(() => expect(hints).toEqual([build(4)]));
    });

    test('that all fail are waited for once a round', async () => {
      const closed = [await freePort(), await freePort()].map((port) => `amqp://127.0.0.1:${port}`);
      const { lines } = start(plain({ url: closed }));
      const waits = () => lines.map((line) => JSON.parse(line).retryInMs as number);
      await soon(() => expect(lines.length).toBeGreaterThanOrEqual(4));
      const [first, second, third, fourth] = waits();
      expect([first, third]).toEqual([0, 0]);
      expect(second).toBeGreaterThan(0);
      expect(fourth).toBeGreaterThan(0);
    });
  });

  describe('the rights that docs/bus.md names', () => {
    test.each([
      ['gate', {}],
      ['dead', { queue_type: 'quorum', delivery_limit: 3, dead_letter: 'kmod-gate.dead' } as const],
    ])('are enough: %s', async (user, more) => {
      const { consumer, hints } = start(plain({ url: withPlain(user), queue: 'kmod-gate', ...more }));
      await consumer.ready;
      send(6);
      await soon(() => expect(hints).toEqual([build(6)]));
      await consumer.close();
      await channel.deleteQueue('kmod-gate');
      await channel.deleteQueue('kmod-gate.dead');
    });
  });

  describe('short of memory', () => {
    test('a broker blocks who publishes, and not who listens', async () => {
      const { consumer, hints } = start(plain({}));
      await consumer.ready;
      const { log, lines } = memoryLog();
      const url = withPlain('admin');
      const publisher = await connectPublisher({ url, exchange: 'amq.topic', timeout: 1_500 }, log);
      const publish = (id: number) => publisher.publish(jsonMessage('koji.build.complete', { info: { id } }));
      await publish(20);
      server.ctl('set_vm_memory_high_watermark', 'absolute', '1');
      await expect(publish(21)).rejects.toThrow(
        /no confirmation within 1500 ms, as the broker takes no messages: .*memory.*may still arrive/,
      );
      expect(consumer.state()).toMatchObject({ connected: true, reconnects: 0 });
      server.ctl('set_vm_memory_high_watermark', '0.6');
      await soon(() => expect(lines.join()).toContain('the broker takes messages again'));
      await publish(22);
      await soon(() => expect(hints).toEqual([build(20), build(21), build(22)]));
      await publisher.close();
    });

    test('more than a connection holds waits for room, and all of it arrives in order', async () => {
      const { consumer } = start(plain({}), () => {});
      await consumer.ready;
      const publisher = await connectPublisher({ url: withPlain('admin'), exchange: 'amq.topic' });
      const large = 'x'.repeat(20_000);
      const ids = Array.from({ length: 1_000 }, (_, i) => i + 1);
      const heard: number[] = [];
      await channel.assertQueue(`${queue}.dead`);
      await channel.bindQueue(`${queue}.dead`, 'amq.topic', 'large');
      await Promise.all(ids.map((id) => publisher.publish(jsonMessage('large', { id, large }))));
      await channel.consume(`${queue}.dead`, (message) => {
        if (message) heard.push(JSON.parse(message.content.toString()).id);
      });
      await soon(() => expect(heard).toEqual(ids));
      await publisher.close();
    });
  });

  test('a broker that is restarted is listened to again, and what waited there is heard', async () => {
    const first = start(plain({}));
    await first.consumer.ready;
    await first.consumer.close();
    const publisher = await connectPublisher({ url: withPlain('admin'), exchange: 'amq.topic' });
    await publisher.publish(jsonMessage('koji.build.complete', { info: { id: 30 } }));
    await publisher.close();
    // A gate that is up, at a broker that goes down with a message for another, that is not.
    const { consumer, hints } = start(plain({ queue: `${queue}.dead` }));
    await consumer.ready;
    await admin.close();
    server.ctl('stop_app');
    await soon(() => expect(consumer.state().connected).toBe(false));
    server.ctl('start_app');
    await connectAdmin();
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    send(31);
    await soon(() => expect(hints).toEqual([build(31)]));
    const again = start(plain({}));
    await soon(() => expect(again.hints).toEqual([build(30), build(31)]));
  });

  test('100,000 messages about nothing: what is relevant among them is heard, and memory stays flat', async () => {
    const { consumer, hints } = start(plain({ prefetch: 500 }));
    await consumer.ready;
    const { body } = jsonMessage('koji.task.open', { info: { id: 1 }, padding: 'x'.repeat(1_000) });
    const ROUND = 5_000;
    const memory: number[] = [];
    for (let round = 1; round <= 20; round++) {
      for (let i = 1; i < ROUND; i++) channel.publish('amq.topic', 'koji.task.open', Buffer.from(body));
      send(round);
      await vi.waitFor(() => expect(consumer.state().received).toBe(round * ROUND), {
        timeout: 30_000,
        interval: 20,
      });
      memory.push(process.memoryUsage().rss);
    }
    expect(hints).toEqual(Array.from({ length: 20 }, (_, i) => build(i + 1)));
    // They are 100 MB, and so are their copies on the way out.
    expect(Math.max(...memory) - (memory[0] ?? 0)).toBeLessThan(60_000_000);
  });
});
