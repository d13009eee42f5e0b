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

/** Microseconds of each query: the quartile of the quicker rounds, since the machine is not ours alone. */
async function measure(history: History): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
  try {
    const path = join(folder, 'gate.db');
    await makeHistory(path, history);
    const store = await openStore(`sqlite:${path}`, { mode: 'write' });
    for (let i = 0; i < ROUNDS; i++) await store.newest();
    const quick: number[] = [];
    for (const ask of Object.values(QUERIES)) {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const start = performance.now();
        await ask(store, history, round);
        times.push(performance.now() - start);
      }
      quick.push(1_000 * (times.toSorted((a, b) => a - b)[ROUNDS / 4] ?? 0));
    }
    await store.close();
    return quick;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const line = (cells: readonly string[]) =>
  process.stdout.write(
    `${cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(13))).join('')}\n`,
  );
line(['', ...Object.keys(QUERIES)]);
// The compiler of Node warms up.
await measure(ONE);
let first: number[] | undefined;
for (const [name, history] of SIZES) {
  const times = await measure(history);
  line(
    first
      ? [name, ...times.map((time, i) => `${(time / (first?.[i] ?? 1)).toFixed(1)}x`)]
      : [name, ...times.map((time) => `${time.toFixed(0)} us`)],
  );
  first ??= times;
}
