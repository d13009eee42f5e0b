/** The command line of what persons say: `waive`, `waivers`, `unwaive` and the orders about a run. */
import { type Command, Option } from 'commander';
import type { OrderOptions, WaiveOptions } from './people.ts';
import { addServer, type Place, recordsAt, speakerAt } from './place.ts';
import type { Shared } from './symbolcommands.ts';

export function addPeopleCommands(kmodGate: Command, { output, config, json, loadConfig }: Shared): void {
  const by = new Option('--by <who>', 'who says so (default: the user of this process)');
  const gate = new Option('--gate <name>', 'at this gate (default: at any)');
  addServer(kmodGate.command('waive'))
    .description(
      'let kernels through although a kmod is broken or inconclusive; also those that are blocked already',
    )
    .requiredOption('--kernel <nvr|glob|next>', 'which kernels; next: the one that comes next')
    .requiredOption('--kmod <name|glob>', 'which kmods, or "stablelist"')
    .option('--all-kmods', 'a pattern that all kmods fit is really meant')
    .requiredOption('--reason <text>', 'why')
    .option(
      '--until <date>',
      'when it ends by itself: a date (UTC), or a duration such as 7d; see longest_waiver in [gate.policy]',
    )
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
      const { listWaivers } = await import('./people.ts');
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
}
