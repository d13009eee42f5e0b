/** Text from outside within Markdown (CommonMark, as GitHub, GitLab and Mattermost have it): it is code, and obeyed by nobody. */
import { visible } from './visible.ts';

/**
 * A text from outside, in which nothing is markup, a mention or a reference: as code, with more backticks around it than it
 * has in a row (CommonMark: code spans).
 */
export function code(text: string): string {
  const shown = visible(text).replaceAll('\t', ' ').trim();
  if (shown === '') return '';
  const fence = '`'.repeat(longest(shown) + 1);
  const pad = /^`|`$/.test(shown) ? ' ' : '';
  return `${fence}${pad}${shown}${pad}${fence}`;
}

/** Lines as a block of code. */
export const fenced = (text: string): string => {
  const fence = '`'.repeat(Math.max(3, longest(text) + 1));
  return `${fence}\n${text}\n${fence}`;
};

const longest = (text: string): number =>
  Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));

/** Words of the program, with names from outside among them: where there is markup, all of it is code. */
export const inline = (text: string): string => (/^[\w .,()+-]*$/.test(text) ? text : code(text));
