/** Whatever happens to the process or to the other side, each fact is told, and told as the same message. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Scenario } from '../../src/sim/scenario.ts';
import type { Outgoing } from '../../src/store/outbox.ts';
import type { Store } from '../../src/store/store.ts';
import { type Channel, messageId, TellError } from '../../src/tell/channel.ts';
import type { Teller } from '../../src/tell/teller.ts';
import { GATE, NEW, type Stage, setStage } from '../scenarios/stage.ts';
import { DAY, tellOf } from './telling.ts';

/** A channel that writes down what it is told. */
function listener(more: Partial<Channel> = {}) {
  const heard: string[] = [];
  const ids: string[] = [];
  let trouble: (row: Outgoing) => Error | undefined = () => undefined;
  const channel: Channel = {
    name: 'ear',
    tells: ['queued', 'running', 'verdict', 'over'],
    ordered: true,
    gather: 0,
    divide: async ({ what }) => (what === 'verdict' ? ['a', 'b'] : ['a']),
    async deliver(row) {
      const error = trouble(row);
      if (error) throw error;
      heard.push(`${row.what} ${row.part}`);
      ids.push(messageId('store', row));
      return undefined;
    },
    close: async () => {},
    ...more,
  };
  return {
    channel,
    heard,
    ids,
    fail(how: typeof trouble) {
      trouble = how;
    },
  };
}

const ALL = ['queued a', 'running a', 'verdict a', 'verdict b', 'over a'];

let stage: Stage;
let teller: Teller | undefined;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(async () => {
  await teller?.stop();
  teller = undefined;
  await stage.end();
});
const begin = async () => {
  stage.hear();
  stage.world.completeKernel(NEW, { tag: GATE.watch });
};
const decide = async () => {
  await begin();
  return stage.closed(NEW);
};

describe('facts', () => {
  test('each is told once, in their order', async () => {
    const ear = listener();
    teller = await tellOf(stage, [ear.channel]);
    await decide();
    await teller.drain();
    expect(ear.heard).toEqual(ALL);
    await teller.drain();
    expect(ear.heard).toEqual(ALL);
    expect(teller.state()).toEqual([
      { channel: 'ear', waiting: 0, failed: 0, oldest: null, error: null, sent: 5 },
    ]);
  });

  test('a channel begins with what comes after it, and one that is configured no more is dropped', async () => {
    await decide();
    const [late, other] = [listener(), listener({ name: 'other' })];
    teller = await tellOf(stage, [late.channel, other.channel]);
    late.fail(() => new TellError('not now'));
    const run = await stage.run(NEW);
    if (!run) throw new Error('no run');
    await stage.store.judge(run, { verdict: 'hold', reasons: ['said anew'] }, [], stage.world.now());
    await teller.drain();
    expect([late.heard, other.heard]).toEqual([[], ['verdict a', 'verdict b']]);
    await teller.stop();
    teller = await tellOf(stage, [other.channel]);
    expect((await stage.store.outboxCounts()).map(({ channel }) => channel)).toEqual(['other']);
  });

  test('a retry is told as running anew', async () => {
    await stage.end();
    const scenario = (small: Scenario): Scenario => ({
      ...small,
      rules: [{ kernel: NEW, kmod: '*', arch: '*', result: 'mock-error', log: [], times: 3 }, ...small.rules],
    });
    stage = await setStage({ scenario });
    const ear = listener({ divide: async () => ['a'] });
    teller = await tellOf(stage, [ear.channel]);
    await begin();
    await stage.until('held', async () => (await stage.run(NEW))?.verdict?.verdict === 'hold', 300);
    await stage.order('retry');
    await stage.closed(NEW, 300);
    await teller.drain();
    expect(ear.heard).toEqual(['queued a', 'running a', 'verdict a', 'running a', 'verdict a', 'over a']);
  });
});

describe('a process that is killed', () => {
  test('after the verdict and before the message: told once after the restart', async () => {
    const ear = listener();
    teller = await tellOf(stage, [ear.channel]);
    await teller.stop();
    // Nobody tells, and all is recorded.
    await decide();
    teller = await tellOf(stage, [ear.channel]);
    await teller.drain();
    expect(ear.heard).toEqual(ALL);
  });

  test.each(['collect', 'divide', 'told'] as const)(
    'at %s: nothing is lost, and what comes twice has the same id',
    async (where) => {
      const ear = listener();
      teller = await tellOf(stage, [ear.channel]);
      await teller.stop();
      await decide();
      // Each write ends the process once, before or after it is on the disk; another one starts.
      for (const after of [false, true]) {
        let killed = false;
        const dying = dieAt(stage.store, where, after, () => {
          killed = true;
        });
        const dead = await tellOf({ ...stage, store: dying }, [ear.channel]);
        await dead.drain();
        await dead.stop();
        expect(killed).toBe(true);
      }
      teller = await tellOf(stage, [ear.channel]);
      await teller.drain();
      const once = ear.heard.filter((_, i) => ear.ids.indexOf(ear.ids[i] ?? '') === i);
      expect(once).toEqual(ALL);
      // Only where the other side had it, and the store does not know, is it sent again.
      const again = ear.heard.length - once.length;
      expect(again).toBe(where === 'told' ? 1 : 0);
    },
  );

  /** A store that carries out nothing any more from a call of `where` on. */
  function dieAt(
    store: Store,
    where: 'collect' | 'divide' | 'told',
    after: boolean,
    onDeath: () => void,
  ): Store {
    let dead = false;
    const guarded =
      (name: string, work: (...args: never[]) => Promise<unknown>) =>
      async (...args: never[]) => {
        if (dead) throw new Error('the process is dead');
        if (name !== where) return work(...args);
        dead = true;
        onDeath();
        if (after) await work(...args);
        throw new Error('killed');
      };
    return new Proxy(store, {
      get(of, name) {
        const value = Reflect.get(of, name);
        return typeof value === 'function' ? guarded(String(name), value.bind(of)) : value;
      },
    });
  }
});

describe('trouble', () => {
  test('is tried again with pauses that grow, and holds up what comes later in order', async () => {
    const lines: string[] = [];
    const ear = listener();
    teller = await tellOf(stage, [ear.channel], pino({}, { write: (line) => lines.push(line) }));
    let refused = 0;
    ear.fail(({ what }) =>
      what === 'running' && refused++ < 3 ? new TellError('closed for lunch') : undefined,
    );
    await decide();
    await teller.drain();
    expect(ear.heard).toEqual(['queued a']);
    expect(teller.state()).toMatchObject([{ waiting: 3, failed: 0, error: 'closed for lunch', sent: 1 }]);
    for (const pause of [2_000, 4_000, 8_000]) {
      stage.world.tick(pause - 1_000);
      await teller.drain();
      expect(ear.heard).toEqual(['queued a']);
      stage.world.tick(1_000);
      await teller.drain();
    }
    expect(ear.heard).toEqual(ALL);
    const pauses = lines.map((line) => JSON.parse(line)).filter(({ again_in_s }) => again_in_s);
    expect(pauses.map(({ again_in_s, reason }) => [again_in_s, reason])).toEqual(
      [2, 4, 8].map((pause) => [pause, 'closed for lunch']),
    );
  });

  test('for good is given up at once, any other once it is too old; the rest is told', async () => {
    const ear = listener();
    teller = await tellOf(stage, [ear.channel]);
    ear.fail(({ what, part }) =>
      what === 'queued'
        ? new TellError('no such thing', { forGood: true })
        : part === 'b'
          ? new TellError('never answers')
          : undefined,
    );
    await decide();
    await teller.drain();
    expect(ear.heard).toEqual(['running a', 'verdict a']);
    stage.world.tick(8 * DAY);
    await teller.drain();
    expect(ear.heard).toEqual(['running a', 'verdict a', 'over a']);
    expect(teller.state()).toMatchObject([{ waiting: 0, failed: 2, error: 'never answers' }]);
  });

  test('of one channel leaves another alone', async () => {
    const [ear, deaf] = [listener(), listener({ name: 'deaf' })];
    deaf.fail(() => new Error('a bug'));
    teller = await tellOf(stage, [deaf.channel, ear.channel]);
    await decide();
    await teller.drain();
    expect(ear.heard).toEqual(ALL);
    expect(teller.state()).toMatchObject([
      { channel: 'deaf', waiting: 4, error: 'a bug' },
      { channel: 'ear', waiting: 0 },
    ]);
  });
});
