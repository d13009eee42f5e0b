import { ConfigError, describeConfig, formatMistakes, loadConfig } from '../config/config.ts';

/**
 * `kmod-gate config check FILE`: say what was understood, or every mistake, one a line, and their number.
 * `out` gets whole lines, line ends included. Answers the exit code: 0, or 2 for a file that cannot be used.
 */
export function configCheck(file: string, out: (text: string) => void): number {
  try {
    out(`${describeConfig(loadConfig(file))}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const count = error.mistakes.length;
    out(`${formatMistakes(error)}\n${file}: ${count} ${count === 1 ? 'mistake' : 'mistakes'}\n`);
    return 2;
  }
}
