/** Where in a file something is wrong: a line of text counts from 1, a byte's offset from 0. */
export type Place = { readonly line: number } | { readonly offset: number };

/**
 * A file that is not what it should be: damaged, cut short, or of another kind. The only error that reading
 * symbols throws.
 */
export class SymbolFileError extends Error {
  override readonly name = 'SymbolFileError';
  readonly file: string;
  readonly place: Place;
  readonly problem: string;
  /** What to do about it. */
  readonly mend: string;

  constructor(file: string, place: Place, problem: string, mend: string) {
    const where = 'line' in place ? `${place.line}` : `byte ${place.offset}`;
    super(`${file}:${where}: ${problem}; ${mend}`);
    this.file = file;
    this.place = place;
    this.problem = problem;
    this.mend = mend;
  }
}
