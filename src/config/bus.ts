/** `[bus]`: how the gate hears of what happens on the hub. */
import type { z } from 'zod';
import { type FedoraMessaging, FedoraMessagingError, readFedoraMessaging } from './fedora.ts';
import { expandHome } from './home.ts';
import { type Finding, maskUrl, valueAt } from './mistakes.ts';
import { checkBusPlaintext } from './rules.ts';
import { type ConfigFile, formatDuration } from './schema.ts';

/** Where messages come from. */
export interface BusSettings {
  /** Of several each is tried in turn. */
  readonly url: string | readonly string[];
  /** User and password may go to another host over amqp://. */
  readonly plaintext?: boolean | undefined;
  /** `external`: the client certificate says who comes. Default: user and password of the URL. */
  readonly login?: 'external';
  /** Files in PEM: the client certificate, its key unless `cert` has it, and who signed the broker's. */
  readonly cert?: string;
  readonly key?: string | undefined;
  readonly serverca?: string;
  /** Of an AMQP 1.0 broker: what is read there. Absent: the broker speaks AMQP 0-9-1, and the keys below count. */
  readonly addresses?: readonly string[];
  readonly exchange: string;
  /** A name, or `uuid`: a new name at each connection, and the queue goes with it. With AMQP 1.0 all addresses. */
  readonly queue: string;
  /** Topic patterns that bind the queue to the exchange. */
  readonly bindings: readonly string[];
  readonly prefetch: number;
  /** False: the queue is there, and is not declared. */
  readonly declare?: boolean;
  readonly queue_type?: 'classic' | 'quorum';
  /** Ms for which nobody reads the queue until it is removed; absent: never. */
  readonly expires?: number;
  readonly max_length?: number;
  readonly delivery_limit?: number;
  readonly dead_letter?: string;
  readonly durable?: boolean;
  readonly auto_delete?: boolean;
  readonly exclusive?: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly client_properties?: Readonly<Record<string, string | readonly string[]>>;
}

type BusTable = NonNullable<z.infer<typeof ConfigFile>['bus']>;

const WEEK = 7 * 86_400_000;
const STANDARD = {
  exchange: 'amq.topic',
  queue: 'kmod-gate',
  bindings: ['#.buildsys.#', 'koji.#'],
  prefetch: 50,
} as const;
const LONGEST_QUEUE = 100_000;
/** As it says that a queue goes with its connection. */
const BY_UUID = 'uuid';

/** What `bus.fedora_messaging` names says, and what is wrong with it. */
export function findFedoraMessaging(
  document: unknown,
  env: NodeJS.ProcessEnv,
): { fedora: FedoraMessaging | undefined; findings: Finding[] } {
  const path = ['bus', 'fedora_messaging'];
  const [file, queue] = [valueAt(document, path), valueAt(document, ['bus', 'queue'])];
  if (typeof file !== 'string' || file === '') return { fedora: undefined, findings: [] };
  try {
    const wanted = typeof queue === 'string' ? queue : undefined;
    return { fedora: readFedoraMessaging(expandHome(file, env), wanted), findings: [] };
  } catch (error) {
    if (!(error instanceof FedoraMessagingError)) throw error;
    return { fedora: undefined, findings: [{ path, message: error.message }] };
  }
}

/** The table with what fedora-messaging says and what goes without saying; the table's own word counts before both. */
export function busSettings(
  table: BusTable,
  fedora: FedoraMessaging | undefined,
  env: NodeJS.ProcessEnv,
): BusSettings {
  const { fedora_messaging: _, protocol: _which, expires, login, url, cert, key, serverca, ...given } = table;
  const files = Object.fromEntries(
    Object.entries({ cert, key, serverca }).flatMap(([name, file]) =>
      file === undefined ? [] : [[name, expandHome(file, env)] as const],
    ),
  );
  // Who is only known to the broker's library by name is nobody's queue to keep.
  const unnamed = fedora !== undefined && fedora.queue === undefined;
  const { login: ofFedora, ...told }: Partial<FedoraMessaging> = fedora ?? {};
  const settings = {
    ...STANDARD,
    ...(unnamed && { queue: BY_UUID }),
    ...told,
    ...present(given),
    // Another certificate has another key.
    ...(cert !== undefined && key === undefined && { key: undefined }),
    ...files,
    url: url ?? told.url ?? '',
  };
  const { addresses } = settings;
  const external = login === undefined ? (ofFedora ?? byCertificate(settings)) : login === 'external';
  const byLogin = external && { login: 'external' as const };
  if (addresses) return { ...settings, exchange: '', queue: addresses.join(' '), bindings: [], ...byLogin };
  const limits =
    settings.declare === false || told.arguments
      ? {}
      : {
          max_length: settings.max_length ?? LONGEST_QUEUE,
          ...(settings.queue !== BY_UUID && expires !== null && { expires: expires ?? WEEK }),
        };
  return { ...settings, ...limits, ...byLogin };
}

/** A certificate, and no password. */
const byCertificate = ({
  cert,
  url,
}: {
  readonly cert?: string;
  readonly url: BusSettings['url'];
}): boolean =>
  cert !== undefined && [url].flat().every((one) => !URL.canParse(one) || new URL(one).password === '');

const present = <T extends object>(given: T) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

/** Which keys of `[bus]` do not go together. What is not of the right kind is left to the schema. */
export function checkBus(document: unknown, fedora: FedoraMessaging | undefined): Finding[] {
  if (typeof valueAt(document, ['bus']) !== 'object') return [];
  const of = (key: string) => valueAt(document, ['bus', key]);
  const has = (key: string) => of(key) !== undefined;
  const findings: Finding[] = [];
  const wrong = (key: string, message: string) => findings.push({ path: ['bus', key], message });
  const later = of('protocol') === 'amqp-1.0';
  findings.push(...(later ? checkAmqp10(of) : []));
  if (!later && has('addresses'))
    wrong('addresses', 'is for protocol = "amqp-1.0": set that, or use bindings');
  if (!has('url') && !has('fedora_messaging'))
    findings.push({
      path: ['bus'],
      message: 'needs url, or fedora_messaging = "/etc/fedora-messaging/config.toml"',
    });
  if (has('url') && has('fedora_messaging'))
    wrong('url', 'stands beside fedora_messaging, which names a broker too: keep one of them');
  const urls = [of('url') ?? fedora?.url].flat().filter((one): one is string => typeof one === 'string');
  for (const key of ['cert', 'serverca'])
    if (has(key) && urls.some((one) => one.startsWith('amqp:')))
      wrong(key, 'is for TLS: the url must be amqps://');
  findings.push(...checkBusPlaintext(document, urls, ['bus', has('url') ? 'url' : 'fedora_messaging']));
  if (has('key') && !has('cert')) wrong('key', 'is the key of a certificate: name that with cert');
  if (of('login') === 'external') {
    if (!has('cert') && fedora?.cert === undefined)
      wrong('login', '"external" needs the client certificate: name it with cert, and its key with key');
    if (urls.some((one) => URL.canParse(one) && new URL(one).password !== ''))
      wrong('login', '"external" uses no password: take it out of the url');
  }
  const passive = of('declare') === false || (!has('declare') && fedora?.declare === false);
  for (const key of ['queue_type', 'expires', 'max_length', 'delivery_limit', 'dead_letter'])
    if (passive && has(key))
      wrong(key, 'says how the queue is made, and declare = false says that it is not: take out one of them');
  if (has('delivery_limit') && of('queue_type') !== 'quorum')
    wrong('delivery_limit', 'needs queue_type = "quorum": classic queues count no deliveries');
  if (has('dead_letter') && of('dead_letter') === (of('queue') ?? STANDARD.queue))
    wrong('dead_letter', 'is the queue itself: name another one');
  if (of('queue') === BY_UUID) {
    if (of('queue_type') === 'quorum')
      wrong('queue_type', 'queue = "uuid" goes with its connection, and a quorum queue stays');
    if (has('expires'))
      wrong('expires', 'queue = "uuid" goes with its connection: there is nothing to expire');
    if (of('declare') === false) wrong('declare', 'queue = "uuid" is made by the gate: declare must be true');
  }
  return findings;
}

/** What says which queue of a RabbitMQ is read, and how it is made. */
const OF_RABBITMQ = [
  ...['fedora_messaging', 'exchange', 'queue', 'bindings', 'declare'],
  ...['queue_type', 'expires', 'max_length', 'delivery_limit', 'dead_letter'],
];

/** The same of a broker that speaks AMQP 1.0. */
function checkAmqp10(of: (key: string) => unknown): Finding[] {
  const findings = OF_RABBITMQ.filter((key) => of(key) !== undefined).map((key) => ({
    path: ['bus', key],
    message:
      'is for AMQP 0-9-1: with protocol = "amqp-1.0" the broker has the queues, and addresses names them',
  }));
  if (of('addresses') === undefined)
    findings.push({
      path: ['bus', 'protocol'],
      message: '"amqp-1.0" needs addresses, such as ["queue://Consumer.NAME.VirtualTopic.eng.brew.>"]',
    });
  const urls = [of('url')].flat().filter((one) => typeof one === 'string' && URL.canParse(one));
  if (urls.some((one) => !['', '/'].includes(new URL(String(one)).pathname)))
    findings.push({
      path: ['bus', 'url'],
      message: 'ends in a vhost, and AMQP 1.0 has none: leave out what follows host and port',
    });
  return findings;
}

/** What was understood, in one line, passwords as `***`. */
export function describeBus(bus: BusSettings): string {
  const { exchange, queue, bindings, prefetch, expires, max_length, delivery_limit, dead_letter } = bus;
  const limits = [
    ...(bus.queue_type === 'quorum' ? ['quorum'] : []),
    ...(bus.declare === false ? ['as it is on the broker'] : []),
    ...(expires === undefined ? [] : [`removed ${formatDuration(expires)} after it was last read`]),
    ...(max_length === undefined ? [] : [`at most ${max_length} messages`]),
    ...(delivery_limit === undefined ? [] : [`each given back at most ${delivery_limit} times`]),
    ...(dead_letter === undefined ? [] : [`dropped ones to ${dead_letter}`]),
  ];
  const where = [bus.url].flat().map(maskUrl).join(', then ');
  const login = bus.login === 'external' ? `, by the certificate ${bus.cert}` : '';
  if (bus.addresses)
    return `${where}${login}, AMQP 1.0, ${bus.addresses.join(' ')}, prefetch ${prefetch} each`;
  const named = queue === BY_UUID ? 'a queue that goes with its connection' : `queue ${queue}`;
  return `${where}${login}, exchange ${exchange}, ${named}${limits.length > 0 ? ` (${limits.join(', ')})` : ''}, bindings ${bindings.join(' ')}, prefetch ${prefetch}`;
}
