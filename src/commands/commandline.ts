/**
 * The command line: what commands there are, and what each takes. What a command needs is only loaded when it is chosen: all
 * of it together takes longer than many a `check`.
 */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/config.ts';
import { CONFIG_PLACES, findConfig } from '../config/find.ts';
import type { Subject } from './bisect/plan.ts';
import type { LogFormat } from './log.ts';
import { addPeopleCommands } from './peoplecommands.ts';
import { addPastCommands, addReadCommands } from './readcommands.ts';
import { addSetupCommands } from './setupcommands.ts';
import { addSymbolCommands, type Shared } from './symbolcommands.ts';
import { standardOutput, writeError } from './text.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

export interface CommandLine {
  readonly setExit: (code: number) => void;
  /** Fires when the process is asked to end. */
  readonly stopSignal: () => AbortSignal;
}

/** All commands, ready to parse. */
export function commandLine({ setExit, stopSignal }: CommandLine): Command {
  const output = standardOutput();
  const config = new Option('-c, --config <file>', 'configuration file').default('', CONFIG_PLACES);
  const json = new Option('--json', 'print JSON');
  const kmodGate = new Command('kmod-gate')
    .description('Tries third-party kernel modules against a kernel build in Koji before it is released.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: output.write, writeErr: writeError })
    .showHelpAfterError('(kmod-gate help shows what there is)');

  /** The answer is no. */
  const sayNo = () => setExit(1);
  const shared: Shared = { output, config, json, loadConfig, sayNo, setExit, stopSignal };
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
      const { run, runOnce } = await import('./run.ts');
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
  addReadCommands(kmodGate, shared);
  addPeopleCommands(kmodGate, shared);
  addPastCommands(kmodGate, shared);
  kmodGate
    .command('doctor')
    .description('check hub, bus and store against the configuration; changes nothing')
    .addOption(config)
    .addOption(json)
    .addOption(
      new Option('--listen <seconds>', 'hear what the bus brings meanwhile').default(0).argParser(toSeconds),
    )
    .action(async (options: { config: string; json?: true; listen: number }) => {
      const { doctor } = await import('./doctor.ts');
      const { config, json = false, listen } = options;
      const healthy = await doctor(await loadConfig(config), output, { json, listen: 1_000 * listen });
      if (!healthy) sayNo();
    });
  addSymbolCommands(kmodGate, shared);
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
      const { bisect } = await import('./bisect.ts');
      const isJson = json === true;
      const found = await bisect(await loadConfig(config), output, {
        ...{ ...subject, json: isJson, dryRun: dryRun === true, stop: stopSignal() },
        progress: isJson ? standardOutput(process.stderr) : output,
        live: (isJson ? process.stderr : process.stdout).isTTY === true,
      });
      if (!found) sayNo();
    });
  addSetupCommands(kmodGate, shared);
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

/** @param said by `-c`; empty: nothing */
async function loadConfig(said: string): Promise<Config> {
  const file = findConfig(said);
  const config = await import('../config/config.ts');
  await config.prepareConfig(file);
  return config.loadConfig(file);
}

function toSeconds(text: string): number {
  if (!/^\d{1,4}$/.test(text))
    throw new InvalidArgumentError('It must be a whole number of seconds, up to 9999.');
  return Number(text);
}

function toUrl(text: string): string {
  if (!URL.canParse(text)) throw new InvalidArgumentError('It must be the URL that the store is bound to.');
  return text;
}
