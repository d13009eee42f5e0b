/** `npm run sim -- --seeds N [--from M] [--seed S] [--minutes M] [--plants]`: worlds that are broken on purpose, many of them. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { histogram, numberAbove } from './command.ts';
import { TROUBLES } from './draw.ts';
import { MISHAPS } from './network.ts';
import { openSource } from './patched.ts';
import { PATCHES } from './patches.ts';
import { type Played, play } from './play.ts';
import { shrink } from './shrink.ts';
import { watch } from './watch.ts';

const HELP = `Usage: npm run sim -- [--seeds N] [--from M] [--seed S] [--minutes M]
       npm run sim -- --plants [FINDING]

Plays N worlds (default: 100), each drawn from a seed, with everything that goes wrong in it; --from begins with that
seed in place of 1; --seed plays one alone and prints its journal; --minutes stops after so long. A world in which a promise is broken is played again with less and
less in it, and the shortest journal that still shows it is printed. With 500 seeds and more, a fault that never strikes or a state that is never reached fails too.
--plants puts known mistakes back into the source, one by one or only FINDING, and prints the first seed of 1 to 300 that
shows it, and that none does.

Exit codes: 0 fine, 1 a promise was broken or a plant not seen, 2 the arguments are wrong.
`;

/** What must strike and be reached in a run of 500 seeds and more. */
const FAULTS = [
  ...MISHAPS.map((mishap) => `request ${mishap}`),
  ...['lost', 'repeated', 'late', 'garbage'].map((kind) => `message ${kind}`),
  'write to the store fails',
  'killed between two steps',
  'clock set while no process runs',
  ...['unreadable log', 'unreadable rpm'],
  ...Object.entries(TROUBLES).flat(),
  ...['expire', 'restart-hub', 'restart-builders', 'kill', 'set-clock'],
];
const STATES = [
  ...['promote', 'block', 'hold'].map((verdict) => `verdict: ${verdict}`),
  ...['done', 'observed', 'superseded', 'taken-over', 'cancelled'].map((how) => `closed: ${how}`),
  'opened again',
  'reconfigured',
  'another instance',
  'release',
  ...['tag', 'untag', 'cancel', 'waive', 'unwaive', 'side-tag'].map((kind) => `person: ${kind}`),
  ...['retry', 'hold', 'release', 'cancel'].map((kind) => `person: order ${kind}`),
];
/** Below so many seeds not everything can be expected to happen. */
const ENOUGH = 500;
/** What a worker sends of a seed: the maps as lists, the journal only where something is wrong. */
interface Report extends Pick<Played, 'seed' | 'steps' | 'journal' | 'violations'> {
  readonly struck: readonly (readonly [string, number])[];
  readonly reached: readonly (readonly [string, number])[];
}

async function report(seed: string): Promise<Report> {
  try {
    const played = await play(seed, { watch });
    const { steps, violations, struck, reached } = played;
    const broken = violations.length > 0;
    const { journal } = broken ? await shrink(played, { watch }) : { journal: [] };
    return { seed, steps, violations, journal, struck: [...struck], reached: [...reached] };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { seed, steps: 0, journal: [], violations: [`a bug: ${text}`], struck: [], reached: [] };
  }
}

function work(): void {
  parentPort?.on('message', (seed: string | { readonly plant: number }) => {
    const done = typeof seed === 'string' ? report(seed) : searchPlant(seed.plant);
    done.then((found) => parentPort?.postMessage(found));
  });
}

// ---- planted mistakes ---------------------------------------------------------------------------------

/** Seeds in which a mistake that is put back must show. */
const SEARCHED = 300;

interface Search {
  readonly line: string;
  readonly found: boolean;
}

/** The first seed that shows a mistake, and nothing without it. */
async function searchPlant(index: number): Promise<Search> {
  const patch = PATCHES[index];
  const say = (text: string, found = false) => ({
    line: `${patch?.finding}, ${patch?.what}: ${text}`,
    found,
  });
  if (!patch) return say('no such plant');
  try {
    const source = await openSource();
    try {
      const playPatched = await source.patched(patch);
      for (let seed = 1; seed <= SEARCHED; seed++) {
        const [violation] = (await playPatched(String(seed))).violations;
        if (!violation || (await play(String(seed), { watch })).violations.length > 0) continue;
        const other = patch.seed === String(seed) ? '' : `, not ${patch.seed}`;
        return say(`seed ${seed}${other}: ${violation}`, true);
      }
    } finally {
      await source.close();
    }
    return say(`not seen in ${SEARCHED} seeds`);
  } catch (error) {
    return say(error instanceof Error ? error.message : String(error));
  }
}

async function plants(finding: string | undefined): Promise<number> {
  const wanted = PATCHES.flatMap((patch, i) => (!finding || patch.finding === finding ? [i] : []));
  if (wanted.length === 0) throw new Error(`no plant ${finding}`);
  let missed = 0;
  const draw = () => {
    const plant = wanted.shift();
    return plant === undefined ? undefined : { plant };
  };
  await Promise.all(
    Array.from({ length: availableParallelism() }, () =>
      employ<Search>(draw, ({ line, found }) => {
        process.stdout.write(`${line}\n`);
        if (!found) missed += 1;
      }),
    ),
  );
  return missed > 0 ? 1 : 0;
}

interface Totals {
  seeds: number;
  steps: number;
  violations: number;
  readonly struck: Map<string, number>;
  readonly reached: Map<string, number>;
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.plants) return plants(options.finding);
  if (options.seed !== undefined) return playOne(options.seed);
  const totals: Totals = { seeds: 0, steps: 0, violations: 0, struck: new Map(), reached: new Map() };
  const start = Date.now();
  const until = options.minutes === undefined ? Number.POSITIVE_INFINITY : start + options.minutes * 60_000;
  let next = options.from;
  const draw = () => (next < options.from + options.seeds && Date.now() < until ? String(next++) : undefined);
  await Promise.all(
    Array.from({ length: availableParallelism() }, () =>
      employ<Report>(draw, (played) => count(totals, played, start)),
    ),
  );
  process.stdout.write(`\n${histogram('struck', totals.struck)}${histogram('reached', totals.reached)}`);
  const missing = totals.seeds < ENOUGH ? [] : absent(totals);
  for (const what of missing) process.stdout.write(`never: ${what}\n`);
  const faults = [...totals.struck.values()].reduce((sum, count) => sum + count, 0);
  process.stdout.write(
    `seeds ${totals.seeds}, steps ${totals.steps}, faults ${faults}, violations ${totals.violations}\n`,
  );
  return totals.violations > 0 || missing.length > 0 ? 1 : 0;
}

/** A worker takes one piece of work after the other. */
async function employ<T>(draw: () => unknown, take: (done: T) => void): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  await new Promise<void>((resolve, reject) => {
    const give = () => {
      const work = draw();
      if (work === undefined) resolve();
      else worker.postMessage(work);
    };
    worker.on('error', reject);
    worker.on('message', (done: T) => {
      take(done);
      give();
    });
    give();
  });
  await worker.terminate();
}

function count(
  totals: Totals,
  { seed, steps, violations, journal, struck, reached }: Report,
  start: number,
): void {
  totals.seeds += 1;
  totals.steps += steps;
  totals.violations += violations.length;
  for (const [name, times] of struck) totals.struck.set(name, (totals.struck.get(name) ?? 0) + times);
  for (const [name, times] of reached) totals.reached.set(name, (totals.reached.get(name) ?? 0) + times);
  for (const violation of violations) process.stdout.write(`\nseed ${seed}: ${violation}\n`);
  if (journal.length > 0) process.stdout.write(`${journal.map((line) => `  ${line}\n`).join('')}`);
  if (totals.seeds % 100 === 0) {
    const speed = (1000 * totals.seeds) / (Date.now() - start);
    process.stdout.write(
      `${totals.seeds} seeds, ${speed.toFixed(1)} a second, ${totals.violations} violations\n`,
    );
  }
}

const absent = ({ struck, reached }: Totals): string[] => [
  ...FAULTS.filter((name) => !struck.has(name)),
  ...STATES.filter((name) => !reached.has(name)),
];

async function playOne(seed: string): Promise<number> {
  const { journal, violations, steps } = await play(seed, { watch });
  process.stdout.write(journal.map((line) => `${line}\n`).join(''));
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  process.stdout.write(`seed ${seed}, steps ${steps}, violations ${violations.length}\n`);
  return violations.length > 0 ? 1 : 0;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      plants: { type: 'boolean', default: false },
      seed: { type: 'string' },
      minutes: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    help: values.help,
    seed: values.seed,
    seeds: Math.ceil(numberAbove('seeds', values.seeds)),
    from: Math.ceil(numberAbove('from', values.from)),
    plants: values.plants,
    finding: positionals[0],
    minutes: values.minutes === undefined ? undefined : numberAbove('minutes', values.minutes),
  };
}

if (isMainThread) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exitCode = 2;
  }
} else work();
