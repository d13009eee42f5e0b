/** Bugs to plant, one for each promise: what a process has in place of its hub and store. */
import type { Waiver } from '../../src/core/model.ts';
import type { TagListing } from '../../src/koji/calls.ts';
import type { Call } from '../../src/koji/hub.ts';
import type { PlayOptions } from './play.ts';
import type { Parts } from './process.ts';

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

const EVERYTHING: Waiver = {
  id: 99,
  kmod: '*',
  kernel: '*',
  gate: null,
  until: null,
  ends: null,
  by: 'nobody',
  reason: '',
  at: 0,
  fact: 0,
};

/** The promise, the bug in words, and the bug. */
export const PLANTED: readonly [promise: number, what: string, plant: Plant][] = [
  [
    1,
    'a gate reads waivers that nobody gave',
    storing(({ run }) => ({
      run: async (id) => {
        const found = await run(id);
        return found && { ...found, waivers: [EVERYTHING] };
      },
    })),
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
      named(call, 'queryHistory') && JSON.stringify(call.params).includes('"package"') ? [] : value,
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
      const seen = new Map<string, readonly unknown[]>();
      const idOf = (one: unknown) => (one as { build_id: number }).build_id;
      return answering((call, value) => {
        if (!Array.isArray(value)) return value;
        const hand = (stay: TagListing) => stay.revoker_name !== null && stay.revoker_name !== 'kmod-gate';
        if (named(call, 'queryHistory'))
          return value.map((stay) => (hand(stay) ? { ...stay, revoke_event: null } : stay));
        if (!named(call, 'listTagged') || call.params[0] !== 'gate') return value;
        const key = JSON.stringify(call);
        const gone = (seen.get(key) ?? []).filter((one) => !value.some((of) => idOf(of) === idOf(one)));
        seen.set(key, [...gone, ...value]);
        return [...gone, ...value];
      })({ hub, store });
    },
  ],
  [
    8,
    'the mark of a build is cut short',
    ({ hub, store }) => {
      const cut = (call: Call<unknown>) =>
        JSON.parse(JSON.stringify(call.params), (key, value) =>
          key === 'attempt' ? String(value).slice(0, -1) : value,
        );
      const writeAll = (calls: readonly Call<unknown>[]) =>
        hub.writeAll(calls.map((call) => ({ ...call, params: cut(call) })));
      return { store, hub: { ...hub, writeAll: writeAll as typeof hub.writeAll } };
    },
  ],
  [9, 'a run that is over is never closed', storing(() => ({ closeRun: async () => {} }))],
];
