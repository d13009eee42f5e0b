/** The command line of setting up and of trying out: `rehearse`, `demo`, `config`, `token`. */
import type { Command } from 'commander';
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
  kmodGate
    .command('demo')
    .description('play four kernels on a Koji in memory')
    .option('--json', 'print the result as JSON, in the last line')
    .option('--serve', 'keep serving, dashboard included, until stopped')
    .action(async (options: { json?: true; serve?: true }) => {
      const { demo } = await import('./demo.ts');
      const asExpected = await demo(output, {
        json: options.json === true,
        serve: options.serve === true,
        stop: stopSignal(),
      });
      if (!asExpected) sayNo();
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
}
