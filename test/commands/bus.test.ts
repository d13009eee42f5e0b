/** The main job with nothing faked between: the hub over HTTP, the kernel heard of through RabbitMQ, real time. */
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeQuietly, connectBroker, parseBroker } from '../../src/bus/broker.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import { connectPublisher, type Publisher } from '../../src/bus/publisher.ts';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import type { Config } from '../../src/config/config.ts';
import { busMessage, type MessageOptions } from '../../src/sim/messages.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { RABBIT_URL, rabbit } from '../services.ts';
import { valuesOf } from './livegate.ts';

/** Simulated time runs this much faster than the clock on the wall. */
const SPEED = 100;
const TICK = 20;

describe.skipIf(!(await rabbit()))('a gate on RabbitMQ', () => {
  let world: World;
  let server: WorldServer;
  let publisher: Publisher;
  let clock: NodeJS.Timeout;
  let flush: NodeJS.Timeout | undefined;
  let gate: RunningGate;
  const name = `kmod-gate-test-${randomUUID()}`;

  beforeEach(async () => {
    world = createWorld(loadScenario(SMALL));
    server = await serveWorld(world);
    publisher = await connectPublisher({ url: RABBIT_URL, exchange: name });
    clock = setInterval(() => world.tick(TICK * SPEED), TICK);
  });
  afterEach(async () => {
    clearInterval(clock);
    clearInterval(flush);
    await gate.stop();
    await publisher.close();
    await server.close();
    const model = await connectBroker(parseBroker(RABBIT_URL));
    const channel = await model.createChannel();
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
    await closeQuietly(model);
  });

  async function start(every: number): Promise<void> {
    const bus = {
      url: RABBIT_URL,
      exchange: name,
      queue: name,
      bindings: ['#.buildsys.#', 'koji.#'],
      prefetch: 50,
    };
    const login = {
      authtype: 'password',
      user: 'kmod-gate',
      password: 'gate-password',
      timeout: 5_000,
    } as const;
    const config: Config = {
      koji: { server: server.url, ...login },
      bus,
      store: { url: 'sqlite::memory:' },
      http: { host: '127.0.0.1', port: 0 },
      sweep: { every, poll: every, settle: 500 },
      gates: [GATE],
    };
    gate = await startGate(config, { log: pino({ level: 'silent' }) });
    await gate.subscribed;
  }

  /** Publish whatever the world tells, in the order that `shuffle` makes of it. */
  function tell(family: MessageOptions['family'], shuffle = (batch: BusMessage[]) => batch): void {
    let batch: BusMessage[] = [];
    world.onMessage((event) => {
      const message = busMessage(event, { family });
      if (message) batch.push(message);
    });
    flush = setInterval(() => {
      const ready = shuffle(batch);
      batch = [];
      for (const message of ready) void publisher.publish(message).catch(() => {});
    }, 50);
  }

  async function decided(): Promise<void> {
    await expect
      .poll(async () => (await gate.store.runs(1))[0]?.closing?.how, { timeout: 60_000, interval: 50 })
      .toBe('done');
    expect(world.tags(NEW)).toEqual(['c9s-blocked']);
    const builds = world.tasks().filter(({ method, parent }) => method === 'build' && !parent);
    const scratch = builds.filter(({ request }) => JSON.stringify(request).includes('"scratch":true'));
    // One of each kmod, and of the broken one another, against the baseline.
    expect(scratch).toHaveLength(world.state.scenario.kmods.length + 1);
  }

  const NEVER = 3_600_000;
  test('leaves the newest message in the store, where doctor looks', async () => {
    await start(NEVER);
    const body = Buffer.from(JSON.stringify({ tag: 'c9s-gate', build_id: 1 }));
    await publisher.publish({ routingKey: 'org.x.buildsys.tag', headers: {}, properties: {}, body });
    const newest = { queue: name, routingKey: 'org.x.buildsys.tag', understood: true };
    await expect.poll(() => gate.store.lastHeard(name), { timeout: 60_000 }).toMatchObject(newest);
  });
  test.each(['fedora', 'proton'] as const)('hears of the kernel in %s messages alone', async (family) => {
    await start(NEVER);
    tell(family);
    world.completeKernel(NEW, { tag: GATE.watch });
    await decided();
  });
  test('every message lost: the sweep alone', async () => {
    await start(300);
    world.completeKernel(NEW, { tag: GATE.watch });
    await decided();
  });
  test('a queue that is deleted is made anew, and what nobody told meanwhile is swept', async () => {
    await start(NEVER);
    const idle = async () => {
      const values = valuesOf(await (await fetch(`${gate.url}/metrics`)).text());
      const of = (what: string) => values.get(`kmod_gate_${what}`);
      return [Number(of('last_sweep_timestamp_seconds')) > 0, of('queue_waiting'), of('queue_working')];
    };
    await expect.poll(idle).toEqual([true, 0, 0]);
    world.completeKernel(NEW, { tag: GATE.watch });
    const model = await connectBroker(parseBroker(RABBIT_URL));
    const channel = await model.createChannel();
    await channel.deleteQueue(name);
    await closeQuietly(model);
    await expect.poll(async () => (await gate.store.runs(1)).length, { timeout: 60_000 }).toBe(1);
  });
  test('every message three times, out of order', async () => {
    await start(NEVER);
    tell('fedora', (batch) => [...batch.toReversed(), ...batch, ...batch.toReversed()]);
    world.completeKernel(NEW, { tag: GATE.watch });
    await decided();
  });
});
