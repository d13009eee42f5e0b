import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decoded } from '../../src/bus/decode.ts';
import { decode } from '../../src/bus/decode.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import { jsonMessage, message, section } from './helpers.ts';

const RECORDINGS = new URL('../recordings/bus/', import.meta.url);

interface Recorded {
  routing_key: string;
  headers: Record<string, unknown>;
  properties: { type?: string; content_type?: string };
  body_base64: string;
}

function recorded(line: string): BusMessage {
  const { routing_key, headers, properties, body_base64 } = JSON.parse(line) as Recorded;
  return {
    routingKey: routing_key,
    headers,
    properties: properties.type === undefined ? {} : { type: properties.type },
    body: Buffer.from(body_base64, 'base64'),
  };
}

/** A decoded message as the tables beside the recordings write it. */
function inWords(decoded: Decoded): string {
  if (decoded.kind !== 'hints') return decoded.kind;
  return decoded.hints.map((hint) => `${hint.kind} ${hint.kind === 'tag' ? hint.name : hint.id}`).join(', ');
}

const linesOf = (name: string) =>
  readFileSync(new URL(name, RECORDINGS), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('recordings of real messages', () => {
  const names = readdirSync(RECORDINGS).filter((name) => name.endsWith('.jsonl'));

  test('are here', () => {
    expect(names).toEqual(['fedora-messaging-3.6.jsonl', 'protonmsg-rabbitmq-3.10.jsonl']);
  });

  test.each(names)('%s gives the hints in its table', (name) => {
    const got = linesOf(name)
      .map(recorded)
      .map((m) => `${m.routingKey} ${inWords(decode(m))}`);
    const expected = linesOf(name.replace('.jsonl', '.expected.txt')).map((line) => line.replace(/ +/, ' '));
    expect(got).toEqual(expected);
  });
});

describe('families that were not recorded', () => {
  const build = { id: 4711, name: 'kernel' };

  test.each([
    ['VirtualTopic.eng.brew.build.complete', { info: build, old: 0, new: 1 }, 'build 4711'],
    ['VirtualTopic.eng.brew.build.tag', { build, tag: { name: 'rhel-gate' } }, 'build 4711, tag rhel-gate'],
    ['koji.build.promote', { build, draft_release: '1,draft_9' }, 'build 4711'],
    ['koji.task.canceled', { info: { id: 9, parent: null } }, 'task 9'],
    ['koji.task.failed', { info: { id: 9, parent: 7 } }, 'task 9, task 7'],
    ['a.buildsys.task.state.change', { id: 9, new: 'CANCELED', info: { parent: 'x' } }, 'task 9'],
    ['a.buildsys.task.state.change', { id: 9, new: 'CLOSED' }, 'task 9'],
    ['cbs.koji', { action: 'postTag', tag: 'kmods9s-testing', arches: 'x86_64' }, 'tag kmods9s-testing'],
    ['tagged', { tag: 'kmods9s-testing' }, 'tag kmods9s-testing'],
  ])('%s %j', (routingKey, body, hints) => {
    expect(inWords(decode(jsonMessage(routingKey, body)))).toBe(hints);
  });

  test.each([
    ['a.buildsys.package.list.change', { tag: 'c9s-gate', package: 'kernel' }],
    ['a.buildsys.rpm.sign', { build: { id: 1 } }],
    ['koji.package.add', { tag: { name: 'c9s-gate' }, package: { name: 'kernel' } }],
    ['koji.sign.rpm', { build: { id: 1 } }],
    ['org.example.prod.bodhi.update.comment', { update: {} }],
    ['org.example.ci.koji-build.test.complete', { artifact: { id: 1 } }],
    ['', {}],
  ])('%s is ignored', (routingKey, body) => {
    expect(decode(jsonMessage(routingKey, body)).kind).toBe('ignored');
  });
});

describe('bodies that cannot be right', () => {
  test.each([
    ['koji.build.complete', { info: {} }, 'build.complete: body.info.id'],
    ['koji.build.complete', { info: { id: 0 } }, 'build.complete: body.info.id'],
    ['koji.build.complete', { info: { id: '22' } }, 'build.complete: body.info.id'],
    ['koji.build.complete', { info: { id: 2 ** 53 } }, 'build.complete: body.info.id'],
    ['koji.build.complete', null, 'build.complete: body: '],
    ['koji.build.tag', { build: { id: 1 }, tag: { name: '' } }, 'build.tag: body.tag.name'],
    ['a.buildsys.tag', { build_id: 1.5, tag: 'x' }, 'tag: body.build_id'],
    ['a.buildsys.repo.done', { tag: 'x'.repeat(257) }, 'repo.done: body.tag'],
  ])('%s %j names the field', (routingKey, body, why) => {
    expect(decode(jsonMessage(routingKey, body))).toMatchObject({
      kind: 'undecodable',
      family: routingKey.startsWith('a.') ? 'koji-fedoramessaging' : 'protonmsg',
      why: expect.stringContaining(why),
    });
  });

  const json = Buffer.from('{"info": {"id": 22}}');
  test.each([
    ['empty', Buffer.alloc(0), 'not JSON'],
    ['cut JSON', json.subarray(0, -1), 'not JSON'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'not JSON'],
    ['nested too deep', Buffer.from('['.repeat(1_000_000)), 'not JSON'],
    ['a section with nothing in it', Buffer.from([0, 0x53, 0x77]), 'AMQP 1.0'],
    ['a section cut short', section(0x77, 4, json).subarray(0, -1), 'AMQP 1.0'],
    ['a section with bytes to spare', Buffer.concat([section(0x77, 1, json), json]), 'AMQP 1.0'],
    ['a section that holds a list', Buffer.from([0, 0x53, 0x77, 0xc0, 1, 0]), 'AMQP 1.0'],
    ['another section', Buffer.from([0, 0x53, 0x74, 0xa1, 0]), 'AMQP 1.0'],
    ['too large', Buffer.alloc(16 * 1024 * 1024 + 1, ' '), 'larger than'],
  ])('%s', (_, body, why) => {
    expect(decode(message('koji.build.complete', body))).toMatchObject({
      kind: 'undecodable',
      why: expect.stringContaining(why),
    });
  });
});

describe('any body', () => {
  const topic = fc.constantFrom(
    'koji.build.complete',
    'koji.build.tag',
    'koji.task.closed',
    'koji.repo.done',
    'p.buildsys.build.state.change',
    'p.buildsys.untag',
    'p.buildsys.repo.done',
    'p.buildsys.task.state.change',
    'elsewhere',
  );
  const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

  test('of bytes is never thrown at', () => {
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.uint8Array().map((tail) => Uint8Array.of(0, 0x53, 0x77, ...tail)),
    );
    fc.assert(
      fc.property(topic, bytes, (routingKey, body) => {
        const decoded = decode(message(routingKey, body));
        expect(decoded.kind).toBe(routingKey === 'elsewhere' ? 'ignored' : 'undecodable');
      }),
    );
  });

  test('of JSON gives only usable hints', () => {
    const value = fc.oneof(id, fc.string(), fc.jsonValue());
    const part = fc.dictionary(fc.constantFrom('id', 'parent', 'name', 'tag_name'), value);
    const body = fc.dictionary(
      fc.constantFrom('id', 'build_id', 'tag', 'build', 'info', 'repo', 'new'),
      fc.oneof(part, value, fc.constantFrom('CLOSED', 'OPEN')),
    );
    fc.assert(
      fc.property(topic, body, (routingKey, json) => {
        const decoded = decode(jsonMessage(routingKey, json));
        if (decoded.kind !== 'hints') return;
        for (const hint of decoded.hints) {
          if (hint.kind === 'tag') expect(hint.name).not.toBe('');
          else expect(Number.isSafeInteger(hint.id) && hint.id > 0).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('comes through an AMQP 1.0 section as it went in', () => {
    const filler = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(id, filler, fc.constantFrom<0x77 | 0x75>(0x77, 0x75), (id, filler, code) => {
        const json = Buffer.from(JSON.stringify({ info: { id }, filler }));
        const lengthBytes = json.length < 256 ? 1 : 4;
        const decoded = decode(message('koji.build.complete', section(code, lengthBytes, json)));
        expect(decoded).toEqual({ kind: 'hints', hints: [{ kind: 'build', id }] });
      }),
    );
  });
});
