/** `kmod-gate token new`: let somebody speak by the API. */
import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { TokensError } from '../http/error.ts';
import { isName, lineFor, newToken, openTokens, type Person } from '../http/tokens.ts';
import { CheckError } from './error.ts';
import { line, type Output } from './text.ts';

/** What a file of tokens begins with. */
const HEAD = `# Who may speak by the API of kmod-gate: "sha256:HASH NAME", and "read" behind for who may only look.
# "kmod-gate token new NAME" adds a line; take one out, and its token is worth nothing. A running gate sees both at once.
`;

/**
 * Make a token, print it, and add its hash to the file.
 * @param file undefined: the configuration names none
 * @param tell hears what is no part of the token, which is all that is printed
 * @throws CheckError for a name that cannot be one, TokensError for a file that cannot be used
 */
export function addToken(
  output: Output,
  tell: (text: string) => void,
  file: string | undefined,
  person: Person,
): void {
  const { name, right } = person;
  if (file === undefined)
    throw new CheckError(
      'the configuration names no file of tokens: set tokens in [http], or say --file FILE',
    );
  if (!isName(name))
    throw new CheckError(
      `${name}: a name is letters, digits and ._@+-, and begins with a letter or digit, such as "ada"`,
    );
  const isNew = !existsSync(file);
  const known = isNew ? [] : openTokens(file);
  const token = newToken();
  const others = known.filter((entry) => entry.person.name === name).length;
  try {
    // Made for its owner alone before anything is in it.
    if (isNew) closeSync(openSync(file, 'wx', 0o600));
    const before = isNew ? HEAD : /[^\n]$/.test(readFileSync(file, 'utf8')) ? '\n' : '';
    appendFileSync(file, `${before}${lineFor(token, person)}`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TokensError(`${file}: cannot be written: ${why}`, { cause });
  }
  output.write(`${token}\n`);
  const what = right === 'read' ? 'read' : 'read and write';
  tell(line(`${name} may ${what} by this token, which is shown this once; its hash is in ${file}.`));
  if (others > 0)
    tell(line(`${name} has ${others} more: take the lines out of the file that are needed no longer.`));
}
