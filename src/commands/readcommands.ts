/** The command line of what is known: `status`, `explain`, `replay`, `backtest`. What they need is only loaded when chosen. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CheckError } from './error.ts';
import { addServer, type Place, recordsAt } from './place.ts';
import type { Shared } from './symbolcommands.ts';
import { standardOutput } from './text.ts';

export function addReadCommands(kmodGate: Command, { output, config, json, loadConfig }: Shared): void {
  addServer(kmodGate.command('status'))
    .description('list the newest runs')
    .addOption(new Option('--limit <count>', 'so many at the most').default(20).argParser(toCount))
    .option('--before <run>', 'runs older than this one, as the end of a list or --json names it')
    .addOption(config)
    .addOption(json)
    .action(async (options: Place & { json?: true; limit: number; before?: string }) => {
      const { status } = await import('./report.ts');
      const { limit, before, json = false } = options;
      if (!(await status(await recordsAt(options, loadConfig), output, { json, limit, before })))
        throw new CheckError(`${before}: no such run in the store; "kmod-gate status" lists the newest`);
    });
  addServer(kmodGate.command('explain'))
    .argument('<kernel>', 'NVR or Koji build id')
    .description('everything about one kernel build: verdict, reasons, kmods, errors, history')
    .addOption(config)
    .addOption(json)
    .action(async (kernel: string, options: Place & { json?: true }) => {
      const { explainCommand } = await import('./report.ts');
      const { json = false } = options;
      const known = await explainCommand(await recordsAt(options, loadConfig), output, kernel, json);
      if (!known)
        throw new CheckError(`${kernel}: no such kernel in the store; "kmod-gate status" lists them`);
    });
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
