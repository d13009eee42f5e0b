import { ConfigError, describeConfig, loadConfig, prepareConfig } from '../config/config.ts';
import { findConfig } from '../config/find.ts';
import { visibleLines } from '../report/visible.ts';
import { CheckError } from './error.ts';
import { line, mistakeLines } from './text.ts';

/** The file that an argument and `-c` name between them; empty: neither does. Throws CheckError where they differ. */
export function fileMeant(argument: string | undefined, option: string): string {
  if (argument !== undefined && option !== '' && argument !== option)
    throw new CheckError(`which one: ${argument}, or -c ${option}? Name one of them`);
  return argument ?? option;
}

/**
 * `kmod-gate config check [FILE]`: say what was understood, or every mistake, one a line, and in the last line whether it is
 * fine. Throws ConfigError where nothing is named and there is none.
 * @param said which file; empty: whichever is found
 * @param out gets whole lines, line ends included
 * @returns the exit code: 0, or 2 for a file that cannot be used
 */
export async function configCheck(said: string, out: (text: string) => void): Promise<number> {
  const file = findConfig(said);
  try {
    await prepareConfig(file);
    out(visibleLines(`${describeConfig(loadConfig(file))}\n`) + line(`${file}: fine`));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { length } = error.mistakes;
    out(mistakeLines(error) + line(`${file}: ${length} ${length === 1 ? 'mistake' : 'mistakes'}`));
    return 2;
  }
}
