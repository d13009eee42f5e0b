/** The command line of setting up and of trying out: `rehearse`, `demo`, `config`, `token`. */
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { Shell } from './completion.ts';
import type { Shared } from './symbolcommands.ts';
import { writeError } from './text.ts';

export function addSetupCommands(
  kmodGate: Command,
  { output, config, loadConfig, sayNo, setExit, stopSignal }: Shared,
): void {
  kmodGate
    .command('rehearse')
    .description('play a gate on a Koji in memory, a day in seconds: what would it do? asks no hub')
    .requiredOption('--scenario <file>', 'what that Koji holds, and what happens (docs/rehearse.md)')
    .addOption(config)
    .option('--json', 'print the result as JSON, in the last line')
    .action(async (options: { config: string; scenario: string; json?: true }) => {
      const { rehearse } = await import('./rehearse.ts');
      await rehearse(await loadConfig(options.config), options.scenario, output, {
        json: options.json === true,
      });
    });
  const folder = new Option(
    '--folder <folder>',
    "where the store and the configuration of a demo that is served are (default: in the user's cache)",
  );
  const demo = kmodGate
    .command('demo')
    .description('play four kernels on a Koji in memory')
    .option('--json', 'print the result as JSON, in the last line')
    .option('--serve', 'keep serving, dashboard included, until stopped; other commands work beside it')
    .addOption(folder)
    .addOption(
      new Option(
        '--port <port>',
        'of the dashboard that is served; the Koji in memory takes the next one; 0: any free ones',
      ).argParser(toPort),
    )
    .action(async ({ json, serve, ...where }: DemoArguments) => {
      const { demo } = await import('./demo.ts');
      const asExpected = await demo(output, {
        ...{ json: json === true, serve: serve === true, stop: stopSignal() },
        ...where,
      });
      if (!asExpected) sayNo();
    });
  demo
    .command('kernel')
    .description('bring the next kernel, in a demo that is served')
    .addOption(folder)
    .action(async (_: unknown, command: Command) => {
      const { demoKernel } = await import('./demofolder.ts');
      await demoKernel(output, command.optsWithGlobals<{ folder?: string }>().folder);
    });
  kmodGate
    .command('config')
    .description('the configuration file')
    .command('check')
    .argument('[file]', 'the same as -c')
    .addOption(config)
    .description('validate a file and print what was understood')
    .action(async (file: string | undefined, options: { config: string }) => {
      const { configCheck, fileMeant } = await import('./config.ts');
      setExit(await configCheck(fileMeant(file, options.config), output.write));
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
      const { addToken } = await import('./token.ts');
      const file = options.file ?? (await loadConfig(options.config)).http?.tokens;
      addToken(output, writeError, file, { name, right: options.read ? 'read' : 'write' });
    });
  kmodGate
    .command('store')
    .description('what a gate knows')
    .command('copy')
    .argument('<from>', '"sqlite:PATH" or "postgres://USER@HOST/DATABASE", which no gate uses')
    .argument('<to>', 'the same, which holds nothing yet')
    .option('--password-file <file>', 'with the password for PostgreSQL')
    .description('move a store into another database (docs/store.md)')
    .action(async (from: string, to: string, { passwordFile }: { passwordFile?: string }) => {
      const { storeCopy } = await import('./storecopy.ts');
      await storeCopy(from, to, output, passwordFile);
    });
  kmodGate
    .command('completion')
    .addArgument(new Argument('<shell>', 'whose script').choices(SHELLS))
    .description('print the script with which a shell completes this command line')
    .action(async (shell: Shell) => {
      const { completion } = await import('./completion.ts');
      output.write(completion(shell, kmodGate));
    });
  kmodGate
    .command('man')
    .description('print the manual page, for man -l or a folder of man1')
    .action(async () => {
      const { manual } = await import('./manual.ts');
      output.write(manual(kmodGate, kmodGate.version() ?? ''));
    });
}

const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

interface DemoArguments {
  readonly json?: true;
  readonly serve?: true;
  readonly folder?: string;
  readonly port?: number;
}

function toPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_535) return Number(text);
  throw new InvalidArgumentError('It must be a whole number, from 0 to 65534.');
}
