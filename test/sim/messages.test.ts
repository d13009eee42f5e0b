/** The simulation's messages look like those of a real broker: same routing keys, same members. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BusMessage } from '../../src/bus/message.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { createWorld } from '../../src/sim/world.ts';

type Family = 'fedora' | 'proton';
const FILES: Record<Family, string> = {
  fedora: 'fedora-messaging-3.6.jsonl',
  proton: 'protonmsg-rabbitmq-3.10.jsonl',
};
/** Members that say where files are, and of what types a build is: nothing reads them. */
const LEFT_OUT = new Set(['files_base_url', 'btypes']);

/** A kernel that comes and goes, and a scratch build of each end. */
function messages(family: Family): BusMessage[] {
  const world = createWorld(loadScenario(`${import.meta.dirname}/small.toml`));
  const heard: BusMessage[] = [];
  world.onMessage((event) => {
    const message = busMessage(event, { family });
    if (message !== null) heard.push(message);
  });
  world.completeKernel('kernel-6.1.176-50.el9', { tag: 'c9s-gate' });
  for (const nvr of ['kmod-alpha-1.0-1.el9', 'kmod-gamma-0.8-1.el9']) {
    const opts = { scratch: true, wait_builds: ['kernel-6.1.176-50.el9'] };
    world.as('kmod-gate').call('build', `cli-build/${nvr}.src.rpm`, 'kmods9s-gate', opts);
  }
  world.tick(600_000);
  world.as('kmod-gate').moveBuild('c9s-gate', 'c9s-candidate', 'kernel-6.1.176-50.el9');
  return heard;
}

interface Recorded {
  readonly routing_key: string;
  readonly [member: string]: unknown;
}

const recordings = (family: Family): Recorded[] =>
  readFileSync(`${import.meta.dirname}/../recordings/bus/${FILES[family]}`, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The JSON in a body, plain or as an AMQP 1.0 value section. */
function parse(body: Uint8Array): Record<string, unknown> {
  const bytes = Buffer.from(body);
  if (bytes[0] !== 0) return JSON.parse(bytes.toString());
  expect(bytes.subarray(0, 3)).toEqual(Buffer.from([0x00, 0x53, 0x77]));
  const [start, length] = bytes[3] === 0xa1 ? [5, bytes.readUInt8(4)] : [8, bytes.readUInt32BE(4)];
  expect(bytes.length).toBe(start + length);
  return JSON.parse(bytes.subarray(start).toString());
}

/** Routing key to the members that its messages have, one level into each struct. */
function members(list: readonly { key: string; body: Record<string, unknown> }[]): Record<string, string[]> {
  const known: Record<string, Set<string>> = {};
  for (const { key, body } of list) {
    for (const [name, value] of Object.entries(body)) {
      if (LEFT_OUT.has(name)) continue;
      known[key] ??= new Set();
      const names = known[key];
      names.add(name);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
      for (const inner of Object.keys(value)) names.add(`${name}.${inner}`);
    }
  }
  return Object.fromEntries(Object.entries(known).map(([key, names]) => [key, [...names].sort()]));
}

describe.each(['fedora', 'proton'] as const)('messages of family %s', (family) => {
  const recorded = recordings(family);
  const bodyOf = (message: Recorded) => {
    const [name] = Object.keys(message).filter((each) => each.startsWith('body'));
    return parse(Buffer.from(String(message[name ?? '']), 'base64'));
  };

  it('have the routing keys and members of the recordings', () => {
    const real = members(recorded.map((each) => ({ key: each.routing_key, body: bodyOf(each) })));
    const simulated = members(
      messages(family).map((each) => ({ key: each.routingKey, body: parse(each.body) })),
    );
    // A failed task is told of like a closed one; no task fails in the protonmsg recording.
    delete simulated['koji.task.failed'];
    for (const [key, names] of Object.entries(simulated)) expect([key, names]).toEqual([key, real[key]]);
    const missing = Object.keys(real).filter((key) => !(key in simulated) && !key.startsWith('koji.import'));
    expect(missing).toEqual([]);
  });

  it('carry the properties by which a consumer tells the families apart', () => {
    for (const { properties, headers } of messages(family)) {
      expect(properties.type).toBe(family === 'proton' ? 'amqp-1.0' : undefined);
      expect(properties.contentType).toBe(family === 'proton' ? undefined : 'application/json');
      expect('fedora_messaging_schema' in headers).toBe(family === 'fedora');
    }
  });
});

it('tells on fedora of the parents of scratch builds alone', () => {
  const tasks = messages('fedora').filter((each) => each.routingKey.endsWith('task.state.change'));
  const told = tasks
    .map((each) => parse(each.body))
    .map(({ method, old, new: now }) => `${method} ${old} ${now}`);
  expect(new Set(told)).toEqual(
    new Set(['build FREE ASSIGNED', 'build ASSIGNED OPEN', 'build OPEN CLOSED', 'build OPEN FAILED']),
  );
});
