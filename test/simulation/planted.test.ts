/** A bug planted for each promise: a checker that does not see it is worth nothing. */
import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/koji/hub.ts';
import { type Parts, type PlayOptions, play } from './play.ts';
import { watch } from './watch.ts';

/** So many seeds are tried until it is seen. */
const SEEDS = 150;

type Plant = NonNullable<PlayOptions['plant']>;

/** What the hub answers to a call, changed. */
const answering =
  (change: (call: Call<unknown>, value: unknown) => unknown): Plant =>
  ({ hub, store }) => {
    const readAll = async (calls: readonly Call<unknown>[]) => {
      const answers = (await hub.readAll(calls)) as { ok: boolean; value: unknown }[];
      return answers.map((answer, i) => {
        const call = calls[i];
        return answer.ok && call ? { ...answer, value: change(call, answer.value) } : answer;
      });
    };
    return { store, hub: { ...hub, readAll: readAll as typeof hub.readAll } };
  };

const asking =
  (change: (call: Call<unknown>) => Call<unknown>): Plant =>
  ({ hub, store }) => ({
    store,
    hub: { ...hub, write: ((call: Call<unknown>) => hub.write(change(call))) as typeof hub.write },
  });

const storing =
  (change: (store: Parts['store']) => Partial<Parts['store']>): Plant =>
  ({ hub, store }) => ({ hub, store: { ...store, ...change(store) } });

const named = (call: Call<unknown>, method: string) => call.method === method;

const PLANTED: [number, string, Plant][] = [
  [
    1,
    'every verdict is a promotion',
    storing(({ judge }) => ({ judge: (run, _, reasons, at) => judge(run, 'promote', reasons, at) })),
  ],
  [2, 'a run is begun, and nobody writes it down', storing(() => ({ beginRun: async () => {} }))],
  [
    3,
    'scratch builds are sent twice',
    ({ hub, store }) => ({
      store,
      hub: {
        ...hub,
        writeAll: (async (calls: readonly Call<unknown>[]) => {
          await hub.writeAll(calls);
          return hub.writeAll(calls);
        }) as typeof hub.writeAll,
      },
    }),
  ],
  [
    4,
    'tags are misread',
    asking((call) =>
      named(call, 'tagBuild') && call.params[0] === 'pass'
        ? { ...call, params: ['next', ...call.params.slice(1)] }
        : call,
    ),
  ],
  [
    5,
    'nobody looks at what is in the pass tag',
    answering((call, value) =>
      named(call, 'listTagged') && JSON.stringify(call.params).includes('"latest":true') ? [] : value,
    ),
  ],
  [
    6,
    'evidence names another kernel',
    storing(({ end }) => ({
      end: (run, intent, ending) => {
        const lie = JSON.parse(JSON.stringify(ending), (key, value) =>
          key === 'buildroot' && Array.isArray(value) ? value.map((of) => ({ ...of, id: of.id + 1 })) : value,
        );
        return end(run, intent, lie);
      },
    })),
  ],
  [
    7,
    'a kernel that a person took away is thought to be there',
    ({ hub, store }) => {
      const entries = new Map<string, unknown[]>();
      return answering((call, value) => {
        if (!named(call, 'listTagged') || call.params[0] !== 'gate' || !Array.isArray(value)) return value;
        const key = JSON.stringify(call.params);
        const known = entries.get(key) ?? [];
        const all = [
          ...known.filter((one) => !value.some((of) => of.build_id === (one as typeof of).build_id)),
          ...value,
        ];
        entries.set(key, all);
        return all;
      })({ hub, store });
    },
  ],
  [
    9,
    'side tags are left where they are',
    storing(({ intend, end }) => ({
      intend: async (run, writes, at) => {
        const intents = await intend(run, writes, at);
        const removals = intents.filter(({ write }) => write.kind === 'remove-side-tag');
        for (const intent of removals) await end(run, intent, { at, how: 'done' });
        return intents.filter((intent) => !removals.includes(intent));
      },
    })),
  ],
];

describe('a planted bug is seen', () => {
  test.each(PLANTED)('promise %i: %s', { timeout: 120_000 }, async (promise, _, plant) => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations } = await play(String(seed), { watch, plant });
      for (const violation of violations) seen.add(violation.slice(0, 1));
      if (seen.has(String(promise))) break;
    }
    expect([...seen]).toContain(String(promise));
  });
});
