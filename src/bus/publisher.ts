/** Sends messages to the broker and waits until it has them. */
import type { ConfirmChannel } from 'amqplib';
import type { Logger } from 'pino';
import {
  type BrokerOptions,
  closeQuietly,
  connectAny,
  ensureExchange,
  explain,
  parseBrokers,
} from './broker.ts';
import type { BusMessage } from './message.ts';

export interface Publisher {
  /**
   * Resolves once the broker confirmed the message; rejects if it refused it, the connection went away, or no confirmation
   * came in time: then it may still arrive.
   */
  publish(message: BusMessage): Promise<void>;
  close(): Promise<void>;
}

export interface PublisherOptions extends BrokerOptions {
  readonly exchange: string;
  /** False: it must be there, as who may only publish cannot make one. */
  readonly declare?: boolean;
  /** So long a message waits for its turn and for its confirmation, ms (30 s). */
  readonly timeout?: number;
}

/**
 * Connects once, to the first of several brokers that answers; a publisher that lost its connection stays lost, and every
 * `publish` says so. While the broker is short of memory or disk it blocks who publishes: that is logged, and messages wait.
 * @throws Error if the url is not a broker's address, or with the broker's words if it cannot be used
 */
export async function connectPublisher(options: PublisherOptions, log?: Logger): Promise<Publisher> {
  const { exchange, declare = true, timeout = 30_000 } = options;
  const brokers = parseBrokers(options);
  let name = brokers.map((one) => one.name).join(', ');
  const fail = (error: unknown): never => {
    throw new Error(`${name}: ${explain(error).text}`);
  };
  const { broker, model } = await connectAny(brokers).catch(fail);
  name = broker.name;
  let blocked: string | undefined;
  model.on('error', (error) => log?.warn(`publisher: ${explain(error).text}`));
  model.on('blocked', (reason: string) => {
    blocked = reason;
    log?.warn({ broker: name, reason }, 'the broker takes no messages for now');
  });
  model.on('unblocked', () => {
    blocked = undefined;
    log?.info({ broker: name }, 'the broker takes messages again');
  });
  try {
    const channel = await model.createConfirmChannel();
    channel.on('error', (error) => log?.warn(`publisher: ${explain(error).text}`));
    if (declare) await ensureExchange(channel, exchange);
    else await channel.checkExchange(exchange);
    const send = sender(channel, exchange);
    const late = () =>
      new Error(
        `no confirmation within ${timeout} ms${blocked === undefined ? '' : `, as the broker takes no messages: ${blocked}`}; the message may still arrive`,
      );
    return {
      publish: (message) => within(send(message), timeout, late).catch(fail),
      close: () => closeQuietly(model),
    };
  } catch (error) {
    await closeQuietly(model);
    return fail(error);
  }
}

/** @returns sends a message; while more is under way than the connection holds, the next ones wait */
function sender(channel: ConfirmChannel, exchange: string): (message: BusMessage) => Promise<void> {
  let room: Promise<unknown> = Promise.resolve();
  return async (message) => {
    const before = room;
    const options = { ...message.properties, headers: message.headers, persistent: true };
    const sent = before.then(() => {
      let more = true;
      const confirmed = new Promise<void>((resolve, reject) => {
        more = channel.publish(exchange, message.routingKey, Buffer.from(message.body), options, (error) =>
          error ? reject(error) : resolve(),
        );
      });
      return { confirmed, drained: more ? undefined : drained(channel) };
    });
    room = sent.then(
      ({ drained }) => drained,
      () => {},
    );
    await (await sent).confirmed;
  };
}

/** Until there is room again, or the channel is over. */
const drained = (channel: ConfirmChannel): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      channel.off('drain', done).off('close', done);
      resolve();
    };
    channel.on('drain', done).on('close', done);
  });

/** The same, unless it takes longer. */
async function within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}
