#!/usr/bin/env node
/**
 * The command line: what to start, when to stop, and what the exit code says. What a command needs is only loaded
 * when it is chosen: all of it together takes longer than many a `check`.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Subject } from './commands/bisect/plan.ts';
import { CheckError, UnreadError } from './commands/error.ts';
import type { LogFormat } from './commands/log.ts';
import type { OrderOptions, WaiveOptions } from './commands/people.ts';
import { addServer, type Place, recordsAt, speakerAt } from './commands/place.ts';
import { addSymbolCommands } from './commands/symbolcommands.ts';
import { line, mistakeLines, standardOutput, writeError } from './commands/text.ts';
import type { Config } from './config/config.ts';
import { ConfigError } from './config/error.ts';
import { ListenError, TokensError } from './http/error.ts';
import { SymbolFileError } from './kabi/error.ts';
import { HubError, SettingsError } from './koji/hub.ts';
import { StoreError } from './store/error.ts';

/** Exit codes: fine; the answer is no; the input or the set-up is wrong; a bug. */
const EXIT = { ok: 0, no: 1, wrong: 2, bug: 70 } as const;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

function program(setExit: (code: number) => void): Command {
  const output = standardOutput();
  const config = new Option('-c, --config <file>', 'configuration file').default('kmod-gate.toml');
  const json = new Option('--json', 'print JSON');
  const kmodGate = new Command('kmod-gate')
    .description('Tries third-party kernel modules against a kernel build in Koji before it is released.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: output.write, writeErr: writeError })
    .showHelpAfterError('(kmod-gate help shows what there is)');

  kmodGate
    .command('run')
    .description('watch the hub and gate kernels until stopped')
    .addOption(config)
    .addOption(
      new Option('--log <format>', 'format of the log on standard error').choices([
        'json',
        'pretty',
        'journald',
      ]),
    )
    .addOption(
      new Option('--log-level <level>', 'log this and above')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .addOption(
      new Option('--moved-from <url>', 'the URL that the hub had before, once after it has moved').argParser(
        toUrl,
      ),
    )
    .option('--once', 'sweep once, do what there is to do, and end: for cron; no bus, no dashboard')
    .action(async (options: RunArguments) => {
      const { run, runOnce } = await import('./commands/run.ts');
      const { log, logLevel: level, movedFrom } = options;
      const format = log ?? (process.stderr.isTTY ? 'pretty' : 'json');
      const settings = {
        format,
        level,
        version,
        stop: stopSignal(),
        ...(movedFrom !== undefined && { movedFrom }),
      };
      const load = () => loadConfig(options.config);
      await (options.once ? runOnce(await load(), settings) : run(await load(), load, settings));
    });
  addServer(kmodGate.command('status'))
    .description('list the newest runs')
    .addOption(new Option('--limit <count>', 'so many at the most').default(20).argParser(toCount))
    .option('--before <run>', 'runs older than this one, as the end of a list or --json names it')
    .addOption(config)
    .addOption(json)
    .action(async (options: Place & { json?: true; limit: number; before?: string }) => {
      const { status } = await import('./commands/report.ts');
      const { limit, before, json = false } = options;
      if (!(await status(await recordsAt(options, loadConfig), output, { json, limit, before })))
        throw new InputError(`${before}: no such run in the store; "kmod-gate status" lists the newest`);
    });
  addServer(kmodGate.command('explain'))
    .argument('<kernel>', 'NVR or Koji build id')
    .description('everything about one kernel build: verdict, reasons, kmods, errors, history')
    .addOption(config)
    .addOption(json)
    .action(async (kernel: string, options: Place & { json?: true }) => {
      const { explainCommand } = await import('./commands/report.ts');
      const { json = false } = options;
      const known = await explainCommand(await recordsAt(options, loadConfig), output, kernel, json);
      if (!known)
        throw new InputError(`${kernel}: no such kernel in the store; "kmod-gate status" lists them`);
    });
  const by = new Option('--by <who>', 'who says so (default: the user of this process)');
  const gate = new Option('--gate <name>', 'at this gate (default: at any)');
  addServer(kmodGate.command('waive'))
    .description(
      'let kernels through although a kmod is broken or inconclusive; also those that are blocked already',
    )
    .requiredOption('--kernel <nvr|glob|next>', 'which kernels; next: the one that comes next')
    .requiredOption('--kmod <name|glob>', 'which kmods, or "stablelist"')
    .requiredOption('--reason <text>', 'why')
    .option('--until <date>', 'when it ends by itself: a date (UTC), or a duration such as 7d')
    .addOption(by)
    .addOption(gate)
    .addOption(config)
    .action(async (options: WaiveOptions & Place) => {
      await (await speakerAt(options, loadConfig)).waive(output, options);
    });
  addServer(kmodGate.command('waivers'))
    .description('list the waivers that hold')
    .option('--all', 'those that ended, too')
    .addOption(config)
    .addOption(json)
    .action(async (options: Place & { json?: true; all?: true }) => {
      const { listWaivers } = await import('./commands/people.ts');
      const { all = false, json = false } = options;
      await listWaivers(await recordsAt(options, loadConfig), output, { all, json });
    });
  addServer(kmodGate.command('unwaive'))
    .argument('<id>', 'as "kmod-gate waivers" lists it')
    .description('end a waiver; a kernel whose tags it has moved stays where it is')
    .addOption(by)
    .addOption(config)
    .action(async (id: string, options: Place & { by?: string }) => {
      await (await speakerAt(options, loadConfig)).unwaive(output, id, options.by);
    });
  const orders = {
    retry: 'try again the kmods that are not fine, by their newest builds',
    hold: 'keep a kernel where it is, whatever the verdict, until it is released',
    release: 'end a hold',
    cancel: "end a kernel's run: its builds are cancelled, its tags stay",
  } as const;
  for (const [kind, description] of Object.entries(orders) as [keyof typeof orders, string][]) {
    const command = addServer(kmodGate.command(kind))
      .argument('<kernel>', 'NVR or Koji build id')
      .description(description)
      .option('--reason <text>', 'why')
      .addOption(by)
      .addOption(gate)
      .addOption(config);
    if (kind === 'retry') command.option('--kmod <name|glob>', 'these kmods, fine or not');
    command.action(async (kernel: string, options: OrderOptions & Place) => {
      await (await speakerAt(options, loadConfig)).order(output, kind, kernel, options);
    });
  }
  kmodGate
    .command('replay')
    .description('what the policy in a configuration would have said of the kernels that the store has seen')
    .option('--since <date>', 'runs that began since: a date, or a duration before now such as 14d')
    .addOption(config)
    .addOption(json)
    .action(async (options: { config: string; json?: true; since?: string }) => {
      const { replayCommand } = await import('./commands/replay.ts');
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
        const { backtestCommand } = await import('./commands/backtest.ts');
        const { createBar } = await import('./commands/progress.ts');
        const { config, json = false, ...wanted } = options;
        const bar = createBar(
          standardOutput(process.stderr),
          process.stderr.isTTY === true,
          process.stderr.columns,
        );
        await backtestCommand(await loadConfig(config), output, { ...wanted, json }, bar);
      },
    );
  kmodGate
    .command('doctor')
    .description('check hub, bus and store against the configuration; changes nothing')
    .addOption(config)
    .addOption(json)
    .addOption(
      new Option('--listen <seconds>', 'hear what the bus brings meanwhile').default(0).argParser(toSeconds),
    )
    .action(async (options: { config: string; json?: true; listen: number }) => {
      const { doctor } = await import('./commands/doctor.ts');
      const { config, json = false, listen } = options;
      const healthy = await doctor(await loadConfig(config), output, { json, listen: 1_000 * listen });
      if (!healthy) setExit(EXIT.no);
    });
  addSymbolCommands(kmodGate, { output, config, json, loadConfig, sayNo: () => setExit(EXIT.no) });
  kmodGate
    .command('bisect')
    .requiredOption('--kmod <name>', 'package name of the kmod')
    .requiredOption('--good <kernel>', 'NVR or build id of a kernel that it builds against')
    .requiredOption('--bad <kernel>', 'NVR or build id of a newer kernel that breaks it')
    .option('--gate <name>', 'whose hub, build target and tags (default: the only gate)')
    .option('--build <nvr>', 'this build of the kmod (default: the newest in the tag of kmods)')
    .option('--arch <arch>', 'build for this architecture (default: x86_64, or the first that it has)')
    .option('--tag <tag>', "kernels that were ever in this tag (default: in the gate's)")
    .option('--dry-run', 'say which kernels there are and how many builds it takes, and build nothing')
    .addOption(config)
    .addOption(json)
    .description('which kernel is the first that breaks a kmod? by scratch builds in side tags')
    .action(async ({ config, json, dryRun, ...subject }: BisectArguments) => {
      const { bisect } = await import('./commands/bisect.ts');
      const isJson = json === true;
      const found = await bisect(await loadConfig(config), output, {
        ...{ ...subject, json: isJson, dryRun: dryRun === true, stop: stopSignal() },
        progress: isJson ? standardOutput(process.stderr) : output,
        live: (isJson ? process.stderr : process.stdout).isTTY === true,
      });
      if (!found) setExit(EXIT.no);
    });
  kmodGate
    .command('rehearse')
    .description('play a gate on a Koji in memory, a day in seconds: what would it do? asks no hub')
    .requiredOption('--scenario <file>', 'what that Koji holds, and what happens (docs/rehearse.md)')
    .addOption(config)
    .option('--json', 'print the result as JSON, in the last line')
    .action(async (options: { config: string; scenario: string; json?: true }) => {
      const { rehearse } = await import('./commands/rehearse.ts');
      await rehearse(await loadConfig(options.config), options.scenario, output, {
        json: options.json === true,
      });
    });
  kmodGate
    .command('demo')
    .description('play four kernels on a Koji in memory')
    .option('--json', 'print the result as JSON, in the last line')
    .option('--serve', 'keep serving, dashboard included, until stopped')
    .action(async (options: { json?: true; serve?: true }) => {
      const { demo } = await import('./commands/demo.ts');
      const asExpected = await demo(output, {
        json: options.json === true,
        serve: options.serve === true,
        stop: stopSignal(),
      });
      if (!asExpected) setExit(EXIT.no);
    });
  kmodGate
    .command('config')
    .description('the configuration file')
    .command('check')
    .argument('<file>')
    .description('validate a file and print what was understood')
    .action(async (file: string) => {
      const { configCheck } = await import('./commands/config.ts');
      const { prepareConfig } = await import('./config/config.ts');
      await prepareConfig(file);
      setExit(configCheck(file, output.write));
    });
  kmodGate
    .command('token')
    .description('who may speak by the API')
    .command('new')
    .argument('<name>', 'whose it is: what they say is said by that name')
    .option('--read', 'for reading alone')
    .option('--file <file>', 'put it into this file (default: the one that tokens in [http] names)')
    .addOption(config)
    .description('make a token, print it this once, and let its holder in')
    .action(async (name: string, options: { config: string; read?: true; file?: string }) => {
      const { addToken } = await import('./commands/token.ts');
      const file = options.file ?? (await loadConfig(options.config)).http?.tokens;
      addToken(output, writeError, file, { name, right: options.read ? 'read' : 'write' });
    });
  return kmodGate;
}

interface RunArguments {
  readonly config: string;
  readonly log?: LogFormat;
  readonly logLevel: string;
  readonly movedFrom?: string;
  readonly once?: true;
}

interface BisectArguments extends Subject {
  readonly config: string;
  readonly json?: true;
  readonly dryRun?: true;
}

async function loadConfig(file: string): Promise<Config> {
  const config = await import('./config/config.ts');
  await config.prepareConfig(file);
  return config.loadConfig(file);
}

class InputError extends Error {}

function toSeconds(text: string): number {
  if (!/^\d{1,4}$/.test(text))
    throw new InvalidArgumentError('It must be a whole number of seconds, up to 9999.');
  return Number(text);
}

function toUrl(text: string): string {
  if (!URL.canParse(text)) throw new InvalidArgumentError('It must be the URL that the store is bound to.');
  return text;
}

function toCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new InvalidArgumentError('It must be a whole number, from 1 to 9999.');
  return count;
}

/** Fires at SIGINT or SIGTERM; a second signal ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort();
      process.once(signal, () => process.exit(EXIT.no));
    });
  }
  return stop.signal;
}

/** What to say on standard error about an error, and the exit code. */
function explainFailure(error: unknown): { code: number; text: string } {
  if (error instanceof CommanderError) return { code: error.exitCode === 0 ? EXIT.ok : EXIT.wrong, text: '' };
  if (error instanceof ConfigError) return { code: EXIT.wrong, text: mistakeLines(error) };
  if (error instanceof UnreadError) return { code: EXIT.wrong, text: error.problems.map(line).join('') };
  if (
    [
      StoreError,
      ListenError,
      TokensError,
      SettingsError,
      HubError,
      CheckError,
      SymbolFileError,
      InputError,
    ].some((kind) => error instanceof kind)
  ) {
    return { code: EXIT.wrong, text: line((error as Error).message) };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: EXIT.bug,
    text: `This is a bug in kmod-gate; please report it with these lines:\n${stack}\n`,
  };
}

async function main(): Promise<number> {
  let code: number = EXIT.ok;
  try {
    const setExit = (value: number) => {
      code = value;
    };
    await program(setExit).parseAsync();
    return code;
  } catch (error) {
    const failure = explainFailure(error);
    writeError(failure.text);
    return failure.code;
  }
}

// What could not be written was not said; with nowhere to complain, the exit code tells. A long run goes on all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main();
// An explicit exit: a socket that is still being connected would keep the process alive.
process.stdout.write('', () => {
  const unwritten = process.stdout.errored as NodeJS.ErrnoException | null;
  // A reader that has seen enough, and closed its pipe, is no trouble.
  if (unwritten && unwritten.code !== 'EPIPE') {
    process.exitCode = EXIT.wrong;
    writeError(line(`standard output cannot be written: ${unwritten.message}`));
  }
  process.exit();
});
