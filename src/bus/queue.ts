/** The gate's own queue: made as the configuration has it, or taken as it is where the broker or another has the say. */
import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, Options } from 'amqplib';
import { messageOf } from './intake.ts';

/** In place of a name: a new one for each subscription, as Fedora's public broker wants it; it goes with the connection. */
export const BY_UUID = 'uuid';

export interface QueueOptions {
  /** A name, or `uuid`. */
  readonly queue: string;
  /** The topic exchange that Koji's plugin publishes to; it must be there. */
  readonly exchange: string;
  /** Topic patterns, such as `koji.build.*`. */
  readonly bindings: readonly string[];
  /** Make the queue (default), or only take one that is there. */
  readonly declare?: boolean;
  /** Default: classic. A quorum queue is kept by several nodes of a cluster. */
  readonly queue_type?: 'classic' | 'quorum';
  /** Ms for which nobody reads the queue until the broker removes it; absent: never. */
  readonly expires?: number | undefined;
  /** Most messages in it: then the oldest go; absent: any number. */
  readonly max_length?: number | undefined;
  /** A message that was given back so often goes: to `dead_letter`, or nowhere. For quorum queues. */
  readonly delivery_limit?: number | undefined;
  /** A queue for what is dropped, made along with this one. */
  readonly dead_letter?: string | undefined;
  /** Told by fedora-messaging's configuration, in place of what goes without saying. */
  readonly durable?: boolean | undefined;
  readonly auto_delete?: boolean | undefined;
  readonly exclusive?: boolean | undefined;
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
}

/** So many messages are kept for somebody to look at. */
const DEAD_MOST = 1_000;

/** AMQP's reply codes. */
const FORBIDDEN = 403;
const MISMATCH = 406;

/**
 * Have the queue ready to be read.
 * @param warn hears what is not as it was asked for, and does no harm: whatever is lost, a sweep finds
 * @returns its name
 * @throws with the broker's words where there is no queue to read
 */
export async function ensureQueue(
  model: ChannelModel,
  options: QueueOptions,
  warn: (text: string) => void,
): Promise<string> {
  const { exchange, bindings, declare = true, dead_letter } = options;
  const name = options.queue === BY_UUID ? randomUUID() : options.queue;
  await onItsOwn(model, (channel) => channel.checkExchange(exchange));
  if (declare && dead_letter !== undefined) await declareAs(model, dead_letter, deadLetters(options), warn);
  if (declare) await declareAs(model, name, propertiesOf(options), warn);
  else await onItsOwn(model, (channel) => channel.checkQueue(name));
  try {
    await onItsOwn(model, async (channel) => {
      for (const pattern of bindings) await channel.bindQueue(name, exchange, pattern);
    });
  } catch (error) {
    if (declare || codeOf(error) !== FORBIDDEN) throw error;
    warn(`the queue ${name} is read as it is bound: the broker does not let the gate bind it`);
  }
  return name;
}

/** Declare a queue; one that is there and is another is taken as it is. */
async function declareAs(
  model: ChannelModel,
  name: string,
  properties: Options.AssertQueue,
  warn: (text: string) => void,
): Promise<void> {
  try {
    await onItsOwn(model, (channel) => channel.assertQueue(name, properties));
  } catch (error) {
    if (codeOf(error) !== MISMATCH) throw error;
    await onItsOwn(model, (channel) => channel.checkQueue(name));
    warn(
      `the queue ${name} keeps what it was made with; delete it on the broker to change that: ${messageOf(error)}`,
    );
  }
}

function propertiesOf(options: QueueOptions): Options.AssertQueue {
  const { queue_type = 'classic', expires, max_length, delivery_limit, dead_letter } = options;
  const passing = options.queue === BY_UUID;
  return {
    durable: options.durable ?? !passing,
    autoDelete: options.auto_delete ?? passing,
    exclusive: options.exclusive ?? passing,
    arguments: {
      ...(queue_type === 'quorum' && { 'x-queue-type': 'quorum' }),
      // Of a queue that goes with its connection there is nothing to expire.
      ...(expires !== undefined && !passing && { 'x-expires': expires }),
      ...(max_length !== undefined && { 'x-max-length': max_length }),
      ...(delivery_limit !== undefined && { 'x-delivery-limit': delivery_limit }),
      ...(dead_letter !== undefined && {
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': dead_letter,
      }),
      ...options.arguments,
    },
  };
}

const deadLetters = ({ queue_type }: QueueOptions): Options.AssertQueue => ({
  durable: true,
  arguments: { ...(queue_type === 'quorum' && { 'x-queue-type': 'quorum' }), 'x-max-length': DEAD_MOST },
});

/** Something that the broker may refuse: then it closes the channel, so it gets one of its own. */
async function onItsOwn<T>(model: ChannelModel, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await model.createChannel();
  // An `error` event that nobody listens to would end the process; the work itself rejects with it.
  channel.on('error', () => {});
  const result = await work(channel);
  await channel.close();
  return result;
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;
