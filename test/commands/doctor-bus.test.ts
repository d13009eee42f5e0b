/** What doctor says of the bus, by a real RabbitMQ where there is one. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Channel, ChannelModel } from 'amqplib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeQuietly, connectBroker, parseBroker } from '../../src/bus/broker.ts';
import { openStore } from '../../src/store/open.ts';
import type { Heard } from '../../src/store/store.ts';
import { RABBIT_URL, rabbit } from '../services.ts';
import { closeHubs, linesOf, type SetUp, wrongs } from './doctor-setup.ts';

afterEach(closeHubs);

const DAY = 86_400_000;
const settings = (more: object) => ({
  url: RABBIT_URL,
  exchange: 'amq.topic',
  queue: 'q',
  bindings: ['#.buildsys.#', 'koji.#'],
  prefetch: 1,
  ...more,
});

test('a broker that does not answer is wrong', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  expect(await wrongs({ rest: { bus: settings({ url: `amqp://127.0.0.1:${port}` }) } })).toEqual([
    expect.stringMatching(/^bus: .*ECONNREFUSED.* \| check \[bus\]/),
  ]);
});

test('a hub that does not answer leaves bus and store to be looked at', async () => {
  const lines = await linesOf({ before: (world) => world.offline('upgrade') });
  expect(lines.map((line) => /^\w+ \w+/.exec(line)?.[0])).toEqual(['wrong hub', 'ok store', 'info bus']);
});

describe.skipIf(!(await rabbit()))('on RabbitMQ', () => {
  const name = `kmod-gate-test-${randomUUID()}`;
  let model: ChannelModel;
  let channel: Channel;
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    model = await connectBroker(parseBroker(RABBIT_URL));
    channel = await model.createChannel();
    await channel.assertExchange(name, 'topic', { durable: true });
  });
  afterEach(async () => {
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
    await closeQuietly(model);
    rmSync(folder, { recursive: true });
  });

  /** Lines of the bus, on this test's exchange and queue. */
  async function busLines(more: Partial<SetUp> & { heard?: Partial<Heard> } = {}): Promise<string[]> {
    const { heard, ...setUp } = more;
    const url = `sqlite:${join(folder, 'gate.db')}`;
    if (heard) {
      const store = await openStore(url, { mode: 'write' });
      await store.hear({
        queue: name,
        at: Date.now(),
        routingKey: 'koji.build.tag',
        understood: true,
        ...heard,
      });
      await store.close();
    }
    const rest = { store: { url }, bus: settings({ exchange: name, queue: name }) };
    return (await linesOf({ rest, ...setUp })).filter((line) => line.includes(' bus: '));
  }

  const publish = (key: string, body: unknown) =>
    channel.publish(name, key, Buffer.from(JSON.stringify(body)));
  const makeQueue = () => channel.assertQueue(name, { durable: true });

  test('an exchange that is not there is wrong', async () => {
    const rest = { bus: settings({ exchange: 'kmod-gate-not-there' }) };
    expect(await wrongs({ rest })).toEqual([expect.stringMatching(/^bus: .*no exchange .*check \[bus\]/)]);
  });

  test('a queue that is not there is made by run, and not by doctor', async () => {
    expect(await busLines()).toEqual([
      `ok bus: ${parseBroker(RABBIT_URL).name} has the exchange ${name}`,
      `info bus: queue ${name} does not exist yet; run makes it`,
      `ok bus: a queue can be bound to ${name} by #.buildsys.#, koji.#`,
      expect.stringMatching(/^unsure bus: whether a gate ever heard a message: no store tells/),
    ]);
    const second = await model.createChannel();
    second.on('error', () => {});
    await expect(second.checkQueue(name)).rejects.toThrow(/404/);
  });

  test('messages that nobody reads are counted, and stay where they are', async () => {
    await makeQueue();
    await channel.bindQueue(name, name, '#');
    expect(await busLines()).toContain(`info bus: queue ${name} is empty, and no gate reads it`);
    for (let i = 0; i < 3; i += 1) publish('koji.build.tag', {});
    await expect.poll(async () => (await channel.checkQueue(name)).messageCount).toBe(3);
    expect(await busLines()).toContainEqual(
      expect.stringMatching(
        new RegExp(`^unsure bus: 3 messages wait in the queue ${name}, and no gate reads them`),
      ),
    );
    expect((await channel.checkQueue(name)).messageCount).toBe(3);
  });

  test('one consumer is the gate, and another one takes messages from it', async () => {
    await makeQueue();
    await channel.consume(name, () => {});
    expect(await busLines()).toContain(`ok bus: 0 messages wait in the queue ${name}, and a gate reads them`);
    await channel.consume(name, () => {});
    expect(await busLines()).toContainEqual(
      expect.stringMatching(/^wrong bus: 2 consumers share the queue .* \| give each gate a bus\.queue/),
    );
  });

  test('what arrives while it listens is told, and no binding stays behind', async () => {
    const soon = setInterval(() => publish('org.x.buildsys.tag', { build_id: 15, tag: 'c9s-gate' }), 50);
    const lines = await busLines({ listen: 1_000 });
    clearInterval(soon);
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^ok bus: \d+ messages in 1 s, the newest org\.x\.buildsys\.tag: look at build 15, tag c9s-gate$/,
      ),
    );
    const unroutable = new Promise<void>((resolve) => channel.once('return', () => resolve()));
    channel.publish(name, 'org.x.buildsys.tag', Buffer.from('{}'), { mandatory: true });
    await unroutable;
  });

  test('what arrives and is no message of Koji is wrong', async () => {
    const soon = setInterval(() => publish('koji.build.tag', { build: 'kernel' }), 50);
    const lines = await busLines({ listen: 1_000 });
    clearInterval(soon);
    expect(lines).toContainEqual(
      expect.stringMatching(/^wrong bus: .*koji\.build\.tag: not understood, build\.tag/),
    );
  });

  test('silence says nothing for sure', async () => {
    expect(await busLines({ listen: 200 })).toContainEqual(
      expect.stringMatching(/^unsure bus: no message in 0 s \| listen longer, or check bus\.exchange/),
    );
  });

  describe('the newest message that a gate heard', () => {
    const newest = async (heard: Partial<Heard>) => (await busLines({ heard })).at(-1);
    test.each<[string, Partial<Heard>, RegExp]>([
      [
        'lately is fine',
        { at: Date.now() - 180_000 },
        /^ok bus: newest message heard 3 min ago \(koji\.build\.tag\)$/,
      ],
      [
        'and did not understand',
        { understood: false },
        /^unsure bus: .*which the gate did not understand \| the gate's log/,
      ],
      [
        'in another queue is none',
        { queue: 'other' },
        /^unsure bus: no gate has heard a message yet \| .*--listen 60/,
      ],
      [
        'long ago, and no gate runs',
        { at: Date.now() - 3 * DAY },
        /^unsure bus: newest message heard 3 days ago/,
      ],
    ])('%s', async (_, heard, expected) => {
      expect(await newest(heard)).toMatch(expected);
    });
    test('long ago, and one runs, is wrong', async () => {
      await makeQueue();
      await channel.consume(name, () => {});
      expect(await newest({ at: Date.now() - 3 * DAY })).toMatch(
        /^wrong bus: newest message heard 3 days ago/,
      );
    });
  });

  test('a queue that the gate may not make must be there; one without a name is told of', async () => {
    const bus = (more: object) => ({ rest: { bus: settings({ exchange: name, queue: name, ...more }) } });
    expect(await busLines(bus({ declare: false }))).toContainEqual(
      expect.stringMatching(
        /^wrong bus: queue .* does not exist, and declare = false .* \| create the queue/,
      ),
    );
    await channel.assertQueue(name, { durable: true });
    expect(await busLines(bus({ declare: false }))).toContainEqual(
      expect.stringMatching(/^info bus: queue .* is empty, and no gate reads it/),
    );
    expect(await busLines(bus({ queue: 'uuid' }))).toContainEqual(
      expect.stringMatching(/^info bus: the queue gets a new name at each connection/),
    );
  });

  test('of several hosts the one that answers is asked', async () => {
    const url = ['amqp://127.0.0.1:1', RABBIT_URL];
    const lines = await busLines({ rest: { bus: settings({ url, exchange: name, queue: name }) } });
    expect(lines[0]).toBe(`ok bus: ${parseBroker(RABBIT_URL).name} has the exchange ${name}`);
  });
});
