/** `npm run test:replicas -- [--minutes N] [--seed S]`: gates that are killed, stopped and cut off, again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GATE } from '../scenarios/stage.ts';
import { numberAbove } from '../simulation/command.ts';
import { type Random, randomOf } from '../simulation/random.ts';
import { KERNELS, openStage, type Replica, type Stage } from './stage.ts';

const HELP = `Usage: npm run test:replicas -- [--minutes N] [--seed S]

Three replicas of "kmod-gate run" on one PostgreSQL (POSTGRES_URL) gate kernels of a Koji in memory for N minutes (default: 10).
Whoever acts is killed (SIGKILL), stopped for longer than its lease (SIGSTOP), cut off from the database, or ended (SIGTERM);
what stands by is killed too. What, and when, is drawn from the seed (default: 1). Each call that changes something on the hub
must be of the replica that held the lease at that moment, nothing is asked for twice, each kernel ends in its tag, and
another gate acts within ten seconds.

Exit codes: 0 fine, 1 a promise was broken, 2 the arguments are wrong.
`;

/** Longer than a lease, in ms. */
const AWAY = { least: 6_500, most: 9_500 };
/** Between two blows, in ms. */
const PAUSE = { least: 500, most: 6_000 };
/** Another one must act within so long, in ms. */
const WITHIN = 10_000;
/** A kernel must be through within so long, in ms. */
const PATIENCE = 300_000;

const BLOWS = ['kill', 'stop', 'cut', 'end', 'standby'] as const;
type Blow = (typeof BLOWS)[number];

interface Told {
  readonly takeovers: { readonly blow: Blow; readonly ms: number }[];
  readonly violations: string[];
  acts: number;
}

/** Between two kernels, in ms. */
const NEXT = { least: 3_000, most: 20_000 };

/** Some kernels through one stage. */
async function play(stage: Stage, random: Random, told: Told): Promise<void> {
  const { world, replicas } = stage;
  const between = ({ least, most }: typeof AWAY) => random.int(least, most);
  const begin = Date.now();
  const late = () => Date.now() - begin > PATIENCE;
  const holding = async (): Promise<Awaited<ReturnType<Stage['holding']>>> => {
    for (;;) {
      const found = await stage.holding();
      if (found || late()) return found;
      await sleep(20);
    }
  };
  const mending: Promise<unknown>[] = [];
  const later = (ms: number, mend: () => unknown) => mending.push(sleep(ms).then(mend));
  const away = new Set<Replica>();
  const last = KERNELS.at(-1) ?? '';
  const over = () => world.build(last) !== undefined && world.tags(last).includes('c9s-blocked');

  await holding();
  const coming = (async () => {
    for (const nvr of KERNELS) {
      world.completeKernel(nvr, { tag: GATE.watch });
      await sleep(between(NEXT));
    }
  })();
  while (!over() && !late()) {
    await sleep(between(PAUSE));
    const held = await holding();
    const acting = held?.replica;
    // One at least is left to follow.
    if (!held || !acting || away.has(acting) || away.size > 1) continue;
    const blow = random.pick(BLOWS);
    const { token } = held;
    const others = replicas.filter((one) => one !== acting && !away.has(one));
    const hit = blow === 'standby' ? random.pick(others) : acting;
    away.add(hit);
    const back = () => away.delete(hit);
    const began = performance.now();
    if (blow === 'stop') {
      hit.kill('SIGSTOP');
      later(between(AWAY), () => {
        hit.kill('SIGCONT');
        back();
      });
    } else if (blow === 'cut') {
      await hit.cut();
      later(between(AWAY), () => hit.mend().then(back));
    } else {
      hit.kill(blow === 'end' ? 'SIGTERM' : 'SIGKILL');
      mending.push(
        hit.program().ended.then(async () => {
          await sleep(between(PAUSE));
          hit.launch();
          back();
        }),
      );
    }
    if (blow === 'standby') continue;
    while ((await stage.token()) <= token && !late()) await sleep(20);
    told.takeovers.push({ blow, ms: Math.round(performance.now() - began) });
  }
  if (!over())
    told.violations.push(`${last} is in ${world.tags(last).join(', ')} after ${PATIENCE / 60_000} minutes`);
  await Promise.all([coming, ...mending]);
  told.violations.push(...(await stage.violations()));
  told.acts += stage.acts.length;
}

function figures(told: Told): string {
  const lines = BLOWS.flatMap((blow) => {
    const times = told.takeovers.filter((one) => one.blow === blow).map(({ ms }) => ms);
    const sorted = times.toSorted((a, b) => a - b);
    if (sorted.length === 0) return [];
    const [middle, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    return [
      `${blow.padEnd(6)} ${String(sorted.length).padStart(4)} times, another gate acts after ${middle} ms, at most ${most} ms\n`,
    ];
  });
  return lines.join('');
}

async function main({ minutes, seed }: { minutes: number; seed: string }): Promise<number> {
  const end = Date.now() + minutes * 60_000;
  const random = randomOf(seed);
  const told: Told = { takeovers: [], violations: [], acts: 0 };
  let kernels = 0;
  while (Date.now() < end && told.violations.length === 0) {
    const stage = await openStage(3);
    await play(stage, random, told).finally(() => stage.close());
    kernels += KERNELS.length;
    process.stdout.write(`${kernels} kernels, ${told.takeovers.length} takeovers, ${told.acts} acts\n`);
  }
  for (const { blow, ms } of told.takeovers)
    if (ms > WITHIN) told.violations.push(`after ${blow} another gate acted only after ${ms} ms`);
  process.stdout.write(`\n${figures(told)}`);
  for (const violation of told.violations) process.stdout.write(`seed ${seed}: ${violation}\n`);
  process.stdout.write(
    `kernels ${kernels}, takeovers ${told.takeovers.length}, acts ${told.acts}, violations ${told.violations.length}\n`,
  );
  return told.violations.length > 0 ? 1 : 0;
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  return { ...values, minutes: numberAbove('minutes', values.minutes) };
}

let options: ReturnType<typeof readArguments> | undefined;
try {
  options = readArguments();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exitCode = 2;
}
if (options?.help) process.stdout.write(HELP);
else if (options) process.exitCode = await main(options);
