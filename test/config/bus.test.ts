/** `[bus]`: what goes without saying, what does not go together, and fedora-messaging's configuration in its place. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, describeConfig, parseConfig } from '../../src/config/config.ts';

const BEFORE = `[koji]\nserver = "https://koji.example.org/kojihub"\n[store]\nurl = "sqlite::memory:"\n`;
const GATE = `[[gate]]
name = "c9s"
kernels = ["kernel"]
watch = "c9s-gate"
kmods = { tag = "kmods" }
build = { target = "kmods" }
on_pass = { tag = ["passed"] }
`;
const parse = (bus: string) =>
  parseConfig(`${BEFORE}[bus]\n${bus}\n${GATE}`, 'x.toml', { HOME: '/home/ada' }, []);
const busOf = (bus: string) => parse(bus).bus;
function mistakesOf(bus: string): string[] {
  try {
    parse(bus);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const URL = 'url = "amqps://mq.example.org/%2Fkoji"';
const STANDARD = {
  url: 'amqps://mq.example.org/%2Fkoji',
  exchange: 'amq.topic',
  queue: 'kmod-gate',
  bindings: ['#.buildsys.#', 'koji.#'],
  prefetch: 50,
};
const LIMITS = { expires: 604_800_000, max_length: 100_000 };

describe('what goes without saying', () => {
  it('is a queue with limits', () => {
    expect(busOf(URL)).toEqual({ ...STANDARD, ...LIMITS });
  });
  it('is no limit of a queue that the broker keeps, and no end of one that goes with its connection', () => {
    expect(busOf(`${URL}\ndeclare = false`)).toEqual({ ...STANDARD, declare: false });
    expect(busOf(`${URL}\nqueue = "uuid"`)).toEqual({ ...STANDARD, queue: 'uuid', max_length: 100_000 });
    expect(busOf(`${URL}\nexpires = "never"\nmax_length = 7`)).toEqual({ ...STANDARD, max_length: 7 });
  });
  it('is a login by certificate where there is one and no password', () => {
    const files = 'cert = "~/gate.pem"\nserverca = "/etc/ca.pem"';
    const cert = { cert: '/home/ada/gate.pem', serverca: '/etc/ca.pem' };
    expect(busOf(`${URL}\n${files}`)).toEqual({ ...STANDARD, ...LIMITS, ...cert, login: 'external' });
    expect(busOf(`${URL}\n${files}\nlogin = "password"`)).toEqual({ ...STANDARD, ...LIMITS, ...cert });
    const url = 'amqps://gate:s3cret@mq.example.org';
    expect(busOf(`url = "${url}"\n${files}`)).toEqual({ ...STANDARD, ...LIMITS, ...cert, url });
  });
});

it('all that can be said is understood, and told', () => {
  const text = [
    'url = ["amqps://a.example.org", "amqps://b.example.org"]',
    'cert = "/c.pem"',
    'key = "/k.pem"',
    'queue_type = "quorum"',
    'expires = "2d"',
    'max_length = 500',
    'delivery_limit = 5',
    'dead_letter = "gate.dead"',
    'client_properties = { app_url = "https://example.org", app_contacts_email = ["a@example.org"] }',
  ].join('\n');
  expect(busOf(text)).toMatchObject({
    url: ['amqps://a.example.org', 'amqps://b.example.org'],
    ...{ login: 'external', cert: '/c.pem', key: '/k.pem', queue_type: 'quorum', expires: 172_800_000 },
    ...{ max_length: 500, delivery_limit: 5, dead_letter: 'gate.dead' },
    client_properties: { app_url: 'https://example.org', app_contacts_email: ['a@example.org'] },
  });
  expect(describeConfig(parse(text))).toContain(
    'bus        amqps://a.example.org, then amqps://b.example.org, by the certificate /c.pem, exchange amq.topic, queue kmod-gate (quorum, removed 2d after it was last read, at most 500 messages, each given back at most 5 times, dropped ones to gate.dead), bindings #.buildsys.# koji.#, prefetch 50',
  );
});

describe('AMQP 1.0', () => {
  const UMB = `protocol = "amqp-1.0"\nurl = ["amqps://umb1.example.org:5671", "amqps://umb2.example.org:5671/"]`;
  const ADDRESSES = 'addresses = ["queue://Consumer.gate.VirtualTopic.eng.brew.>", "topic://x"]';
  it('has addresses in place of a queue', () => {
    const text = `${UMB}\n${ADDRESSES}\ncert = "/c.pem"\nprefetch = 7`;
    expect(busOf(text)).toEqual({
      url: ['amqps://umb1.example.org:5671', 'amqps://umb2.example.org:5671/'],
      addresses: ['queue://Consumer.gate.VirtualTopic.eng.brew.>', 'topic://x'],
      queue: 'queue://Consumer.gate.VirtualTopic.eng.brew.> topic://x',
      ...{ exchange: '', bindings: [], prefetch: 7, cert: '/c.pem', login: 'external' },
    });
    expect(describeConfig(parse(text))).toContain(
      'bus        amqps://umb1.example.org:5671, then amqps://umb2.example.org:5671/, by the certificate /c.pem, AMQP 1.0, queue://Consumer.gate.VirtualTopic.eng.brew.> topic://x, prefetch 7 each',
    );
  });
  it.each([
    [
      UMB,
      'bus.protocol: "amqp-1.0" needs addresses, such as ["queue://Consumer.NAME.VirtualTopic.eng.brew.>"]',
    ],
    [
      `${UMB}\n${ADDRESSES}\nqueue = "q"`,
      'bus.queue: is for AMQP 0-9-1: with protocol = "amqp-1.0" the broker has the queues, and addresses names them',
    ],
    [
      `protocol = "amqp-1.0"\n${URL}\n${ADDRESSES}`,
      'bus.url: ends in a vhost, and AMQP 1.0 has none: leave out what follows host and port',
    ],
    [`${URL}\n${ADDRESSES}`, 'bus.addresses: is for protocol = "amqp-1.0": set that, or use bindings'],
    [
      `${UMB}\naddresses = []`,
      'bus.addresses: got an empty list, expected one address or more: without any there is nothing to hear',
    ],
    [
      `${UMB}\n${ADDRESSES}\n[messages]\ncontact = { team = "t", docs = "https://x", email = "a@example.org" }`,
      'messages: CI messages go by AMQP 0-9-1, and [bus] speaks AMQP 1.0: name a RabbitMQ to send to with url here',
    ],
  ])('%j', (text, mistake) => {
    expect(mistakesOf(text)).toEqual([mistake]);
  });
});

describe('mistakes', () => {
  it.each([
    ['', 'bus: needs url, or fedora_messaging = "/etc/fedora-messaging/config.toml"'],
    ['url = []', 'bus.url: got an empty list, expected an amqp:// or amqps:// URL, or a list of them'],
    ['url = ["amqp://a", "http://b"]', 'bus.url[1]: got "http://b", expected an amqp:// or amqps:// URL'],
    ['url = "amqp://mq"\nserverca = "/c"', 'bus.serverca: is for TLS: the url must be amqps://'],
    [`${URL}\nkey = "/k"`, 'bus.key: is the key of a certificate: name that with cert'],
    [
      `${URL}\nlogin = "external"`,
      'bus.login: "external" needs the client certificate: name it with cert, and its key with key',
    ],
    [
      'url = "amqps://g:s3cret@mq"\ncert = "/c"\nlogin = "external"',
      'bus.login: "external" uses no password: take it out of the url',
    ],
    [`${URL}\nlogin = "ssl"`, 'bus.login: got "ssl", expected "password" or "external"'],
    [
      `${URL}\ndeclare = false\nmax_length = 5`,
      'bus.max_length: says how the queue is made, and declare = false says that it is not: take out one of them',
    ],
    [
      `${URL}\ndelivery_limit = 5`,
      'bus.delivery_limit: needs queue_type = "quorum": classic queues count no deliveries',
    ],
    [`${URL}\ndead_letter = "kmod-gate"`, 'bus.dead_letter: is the queue itself: name another one'],
    [
      `${URL}\nqueue = "uuid"\nqueue_type = "quorum"`,
      'bus.queue_type: queue = "uuid" goes with its connection, and a quorum queue stays',
    ],
    [
      `${URL}\nqueue = "uuid"\nexpires = "1d"`,
      'bus.expires: queue = "uuid" goes with its connection: there is nothing to expire',
    ],
    [
      `${URL}\nqueue = "uuid"\ndeclare = false`,
      'bus.declare: queue = "uuid" is made by the gate: declare must be true',
    ],
    [
      `${URL}\nexpires = "30d"`,
      'bus.expires: got "30d", expected a duration in quotes, up to 24 days, such as "7d", or "never"',
    ],
    [
      'url = ["amqps://mq", "amqp://g:s3cret@mq2"]',
      'bus.url: amqp:// to mq2 lets everybody on the way read the password: use amqps://, or set plaintext = true where that is meant',
    ],
  ])('%j', (text, mistake) => {
    expect(mistakesOf(text)).toEqual([mistake]);
  });
});

describe('fedora-messaging', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    file = join(folder, 'config.toml');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const given = (text: string, more = '') => {
    writeFileSync(file, text);
    return `fedora_messaging = "${file}"\n${more}`;
  };
  const TLS = '[tls]\nca_cert = "/f/ca.pem"\nkeyfile = "/f/key.pem"\ncertfile = "/f/cert.pem"\n';
  const PUBLIC = `amqp_url = "amqps://fedora:@rabbitmq.example.org/%2Fpublic_pubsub?connection_attempts=3"
    callback = "somewhere:printer"
    ${TLS}
    [client_properties]
    app = "Our gate"
    version = "9"
    [exchanges."amq.topic"]
    type = "topic"
    [[bindings]]
    exchange = "amq.topic"
    routing_keys = ["org.fedoraproject.prod.buildsys.#"]
    [qos]
    prefetch_count = 25
    [log_config.root]
    level = "ERROR"`;

  it('of the public broker: a certificate, and a queue with a new name at each connection', () => {
    const bus = busOf(given(PUBLIC));
    expect(bus).toEqual({
      url: 'amqps://fedora:@rabbitmq.example.org/%2Fpublic_pubsub',
      ...{ serverca: '/f/ca.pem', cert: '/f/cert.pem', key: '/f/key.pem', login: 'external' },
      ...{ exchange: 'amq.topic', queue: 'uuid', bindings: ['org.fedoraproject.prod.buildsys.#'] },
      ...{ prefetch: 25, max_length: 100_000, client_properties: { app: 'Our gate' } },
    });
  });

  it('of a broker that keeps the queue: it is read as it is', () => {
    const text = `amqp_url = "amqps://mq.example.org/%2Fpubsub"\npassive_declares = true\n${TLS}
      [queues.our_gate]\ndurable = true\nauto_delete = false\nexclusive = false
      [queues.our_gate.arguments]\nx-queue-type = "quorum"
      [[bindings]]\nqueue = "our_gate"\nexchange = "amq.topic"\nrouting_keys = ["a.#"]
      [[bindings]]\nqueue = "our_gate"\nexchange = "amq.topic"\nrouting_keys = ["b.#", "a.#"]`;
    expect(busOf(given(text))).toMatchObject({
      ...{ queue: 'our_gate', declare: false, durable: true, auto_delete: false, exclusive: false },
      ...{ arguments: { 'x-queue-type': 'quorum' }, bindings: ['a.#', 'b.#'] },
    });
    expect(busOf(given(text))).not.toHaveProperty('expires');
  });

  it("the gate's own words count before it", () => {
    const more = 'bindings = ["koji.#"]\nprefetch = 3\nqueue = "mine"\ncert = "~/own.pem"';
    const bus = busOf(given(PUBLIC, more));
    expect(bus).toMatchObject({
      bindings: ['koji.#'],
      prefetch: 3,
      queue: 'mine',
      cert: '/home/ada/own.pem',
    });
    expect(bus?.key).toBeUndefined();
  });

  it('says little: the broker of this machine, and what goes without saying', () => {
    expect(busOf(given('# nothing'))).toMatchObject({ url: 'amqp://localhost', bindings: STANDARD.bindings });
    expect(busOf(given('amqp_url = "amqp://?heartbeat=3"'))).toMatchObject({ url: 'amqp://localhost' });
  });

  it.each([
    ['amqp_url = 7', /^amqp_url: .*expected string/],
    ['amqp_url = "http://g:s3cret@mq"', /^amqp_url: http:\/\/g:\*\*\*@mq is no amqp:\/\/ or amqps:\/\/ URL$/],
    ['amqp_url =', /^line 1: not valid TOML, column/],
    [
      '[queues.a]\n[queues.b]',
      /^has several queues \(a, b\); say which is the gate's with queue in \[bus\]$/,
    ],
    [
      '[[bindings]]\nexchange = "a"\nrouting_keys = []\n[[bindings]]\nexchange = "b"\nrouting_keys = []',
      /^binds the queue to several exchanges \(a, b\); a gate hears one$/,
    ],
  ])('cannot be used: %j', (text, why) => {
    const mistakes = mistakesOf(given(text));
    expect(mistakes).toHaveLength(1);
    const start = `bus.fedora_messaging: ${file}: `;
    expect(mistakes[0]?.startsWith(start)).toBe(true);
    expect(mistakes[0]?.slice(start.length)).toMatch(why);
  });
  it('cannot be used: not there, beside url, or with a password in plain', () => {
    expect(mistakesOf('fedora_messaging = "/nowhere.toml"')).toEqual([
      expect.stringMatching(/^bus\.fedora_messaging: \/nowhere\.toml: cannot be read: ENOENT/),
    ]);
    expect(mistakesOf(`${given(PUBLIC)}\n${URL}`)).toEqual([
      'bus.url: stands beside fedora_messaging, which names a broker too: keep one of them',
    ]);
    expect(mistakesOf(given('amqp_url = "amqp://g:s3cret@mq"'))).toEqual([
      expect.stringMatching(/^bus\.fedora_messaging: amqp:\/\/ to mq lets everybody/),
    ]);
  });
});
