/**
 * The AMQP 0-9-1 consumer. One loop owns connection, channel and subscription as one unit: when any part of
 * it fails, all of it is torn down and built again. What was not acknowledged, the broker delivers again.
 */
import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import { closeQuietly, connectBroker } from './broker.ts';
import type { Consumer, OnHint } from './intake.ts';
import type { BusMessage } from './message.ts';
import { ensureQueue, type QueueOptions } from './queue.ts';
import { type Link, pause, rejectionOn, type Subscribing, supervise } from './supervisor.ts';

export interface ConsumerOptions extends Subscribing, QueueOptions {}

/**
 * Subscribes, and stays subscribed until closed. A message is acknowledged once `onHint` resolved for
 * each of its hints; if `onHint` fails it is given back after the first backoff and delivered again.
 * Up to `prefetch` messages are taken side by side, so hints of different messages may interleave.
 * Of several brokers the next is tried at once, and a wait comes after the last.
 * No fault of a broker is thrown: it is logged, shown in the state, and tried again.
 * @throws Error if `url` is not a broker's address, and what `tls` throws
 */
export function startConsumer(options: ConsumerOptions, onHint: OnHint, log: Logger): Consumer {
  return supervise(options, options.queue, (link, stop) => session(link, options, stop), onHint, log);
}

/**
 * One connection with its channel and subscription, from connecting until any part of it fails or
 * `stop` aborts. Never rejects: resolves with the reason, when all of it is closed.
 */
async function session(link: Link, options: ConsumerOptions, stop: AbortSignal): Promise<unknown> {
  const end = new AbortController();
  // One for each delivery that waits to be given back, up to the prefetch: no leak to warn of.
  setMaxListeners(0, end.signal);
  const ended = rejectionOn(end.signal);
  const onStop = () => end.abort(stop.reason);
  stop.addEventListener('abort', onStop);
  const connecting = connectBroker(link.broker);
  let model: ChannelModel | undefined;
  try {
    model = await Promise.race([connecting, ended]);
    model.on('error', (error) => end.abort(error));
    model.on('close', (error) => end.abort(error ?? new Error('the connection was closed')));
    const channel = await Promise.race([model.createChannel(), ended]);
    channel.on('error', (error) => end.abort(error));
    // A closing connection closes its channels first and says why after that: let it speak.
    channel.on('close', () => setImmediate(() => end.abort(new Error('the channel was closed'))));
    const subscribing = ensureQueue(model, options, link.warn).then((queue) =>
      subscribe(channel, queue, options.prefetch, link, end),
    );
    link.subscribed(await Promise.race([subscribing, ended]));
    return await ended;
  } catch (reason) {
    return reason;
  } finally {
    stop.removeEventListener('abort', onStop);
    if (model !== undefined) await closeQuietly(model);
    // Still being made: it closes when it is there, and nobody waits for that.
    else connecting.then(closeQuietly, () => {});
  }
}

/** Lets messages come. Whatever fails later aborts `end`. */
async function subscribe(
  channel: Channel,
  queue: string,
  prefetch: number,
  link: Link,
  end: AbortController,
): Promise<string> {
  await channel.prefetch(prefetch);
  await channel.consume(queue, (message) => {
    if (message === null)
      end.abort(new Error(`the broker ended the subscription: queue ${queue} was deleted?`));
    else void deliver(message, channel, link, end);
  });
  return queue;
}

/** Takes one message, then acknowledges it or, after a pause, gives it back. Never rejects. */
async function deliver(
  message: ConsumeMessage,
  channel: Channel,
  { intake, backoff }: Link,
  end: AbortController,
): Promise<void> {
  const taken = await intake.take(toBusMessage(message));
  if (!taken) await pause(backoff.first, end.signal);
  // On a channel that is gone there is nothing to acknowledge: the broker delivers it again.
  if (end.signal.aborted) return;
  try {
    if (taken) channel.ack(message);
    else channel.nack(message, false, true);
  } catch (error) {
    end.abort(error);
  }
}

const PROPERTIES = ['type', 'contentType', 'contentEncoding', 'messageId'] as const;

/** A delivery as the decoders take it. */
export function toBusMessage({ fields, properties, content }: ConsumeMessage): BusMessage {
  const known = PROPERTIES.filter((name) => properties[name] !== undefined);
  return {
    routingKey: fields.routingKey,
    headers: properties.headers ?? {},
    properties: Object.fromEntries(known.map((name) => [name, String(properties[name])])),
    body: content,
  };
}
