import { expect, test } from 'vitest';
import { localBus } from '../../src/bus/local.ts';
import type { Hint } from '../../src/core/model.ts';
import { jsonMessage, memoryLog } from './helpers.ts';

const complete = (id: unknown) => jsonMessage('koji.build.complete', { info: { id } });

test('hints come in order, and are taken when publish resolves', async () => {
  const bus = localBus();
  const hints: Hint[] = [];
  const consumer = bus.consume((hint) => void hints.push(hint), memoryLog().log);
  await consumer.ready;
  await bus.publish(jsonMessage('p.buildsys.tag', { build_id: 1, tag: 'c9s-gate' }));
  await bus.publish(jsonMessage('koji.package.add', {}));
  await bus.publish(complete(2));
  expect(hints).toEqual([
    { kind: 'build', id: 1 },
    { kind: 'tag', name: 'c9s-gate' },
    { kind: 'build', id: 2 },
  ]);
  expect(consumer.state()).toMatchObject({
    connected: true,
    received: 3,
    hints: 3,
    ignored: 1,
    undecodable: 0,
  });
  expect(Date.now() - (consumer.state().lastMessageAt ?? 0)).toBeLessThan(10_000);
});

test('each kind of undecodable message is logged once and counted always', async () => {
  const bus = localBus();
  const { log, lines } = memoryLog();
  const consumer = bus.consume(() => {}, log);
  for (const id of ['x', 'y', -1]) await bus.publish(complete(id));
  await bus.publish(complete(3));
  expect(consumer.state()).toMatchObject({ received: 4, hints: 1, undecodable: 3 });
  expect(lines.map((line) => JSON.parse(line).why)).toEqual([
    'build.complete: body.info.id: Invalid input: expected number, received string',
    expect.stringContaining('Too small'),
  ]);
});

test('a consumer whose hint fails says so; the others and the publisher go on', async () => {
  const bus = localBus();
  const { log, lines } = memoryLog();
  const failing = bus.consume(() => Promise.reject(new Error('queue is full')), log);
  const other = bus.consume(() => {}, log);
  await bus.publish(complete(1));
  expect(failing.state()).toMatchObject({ hints: 0, lastError: 'taking a hint failed: queue is full' });
  expect(other.state()).toMatchObject({ hints: 1 });
  expect(lines).toHaveLength(1);
});

test('a closed consumer hears nothing', async () => {
  const bus = localBus();
  const consumer = bus.consume(() => {}, memoryLog().log);
  await consumer.close();
  await bus.publish(complete(1));
  expect(consumer.state()).toMatchObject({ connected: false, received: 0 });
});
