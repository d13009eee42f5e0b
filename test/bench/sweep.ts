/**
 * `npm run bench:sweep`: what a sweep costs a gate and its hub, by the kernels that are alive, by those that are decided and
 * still stand in the watch tag, and by those that were. The hub is the one in memory, behind real HTTP in this process, so
 * the times are of both; they are of the processor, since the machine is not ours alone. The first row of each kind is the
 * measure of the others: flat is 1.0x, straight is what grew.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Gate } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { connectHub } from '../../src/koji/client.ts';
import { createReconciler } from '../../src/reconciler/reconciler.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { makeHistory } from '../store/history.ts';

interface Size {
  /** Kernels that stand in the watch tag: live ones wait for builders, decided ones were only observed. */
  readonly kernels: number;
  /** Runs of long ago in the store. */
  readonly closed: number;
}

const EVERY = 300_000;
const ROUNDS = 5;
const SIZES: readonly Size[] = [
  { kernels: 20, closed: 100 },
  { kernels: 200, closed: 100 },
  { kernels: 20, closed: 10_000 },
  { kernels: 200, closed: 10_000 },
];

const GATE: Gate = {
  name: 'c9s',
  kernels: ['kernel'],
  watch: 'c9s-gate',
  mode: 'observe',
  strategy: 'symbols',
  variant: '',
  stablelist: null,
  kmods: { tag: 'kmods9s-release', include: ['kmod-alpha'], exclude: [], advisory: [], arches: {} },
  arches: null,
  baseline: null,
  rebuild: null,
  policy: DEFAULT_POLICY,
  build: null,
  on_pass: { tag: ['c9s-candidate'], untag: ['c9s-gate'] },
  on_fail: { tag: ['c9s-blocked'], untag: ['c9s-gate'] },
};
const LIVE: Gate = {
  ...GATE,
  mode: 'enforce',
  strategy: 'rebuild',
  build: { target: 'kmods9s-gate', repo: 'wait', priority: 5, max_active: 20 },
};

const small = loadScenario(new URL('../../../../test/sim/small.toml', import.meta.url).pathname);
const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
let files = 0;

/** What one sweep costs, once everything has been looked at: the quickest of some. */
async function measure(gate: Gate, { kernels, closed }: Size): Promise<{ ms: number; requests: number }> {
  const [, like] = small.kernels;
  if (!like) throw new Error('no kernel in small.toml');
  const nvrs = Array.from({ length: kernels }, (_, i) => `kernel-6.1.200-${i}.el9`);
  const more = nvrs.map((nvr) => ({ ...like, nvr, built: true, tags: ['c9s-gate'] }));
  const world = createWorld({ ...small, kernels: [...small.kernels, ...more] });
  world.setBuilders(0);
  const server = await serveWorld(world);
  files += 1;
  const file = join(folder, `${files}.db`);
  await makeHistory(file, { closed, live: 0, kmods: 20 });
  const store = await openStore(`sqlite:${file}`, { mode: 'write' });
  const account = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
  const hub = connectHub({ server: server.url, ...account, timeout: 60_000, random: () => 0.5 });
  const reconciler = createReconciler({
    ...{ gates: [gate], hub, store, now: world.now, random: () => 0.5 },
    pace: { every: EVERY, poll: 10 * EVERY, settle: 10_000 },
    log: pino({ level: 'silent' }),
  });
  const sweep = async () => {
    world.tick(EVERY);
    const [start, before] = [process.cpuUsage(), server.requests.length];
    await reconciler.step();
    const { user, system } = process.cpuUsage(start);
    return { ms: (user + system) / 1_000, requests: server.requests.length - before };
  };
  for (let i = 0; i < 3; i++) await sweep();
  const alive = (await store.liveKernels()).length;
  if (alive !== (gate === LIVE ? kernels : 0)) throw new Error(`${alive} of ${kernels} are live`);
  const rounds: Awaited<ReturnType<typeof sweep>>[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await sweep());
  await hub.close();
  await server.close();
  await store.close();
  return {
    ms: Math.min(...rounds.map(({ ms }) => ms)),
    requests: Math.min(...rounds.map(({ requests }) => requests)),
  };
}

const line = (cells: readonly string[]) =>
  process.stdout.write(
    `${cells.map((cell, i) => (i === 0 ? cell.padEnd(44) : cell.padStart(16))).join('')}\n`,
  );
for (const [what, gate] of [
  ['decided', GATE],
  ['live', LIVE],
] as const) {
  line([`${what} kernels in the watch tag`, 'a sweep', 'of the first', 'a kernel', 'requests/100']);
  let first: number | undefined;
  for (const size of SIZES) {
    const { ms, requests } = await measure(gate, size);
    first ??= ms;
    line([
      `${size.kernels}, after ${size.closed} closed runs`,
      `${ms.toFixed(1)} ms`,
      `${(ms / first).toFixed(1)}x`,
      `${(ms / size.kernels).toFixed(2)} ms`,
      ((100 * requests) / size.kernels).toFixed(0),
    ]);
  }
}
rmSync(folder, { recursive: true });
