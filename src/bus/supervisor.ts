/** What the consumers of both AMQPs have in common: to subscribe, and to stay subscribed, whatever fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Broker, type BrokerOptions, explain, parseBrokers } from './broker.ts';
import type { Consumer, Intake, OnHint } from './intake.ts';
import { openIntake } from './intake.ts';

/** What is asked of any subscription. */
export interface Subscribing extends BrokerOptions {
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

/** What a session is given. `subscribed` is called once messages begin to flow, with the name of what is read. */
export interface Link {
  readonly broker: Broker;
  readonly backoff: Backoff;
  readonly intake: Intake;
  /** Logs each text once. */
  readonly warn: (text: string) => void;
  readonly subscribed: (queue: string) => void;
}

/**
 * One connection with its subscription, from connecting until any part of it fails or `stop` aborts. Never rejects: resolves
 * with the reason, when all of it is closed.
 */
export type Session = (link: Link, stop: AbortSignal) => Promise<unknown>;

/** Wait before the next attempt in ms: between half of the full wait and all of it, so that many gates spread out. */
export function backoffDelay(failures: number, { first, most }: Backoff, random: () => number): number {
  return Math.min(most, first * 2 ** failures) * (0.5 + random() / 2);
}

/**
 * Runs sessions one after the other until closed. Of several brokers the next is tried at once, and a wait comes after the
 * last. No fault of a broker is thrown: it is logged, shown in the state, and tried again.
 * @param queue what is read, for the log
 * @throws Error if `url` is not a broker's address, and what `tls` throws
 */
export function supervise(
  options: Subscribing,
  queue: string,
  session: Session,
  onHint: OnHint,
  log: Logger,
): Consumer {
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
  function subscribed(broker: Broker, name: string): void {
    round = { failed: 0, refused: 0 };
    failures = 0;
    if (++subscriptions > 1) intake.state.reconnects++;
    setConnected(true);
    ready.resolve();
    log.info({ broker: broker.name, queue: name }, 'listening to the bus');
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
    log.warn({ broker: broker.name, queue, retryInMs }, `no connection to the bus: ${text}`);
    return retryInMs;
  }

  const warned = new Set<string>();
  const warn = (text: string) => {
    if (!warned.has(text)) log.warn(text);
    warned.add(text);
  };
  async function run(): Promise<void> {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const broker = brokers[turn % brokers.length] ?? brokers[0];
      const before = subscriptions;
      const link = { broker, backoff, intake, warn, subscribed: subscribed.bind(null, broker) };
      const reason = await session(link, stop.signal);
      setConnected(false);
      if (!stop.signal.aborted) await pause(failed(broker, reason, subscriptions > before), stop.signal);
    }
  }

  const running = run();
  return {
    state: () => ({ ...intake.state }),
    ready: ready.promise,
    async close() {
      ready.reject(new Error('The consumer was closed before it first subscribed.'));
      stop.abort(new Error('the consumer is closing'));
      await running;
    },
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
export function rejectionOn(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  promise.catch(() => {});
  return promise;
}

/** Waits `ms`, or until the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
