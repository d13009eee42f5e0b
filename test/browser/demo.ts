/** The demo's kernels before the demo's gate, played in seconds, and its dashboard: what there is to look at in a browser. */
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { ToldCauses } from '../../src/btf/told.ts';
import { play } from '../../src/commands/rehearse.ts';
import { reporting } from '../../src/commands/report.ts';
import { dashboardSources, listeners } from '../../src/commands/sources.ts';
import { loadConfig } from '../../src/config/config.ts';
import { serveDashboard } from '../../src/http/dashboard.ts';
import type { Sources } from '../../src/http/sources.ts';
import { readScenario } from '../../src/sim/scenario.ts';
import type { Store } from '../../src/store/store.ts';

const FILES = new URL(import.meta.url).pathname.includes('/build/')
  ? '../../../../config/demo/'
  : '../../config/demo/';
const fileOf = (name: string): string => fileURLToPath(new URL(`${FILES}${name}`, import.meta.url));

/** The kernel that is blocked by kmod-jool-dkms when the play ends, and the one that is tried then. */
export const BLOCKED = 'kernel-6.1.192-63.el9';
export const RUNNING = 'kernel-6.1.192-64.el9';
export const CULPRIT = 'kmod-jool-dkms';

export interface Demo {
  readonly url: string;
  readonly store: Store;
  /** As when a fact is recorded. */
  tell(): void;
  /** Another dashboard over the same store. */
  serve(other: (sources: Sources) => Sources): Promise<{ readonly url: string; close(): Promise<void> }>;
  close(): Promise<void>;
}

/** Play it up to where one kernel is blocked, and another one is tried. */
export async function openDemo(): Promise<Demo> {
  const { scenario, play: entries } = readScenario(fileOf('scenario.toml'));
  const last = scenario.kernels.at(-1);
  if (!last) throw new Error('the demo has no kernel');
  const kernels = [...scenario.kernels, { ...last, nvr: RUNNING }];
  const said = entries.filter(({ act }) => act.kind === 'complete');
  const end = 122_000;
  const act = (at: number, of: (typeof entries)[number]['act']) => ({
    at,
    title: null,
    heard: true,
    act: of,
    index: 9,
  });
  const acts = [
    ...said,
    act(end - 2_500, { kind: 'complete', kernel: RUNNING, tag: 'c9s-gate' }),
    act(end, { kind: 'end' }),
  ];
  const config = loadConfig(fileOf('kmod-gate.toml'));
  const silent = { write: () => {}, colour: false };
  return new Promise((resolve, reject) => {
    const file = { scenario: { ...scenario, kernels }, play: acts };
    const played = play(config, file, silent, Date.now() - end, async ({ store }) => {
      await explainBlocked(store);
      const weburl = 'https://koji.example.org/koji';
      const changes = listeners();
      const now = Date.now();
      const sources = dashboardSources(
        reporting({ ...config, koji: { ...config.koji, weburl } }, store),
        () => ({
          ...{ started_at: now - 200_000, looked_at: now, trouble: null },
          bus: { connected: true, since: now - 190_000, received: 214, undecodable: 0, lastMessageAt: now },
        }),
        changes.listen,
      );
      const serve = (all: Sources) =>
        serveDashboard({ host: '127.0.0.1', port: 0 }, all, pino({ level: 'silent' }));
      const { url, close } = await serve(sources);
      await new Promise<void>((closed) => {
        resolve({
          ...{ url, store, tell: () => changes.tell(null), serve: (other) => serve(other(sources)) },
          close: async () => {
            await close();
            closed();
            await played;
          },
        });
      });
    });
    played.catch(reject);
  });
}

/** The hub in memory has no kernels with types, so what changed is said here. */
async function explainBlocked(store: Store): Promise<void> {
  const kernel = await store.kernel(BLOCKED);
  const [run] = kernel ? await store.runsOf(kernel.id) : [];
  if (!run) throw new Error(`${BLOCKED} has not stood before the gate`);
  const at = run.startedAt + 1;
  await store.explain(run, [CAUSES], at, await store.newestFact());
  // It speaks of no kernel that there is.
  const waiver = { at, by: 'ada', reason: 'its vendor ships a new one', gate: 'c9s', kernel: 'kernel-7.*' };
  await store.waive({ ...waiver, kmod: 'kmod-vpoll', until: at + 9 * 86_400_000 }, []);
}

const CAUSES: ToldCauses = {
  ...{ arch: 'x86_64', baseline: 'kernel-6.1.192-56.el9', why: null, more: 0, errors: [], changelog: null },
  symbols: { changed: 214, functions: 96, explained: 96, variables: 2, modules: 0 },
  causes: [
    {
      ...{ kind: 'struct', name: 'genl_split_ops', symbols: 14, unchanged: 0, size: { was: 64, now: 72 } },
      members: [
        {
          name: 'pre_doit',
          was: null,
          now: 'int (*pre_doit)(const struct genl_split_ops *, struct sk_buff *)',
        },
      ],
    },
  ],
  kmods: [
    {
      ...{ kmod: CULPRIT, changed: 3, causes: [0] },
      way: { symbol: 'genl_register_family', steps: ['genl_family.ops'] },
    },
  ],
};
