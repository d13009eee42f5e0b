/** A look at a broker that leaves nothing behind, and that no gate's queue notices. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import { type Broker, closeQuietly, connectAny } from './broker.ts';
import { toBusMessage } from './consumer.ts';
import type { BusMessage } from './message.ts';

/** A queue as the broker counts it. */
export interface QueueCount {
  /** That wait to be delivered. */
  readonly messages: number;
  readonly consumers: number;
}

/** What arrived while a probe listened. */
export interface Arrivals {
  readonly count: number;
  readonly newest?: BusMessage;
}

/** Every look fails with the broker's words where it says no. */
export interface Probe {
  /** Name of the broker that answers. */
  readonly broker: string;
  assertExchange(exchange: string): Promise<void>;
  /** Undefined where there is no such queue. */
  count(queue: string): Promise<QueueCount | undefined>;
  /** Bind a queue of the probe's own, which the broker names and removes with the connection, and hear it for `ms`. */
  listen(exchange: string, bindings: readonly string[], ms: number): Promise<Arrivals>;
  close(): Promise<void>;
}

/** Connects to the first of them that answers. Rejects with the words of the last. */
export async function openProbe(brokers: readonly [Broker, ...Broker[]]): Promise<Probe> {
  const { broker, model } = await connectAny(brokers);
  return {
    broker: broker.name,
    assertExchange: (exchange) =>
      withChannel(model, async (channel) => void (await channel.checkExchange(exchange))),
    count: (queue) => withChannel(model, (channel) => countIn(channel, queue)),
    listen: (exchange, bindings, ms) =>
      withChannel(model, (channel) => listen(channel, exchange, bindings, ms)),
    close: () => closeQuietly(model),
  };
}

/** A channel for one look: the broker closes it with whatever it refuses. */
async function withChannel<T>(model: ChannelModel, look: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await model.createChannel();
  // An `error` event that nobody listens to would end the process; the look itself rejects with it.
  channel.on('error', () => {});
  return look(channel);
}

async function countIn(channel: Channel, queue: string): Promise<QueueCount | undefined> {
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(queue);
    return { messages: messageCount, consumers: consumerCount };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}

/** AMQP's reply code. */
const NOT_FOUND = 404;

async function listen(
  channel: Channel,
  exchange: string,
  bindings: readonly string[],
  ms: number,
): Promise<Arrivals> {
  const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true, durable: false });
  for (const pattern of bindings) await channel.bindQueue(queue, exchange, pattern);
  let arrivals: Arrivals = { count: 0 };
  if (ms === 0) return arrivals;
  const hear = (message: Parameters<typeof toBusMessage>[0] | null) => {
    if (message) arrivals = { count: arrivals.count + 1, newest: toBusMessage(message) };
  };
  await channel.consume(queue, hear, { noAck: true });
  await sleep(ms);
  return arrivals;
}
