/** What a shell is told to complete the command line: made from the commands themselves. */
import type { Argument, Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A command as completion and manual page need it. */
export interface Told {
  /** Its words after the program's name; none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly commands: readonly Told[];
  readonly arguments: readonly Argument[];
  readonly options: readonly Option[];
}

/** All commands, with the options that help and the version are. */
export function tell(command: Command, path: readonly string[] = []): Told {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    commands: help
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .map((one) => tell(one, [...path, one.name()])),
    arguments: command.registeredArguments,
    options: help.visibleOptions(command),
  };
}

/** A command and all below it. */
export const flat = (told: Told): Told[] => [told, ...told.commands.flatMap(flat)];

/** The script for a shell. */
export function completion(shell: Shell, program: Command): string {
  const all = flat(tell(program));
  const name = program.name();
  return { bash, zsh, fish }[shell](name, all);
}

const flagsOf = ({ short, long }: Option): string[] => [short, long].filter((flag) => flag !== undefined);
const takesValue = ({ required, optional }: Option): boolean => required || optional;
/** What a value is: one of some, or a file or a folder; else nobody can tell. */
const isFile = (text: string): boolean => /file|folder|baseline|kernel <file/.test(text);
const valuesOf = ({ argChoices, flags }: Option): string[] | 'file' | null =>
  argChoices ?? (isFile(flags) ? 'file' : null);

/** Within single quotes of a shell. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const firstSentence = (text: string): string => text.replace(/[;:?.](?:\s.*)?$/s, '');

function bash(name: string, all: readonly Told[]): string {
  const cases = all.map(({ path, commands, options, arguments: args }) => {
    const words = [...commands.map((one) => one.path.at(-1) ?? ''), ...options.flatMap(flagsOf)];
    const files = args.some((arg) => ['kmod', 'older', 'newer', 'file'].includes(arg.name()));
    return `    ${quote(path.join(' '))}) words=${quote(words.join(' '))} files=${files ? 1 : 0} ;;`;
  });
  const values = all.flatMap(({ path, options }) =>
    options.filter(takesValue).flatMap((option) => {
      const value = valuesOf(option);
      const does = Array.isArray(value) ? `words choices=${quote(value.join(' '))}` : (value ?? 'none');
      const after = flagsOf(option).map((flag) => quote([...path, flag].join(' ')));
      return `    ${after.join('|')}) value=${does} ;;`;
    }),
  );
  const paths = all.slice(1).map(({ path }) => quote(path.join(' ')));
  const fn = `_${name.replaceAll('-', '_')}`;
  return `# bash completion of ${name}: put it into /usr/share/bash-completion/completions/${name}, or: source <(${name} completion bash)
${fn}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path='' i words='' files=0 value='' choices=''
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${path:+$path }\${COMP_WORDS[i]}" in
      ${paths.join('|')}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "\${path:+$path }$prev" in
${values.join('\n')}
  esac
  case "$value" in
    file) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; return ;;
    words) COMPREPLY=($(compgen -W "$choices" -- "$cur")); return ;;
    none) return ;;
  esac
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $files = 1 && $cur != -* ]]; then
    COMPREPLY+=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null
  fi
}
complete -F ${fn} ${name}
`;
}

function zsh(name: string, all: readonly Told[]): string {
  const fn = `_${name.replaceAll('-', '_')}`;
  /** Within the brackets of _arguments. */
  const told = (text: string) => firstSentence(text).replace(/[[\]:\\]/g, (sign) => `\\${sign}`);
  const spec = (option: Option) => {
    const flags = flagsOf(option);
    const value = valuesOf(option);
    const action = value === 'file' ? '_files' : value === null ? ' ' : `(${value.join(' ')})`;
    const rest = `[${told(option.description)}]${takesValue(option) ? `:value:${action}` : ''}`;
    return flags.map((flag) => quote(`*${flag}${rest}`));
  };
  const functions = all.map(({ path, commands, options, arguments: args }) => {
    const own = [fn, ...path.map((word) => word.replaceAll('-', '_'))].join('_');
    const specs = options.flatMap(spec);
    if (commands.length === 0) {
      const rest = args.length > 0 ? [quote('*:argument:_files')] : [];
      return `${own}() {\n  _arguments -s ${[...specs, ...rest].join(' \\\n    ')}\n}`;
    }
    const list = commands.map((one) =>
      quote(`${one.path.at(-1)}:${firstSentence(one.description).replaceAll(':', '\\:')}`),
    );
    const cases = commands.map(
      (one) =>
        `        ${one.path.at(-1)}) ${[fn, ...one.path.map((word) => word.replaceAll('-', '_'))].join('_')} ;;`,
    );
    return `${own}() {
  local state line
  local -a commands
  commands=(
    ${list.join('\n    ')}
  )
  _arguments -C -s ${[...specs, quote('1:command:->command'), quote('*::argument:->argument')].join(' \\\n    ')}
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}`;
  });
  return `#compdef ${name}
# zsh completion of ${name}: put it as _${name} into a folder of $fpath
${functions.join('\n\n')}

if [ "$funcstack[1]" = "_${name}" ]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`;
}

function fish(name: string, all: readonly Told[]): string {
  const lines = all.flatMap(({ path, commands, options }) => {
    const below = commands.map((one) => one.path.at(-1)).join(' ');
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const here = path.length === 0 ? '__fish_use_subcommand' : seen.join('; and ');
    const free =
      path.length > 0 && below !== '' ? `${here}; and not __fish_seen_subcommand_from ${below}` : here;
    return [
      ...commands.map(
        (one) =>
          `complete -c ${name} -n ${quote(free)} -f -a ${one.path.at(-1)} -d ${quote(firstSentence(one.description))}`,
      ),
      ...options.map((option) => {
        const value = valuesOf(option);
        const takes = !takesValue(option)
          ? ''
          : value === 'file'
            ? ' -r -F'
            : value === null
              ? ' -x'
              : ` -x -a ${quote(value.join(' '))}`;
        const short = option.short ? ` -s ${option.short.slice(1)}` : '';
        const long = option.long ? ` -l ${option.long.slice(2)}` : '';
        return `complete -c ${name} -n ${quote(free)}${short}${long}${takes} -d ${quote(firstSentence(option.description))}`;
      }),
    ];
  });
  return `# fish completion of ${name}: put it into ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`;
}
