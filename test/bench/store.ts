/**
 * `npm run bench:store`: what a look, and a list, ask of the store, with ever more in it. The first row is in microseconds,
 * the others are times of it: flat is what does not cost more, straight what costs by what there is more of.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { begun, buildOf, GATE, type History, makeHistory, runOf } from '../store/history.ts';

const ROUNDS = 20;
const ONE: History = { closed: 100, live: ROUNDS, kmods: 20 };
const SIZES: readonly (readonly [string, History])[] = [
  ['1x', ONE],
  ['10x closed', { ...ONE, closed: 10 * ONE.closed }],
  ['100x closed', { ...ONE, closed: 100 * ONE.closed }],
  ['10x live', { ...ONE, live: 10 * ONE.live }],
  ['10x live, 100x closed', { ...ONE, live: 10 * ONE.live, closed: 100 * ONE.closed }],
  ['25x kmods', { ...ONE, kmods: 25 * ONE.kmods }],
];

/** What is asked in a round; no round reads a run that was read before. */
const QUERIES: Record<string, (store: Store, history: History, round: number) => Promise<unknown>> = {
  liveKernels: (store) => store.liveKernels(),
  'a live run': (store, { closed, live }, round) => store.run(runOf(closed + live - round)),
  latestRun: (store, { closed }) => store.latestRun(GATE, buildOf(closed + 1)),
  lastJudged: (store) => store.lastJudged(GATE, 'kernel', { kernel: null, except: 0 }),
  lastPassed: (store) => store.lastPassed(GATE, 'kernel', 0),
  retriesSince: (store, { closed, live }) => store.retriesSince(GATE, begun(closed + live - 24)),
  reposWith: (store, { closed }) => store.reposWith(buildOf(closed - 1)),
  'first page': (store) => store.summaries({ limit: 50 }),
};

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
const stores: { name: string; history: History; store: Store }[] = [];
for (const [name, history] of SIZES) {
  const path = join(folder, `${stores.length}.db`);
  await makeHistory(path, history);
  stores.push({ name, history, store: await openStore(`sqlite:${path}`, { mode: 'write' }) });
}

/**
 * Microseconds of a query in each store: the quartile of the quicker rounds. The stores take turns, since the machine is
 * not ours alone.
 */
async function measure(ask: (typeof QUERIES)[string]): Promise<number[]> {
  const times: number[][] = stores.map(() => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, { store, history }] of stores.entries()) {
      const start = performance.now();
      await ask(store, history, round);
      times[i]?.push(1_000 * (performance.now() - start));
    }
  return times.map((of) => of.toSorted((a, b) => a - b)[ROUNDS / 4] ?? 0);
}

const line = (cells: readonly string[]) =>
  process.stdout.write(
    `${cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(13))).join('')}\n`,
  );
const columns: number[][] = [];
for (const ask of Object.values(QUERIES)) columns.push(await measure(ask));
line(['', ...Object.keys(QUERIES)]);
for (const [i, { name, store }] of stores.entries()) {
  const cells = columns.map((times) =>
    i === 0 ? `${times[0]?.toFixed(0)} us` : `${((times[i] ?? 0) / (times[0] ?? 1)).toFixed(1)}x`,
  );
  line([name, ...cells]);
  await store.close();
}
rmSync(folder, { recursive: true });
