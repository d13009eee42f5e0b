/** Where in a file something is wrong: lines count from 1, bytes from 0. Null: in the file as a whole. */
export type Place = { readonly line: number } | { readonly offset: number } | null;

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
    const where = place === null ? '' : 'line' in place ? `line ${place.line}: ` : `byte ${place.offset}: `;
    super(`${file}: ${where}${problem}; ${mend}`);
    this.file = file;
    this.place = place;
    this.problem = problem;
    this.mend = mend;
  }
}
