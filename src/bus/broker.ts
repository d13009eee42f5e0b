/** What the consumer and the publisher have in common: reaching a RabbitMQ broker, and saying what it refused. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { messageOf } from './intake.ts';

/** A broker to connect to. `name` is for people: the address without user and password. */
export interface Broker {
  readonly url: string;
  readonly name: string;
}

/** Time for TCP, TLS and the AMQP handshake together, ms. */
const CONNECT_TIMEOUT = 10_000;
/** Time for the broker to answer a close, ms. */
const CLOSE_TIMEOUT = 1_000;

/**
 * Checks a broker's address.
 * @param url `amqp://` or `amqps://user:password@host:port/vhost`
 * @param heartbeat seconds; a silent connection is given up after two to three of them
 * @throws Error that tells what is wrong, without repeating the address: it may hold a password
 */
export function parseBroker(url: string, heartbeat = 20): Broker {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new Error(
      'The bus url is not of the form amqp://user:password@host:port/vhost (or amqps://). ' +
        'Percent-encode special characters in the user, the password and the vhost.',
    );
  }
  parsed.searchParams.set('heartbeat', String(heartbeat));
  return { url: parsed.href, name: `${parsed.protocol}//${parsed.host}${parsed.pathname}` };
}

/** Connects, within ten seconds. How the connection ends later is told to `close` and `error` listeners. */
export async function connectBroker(broker: Broker): Promise<ChannelModel> {
  const model = await connect(broker.url, {
    timeout: CONNECT_TIMEOUT,
    clientProperties: { connection_name: 'kmod-gate' },
  });
  // An `error` event that nobody listens to would end the process.
  model.on('error', () => {});
  return model;
}

/** Makes sure of a topic exchange: the broker's own `amq.*` must be there, any other is declared, durable. */
export async function ensureExchange(channel: Channel, exchange: string): Promise<void> {
  if (exchange.startsWith('amq.')) await channel.checkExchange(exchange);
  else await channel.assertExchange(exchange, 'topic', { durable: true });
}

/** Closes a connection that may be closed, broken or deaf already. Never rejects. */
export async function closeQuietly(model: ChannelModel): Promise<void> {
  const answered = new AbortController();
  const tooLong = sleep(CLOSE_TIMEOUT, undefined, { signal: answered.signal });
  await Promise.race([model.close(), tooLong]).catch(() => {});
  answered.abort();
  await tooLong.catch(() => {});
}

/**
 * What to do about a refusal, by the AMQP reply code and words that RabbitMQ sends. Trying again soon
 * changes none of these.
 */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /\b403 \(/,
    'check user and password, and that the user may configure, write and read this queue and exchange',
  ],
  [/\b404 \(/, 'create the exchange, or name another one'],
  [/\b405 \(/, 'another connection owns the queue exclusively: stop it, or name another queue'],
  // Also the code for a late acknowledgement, which needs nothing but a new connection.
  [
    /\b406 \(.*inequivalent arg/,
    'it exists with other arguments: delete it on the broker, or name another one',
  ],
  [
    /\b530 \(|Expected ConnectionOpenOk/,
    'check the vhost at the end of the url, and that the user may use it',
  ],
];

/** An error of the broker in words, with what to do where that is known. */
export function explain(error: unknown): { readonly text: string; readonly refused: boolean } {
  const text = messageOf(error);
  const advice = ADVICE.find(([pattern]) => pattern.test(text))?.[1];
  return advice === undefined ? { text, refused: false } : { text: `${text}: ${advice}`, refused: true };
}
