/** The command line of what compares symbols: `check`, `diff`, `why` and `stablelist`. What they need is only loaded when chosen. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/config.ts';
import { ENDINGS, FORMATS, type Format, formatOfFile } from './formats.ts';
import type { Output } from './text.ts';

/** What all commands share. */
export interface Shared {
  readonly output: Output;
  /** The options `--config` and `--json`. */
  readonly config: Option;
  readonly json: Option;
  readonly loadConfig: (file: string) => Promise<Config>;
  /** The answer is no. */
  readonly sayNo: () => void;
  readonly setExit: (code: number) => void;
  readonly stopSignal: () => AbortSignal;
}

export function addSymbolCommands(
  kmodGate: Command,
  { output, config, json, loadConfig, sayNo }: Shared,
): void {
  const release = new Option(
    '--release <release>',
    'whose stablelist counts, such as 9.4, where a package has several',
  );
  const arch = new Option('--arch <arch>', 'of builds on the hub, and of folders with several');
  const variant = new Option(
    '--variant <variant>',
    'of builds on the hub, and of folders with several, such as rt or 64k',
  );
  const severities = new Option(
    '--severities <file>',
    "which symbols may change all the same: SUSE's kabi/severities",
  );
  const kmodsTag = new Option('--kmods-tag <tag>', 'all kmods in this tag of the hub, inherited ones too');
  const format = new Option('--format <format>', 'what to print').choices(FORMATS).conflicts('json');
  const outputs = new Option(
    '--output <file>',
    'write a file beside, in the format of its ending (.md, .xml is JUnit, .sarif, .json, .txt); again for more',
  ).argParser(toOutputs);
  /** The configuration is only read when a build or a tag of the hub is named. */
  const common = (options: ReadArguments) => ({
    json: options.json === true,
    config: () => loadConfig(options.config),
  });
  const check = kmodGate
    .command('check')
    .argument(
      '[kmod...]',
      'rpms, modules (.ko), lists of modversions, folders with them, or builds on the hub',
    )
    .requiredOption(
      '--kernel <file...>',
      'Module.symvers, rpms that form one kernel, a folder with them, /lib/modules/VERSION, or a build on the hub',
    )
    .option('--baseline <file...>', 'an older kernel, to tell what changed')
    .option(
      '--stablelist <file>',
      'symbols that must not change since the baseline, or that have the CRCs of the list',
    )
    .addOption(release)
    .addOption(severities)
    .description(
      'do kmods load into a kernel? by their symbols; files need no Koji, builds are named by NVR or id',
    )
    .action(async (kmods: string[], options: CheckArguments) => {
      const { check } = await import('./check.ts');
      if (!(await check(output, { ...options, kmods, ...shown(options), ...common(options) }))) sayNo();
    });
  const diff = kmodGate
    .command('diff')
    .argument('<older>', 'a Module.symvers, an rpm, a folder with them, or a build on the hub')
    .argument('<newer>', 'the same')
    .option('--stablelist <file>', 'symbols that must not change')
    .addOption(release)
    .addOption(severities)
    .description('what changed between the symbols of two kernels')
    .action(async (older: string, newer: string, options: DiffArguments) => {
      const { diff } = await import('./check.ts');
      if (!(await diff(output, [older, newer], { ...options, ...common(options) }))) sayNo();
    });
  const why = kmodGate
    .command('why')
    .argument('[kmod...]', 'rpms, modules (.ko), lists of modversions, folders of them, or builds on the hub')
    .requiredOption(
      '--baseline <file...>',
      'the older kernel: its vmlinuz or rpms, with a Module.symvers or without, or a build on the hub',
    )
    .requiredOption('--kernel <file...>', 'the newer kernel, in the same way')
    .option('--symbol <name>', 'show how one exported symbol reaches what changed')
    .option('--log <file...>', 'build.log of a kmod that failed: what its errors name, as it was and is')
    .description(
      'which changes in the source of a kernel broke kmods? from the types that kernels carry (BTF)',
    )
    .action(async (kmods: string[], { log: logs = [], ...options }: WhyArguments) => {
      const { why } = await import('./why.ts');
      if (!(await why(output, { ...options, logs, kmods, ...shown(options), ...common(options) }))) sayNo();
    });
  const suggest = kmodGate
    .command('stablelist')
    .description('lists of symbols that a kernel promises to keep')
    .command('suggest')
    .argument('[kmod...]', 'as check takes them')
    .option('--stablelist <file>', 'the list that there is: what it has is not suggested')
    .addOption(release)
    .option('--kernel <file...>', 'a kernel, as check takes it: only what it exports is suggested')
    .addOption(
      new Option('--format <format>', 'what to print; list: lines for a stablelist')
        .choices(['text', 'json', 'list'])
        .conflicts('json'),
    )
    .description('which symbols do kmods need that a stablelist lacks? what most need comes first')
    .action(async (kmods: string[], options: SuggestArguments) => {
      const { suggest } = await import('./suggest.ts');
      const { format = options.json ? 'json' : 'text' } = options;
      await suggest(output, { ...options, kmods, ...common(options), format });
    });
  for (const command of [check, why, suggest]) command.addOption(kmodsTag);
  for (const command of [check, diff, why, suggest])
    for (const option of [arch, variant, config, json]) command.addOption(option);
  for (const command of [check, why]) command.addOption(format).addOption(outputs);
}

/** What commands take that read files, or builds on the hub. */
interface ReadArguments {
  readonly config: string;
  readonly arch?: string;
  readonly variant?: string;
  readonly json?: true;
}
interface ShowArguments {
  readonly format?: Format;
  readonly output?: string[];
}
interface WhyArguments extends ReadArguments, ShowArguments {
  readonly baseline: string[];
  readonly kernel: string[];
  readonly kmodsTag?: string;
  readonly symbol?: string;
  readonly log?: string[];
}
interface DiffArguments extends ReadArguments {
  readonly stablelist?: string;
  readonly severities?: string;
  readonly release?: string;
}
interface CheckArguments extends DiffArguments, ShowArguments {
  readonly kernel: string[];
  readonly baseline?: string[];
  readonly kmodsTag?: string;
}
interface SuggestArguments extends ReadArguments {
  readonly stablelist?: string;
  readonly release?: string;
  readonly kernel?: string[];
  readonly kmodsTag?: string;
  readonly format?: 'text' | 'json' | 'list';
}
const shown = ({ format, output }: ShowArguments) => ({
  ...(format && { format }),
  ...(output && { outputs: output }),
});

function toOutputs(file: string, before: readonly string[] = []): string[] {
  if (formatOfFile(file)) return [...before, file];
  throw new InvalidArgumentError(`It must end with one of ${Object.values(ENDINGS).join(', ')}.`);
}
