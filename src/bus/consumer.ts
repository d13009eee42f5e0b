/**
 * The AMQP consumer. One loop owns connection, channel and subscription as one unit: when any part of
 * it fails, all of it is torn down and built again. What was not acknowledged, the broker delivers again.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import type { Broker, BrokerOptions } from './broker.ts';
import { closeQuietly, connectBroker, explain, parseBrokers } from './broker.ts';
import type { Consumer, Intake, OnHint } from './intake.ts';
import { openIntake } from './intake.ts';
import type { BusMessage } from './message.ts';
import { ensureQueue, type QueueOptions } from './queue.ts';

export interface ConsumerOptions extends BrokerOptions, QueueOptions {
  /** Most messages taken but not yet acknowledged. */
  readonly prefetch: number;
  /** Waits between attempts, ms: doubling from `first` (1 s) to `most` (60 s). */
  readonly backoff?: Backoff;
  /** Called each time that messages begin to flow: what was sent before may be lost. */
  readonly onSubscribed?: () => void;
  /** For the jitter of waits, 0 to 1. */
  readonly random?: () => number;
}

export interface Backoff {
  readonly first: number;
  readonly most: number;
}

/** Wait before the next attempt in ms: between half of the full wait and all of it, so that many gates spread out. */
export function backoffDelay(failures: number, { first, most }: Backoff, random: () => number): number {
  return Math.min(most, first * 2 ** failures) * (0.5 + random() / 2);
}

/**
 * Subscribes, and stays subscribed until closed. A message is acknowledged once `onHint` resolved for
 * each of its hints; if `onHint` fails it is given back after the first backoff and delivered again.
 * Up to `prefetch` messages are taken side by side, so hints of different messages may interleave.
 * Of several brokers the next is tried at once, and a wait comes after the last.
 * No fault of a broker is thrown: it is logged, shown in the state, and tried again.
 * @throws Error if `url` is not a broker's address, and what `tls` throws
 */
export function startConsumer(options: ConsumerOptions, onHint: OnHint, log: Logger): Consumer {
  const { backoff = { first: 1_000, most: 60_000 }, random = Math.random } = options;
  const brokers = parseBrokers(options);
  const intake = openIntake(onHint, log);
  const stop = new AbortController();
  const ready = deferred();

  function setConnected(connected: boolean): void {
    if (connected === intake.state.connected) return;
    intake.state.connected = connected;
    intake.state.since = Date.now();
  }

  let subscriptions = 0;
  function subscribed(broker: Broker, queue: string): void {
    round = { failed: 0, refused: 0 };
    failures = 0;
    if (++subscriptions > 1) intake.state.reconnects++;
    setConnected(true);
    ready.resolve();
    log.info({ broker: broker.name, queue }, 'listening to the bus');
    options.onSubscribed?.();
  }

  /** Rounds through all brokers that brought no subscription; and how many of them failed in this one. */
  let failures = 0;
  let round = { failed: 0, refused: 0 };
  /** Notes why a session ended. Returns the wait before the next, ms. */
  function failed(broker: Broker, error: unknown, lost: boolean): number {
    const { text, refused } = explain(error);
    intake.state.lastError = text;
    round = { failed: round.failed + 1, refused: round.refused + Number(refused) };
    let retryInMs = 0;
    if (lost || round.failed >= brokers.length) {
      // A refusal stands until a person acts: wait the longest at once.
      const full = round.refused === round.failed ? Infinity : failures++;
      retryInMs = Math.round(backoffDelay(full, backoff, random));
      round = { failed: 0, refused: 0 };
    }
    const queue = options.queue;
    log.warn({ broker: broker.name, queue, retryInMs }, `no connection to the bus: ${text}`);
    return retryInMs;
  }

  const warned = new Set<string>();
  const warn = (text: string) => {
    if (!warned.has(text)) log.warn(text);
    warned.add(text);
  };
  async function supervise(): Promise<void> {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const broker = brokers[turn % brokers.length] ?? brokers[0];
      const before = subscriptions;
      const link = { broker, options, backoff, intake, warn, subscribed: subscribed.bind(null, broker) };
      const reason = await session(link, stop.signal);
      setConnected(false);
      if (!stop.signal.aborted) await pause(failed(broker, reason, subscriptions > before), stop.signal);
    }
  }

  const supervisor = supervise();
  return {
    state: () => ({ ...intake.state }),
    ready: ready.promise,
    async close() {
      ready.reject(new Error('The consumer was closed before it first subscribed.'));
      stop.abort(new Error('the consumer is closing'));
      await supervisor;
    },
  };
}

/** What a session is given. `subscribed` is called once messages begin to flow, with the queue's name. */
interface Link {
  readonly broker: Broker;
  readonly options: ConsumerOptions;
  readonly backoff: Backoff;
  readonly intake: Intake;
  readonly warn: (text: string) => void;
  readonly subscribed: (queue: string) => void;
}

/**
 * One connection with its channel and subscription, from connecting until any part of it fails or
 * `stop` aborts. Never rejects: resolves with the reason, when all of it is closed.
 */
async function session(link: Link, stop: AbortSignal): Promise<unknown> {
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
    const subscribing = ensureQueue(model, link.options, link.warn).then((queue) =>
      subscribe(channel, queue, link, end),
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
async function subscribe(channel: Channel, queue: string, link: Link, end: AbortController): Promise<string> {
  await channel.prefetch(link.options.prefetch);
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

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** A promise to be settled from outside. Nobody needs to listen to its rejection. */
function deferred(): Deferred {
  let resolve: () => void = () => {};
  let reject: (reason: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** A promise that only ever rejects: with the signal's reason, once it aborts. */
function rejectionOn(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  promise.catch(() => {});
  return promise;
}

/** Waits `ms`, or until the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
