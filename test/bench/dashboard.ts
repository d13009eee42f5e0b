/**
 * `npm run bench:dashboard`: what the first page costs with 500 kernels and 100 kmods in the store, and whether 100 live viewers
 * slow the reconciler beside it. Server, gate and hub are this process, the viewers a thread of it, and the machine is not
 * ours alone: the least of some rounds is told, and the longest stretch of the event loop of all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { matrix, needs } from '../../src/commands/overview.ts';
import { type Reporting, webLinks } from '../../src/commands/report.ts';
import { dashboardSources, listeners } from '../../src/commands/sources.ts';
import type { Gate } from '../../src/core/model.ts';
import { serveDashboard } from '../../src/http/dashboard.ts';
import { connectHub } from '../../src/koji/client.ts';
import { createReconciler } from '../../src/reconciler/reconciler.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { GATE as STAGE } from '../scenarios/stage.ts';
import { buildOf, makeHistory } from '../store/history.ts';

const [KERNELS, KMODS, VIEWERS, ROUNDS, LIVE] = [500, 100, 100, 12, 50];
const EVERY = 300_000;
const silent = pino({ level: 'silent' });
const say = (what: string, value: string) =>
  process.stdout.write(`${what.padEnd(58)}${value.padStart(12)}\n`);
const ms = (value: number) => `${value.toFixed(1)} ms`;

/** Runs something some times: how long it took, or as it tells itself, and the longest stretch of the event loop, in ms. */
async function measure(rounds: number, once: (round: number) => Promise<unknown>) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    const own = await once(i);
    times.push(typeof own === 'number' ? own : performance.now() - start);
    await sleep(5);
  }
  loop.disable();
  const sorted = times.toSorted((a, b) => a - b);
  return { least: sorted[0] ?? 0, middle: sorted[rounds >> 1] ?? 0, stretch: loop.max / 1e6 };
}

const GATE: Gate = { ...STAGE, kmods: { ...STAGE.kmods, include: ['kmod-alpha'] } };

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
const file = join(folder, 'gate.db');
await makeHistory(file, { closed: KERNELS, live: 0, kmods: KMODS });
const changes = listeners();
const store = await openStore(`sqlite:${file}`, {
  mode: 'write',
  onEntry: ({ build }) => changes.tell(build),
});
const reports: Reporting = { store, gates: [GATE], links: webLinks(undefined) };
const health = () => ({ started_at: Date.now(), looked_at: Date.now(), trouble: null, bus: null });
const sources = dashboardSources(reports, health, changes.listen);
const { url, close } = await serveDashboard({ host: '127.0.0.1', port: 0 }, sources, silent);

process.stdout.write(`${KERNELS} kernels by ${KMODS} kmods in the store\n`);
const cold = await measure(1, () => matrix(reports, { limit: 10 }));
say('matrix of 10 kernels, the first time', ms(cold.least));
say('  longest stretch of the event loop', ms(cold.stretch));
for (const limit of [10, 30]) {
  const warm = await measure(ROUNDS, () => matrix(reports, { limit }));
  say(`matrix of ${limit} kernels`, ms(warm.least));
  say('  longest stretch of the event loop', ms(warm.stretch));
}
const needing = await measure(ROUNDS, () => needs(reports, 12));
say('what needs somebody', ms(needing.least));
// Another address each time: no page is remembered.
for (const filter of ['', '&kmod=kmod-*', '&kmod=kmod-007', '&verdict=hold']) {
  let size = 0;
  const page = await measure(ROUNDS, async (round) => {
    size = (await (await fetch(`${url}/?since=2020-01-${10 + round}${filter}`)).text()).length;
  });
  say(`the first page, made anew, by HTTP${filter && `: ${filter.slice(1)}`}`, ms(page.least));
  say('  longest stretch of the event loop', ms(page.stretch));
  say('  bytes', String(size));
}

// ---- viewers beside the reconciler ----------------------------------------------------------------

const small = loadScenario(new URL('../../../../test/sim/small.toml', import.meta.url).pathname);
const [, like] = small.kernels;
if (!like) throw new Error('no kernel in small.toml');
const nvrs = Array.from({ length: LIVE }, (_, i) => `kernel-6.1.200-${i}.el9`);
const more = nvrs.map((nvr) => ({ ...like, nvr, built: true, tags: ['c9s-gate'] }));
const world = createWorld({ ...small, kernels: [...small.kernels, ...more] });
world.setBuilders(0);
const server = await serveWorld(world);
const account = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
const hub = connectHub({ server: server.url, ...account, timeout: 60_000, random: () => 0.5 });
const reconciler = createReconciler({
  ...{ gates: [GATE], hub, store, now: world.now, random: () => 0.5 },
  pace: { every: EVERY, poll: 10 * EVERY, settle: 10_000 },
  log: silent,
});
const kernel = await store.kernel(buildOf(KERNELS));
if (!kernel) throw new Error('the history has no such kernel');
const sweep = async (round: number) => {
  world.tick(EVERY);
  // Each sweep finds something, so that each viewer fetches the page anew.
  await store.say(GATE.name, kernel, null, `round ${round}`, world.now());
  await reconciler.step();
};
for (let i = 0; i < 3; i++) await sweep(-i - 1);
process.stdout.write(`\na sweep of ${LIVE} live kernels; hub, gate and dashboard in one process\n`);
const alone = await measure(2 * ROUNDS, (round) => sweep(-round - 10));
say('nobody looks', ms(alone.middle));
say('  longest stretch of the event loop', ms(alone.stretch));

const worker = new Worker(new URL('./viewers.js', import.meta.url), {
  workerData: { url, viewers: VIEWERS },
});
let there = 0;
await new Promise<void>((resolve) => {
  worker.on('message', (message) => {
    there += message === 'there' ? 1 : 0;
    if (there === VIEWERS) resolve();
  });
});
// Each sweep tells all viewers, who fetch the page in the two seconds after it. One waits until they have it, the next one does
// not, by turns: what else the machine does is in both.
const quiet: number[] = [];
const beside: number[] = [];
const timed = async (round: number, times: number[]) => {
  const start = performance.now();
  await sweep(round);
  times.push(performance.now() - start);
};
const watched = await measure(ROUNDS, async (round) => {
  await sleep(2_600);
  await timed(2 * round, quiet);
  await sleep(800);
  await timed(2 * round + 1, beside);
});
const middle = (times: readonly number[]) => times.toSorted((one, other) => one - other)[ROUNDS >> 1] ?? 0;
say(`${VIEWERS} live viewers, none of whom fetches the page`, ms(middle(quiet)));
say(`${VIEWERS} live viewers, who fetch the page`, ms(middle(beside)));
say('  longest stretch of the event loop', ms(watched.stretch));
const told = await new Promise<{ pages: number; bytes: number }>((resolve) => {
  worker.on('message', (message) => typeof message === 'object' && resolve(message));
  worker.postMessage('count');
});
say('pages fetched by the viewers', String(told.pages));
say('  bytes', String(told.bytes));
await worker.terminate();
await hub.close();
await server.close();
await close();
await store.close();
rmSync(folder, { recursive: true });
