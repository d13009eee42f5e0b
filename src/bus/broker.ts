/** What consumers and the publisher have in common: reaching a broker, and saying what it refused. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import { connect, credentials } from 'amqplib';
import { messageOf } from './intake.ts';

/** How to reach a broker. */
export interface BrokerOptions {
  /** `amqp://user:password@host:port/vhost`, or `amqps://`; of several each is tried in turn. */
  readonly url: string | readonly string[];
  /** `password`: of the URL (default); `external`: the client certificate says who comes. */
  readonly login?: 'password' | 'external' | undefined;
  /** Certificates in PEM; asked for at each connection, since they are renewed. Throws where they cannot be used. */
  readonly tls?: (() => Certificates) | undefined;
  /** What the broker's people see of this connection, beside its name. */
  readonly client_properties?: ClientProperties | undefined;
  /** Seconds (20): a silent broker is given up after two to three of them. */
  readonly heartbeat?: number | undefined;
}

/** Who is trusted, and who comes; without `ca` the system's authorities count. */
export interface Certificates {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export type ClientProperties = Readonly<Record<string, string | readonly string[]>>;

/** A broker to connect to. `name` is for people: the address without user and password. */
export interface Broker extends Omit<BrokerOptions, 'url' | 'heartbeat'> {
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

/**
 * Checks the addresses of a broker, and its certificates.
 * @returns each of them, in their order; there is one at least
 * @throws Error that tells what is wrong, as `parseBroker` does; what `tls` throws
 */
export function parseBrokers({ url, heartbeat, ...how }: BrokerOptions): readonly [Broker, ...Broker[]] {
  how.tls?.();
  const [first, ...others] = typeof url === 'string' ? [url] : url;
  const broker = (one: string): Broker => ({ ...parseBroker(one, heartbeat), ...how });
  return [broker(first ?? ''), ...others.map(broker)];
}

/** The first of several brokers that lets itself be connected to, and its connection. Rejects as the last one did. */
export async function connectAny(
  brokers: readonly [Broker, ...Broker[]],
): Promise<{ readonly broker: Broker; readonly model: ChannelModel }> {
  const { broker, made } = await firstOf(brokers, connectBroker);
  return { broker, model: made };
}

/** The same, with another way to connect. */
export async function firstOf<T>(
  brokers: readonly [Broker, ...Broker[]],
  connect: (broker: Broker) => Promise<T>,
): Promise<{ readonly broker: Broker; readonly made: T }> {
  let last: unknown;
  for (const broker of brokers)
    try {
      return { broker, made: await connect(broker) };
    } catch (error) {
      last = error;
    }
  throw last;
}

/** Connects, within ten seconds. How the connection ends later is told to `close` and `error` listeners. */
export async function connectBroker(broker: Broker): Promise<ChannelModel> {
  const model = await connect(broker.url, {
    timeout: CONNECT_TIMEOUT,
    clientProperties: { connection_name: 'kmod-gate', app: 'kmod-gate', ...broker.client_properties },
    ...broker.tls?.(),
    ...(broker.login === 'external' && { credentials: credentials.external() }),
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
 * What to do about a refusal, by the AMQP reply code or condition and the words that brokers send. Trying again soon
 * changes none of these.
 */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /mechanism EXTERNAL|EXTERNAL.*(not supported|unsupported)|No compatible mechanism/i,
    'the broker needs its plugin rabbitmq_auth_mechanism_ssl, EXTERNAL among auth_mechanisms, and a user that is called as the certificate says',
  ],
  [
    /self-signed certificate|unable to (verify|get)|certificate has expired|altnames|ERR_TLS/i,
    "see serverca in [bus], and the name in the broker's certificate",
  ],
  [
    /alert (certificate|handshake|bad certificate|unknown ca)|certificate required|tlsv1 alert|sslv3 alert/i,
    'the broker does not take the client certificate; see cert and key in [bus]',
  ],
  [
    /amqp:unauthorized-access/,
    'check user and password, or the client certificate, and that the user may read these addresses',
  ],
  [
    /No suitable mechanism|SASL layer not enabled/,
    'the broker has no such login: it wants a user and a password in the url, or a client certificate (cert in [bus])',
  ],
  [/amqp:(not-found|invalid-field)/, 'check addresses in [bus]: brokers write them in different ways'],
  [
    /Unsupported AMQP version|Invalid (AMQP protocol id|protocol header)|Expecting SASL layer/,
    'the broker does not speak AMQP 1.0 there: check the port, or leave out protocol in [bus]',
  ],
  [
    /\b403 \(/,
    'check user and password, and that the user may configure, write and read this queue and exchange',
  ],
  [
    /\b404 \(.*no queue/,
    'create the queue on the broker, or let the gate do so with declare = true in [bus]',
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
