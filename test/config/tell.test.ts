/** The tables of what is told to others. */
import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../src/config/config.ts';
import { parseGate } from './gate.ts';

const parse = (tables: string) => parseGate({ tables }, {}, []);

const CONTACT = `[messages.contact]
team = "Kernel gating"
docs = "https://gate.example.org/docs"
email = "gate@example.org"`;
const BUS = '[bus]\nurl = "amqp://guest:guest@127.0.0.1"\nexchange = "koji"';

describe('[messages]', () => {
  test('goes where [bus] listens, unless it has a broker of its own', () => {
    expect(parse(`${BUS}\n[messages]\n${CONTACT}`)).toMatchObject({
      messages: {
        ...{ exchange: 'koji', topic: 'org.centos.prod.ci' },
        ...{ namespace: 'kmod-gate.koji-build', category: 'validation', kmods: true },
        contact: { name: 'kmod-gate', email: 'gate@example.org' },
      },
    });
    const own = parse(`${BUS}\n[messages]\nurl = "amqps://u:p@mq.example.org"\n${CONTACT}`);
    expect(own).toMatchObject({ messages: { url: 'amqps://u:p@mq.example.org', exchange: 'amq.topic' } });
  });

  test('is described without its password', () => {
    const config = parse(
      `[tell]\ndashboard = "https://gate.example.org/"\n[messages]\nurl = "amqps://u:secret@mq"\n${CONTACT}`,
    );
    if (typeof config === 'string') throw new Error(config);
    const told = describeConfig(config);
    expect(told).toContain('testcases kmod-gate.koji-build.GATE.validation, of each kmod too');
    expect(told).toContain('https://gate.example.org, for links');
    expect(told).not.toContain('secret');
  });

  test.each([
    [`[messages]\n${CONTACT}`, 'messages: no broker to send to: set url here, or have a [bus]'],
    [`${BUS}\n[messages]`, 'messages.contact: missing, expected a table with team, docs and email'],
    [
      `${BUS}\n[messages]\ncategory = "validate"\n${CONTACT}`,
      'got "validate", expected "functional", "integration", "interoperability", "performance", "static-analysis", "system", or "validation"; did you mean "validation"?',
    ],
    [`${BUS}\n[messages]\ntopics = "a.b"\n${CONTACT}`, 'unknown key; did you mean "topic"?'],
    [`${BUS}\n[messages]\ntopic = "a..b"\n${CONTACT}`, 'expected words of letters, digits and -_ with dots'],
    [
      `[messages]\nurl = "amqp://u:p@mq.example.org"\n${CONTACT}`,
      'lets everybody on the way read the password: use amqps://',
    ],
    [`${BUS}\n[messages]\n${CONTACT.replace('gate@', 'Gate <gate@')}`, 'expected an e-mail address'],
    ['[tell]\ngive_up = "5"', 'tell.give_up: got "5", expected a duration in quotes'],
  ])('%j is refused', (tables, message) => {
    expect(parse(tables)).toContain(message);
  });
});

describe('[resultsdb]', () => {
  const URL = '[resultsdb]\nurl = "https://resultsdb.example.org"';
  test('takes its defaults', () => {
    const config = parse(URL);
    expect(config).toMatchObject({
      resultsdb: { api: 'v2.0', kmods: true, progress: true, timeout: 30_000 },
    });
    if (typeof config === 'string') throw new Error(config);
    expect(describeConfig(config)).toContain(
      'https://resultsdb.example.org, API v2.0, testcases kmod-gate.koji',
    );
  });
  test.each([
    ['[resultsdb]', 'resultsdb.url: missing, expected an http:// or https:// URL'],
    [URL.replace('.org', '.org/api/v2.0'), 'url: without "api/…" at the end: the key api says which'],
    [URL.replace('//', '//u:p@'), 'url: no password in here: use header_files'],
    [`${URL}\napi = "v3"`, 'api: "v3" wants a [resultsdb.contact] with team, docs and email'],
    [`${URL}\napi = "v2"`, 'got "v2", expected "v2.0" or "v3"; did you mean "v3"?'],
    [`${URL}\nheader_files = { "Authorization" = "/no/such" }`, 'Authorization: cannot be read (ENOENT)'],
  ])('%j is refused', (tables, message) => {
    expect(parse(tables)).toContain(message);
  });
});

describe('[[notice]]', () => {
  const MAIL = '[mail]\nsmtp = "smtp://mail.example.org:587"\nfrom = "gate@example.org"';
  const notice = (more: string) => `[[notice]]\nname = "team"\n${more}`;
  const HOOK = notice('[notice.webhook]\nurl = "https://hooks.example.org/1"');

  test('takes its defaults', () => {
    expect(parse(`${MAIL}\n${notice('mail = ["kernel@example.org"]')}`)).toMatchObject({
      mail: { host: 'mail.example.org', port: 587, secure: false, name: 'kmod-gate', plaintext: false },
      notices: [
        {
          ...{
            name: 'team',
            about: 'kernel',
            gates: ['*'],
            on: ['block', 'hold', 'mended'],
            gather: 120_000,
          },
          ...{ outcomes: ['broken', 'unattributed'], quiet: [], owners: false, addresses: {} },
        },
      ],
    });
    expect(parse(HOOK)).toMatchObject({ notices: [{ webhook: { method: 'POST', timeout: 30_000 } }] });
  });

  test('is described without a secret', () => {
    const hidden = notice('[notice.webhook]\nurl_file = "/etc/hostname"\nmethod = "PUT"');
    const config = parse(`${MAIL}\nuser = "gate"\npassword_file = "/etc/hostname"\n${hidden}`);
    if (typeof config === 'string') throw new Error(config);
    expect(describeConfig(config)).toContain('of the kernel, on block, hold, mended; gates *; to PUT ***');
    expect(describeConfig(config)).toContain(
      'smtp://mail.example.org:587, as gate, password ***, from gate@',
    );
  });

  test.each([
    [notice(''), 'notice[0]: tells nobody: set mail, owners = true, or a [notice.webhook]'],
    [notice('mail = ["a@example.org"]'), 'notice[0].mail: mail cannot be sent: a [mail] table says how'],
    [`${MAIL}\n${notice('owners = true')}`, 'Koji knows no e-mail addresses of its users: set owner_domain'],
    [
      `${MAIL}\n${notice('mail = ["a@example.org\\r\\nBcc: b@example.org"]')}`,
      'expected an e-mail address, such as',
    ],
    [`${MAIL}\n${notice('mail = ["a@x.org, b@x.org"]')}`, 'expected an e-mail address, such as'],
    [`${HOOK}\n${HOOK}`, 'notice[1].name: another notice has this name'],
    [
      notice('[notice.webhook]'),
      'notice[0].webhook: set url, or url_file where the address itself is a secret',
    ],
    [`${HOOK}\nsecret_file = "/no/such/file"`, 'secret_file: cannot be read (ENOENT): put the secret there'],
    [`${HOOK}\nheader_files = { "PRIVATE-TOKEN" = "/no/such" }`, 'PRIVATE-TOKEN: cannot be read (ENOENT)'],
    [`${HOOK}\nheaders = { "A" = "b\\r\\nX: y" }`, 'expected a text on one line'],
    [
      `${HOOK}\nbody = { text = "{tittle}" }`,
      'body.text: no such placeholder: {tittle}; there is {id}, {title}',
    ],
    [`${HOOK}\nbody = { a = [{ b = "{x}" }] }`, 'body.a[0].b: no such placeholder: {x}'],
    [notice('[notice.webhook]\nurl = "https://u:p@hooks.example.org"'), 'no password in here: use url_file'],
    [`[mail]\nsmtp = "smtp://u@mail"\nfrom = "a@b"\n${HOOK}`, 'no user in here: set user and password_file'],
    [`${MAIL}\nuser = "gate"\n${HOOK}`, 'mail.user: goes with password_file: set both, or none'],
    [
      `${MAIL}\npassword = "secret"\n${HOOK}`,
      'mail.password: unknown key; known here: smtp, user, password_file',
    ],
    [
      notice('on = ["blocked"]'),
      'got "blocked", expected "block", "hold", "promote", or "mended"; did you mean',
    ],
  ])('%j is refused', (tables, message) => {
    expect(parse(tables)).toContain(message);
  });
});
