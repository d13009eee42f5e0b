/** What was named on the command line cannot be used; the message says what, why, and what to do. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
}
