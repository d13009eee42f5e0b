/** AMQP 1.0: RabbitMQ's own plugin for it, messages as Koji's own library sends them, and what other brokers say in other words. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import rhea, { type Message } from 'rhea';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { messageFrom, startConsumer10 } from '../../src/bus/consumer10.ts';
import { decode } from '../../src/bus/decode.ts';
import type { Consumer, OnHint } from '../../src/bus/intake.ts';
import type { Subscribing } from '../../src/bus/supervisor.ts';
import { consumerOptions, listenTo } from '../../src/commands/broker.ts';
import { examineBus } from '../../src/commands/doctor/bus.ts';
import type { Config } from '../../src/config/config.ts';
import type { Hint } from '../../src/core/model.ts';
import { type Authority, createAuthority, freePort } from '../servers/httpd.ts';
import { type RabbitServer, rabbitServer, startRabbit } from '../servers/rabbitmq.ts';
import { installed } from '../services.ts';
import { memoryLog, openProxy } from './helpers.ts';

type Bus = NonNullable<Config['bus']>;

const build = (id: number): Hint => ({ kind: 'build', id });
const soon = <T>(check: () => T) => vi.waitFor(check, { timeout: 60_000, interval: 10 });
const PROTON = '/usr/lib/python3/dist-packages/proton/__init__.py';

let consumers: Consumer[] = [];
afterEach(async () => {
  await Promise.all(consumers.map((consumer) => consumer.close()));
  consumers = [];
});

function start(settings: Partial<Bus>, takeHint?: OnHint, more: Partial<Subscribing> = {}) {
  const hints: Hint[] = [];
  const { log, lines } = memoryLog();
  const bus = { exchange: '', queue: '', bindings: [], prefetch: 10, ...settings } as Bus;
  const subscribed = vi.fn();
  const options = { ...consumerOptions(bus, subscribed), backoff: { first: 20, most: 100 }, ...more };
  const addresses = bus.addresses ?? [];
  const consumer = startConsumer10(
    { ...options, addresses },
    takeHint ?? ((hint) => void hints.push(hint)),
    log,
  );
  consumers.push(consumer);
  return { consumer, hints, lines, subscribed };
}

describe.skipIf(!rabbitServer())("RabbitMQ's AMQP 1.0", { timeout: 90_000 }, () => {
  let authority: Authority;
  let server: RabbitServer;
  let admin: ChannelModel;
  let channel: Channel;
  let queue: string;

  const connectAdmin = async () => {
    admin = await connect(withLogin('admin'));
    admin.on('error', () => {});
    channel = await admin.createChannel();
    channel.on('error', () => {});
  };
  beforeAll(async () => {
    authority = createAuthority();
    const all = { configure: '.*', write: '.*', read: '.*' };
    server = await startRabbit(authority, [
      { name: 'admin', password: 'admin', ...all },
      { name: 'kmod-gate', ...all },
      { name: 'stranger', password: 'stranger', configure: '^$', write: '^$', read: '^$' },
    ]);
    await connectAdmin();
  }, 120_000);
  afterAll(async () => {
    await admin?.close();
    await server?.stop();
    authority?.remove();
  }, 60_000);
  beforeEach(async () => {
    queue = `q-${randomUUID()}`;
    await channel.assertQueue(queue, { durable: true });
    await channel.bindQueue(queue, 'amq.topic', 'koji.#');
  });
  afterEach(() => channel.deleteQueue(queue));

  const withLogin = (user: string, password = user) => server.plain.replace('//', `//${user}:${password}@`);
  const bus = (more: Partial<Bus> = {}): Partial<Bus> => ({
    ...{ url: withLogin('admin'), addresses: [`/amq/queue/${queue}`] },
    ...more,
  });
  const send = (id: number) =>
    channel.publish('amq.topic', 'koji.build.complete', Buffer.from(JSON.stringify({ info: { id } })));
  const waiting = async () => (await channel.checkQueue(queue)).messageCount;

  test.skipIf(!installed(PROTON, 'Debian package python3-qpid-proton'))(
    "hears what Koji's protonmsg sends, by the library that it uses",
    async () => {
      const { consumer, hints } = start(bus());
      await consumer.ready;
      // As send_msgs in koji/plugins/hub/protonmsg.py: properties, and the JSON as text; once more as bytes.
      const script = [
        'import json, sys',
        'from proton import Message',
        'from proton.utils import BlockingConnection',
        'connection = BlockingConnection(sys.argv[1], allowed_mechs="PLAIN", user="admin", password="admin")',
        'sender = connection.create_sender("/topic/koji.build.complete")',
        'props = {"type": "BuildStateChange", "name": "kernel", "old": "BUILDING", "new": "COMPLETE"}',
        'sender.send(Message(properties=props, body=json.dumps({"info": {"id": 41}})))',
        'sender.send(Message(properties=props, body=json.dumps({"info": {"id": 42}}).encode(), inferred=True))',
        'connection.close()',
      ].join('\n');
      execFileSync('/usr/bin/python3', ['-c', script, server.plain], { stdio: 'pipe' });
      await soon(() => expect(hints).toEqual([build(41), build(42)]));
      expect(consumer.state()).toMatchObject({
        ...{ connected: true, received: 2, hints: 2, undecodable: 0, reconnects: 0 },
        // RabbitMQ tells no routing key of a message that came by AMQP 1.0: Koji's properties do.
        lastRoutingKey: 'build.complete',
      });
      await consumer.close();
      expect(await waiting()).toBe(0);
    },
  );

  test('reads several addresses, a topic among them, and is what [bus] starts', async () => {
    const hints: Hint[] = [];
    const { log } = memoryLog();
    const addresses = [`/amq/queue/${queue}`, '/topic/other.#'];
    const settings = { ...bus({ addresses }), exchange: '', queue: '', bindings: [], prefetch: 5 } as Bus;
    const consumer = listenTo(
      settings,
      () => {},
      (hint) => void hints.push(hint),
      log,
    );
    consumers.push(consumer);
    await consumer.ready;
    send(1);
    channel.publish('amq.topic', 'other.repo.done', Buffer.from('{"repo": {"tag_name": "c9s-build"}}'));
    await soon(() => expect(new Set(hints)).toEqual(new Set([build(1), { kind: 'tag', name: 'c9s-build' }])));
  });

  test('takes as many messages ahead as it may, and each is gone only when its hint is done with', async () => {
    const going: (() => void)[] = [];
    const first = start(bus({ prefetch: 2 }), () => new Promise<void>((resolve) => going.push(resolve)));
    await first.consumer.ready;
    for (const id of [1, 2, 3]) send(id);
    await soon(() => expect(going).toHaveLength(2));
    await soon(async () => expect(await waiting()).toBe(1));
    going[0]?.();
    await soon(() => expect(going).toHaveLength(3));
    expect(first.consumer.state().received).toBe(3);
    await first.consumer.close();
    const second = start(bus());
    await soon(() => expect(new Set(second.hints)).toEqual(new Set([build(2), build(3)])));
    await second.consumer.close();
    expect(await waiting()).toBe(0);
  });

  test('gives back what it could not take, and gets it again', async () => {
    const taken: Hint[] = [];
    const { consumer } = start(bus(), (hint) => {
      taken.push(hint);
      if (taken.length < 3) throw new Error('no luck');
    });
    send(9);
    await soon(() => expect(taken).toEqual([build(9), build(9), build(9)]));
    await soon(() => expect(consumer.state()).toMatchObject({ received: 3, hints: 1, reconnects: 0 }));
    await consumer.close();
    expect(await waiting()).toBe(0);
  });

  test('hundreds that cannot be taken yet are no more than it may hold, and nothing is lost or stuck', async () => {
    const written = vi.spyOn(console, 'error');
    onTestFinished(() => written.mockRestore());
    const seen = new Set<number>();
    let [held, most] = [0, 0];
    const { consumer } = start(bus({ prefetch: 400 }), async (hint) => {
      most = Math.max(most, ++held);
      await new Promise((resolve) => setImmediate(resolve));
      held--;
      const id = hint.kind === 'build' ? hint.id : 0;
      const again = seen.has(id);
      seen.add(id);
      if (!again) throw new Error('the first time');
    });
    await consumer.ready;
    for (let id = 1; id <= 3_000; id++) send(id);
    await soon(() => expect(consumer.state()).toMatchObject({ hints: 3_000, reconnects: 0 }));
    await consumer.close();
    // RabbitMQ 3 sends more than it is asked for.
    expect(most).toBeLessThanOrEqual(400 + 256);
    expect(written).not.toHaveBeenCalled();
    expect(await waiting()).toBe(0);
  });

  describe('by TLS', () => {
    test('a client certificate says who comes (SASL EXTERNAL)', async () => {
      const cert = authority.issue('kmod-gate');
      const url = [`amqps://localhost:${await freePort()}`, server.tls];
      const { consumer, hints, lines } = start(bus({ url, serverca: authority.ca, cert, login: 'external' }));
      await consumer.ready;
      send(11);
      await soon(() => expect(hints).toEqual([build(11)]));
      // The first of the two is not there: the next one was tried at once.
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({ retryInMs: 0, broker: url[0] });
    });

    test('a certificate of nobody known, and a broker that is not who it says, are told of', async () => {
      const known = { url: server.tls, serverca: authority.ca, login: 'external' } as const;
      const nobody = start(bus({ ...known, cert: authority.issue('nobody') }));
      await soon(() => expect(nobody.consumer.state().lastError).toBeDefined());
      expect(nobody.consumer.state().lastError).toMatch(/the client certificate|EXTERNAL/);
      const other = createAuthority();
      const doubtful = start(bus({ ...known, serverca: other.ca, cert: authority.issue('kmod-gate') }));
      await soon(() => expect(doubtful.consumer.state().lastError).toContain('see serverca in [bus]'));
      other.remove();
    });
  });

  describe('says what to do about', () => {
    test.each<[string, () => Partial<Bus>, RegExp]>([
      ['a wrong password', () => ({ url: withLogin('admin', 'tr0ub4dor') }), /check user and password/],
      [
        'a user without rights',
        () => ({ url: withLogin('stranger') }),
        /unauthorized-access.*may read these/,
      ],
      ['no login', () => ({ url: server.plain }), /ECONNRESET|closed|wants a user and a password/],
      [
        'an address that is not there',
        () => ({ addresses: ['/amq/queue/none'] }),
        /no queue 'none'.*check addr/,
      ],
      ['an address of another broker', () => ({ addresses: ['queue://x'] }), /check addresses in \[bus\]/],
    ])('%s', async (_, more, words) => {
      const { consumer, lines, subscribed } = start(bus(more()));
      await soon(() => expect(consumer.state().lastError).toMatch(words));
      expect(subscribed).not.toHaveBeenCalled();
      expect(consumer.state().connected).toBe(false);
      expect(lines.join()).not.toContain('tr0ub4dor');
    });
  });

  test('comes back after its connection was cut, and gets again what it had not accepted', async () => {
    const proxy = await openProxy({ host: '127.0.0.1', port: Number(new URL(server.plain).port) });
    onTestFinished(() => proxy.close());
    const taken: Hint[] = [];
    let go = () => {};
    const url = `amqp://admin:admin@127.0.0.1:${proxy.port}`;
    const { consumer, subscribed } = start(bus({ url }), (hint) => {
      taken.push(hint);
      return taken.length > 1
        ? undefined
        : new Promise<void>((resolve) => {
            go = resolve;
          });
    });
    await consumer.ready;
    send(1);
    await soon(() => expect(taken).toHaveLength(1));
    proxy.cut();
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    await soon(() => expect(taken).toEqual([build(1), build(1)]));
    go();
    expect(subscribed).toHaveBeenCalledTimes(2);
    await consumer.close();
    expect(await waiting()).toBe(0);
  });

  test('notices by missed heartbeats that a connection is dead', async () => {
    const proxy = await openProxy({ host: '127.0.0.1', port: Number(new URL(server.plain).port) });
    onTestFinished(() => proxy.close());
    const url = `amqp://admin:admin@127.0.0.1:${proxy.port}`;
    const { consumer, hints } = start(bus({ url }), undefined, { heartbeat: 1 });
    await consumer.ready;
    proxy.silence();
    send(1);
    await soon(() => expect(hints).toContainEqual(build(1)));
    expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 });
    expect(consumer.state().lastError).toMatch(/Heartbeat timeout|idle/);
  });

  test('doctor sees whether each address may be read, and takes nothing', async () => {
    send(1);
    await soon(async () => expect(await waiting()).toBe(1));
    const past = { known: false, deeds: [] };
    const look = async (more: Partial<Bus>) =>
      (
        await examineBus({ exchange: '', queue: '', bindings: [], prefetch: 1, ...bus(more) } as Bus, past, 1)
      ).map(({ status, what }) => `${status} ${what}`);
    expect(await look({ url: ['amqp://127.0.0.1:1', withLogin('admin')] })).toEqual([
      `ok ${server.plain} lets /amq/queue/${queue} be read`,
      expect.stringMatching(/^info --listen hears nothing of AMQP 1\.0/),
      expect.stringMatching(/^unsure whether a gate ever heard a message/),
    ]);
    expect(await look({ addresses: ['/amq/queue/none'] })).toEqual([
      expect.stringMatching(/^wrong NOT_FOUND - no queue 'none'/),
    ]);
    expect(await waiting()).toBe(1);
  });

  test('a broker that is restarted is listened to again', async () => {
    const { consumer, hints } = start(bus());
    await consumer.ready;
    await admin.close();
    server.ctl('stop_app');
    await soon(() => expect(consumer.state().connected).toBe(false));
    server.ctl('start_app');
    await connectAdmin();
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    send(31);
    await soon(() => expect(hints).toEqual([build(31)]));
  });
});

describe('another broker', () => {
  /** One that sends these messages to whoever reads, as ActiveMQ does; and what became of each. */
  async function fakeBroker(messages: readonly (Message | Buffer)[], outcomes?: string[]) {
    const container = rhea.create_container();
    const became: string[] = [];
    for (const name of ['accepted', 'released', 'rejected', 'modified'])
      container.on(name, ({ delivery }) => {
        const failed = delivery?.remote_state?.delivery_failed === true ? ' as failed' : '';
        became.push(`${delivery?.id} ${name}${failed}`);
      });
    container.on('disconnected', () => {});
    container.on('sender_open', ({ sender }) => {
      sender?.set_source({ ...sender.source, address: sender.source.address, ...(outcomes && { outcomes }) });
    });
    let sent = 0;
    container.on('sendable', ({ sender }) => {
      for (; sender?.sendable() && sent < messages.length; sent++) {
        const message = messages[sent] as Message;
        if (Buffer.isBuffer(message)) sender.send(message, undefined, 0);
        else sender.send(message);
      }
    });
    const server = container.listen({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    return { url: `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`, became, container };
  }
  const ADDRESS = 'queue://Consumer.gate.c9s.VirtualTopic.eng.brew.>';
  const to = (topic: string, body: unknown): Message => ({ to: `topic://VirtualTopic.eng.${topic}`, body });

  test("names the topic in the message; Brew's are understood, as text and as bytes", async () => {
    const bytes = rhea.message.data_sections([Buffer.from('{"info": '), Buffer.from('{"id": 2}}')]);
    const { url, became } = await fakeBroker([
      to('brew.build.complete', '{"info": {"id": 1}}'),
      to('brew.build.failed', bytes),
      to('brew.build.tag', '{"build": {"id": 3}, "tag": {"name": "rhel-gate"}}'),
      to('errata.activity.status', '{}'),
      to('brew.build.complete', { info: { id: 4 } }),
    ]);
    const { consumer, hints } = start({ url, addresses: [ADDRESS] });
    await soon(() => expect(became).toHaveLength(5));
    expect(hints).toEqual([build(1), build(2), build(3), { kind: 'tag', name: 'rhel-gate' }]);
    expect(became.toSorted()).toEqual([0, 1, 2, 3, 4].map((id) => `${id} accepted`));
    expect(consumer.state()).toMatchObject({ received: 5, ignored: 1, undecodable: 1 });
  });

  test.each([
    ['that is no message', Buffer.from([0x00, 0x53, 0x77, 0xb1, 0xff])],
    ['that nests without end', Buffer.from(`005377${'d00000000f00000001'.repeat(20_000)}40`, 'hex')],
  ])('has one %s: it is dropped and counted, and the next is heard', async (_, bytes) => {
    const { url, became } = await fakeBroker([bytes, to('brew.build.complete', '{"info": {"id": 5}}')]);
    const { consumer, hints, lines } = start({ url, addresses: ['queue://koji.build.complete'] });
    await soon(() => expect(hints).toEqual([build(5)]));
    await soon(() => expect(became).toEqual(['0 accepted', '1 accepted']));
    expect(consumer.state()).toMatchObject({ undecodable: 1, reconnects: 0, connected: true });
    expect(lines.filter((line) => line.includes('undecodable'))).toHaveLength(1);
  });

  test.each([
    ['counts what is given back, and is told', undefined, '0 modified as failed'],
    ['does not count', ['amqp:accepted:list', 'amqp:released:list'], '0 released'],
  ])('%s', async (_, outcomes, expected) => {
    const message = to('brew.build.complete', '{"info": {"id": 6}}');
    const { url, became } = await fakeBroker([message], outcomes);
    start({ url, addresses: [ADDRESS] }, () => {
      throw new Error('no luck');
    });
    await soon(() => expect(became).toContain(expected));
    expect(became.join()).not.toContain('accepted');
  });

  test('sends no more than was asked for, and what is too large in many frames is dropped', async () => {
    const body = rhea.message.data_section(Buffer.alloc(20_000_000, ' '));
    const { url, became } = await fakeBroker([
      to('brew.build.complete', body),
      ...[1, 2, 3, 4, 5].map((id) => to('brew.build.complete', `{"info": {"id": ${id}}}`)),
    ]);
    const going: (() => void)[] = [];
    const { consumer, lines } = start(
      { url, addresses: [ADDRESS], prefetch: 2 },
      () => new Promise<void>((resolve) => going.push(resolve)),
    );
    for (let heard = 2; heard <= 5; heard++) {
      await soon(() => expect(going).toHaveLength(heard));
      // A broker that is not told of room for one more has no way to send it.
      expect(consumer.state().received).toBe(heard + 1);
      going[heard - 2]?.();
    }
    going[4]?.();
    await soon(() => expect(became).toHaveLength(6));
    expect(lines.join()).toContain('the body is larger than 16777216 bytes');
  });

  test('ends the subscription, as its queue was deleted: it is asked for again', async () => {
    const { url, container } = await fakeBroker([]);
    const { consumer, subscribed } = start({ url, addresses: [ADDRESS] });
    container.once('sender_open', ({ sender }) =>
      sender?.close({ condition: 'amqp:resource-deleted', description: 'the queue is gone' }),
    );
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    expect(consumer.state().lastError).toBe('the queue is gone (amqp:resource-deleted)');
    expect(subscribed).toHaveBeenCalledTimes(2);
  });

  test('speaks another AMQP: it is said', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { consumer } = start({ url, addresses: [ADDRESS] });
    await soon(() =>
      expect(consumer.state().lastError).toMatch(/0-9-1: the broker does not speak AMQP 1\.0/),
    );
  });

  test('is deaf: to close waits for nothing', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const connected = new Promise<import('node:net').Socket>((resolve) => server.once('connection', resolve));
    const { consumer } = start({
      url: `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`,
      addresses: [ADDRESS],
    });
    const socket = await connected;
    let ended = false;
    socket.resume().on('close', () => {
      ended = true;
    });
    await consumer.close();
    expect(ended).toBe(false);
    socket.destroy();
    server.close();
  });
});

describe('the topic of a message', () => {
  const body = '{"info": {"id": 7}}';
  const of = (message: Message, address = 'queue://plain') =>
    messageFrom(rhea.message.encode(message), address);
  test.each<[string, Message, string | undefined, string]>([
    [
      'ActiveMQ',
      { to: 'topic://VirtualTopic.eng.brew.build.complete', body },
      undefined,
      'VirtualTopic.eng.brew.build.complete',
    ],
    [
      'STOMP',
      { to: '/topic/VirtualTopic.eng.brew.build.tag', body },
      undefined,
      'VirtualTopic.eng.brew.build.tag',
    ],
    ['RabbitMQ 3', { subject: 'koji.build.tag', body }, '/topic/koji.#', 'koji.build.tag'],
    [
      'RabbitMQ 4',
      { message_annotations: { 'x-routing-key': 'a.buildsys.tag' }, to: '/queues/q', body },
      undefined,
      'a.buildsys.tag',
    ],
    [
      'its queue',
      { body },
      'queue://Consumer.g.VirtualTopic.eng.brew.repo.done',
      'Consumer.g.VirtualTopic.eng.brew.repo.done',
    ],
    [
      'Koji, of a build',
      { application_properties: { type: 'BuildStateChange', new: 'COMPLETE' }, body },
      undefined,
      'build.complete',
    ],
    [
      'Koji, of a task',
      { application_properties: { type: 'TaskStateChange', new: 'CLOSED' }, body },
      undefined,
      'task.closed',
    ],
    ['Koji, of a tag', { application_properties: { type: 'Untag' }, body }, undefined, 'build.untag'],
    ['Koji, of a repo', { application_properties: { type: 'RepoDone' }, body }, undefined, 'repo.done'],
    ['nobody', { application_properties: { type: 'Import' }, body }, undefined, 'plain'],
  ])('is told by %s', (_, message, address, expected) => {
    expect(of(message, address).routingKey).toBe(expected);
  });

  test('its time and its name come with it', () => {
    const sent = new Date('2026-11-28T10:00:00Z');
    const message = of({
      to: 'koji.build.complete',
      creation_time: sent,
      message_id: 'ID:1',
      content_type: 'application/json',
      body,
    });
    expect(message.headers).toEqual({ timestamp_in_ms: sent.getTime() });
    expect(message.properties).toEqual({ messageId: 'ID:1', contentType: 'application/json' });
    expect(decode(message)).toEqual({ kind: 'hints', hints: [build(7)] });
  });
});
