/** A notice as text, Markdown and what else webhooks take. Texts from outside are inert in each of them. */
import { code, fenced, inline } from '../report/markup.ts';
import { visible } from '../report/visible.ts';
import type { Notice, NoticeKmod } from './notice.ts';

/** Plain text, for mails and terminals; each line ends with `\n`. What is from outside never begins a line by itself. */
export function plainText(notice: Notice): string {
  const { title, reasons, kmods, more, steps, who, otherwise, url } = notice;
  const parts: string[][] = [[title]];
  for (const kmod of kmods) parts.push(kmodLines(kmod));
  if (more > 0) parts.push([`and ${more} more kmods; the page has them all`]);
  if (reasons.length > 0)
    parts.push([kmods.length > 0 ? 'Besides' : 'Why', ...reasons.map((one) => `  - ${one}`)]);
  if (who !== undefined || steps.length > 0)
    parts.push([
      `What to do${who === undefined ? '' : ` (${who})`}`,
      ...steps.flatMap(({ does, command }) => [
        `  - ${does}`,
        ...(command === null ? [] : [`      ${command}`]),
      ]),
      ...(otherwise === undefined ? [] : [`  If nobody acts, it is ${otherwise}.`]),
    ]);
  if (url !== undefined) parts.push([url]);
  return parts.map((lines) => lines.map((line) => `${visible(line)}\n`).join('')).join('\n');
}

function kmodLines({ nvr, outcome, cause, source, task, errors, reproduce }: NoticeKmod): string[] {
  return [
    `${nvr}: ${outcome}`,
    ...(cause === '' ? [] : [`  ${cause}`]),
    ...(source === undefined ? [] : [`  what changed in the kernel: ${source}`]),
    ...errors.map((error) => `  ${error}`),
    ...(task === undefined ? [] : [`  ${task}`]),
    ...(reproduce.length === 0 ? [] : ['  To see it yourself:', ...reproduce.map((line) => `    ${line}`)]),
  ];
}

/** Markdown of GitLab, GitHub and Mattermost: what is from outside is code, so it links, mentions and closes nothing. */
export function markdownText(notice: Notice): string {
  const { title, reasons, kmods, more, steps, who, otherwise, url } = notice;
  const parts = [`**${inline(visible(title))}**`];
  for (const kmod of kmods) parts.push(...kmodParts(kmod));
  if (more > 0) parts.push(`and ${more} more kmods`);
  if (reasons.length > 0) parts.push(reasons.map((reason) => `- ${inline(visible(reason))}`).join('\n'));
  if (who !== undefined || steps.length > 0) {
    const whose = who === undefined ? '' : ` (${inline(visible(who))})`;
    const list = steps.map(({ does, command }) => {
      const typed = command === null ? '' : `: ${code(command)}`;
      return `- ${inline(visible(does))}${typed}`;
    });
    if (otherwise !== undefined) list.push(`- if nobody acts, it is ${inline(visible(otherwise))}`);
    parts.push([`What to do${whose}:`, '', ...list].join('\n'));
  }
  const page = linkOf(url);
  if (page !== undefined) parts.push(`<${page}>`);
  return `${parts.join('\n\n')}\n`;
}

function kmodParts({ nvr, outcome, cause, source, task, errors, reproduce }: NoticeKmod): string[] {
  const page = linkOf(task);
  const shown = task === undefined ? [] : [page === undefined ? code(task) : `<${page}>`];
  const changed = source === undefined ? [] : [`what changed in the kernel: ${code(source)}`];
  const about = [inline(visible(cause)), ...changed, ...shown].filter((text) => text !== '');
  return [
    `${code(nvr)}: **${outcome}**${about.length > 0 ? `, ${about.join('; ')}` : ''}`,
    ...(errors.length > 0 ? [fenced(errors.map(visible).join('\n'))] : []),
    ...(reproduce.length > 0 ? [`To see it yourself:\n\n${fenced(reproduce.map(visible).join('\n'))}`] : []),
  ];
}

/** A URL that is one, and that nothing can end or break out of; undefined for any other text. */
function linkOf(text: string | undefined): string | undefined {
  if (text === undefined || !/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).href.replace(/[<>()[\]\\'"`*_]/g, (it) => `%${it.charCodeAt(0).toString(16)}`);
}

/** What Slack takes for text: without these three nothing links or mentions. */
export const slackText = (notice: Notice): string => entities(plainText(notice));

const entities = (text: string): string =>
  text.replace(/[&<>]/g, (it) => (it === '&' ? '&amp;' : it === '<' ? '&lt;' : '&gt;'));

/** HTML as Matrix takes it: text and nothing else. */
export const htmlText = (notice: Notice): string =>
  `<pre><code>${entities(plainText(notice)).replace(/["']/g, (it) => `&#${it.charCodeAt(0)};`)}</code></pre>`;

/** Jira's wiki markup: a block in which nothing is markup, and which nothing in it ends. */
export const jiraText = (notice: Notice): string =>
  `{noformat}\n${plainText(notice).replaceAll('{', '\uff5b')}{noformat}\n`;
