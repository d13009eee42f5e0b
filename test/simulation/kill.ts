/** `npm run sim:kill -- [--rounds N] [--seed S]`: the real program, killed with SIGKILL again and again. */
import { parseArgs } from 'node:util';
import { histogram, numberAbove } from './command.ts';
import { playKills } from './rounds.ts';

const HELP = `Usage: npm run sim:kill -- [--rounds N] [--seed S]

Kills "kmod-gate run" N times (default: 100) with SIGKILL: within its start, at its work, before and after what it asks of
the hub. After each time the file of its store and the hub must keep every promise, and it starts again. Worlds, moments and
weather are drawn from the seed (default: 1), but processes take their own time: the same seed is not the same play.

Exit codes: 0 fine, 1 a promise was broken, 2 the arguments are wrong.
`;

/** Rounds between two lines of progress. */
const TOLD = 10;
/** Lines of a journal that are printed where a promise was broken. */
const SHOWN = 60;

async function main({ rounds, seed }: { rounds: number; seed: string }): Promise<number> {
  const begin = Date.now();
  const { journal, violations, struck, ...counts } = await playKills({
    seed,
    rounds,
    onRound: (round, world) => {
      const seconds = ((Date.now() - begin) / 1_000).toFixed(0);
      if (round % TOLD === 0) process.stdout.write(`${round} rounds, world ${world}, ${seconds} s\n`);
    },
  });
  process.stdout.write(`\n${histogram('killed', struck)}`);
  for (const violation of violations)
    process.stdout.write(`\nseed ${seed}, world ${counts.worlds}: ${violation}\n`);
  if (violations.length > 0)
    process.stdout.write(
      journal
        .slice(-SHOWN)
        .map((line) => `  ${line}\n`)
        .join(''),
    );
  process.stdout.write(
    `rounds ${counts.rounds}, worlds ${counts.worlds}, requests ${counts.requests}, violations ${violations.length}\n`,
  );
  return violations.length > 0 ? 1 : 0;
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  return { ...values, rounds: Math.ceil(numberAbove('rounds', values.rounds)) };
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
