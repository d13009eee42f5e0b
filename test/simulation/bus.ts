/** The bus between hub and gate: a queue that keeps messages, and what may become of it. */
import { decode } from '../../src/bus/decode.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import type { Hint } from '../../src/core/model.ts';
import type { Random } from './random.ts';

export interface Bus {
  /** The hub says something. */
  publish(message: BusMessage): void;
  /** Somebody is there to take messages, or nobody any more. */
  listen(listener: ((hint: Hint) => void) | undefined): void;
  /** The connection is there, or not: messages wait in the queue meanwhile. */
  connect(up: boolean): void;
  /** The queue is there, or not: what waits in it, and what comes, is lost. */
  declare(there: boolean): void;
  /** The broker takes messages, or the hub keeps them until it does. */
  open(takes: boolean): void;
}

/** @param travel how a message comes into the queue: at once, later, again, or never */
export function createBus(travel: (message: BusMessage, arrive: (message: BusMessage) => void) => void): Bus {
  const state = { connected: true, declared: true, takes: true };
  let listener: ((hint: Hint) => void) | undefined;
  let kept: BusMessage[] = [];
  let queue: BusMessage[] = [];
  const arrive = (message: BusMessage) => {
    if (!state.declared) return;
    queue.push(message);
    deliver();
  };
  const deliver = () => {
    if (!listener || !state.connected) return;
    const waiting = queue;
    queue = [];
    for (const message of waiting) {
      const decoded = decode(message);
      if (decoded.kind === 'hints') decoded.hints.forEach(listener);
    }
  };
  return {
    publish: (message) => (state.takes ? travel(message, arrive) : void kept.push(message)),
    listen(one) {
      listener = one;
      deliver();
    },
    connect(up) {
      state.connected = up;
      deliver();
    },
    declare(there) {
      state.declared = there;
      queue = [];
    },
    open(takes) {
      state.takes = takes;
      const waiting = takes ? kept : [];
      if (takes) kept = [];
      for (const message of waiting) travel(message, arrive);
    },
  };
}

/** A message that is none: cut short, of nothing that there is, of another kind, or no message of Koji's at all. */
export function garbage(random: Random, message: BusMessage): BusMessage {
  const cut = message.body.slice(0, random.int(0, message.body.length));
  const bytes = Uint8Array.from({ length: random.int(0, 40) }, () => random.int(0, 255));
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  return {
    ...message,
    ...random.pick<Partial<BusMessage>>([
      { body: cut },
      { body: bytes },
      { body: json(null) },
      { routingKey: 'koji.build.complete', body: json({ info: { id: random.int(-3, 2 ** 40) } }) },
      { routingKey: 'koji.build.complete', body: json({ info: { id: random.int(1, 60) } }) },
      { routingKey: 'org.example.prod.buildsys.tag', body: json({ build_id: '7', tag: ['gate'] }) },
      { routingKey: 'koji.repo.done', body: json({ repo: { tag_name: 'no-such-tag' } }) },
      { routingKey: 'koji.task.closed', body: json({ info: { id: 2 ** 31, parent: 'none' } }) },
      { routingKey: 'some.thing', body: json({ tag: 'x'.repeat(random.int(0, 300)) }) },
      { routingKey: '', body: cut },
    ]),
  };
}
