/** The command line of what is known: `status`, `explain`, `replay`, `backtest`. What they need is only loaded when chosen. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RunsWanted } from '../report/report.ts';
import { CheckError } from './error.ts';
import type { ExplainFormat } from './explain.ts';
import { addServer, type Place, recordsAt } from './place.ts';
import type { Records } from './records.ts';
import type { Shared } from './symbolcommands.ts';
import { standardOutput } from './text.ts';

export function addReadCommands(kmodGate: Command, { output, config, json, loadConfig }: Shared): void {
  const gate = new Option('--gate <name>', 'only at this gate');
  addServer(kmodGate.command('status'))
    .description('list the newest runs')
    .addOption(new Option('--limit <count>', 'so many at the most').default(20).argParser(toCount))
    .option('--before <run>', 'runs older than this one, as the end of a list or --json names it')
    .addOption(gate)
    .addOption(new Option('--verdict <verdict>', 'only with this verdict').choices(VERDICTS))
    .option('--kmod <name|glob>', 'only those that try such a kmod')
    .addOption(config)
    .addOption(json)
    .action(async (options: StatusArguments) => {
      const { status } = await import('./report.ts');
      const { limit, before, gate, verdict, kmod, json = false } = options;
      const records = await recordsAt(options, loadConfig);
      if (gate !== undefined) await assertGate(records, gate);
      if (!(await status(records, output, { json, limit, before, gate, verdict, kmod })))
        throw new CheckError(`${before}: no such run in the store; "kmod-gate status" lists the newest`);
    });
  addServer(kmodGate.command('explain'))
    .argument('<kernel|kmod>', "a kernel's NVR or Koji build id; a kmod's package name or NVR")
    .description(
      'everything about one kernel build: verdict, reasons, what to do, kmods, errors, history; or about one kmod: its kernels, since when it is broken, what would mend it',
    )
    .addOption(gate)
    .option('--kmod <name|glob>', 'only these kmods of the kernel')
    .addOption(
      new Option('--format <format>', 'what to print; markdown is for a ticket')
        .choices(EXPLAIN_FORMATS)
        .conflicts('json'),
    )
    .addOption(config)
    .addOption(json)
    .action(async (subject: string, options: ExplainArguments) => {
      const { explainCommand } = await import('./explain.ts');
      const { gate, kmod, json, format = json ? 'json' : 'text' } = options;
      const records = await recordsAt(options, loadConfig);
      if (gate !== undefined) await assertGate(records, gate);
      await explainCommand(records, output, subject, { gate, kmod, format });
    });
}

const VERDICTS = ['promote', 'block', 'hold', 'none'] as const;
const EXPLAIN_FORMATS: readonly ExplainFormat[] = ['text', 'markdown', 'html', 'json'];

interface StatusArguments extends Place, Pick<RunsWanted, 'limit' | 'before' | 'gate' | 'verdict' | 'kmod'> {
  readonly json?: true;
}
interface ExplainArguments extends Place {
  readonly json?: true;
  readonly format?: ExplainFormat;
  readonly gate?: string;
  readonly kmod?: string;
}

/** Throws CheckError with the gates that there are, but for one that there was. */
async function assertGate(records: Records, gate: string): Promise<void> {
  const names = (await records.gates()).map(({ name }) => name);
  if (names.includes(gate) || (await records.runs({ limit: 1, gate }))?.runs.length) return;
  throw new CheckError(`--gate ${gate}: no such gate, only ${names.join(', ')}`);
}

/** What gates would have said. */
export function addPastCommands(kmodGate: Command, { output, config, json, loadConfig }: Shared): void {
  kmodGate
    .command('replay')
    .description('what the policy in a configuration would have said of the kernels that the store has seen')
    .option('--since <date>', 'runs that began since: a date, or a duration before now such as 14d')
    .addOption(config)
    .addOption(json)
    .action(async (options: { config: string; json?: true; since?: string }) => {
      const { replayCommand } = await import('./replay.ts');
      const { config, json = false, ...since } = options;
      await replayCommand(await loadConfig(config), output, { ...since, json });
    });
  kmodGate
    .command('backtest')
    .description(
      "what a gate would have said of the kernels in its hub's tag history, by their symbols; builds nothing, only reads",
    )
    .option('--gate <name>', 'this gate, where the configuration has several')
    .addOption(
      new Option(
        '--since <date>',
        'kernels that stood before the gate or passed since: a date, or a duration before now',
      ).default('180d'),
    )
    .option(
      '--store <file>',
      "where headers of rpms are kept (default: a file for the hub in the user's cache)",
    )
    .addOption(config)
    .addOption(json)
    .action(
      async (options: { config: string; json?: true; gate?: string; since: string; store?: string }) => {
        const { backtestCommand } = await import('./backtest.ts');
        const { createBar } = await import('./progress.ts');
        const { config, json = false, ...wanted } = options;
        const bar = createBar(
          standardOutput(process.stderr),
          process.stderr.isTTY === true,
          process.stderr.columns,
        );
        await backtestCommand(await loadConfig(config), output, { ...wanted, json }, bar);
      },
    );
}

function toCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new InvalidArgumentError('It must be a whole number, from 1 to 9999.');
  return count;
}
