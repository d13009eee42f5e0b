import { randomUUID } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
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
import type { ConsumerOptions } from '../../src/bus/consumer.ts';
import { startConsumer } from '../../src/bus/consumer.ts';
import type { Consumer, OnHint } from '../../src/bus/intake.ts';
import type { Publisher } from '../../src/bus/publisher.ts';
import { connectPublisher } from '../../src/bus/publisher.ts';
import { backoffDelay } from '../../src/bus/supervisor.ts';
import type { Hint } from '../../src/core/model.ts';
import { RABBIT_URL, rabbit } from '../services.ts';
import type { TcpProxy } from './helpers.ts';
import { jsonMessage, memoryLog, openProxy, section } from './helpers.ts';

const complete = (id: number) => jsonMessage('koji.build.complete', { info: { id } });
const build = (id: number): Hint => ({ kind: 'build', id });
const soon = <T>(check: () => T) => vi.waitFor(check, { timeout: 60_000, interval: 10 });

describe.skipIf(!(await rabbit()))('a consumer at a real RabbitMQ', () => {
  const host = new URL(RABBIT_URL).hostname;
  const target = { host, port: Number(new URL(RABBIT_URL).port || 5672) };
  let admin: ChannelModel;
  let channel: Channel;
  let proxy: TcpProxy;
  let queue: string;
  let exchange: string;
  let publisher: Publisher;
  let consumers: Consumer[];

  beforeAll(async () => {
    admin = await connect(RABBIT_URL);
  });
  afterAll(() => admin.close());

  beforeEach(async () => {
    channel = await admin.createChannel();
    proxy = await openProxy(target);
    const name = `kmod-gate-test-${randomUUID()}`;
    queue = `${name}-queue`;
    exchange = `${name}-exchange`;
    publisher = await connectPublisher({ url: RABBIT_URL, exchange });
    consumers = [];
  });
  afterEach(async () => {
    await Promise.all(consumers.map((consumer) => consumer.close()));
    await publisher.close();
    await proxy.close();
    await channel.deleteQueue(queue);
    await channel.deleteExchange(exchange);
    await channel.close();
  });

  /** The test's broker address, through the proxy. */
  function proxied(port = proxy.port): string {
    const url = new URL(RABBIT_URL);
    url.host = `127.0.0.1:${port}`;
    return url.href;
  }

  function start(overrides: Partial<ConsumerOptions> = {}, takeHint?: OnHint) {
    const hints: Hint[] = [];
    const { log, lines } = memoryLog();
    const options: ConsumerOptions = {
      url: proxied(),
      exchange,
      queue,
      bindings: ['koji.#', '*.buildsys.#'],
      prefetch: 10,
      backoff: { first: 20, most: 100 },
      ...overrides,
    };
    const consumer = startConsumer(options, takeHint ?? ((hint) => void hints.push(hint)), log);
    consumers.push(consumer);
    return { consumer, hints, lines };
  }

  const messagesLeft = async () => (await channel.checkQueue(queue)).messageCount;

  test('hears all families, and leaves nothing in the queue', async () => {
    const { consumer, hints, lines } = start();
    await consumer.ready;
    await publisher.publish(jsonMessage('org.buildsys.tag', { build_id: 1, tag: 'c9s-gate' }));
    await publisher.publish({
      routingKey: 'koji.build.complete',
      headers: { 'x-amqp-1.0-properties': 'x' },
      properties: { type: 'amqp-1.0' },
      body: section(0x77, 4, Buffer.from('{"info": {"id": 2}}')),
    });
    await publisher.publish(jsonMessage('koji.build.complete', {}));
    await publisher.publish(jsonMessage('koji.task.open', {}));
    await publisher.publish(jsonMessage('elsewhere.build.complete', { info: { id: 3 } }));
    await publisher.publish(complete(4));
    const expected = [build(1), { kind: 'tag', name: 'c9s-gate' }, build(2), build(4)];
    await soon(() => expect(new Set(hints)).toEqual(new Set(expected)));
    expect(consumer.state()).toMatchObject({
      connected: true,
      reconnects: 0,
      received: 5,
      hints: 4,
      ignored: 1,
      undecodable: 1,
    });
    expect(lines.filter((line) => line.includes('undecodable'))).toHaveLength(1);
    await consumer.close();
    expect(consumer.state().connected).toBe(false);
    expect(await messagesLeft()).toBe(0);
  });

  test('messages wait in the queue while no consumer is there', async () => {
    const first = start();
    await first.consumer.ready;
    await first.consumer.close();
    await publisher.publish(complete(1));
    expect(first.hints).toEqual([]);
    const second = start();
    await soon(() => expect(second.hints).toEqual([build(1)]));
  });

  test('also binds to an exchange of the broker itself', async () => {
    const word = randomUUID();
    const { consumer, hints } = start({ exchange: 'amq.topic', bindings: [`${word}.#`] });
    await consumer.ready;
    const toTopic = await connectPublisher({ url: RABBIT_URL, exchange: 'amq.topic' });
    await toTopic.publish(jsonMessage(`${word}.buildsys.repo.done`, { tag: 'kmods9s-build' }));
    await toTopic.close();
    await soon(() => expect(hints).toEqual([{ kind: 'tag', name: 'kmods9s-build' }]));
  });

  test('comes back after its connection was cut, and hears what came meanwhile', async () => {
    const { consumer, hints } = start();
    await consumer.ready;
    const { since } = consumer.state();
    proxy.cut();
    await publisher.publish(complete(1));
    await soon(() => expect(hints).toEqual([build(1)]));
    expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 });
    expect(consumer.state().since).toBeGreaterThanOrEqual(since);
    expect(consumer.state().lastError).toBeDefined();
  });

  test('notices by missed heartbeats that a connection is dead', async () => {
    const { consumer, hints } = start({ heartbeat: 1 });
    await consumer.ready;
    proxy.silence();
    await publisher.publish(complete(1));
    await soon(() => expect(hints).toContainEqual(build(1)));
    expect(consumer.state()).toMatchObject({ reconnects: 1, lastError: 'Heartbeat timeout' });
  });

  test('declares its queue again when somebody deleted it', async () => {
    const { consumer, hints } = start();
    await consumer.ready;
    await channel.deleteQueue(queue);
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    await publisher.publish(complete(1));
    await soon(() => expect(hints).toEqual([build(1)]));
    expect(consumer.state().lastError).toContain('was deleted?');
  });

  test('waits for a broker that is not there yet', async () => {
    const { port } = proxy;
    await proxy.close();
    const { consumer } = start({ url: proxied(port).replace('127.0.0.1', 'localhost') });
    await soon(() => expect(consumer.state().lastError).toContain('ECONNREFUSED'));
    expect(consumer.state().connected).toBe(false);
    proxy = await openProxy(target, port);
    await consumer.ready;
    expect(consumer.state()).toMatchObject({ connected: true, reconnects: 0 });
  });

  test('messages whose hints failed are delivered again', async () => {
    const ids = Array.from({ length: 15 }, (_, n) => n + 1);
    const refused = new Set<unknown>();
    const taken: Hint[] = [];
    const warnings: Error[] = [];
    const warned = (warning: Error) => void warnings.push(warning);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    const { consumer } = start({ prefetch: 15 }, async (hint) => {
      if (hint.kind === 'build' && !refused.has(hint.id)) {
        refused.add(hint.id);
        throw new Error('queue is full');
      }
      taken.push(hint);
    });
    await consumer.ready;
    for (const id of ids) await publisher.publish(complete(id));
    await soon(() => expect(new Set(taken)).toEqual(new Set(ids.map(build))));
    expect(consumer.state()).toMatchObject({ reconnects: 0, received: 30, hints: 15 });
    expect(consumer.state().lastError).toContain('queue is full');
    expect(warnings).toEqual([]);
    await consumer.close();
    expect(await messagesLeft()).toBe(0);
  });

  test('a message is not acknowledged before its hint is taken', async () => {
    const { consumer } = start({}, () => new Promise(() => {}));
    await consumer.ready;
    await publisher.publish(complete(1));
    await soon(() => expect(consumer.state().received).toBe(1));
    await consumer.close();
    await vi.waitFor(async () => expect(await messagesLeft()).toBe(1), { timeout: 60_000 });
  });

  test('a queue with other arguments is read as it is, and it is said once what to do about that', async () => {
    await channel.assertQueue(queue, { durable: true, maxLength: 5 });
    const { consumer, hints, lines } = start({ max_length: 7 });
    await consumer.ready;
    await publisher.publish(complete(1));
    await soon(() => expect(hints).toEqual([build(1)]));
    proxy.cut();
    await soon(() => expect(consumer.state()).toMatchObject({ connected: true, reconnects: 1 }));
    const said = lines.filter((line) => line.includes('keeps what it was made with'));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`the queue ${queue} keeps what it was made with; delete it on the broker`);
    expect(said[0]).toContain("inequivalent arg 'x-max-length'");
  });

  test('says what to do about a refused login, and never writes the password', async () => {
    const url = new URL(proxied());
    url.password = 'tr0ub4dor';
    const { consumer, lines } = start({ url: url.href });
    await soon(() => expect(consumer.state().lastError).toContain('check user and password'));
    expect(lines.join()).not.toContain('tr0ub4dor');
    expect(JSON.stringify(consumer.state())).not.toContain('tr0ub4dor');
    await consumer.close();
    await expect(consumer.ready).rejects.toThrow('closed before');
  });

  test('a publisher rejects what it can no longer send', async () => {
    const lost = await connectPublisher({ url: proxied(), exchange });
    proxy.cut();
    await vi.waitFor(() => expect(lost.publish(complete(1))).rejects.toThrow(/127\.0\.0\.1.*closed/i));
    await lost.close();
  });
});

describe('a consumer with no broker', () => {
  const options = { exchange: 'x', queue: 'q', bindings: ['#'], prefetch: 1 };

  /** Longer than any test may take. */
  const backoff = { first: 3_600_000, most: 3_600_000 };
  const startAt = (port: number, { log, lines } = memoryLog()) => ({
    consumer: startConsumer({ ...options, url: `amqp://127.0.0.1:${port}`, backoff }, () => {}, log),
    lines,
  });

  test('closes at once while a deaf peer keeps it waiting', async () => {
    const deaf = createServer();
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const connected = new Promise<Socket>((resolve) => deaf.once('connection', resolve));
    const { consumer } = startAt((deaf.address() as AddressInfo).port);
    const socket = await connected;
    let ended = false;
    socket.on('close', () => {
      ended = true;
    });
    socket.resume();
    await consumer.close();
    await consumer.close();
    // The time for a handshake ends the connection; that was not waited for.
    expect(ended).toBe(false);
    socket.destroy();
    deaf.close();
  });

  test('closes while it waits for the next attempt', async () => {
    const { consumer, lines } = startAt(1);
    await vi.waitFor(() => expect(lines.join()).toContain('no connection to the bus'), { timeout: 60_000 });
    await consumer.close();
    await consumer.close();
  });

  test.each(['', 'localhost:5672', 'http://u:s3cret@host/', 'amqp://u:s3cret/x@host', 'amqp:///vhost'])(
    'refuses the address "%s" without repeating it',
    (url) => {
      const starting = () => startConsumer({ ...options, url }, () => {}, memoryLog().log);
      expect(starting).toThrow('amqp://user:password@host:port/vhost');
      expect(starting).not.toThrow('s3cret');
    },
  );
});

test('waits double up to the most, each between half and all of it', () => {
  const backoff = { first: 10, most: 60 };
  expect([0, 1, 2, 3, 2000].map((failures) => backoffDelay(failures, backoff, () => 1))).toEqual([
    10, 20, 40, 60, 60,
  ]);
  expect(backoffDelay(0, backoff, () => 0)).toBe(5);
});
