import { ConfigError, describeConfig, loadConfig } from '../config/config.ts';
import { visibleLines } from '../report/visible.ts';
import { line, mistakeLines } from './text.ts';

/**
 * `kmod-gate config check FILE`: say what was understood, or every mistake, one a line, and their number.
 * `out` gets whole lines, line ends included. Answers the exit code: 0, or 2 for a file that cannot be used.
 */
export function configCheck(file: string, out: (text: string) => void): number {
  try {
    out(visibleLines(`${describeConfig(loadConfig(file))}\n`));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { length } = error.mistakes;
    out(mistakeLines(error) + line(`${file}: ${length} ${length === 1 ? 'mistake' : 'mistakes'}`));
    return 2;
  }
}
