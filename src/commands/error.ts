/** What was named on the command line cannot be used; the message says what, why, and what to do. */
export class CheckError extends Error {
  override readonly name: string = 'CheckError';
}

/** Files that could not be read, beside which all else was done: the others' answers stand. */
export class UnreadError extends CheckError {
  override readonly name = 'UnreadError';
  /** What to say of each. */
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}
