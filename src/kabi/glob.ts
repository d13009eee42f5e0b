/** Shell patterns of names. */

/**
 * Whether a whole name fits a shell pattern: `*` is any run of characters, `?` any one, all else itself.
 *
 * Goes back to the last `*` alone: what an earlier one could take more of, the last one can too. So the time is the product of
 * both lengths at most, where a regular expression takes for ever on a pattern of many stars.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      taken = i;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++taken;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
