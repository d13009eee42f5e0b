/** A configuration that cannot be used. */

/** One thing that is wrong in a file. */
export interface Mistake {
  /** The key, such as `gate[0].build.repo`; empty where the whole file is meant. */
  readonly path: string;
  /** Line of the key, or of the table that should hold it; from 1. None where the file has neither. */
  readonly line?: number;
  readonly message: string;
}

/** A configuration that cannot be used. It holds every mistake that was found, in the order of their lines. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly mistakes: readonly Mistake[];

  constructor(file: string, mistakes: readonly Mistake[], options?: ErrorOptions) {
    super(mistakes.map((mistake) => formatMistake(file, mistake)).join('\n'), options);
    this.file = file;
    this.mistakes = mistakes;
  }
}

/** One line for each mistake: `FILE:LINE: path: message`, without a line end after the last. */
export function formatMistakes(error: Pick<ConfigError, 'file' | 'mistakes'>): string {
  return error.mistakes.map((mistake) => formatMistake(error.file, mistake)).join('\n');
}

function formatMistake(file: string, { path, line, message }: Mistake): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`;
}
