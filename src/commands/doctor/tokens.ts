/** Whether the gate can let people in by their tokens. */
import type { HttpSettings } from '../../config/http.ts';
import { plural } from '../../core/wording.ts';
import { TokensError } from '../../http/error.ts';
import { openTokens } from '../../http/tokens.ts';
import { type Check, ok, wrong } from './check.ts';

/** One check for each mistake of the file; none where the configuration names no file. */
export function examineTokens(http: HttpSettings | undefined): Check[] {
  if (http?.tokens === undefined) return [];
  try {
    const entries = openTokens(http.tokens);
    const writers = new Set(entries.flatMap(({ person }) => (person.right === 'write' ? [person.name] : [])));
    return [ok('http', `${plural(writers.size, 'person')} may write by the API, with ${http.tokens}`)];
  } catch (error) {
    if (!(error instanceof TokensError)) throw error;
    const mend =
      'a gate does not start with it, and one that runs lets nobody in; docs/api.md tells what it may hold';
    return error.message.split('\n').map((mistake) => wrong('http', mistake, mend));
  }
}
