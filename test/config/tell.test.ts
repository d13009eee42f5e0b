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
    [`${BUS}\n[messages]`, 'messages.contact: missing, expected a [messages.contact] table with team, docs'],
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
