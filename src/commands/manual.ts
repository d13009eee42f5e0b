/** The manual page, in man(7): made from the commands themselves. */
import type { Command, Option } from 'commander';
import { CONFIG_HERE, CONFIG_OF_MACHINE, CONFIG_VARIABLE } from '../config/find.ts';
import { flat, type Told, tell } from './completion.ts';

/** Text in which roff finds no order; dashes stay dashes. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

/** A sentence of its own. */
const sentence = (text: string): string => {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!)]$/.test(whole) ? whole : `${whole}.`;
};

/** The page. */
export function manual(program: Command, version: string): string {
  const name = program.name();
  const all = flat(tell(program));
  const [top, ...commands] = all;
  return `${[
    `.TH ${name.toUpperCase()} 1 "" "${name} ${version}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- tries third\\-party kernel modules against a kernel build in Koji before it is released`,
    '.SH SYNOPSIS',
    `.B ${roff(name)}`,
    '.I command',
    '[\\fIoptions\\fR]',
    '.SH DESCRIPTION',
    roff(sentence(top?.description ?? '')),
    '.SH OPTIONS',
    ...(top?.options ?? []).flatMap(optionLines),
    '.SH COMMANDS',
    ...commands.flatMap((command) => commandLines(name, command)),
    '.SH "EXIT STATUS"',
    ...[
      ['0', 'fine'],
      ['1', 'the answer is no'],
      ['2', 'the input or the set-up is wrong'],
      ['70', 'a bug'],
    ].flatMap(([code = '', what = '']) => ['.TP', `.B ${code}`, roff(sentence(what))]),
    '.SH ENVIRONMENT',
    '.TP',
    `.B ${roff(CONFIG_VARIABLE)}`,
    'The configuration file, where no option names one.',
    '.TP',
    '.B KMOD_GATE_TOKEN',
    roff('The token for --server.'),
    '.TP',
    '.B KOJI_PROFILE',
    'The Koji profile, in place of the one that the configuration names.',
    '.TP',
    '.B NO_COLOR',
    'No colours.',
    '.SH FILES',
    '.TP',
    `.I ${roff(`./${CONFIG_HERE}`)}`,
    '.TQ',
    `.I ${roff(CONFIG_OF_MACHINE)}`,
    'The configuration; the first that is there counts.',
    '.SH "SEE ALSO"',
    '.BR koji (1)',
  ].join('\n')}\n`;
}

function commandLines(
  name: string,
  { path, description, arguments: args, options, commands }: Told,
): string[] {
  const takes = args.map((arg) => {
    const many = `${arg.name()}${arg.variadic ? '...' : ''}`;
    return arg.required ? `<${many}>` : `[${many}]`;
  });
  const usage = [...path, ...(commands.length > 0 && args.length === 0 ? ['[command]'] : []), ...takes].join(
    ' ',
  );
  const told = args.filter((arg) => arg.description !== '');
  return [
    `.SS "${roff(`${name} ${usage}`).replaceAll('"', '""')}"`,
    roff(sentence(description)),
    ...told.flatMap((arg) => ['.TP', `.I ${roff(arg.name())}`, roff(sentence(arg.description))]),
    ...options.flatMap(optionLines),
  ];
}

function optionLines({
  flags,
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): string[] {
  const [names = '', value = ''] = /^([^<[]*?)\s*((?:[<[].*)?)$/.exec(flags)?.slice(1) ?? [];
  const standard = defaultValueDescription ?? (defaultValue === undefined ? undefined : String(defaultValue));
  const more = [
    ...(argChoices ? [`One of ${argChoices.join(', ')}.`] : []),
    ...(standard === undefined || standard === '' ? [] : [`Default: ${standard}.`]),
  ];
  return [
    '.TP',
    `\\fB${roff(names)}\\fR${value === '' ? '' : ` \\fI${roff(value)}\\fR`}`,
    roff([sentence(description), ...more].join(' ')),
  ];
}
