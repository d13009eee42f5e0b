/** A bisection as people and programs read it. */

import type { KernelBuild } from '../../core/model.ts';
import { plural } from '../../core/wording.ts';
import { formatCrc } from '../../kabi/crc.ts';
import type { Links } from '../../report/report.ts';
import { causesJson, causesText } from '../causes.ts';
import { changelogJson, changelogText } from '../changelog.ts';
import { line, type Output, paint, table } from '../text.ts';
import type { Plan } from './plan.ts';
import type { Step } from './step.ts';
import { knownOf, type Tried } from './trial.ts';

/** How it ended. `unsure`: the first bad kernel is one of several, since what lies between proves nothing. */
export type Answer =
  | { readonly how: 'planned' | 'stopped' }
  | {
      readonly how: 'found' | 'unsure';
      readonly good: KernelBuild;
      readonly suspects: readonly KernelBuild[];
    }
  | { readonly how: 'good-is-bad' | 'bad-is-good' | 'nothing-shown'; readonly kernel: KernelBuild };

/** All that there is to tell. */
export interface Story {
  readonly plan: Plan;
  /** How many scratch builds it takes at the most, as was said before. */
  readonly most: number;
  readonly answer: Answer;
  /** By kernel build. */
  readonly tried: ReadonlyMap<number, Tried>;
  /** Of `found`. */
  readonly step?: Step;
  /** Commands that take away what could not be. */
  readonly left: readonly string[];
}

/** In the colours of a gate's outcomes. */
const TONES: Readonly<Record<string, string>> = { good: 'ok', bad: 'broken', skipped: 'inconclusive' };

/** What is about to be done. */
export function planText({ plan, most }: Pick<Story, 'plan' | 'most'>, known: Story['tried']): string {
  const { kmod, arch, gate, row, leftOut, base } = plan;
  const [good, bad] = [row[0]?.nvr, row.at(-1)?.nvr];
  const spared = known.size > 0 ? `; ${plural(known.size, 'kernel')} of them tried already` : '';
  return [
    line(`${kmod.nvr} on ${arch}, gate ${gate.name}: from ${good} (good) to ${bad} (bad)`),
    line(`${plural(row.length, 'kernel')}, both ends included${spared}.`),
    line(`At most ${plural(most, 'scratch build')}, each in a side tag of ${base}, one after the other.`),
    ...leftOut.map(({ kernel, why }) => line(`Left out: ${kernel}: ${why}`)),
  ].join('');
}

/** What was found. */
export function storyText(output: Output, story: Story, links: Links): string {
  const { plan, tried, step, left } = story;
  const rows = plan.row.flatMap(({ id, nvr }) => {
    const one = tried.get(id);
    if (!one) return [];
    const task = one.tasks.at(-1);
    const shown = task === undefined ? '-' : (links.task(task) ?? String(task));
    return [[nvr, knownOf(one), shown, `${one.shows === 'builds' ? '' : one.cause}${sourceOf(one)}`]];
  });
  return [
    '\n',
    answerText(story),
    rows.length > 0
      ? `\n${table([['KERNEL', 'VERDICT', 'TASK', ''], ...rows], (padded, cell) => paint(output, TONES[cell] ?? '', padded))}`
      : '',
    step ? stepText(story, step) : '',
    ...left.map((command) => line(`Left on the hub; this takes it away: ${command}`)),
  ].join('');
}

const sourceOf = ({ by, shows }: Tried): string => {
  if (by === 'built') return '';
  const how = by === 'earlier' ? 'by an earlier bisection' : `by run ${by.run}`;
  return shows === 'builds' ? how : ` (${how})`;
};

function answerText({ answer, plan, tried }: Story): string {
  const { kmod, arch } = plan;
  switch (answer.how) {
    case 'planned':
      return '';
    case 'stopped':
      return 'Stopped. The same command goes on from what was built so far.\n';
    case 'found':
      return [
        line(`The first kernel that breaks ${kmod.nvr} on ${arch}: ${answer.suspects[0]?.nvr}`),
        line(`The last one before it that does not: ${answer.good.nvr}`),
      ].join('');
    case 'unsure':
      return [
        line(
          `Which kernel is the first that breaks ${kmod.nvr} on ${arch} cannot be told. It is one of these:`,
        ),
        ...answer.suspects.map(({ nvr }) => line(`  ${nvr}`)),
        line(`The last one before them that does not: ${answer.good.nvr}`),
      ].join('');
    case 'good-is-bad':
      return line(`--good ${answer.kernel.nvr} is bad: ${tried.get(answer.kernel.id)?.cause}`);
    case 'bad-is-good':
      return line(`--bad ${answer.kernel.nvr} is good: ${kmod.nvr} builds against it on ${arch}`);
    case 'nothing-shown':
      return line(`Of ${answer.kernel.nvr} nothing can be shown: ${tried.get(answer.kernel.id)?.cause}`);
  }
}

/** How many symbols are named; `--json` has all. */
const NAMED = 20;

function stepText({ plan, answer }: Story, { symbols, causes, changelog }: Step): string {
  if (answer.how !== 'found') return '';
  const head = line(`From ${answer.good.nvr} to ${answer.suspects[0]?.nvr}`);
  return `\n${head}${symbolsText(plan, symbols)}${causes === null ? '' : `\n${whyText(causes)}`}${changelogText(changelog)}`;
}

function symbolsText({ kmod }: Plan, symbols: Step['symbols']): string {
  if ('why' in symbols) return line(`Its symbols cannot be compared: ${symbols.why}`);
  const { total, added, removed, changed, needed } = symbols;
  const all = `Of ${total} symbols: ${added} added, ${removed} removed, ${changed} changed`;
  if (needed.length === 0) return line(`${all}; none that ${kmod.nvr} needs.`);
  const rows = needed
    .slice(0, NAMED)
    .map(({ symbol, before, after, provider }) => [
      symbol,
      `${formatCrc(before)} → ${after === null ? 'gone' : formatCrc(after)}`,
      provider,
    ]);
  const more = needed.length > NAMED ? `… and ${needed.length - NAMED} more; --json has them all\n` : '';
  return `${line(`${all}. ${kmod.nvr} needs ${needed.length} of them:`)}${table([['SYMBOL', 'CHANGE', 'IN'], ...rows])}${more}`;
}

function whyText(causes: NonNullable<Step['causes']>): string {
  if ('why' in causes) return line(`Why cannot be told: ${causes.why}`);
  const text = causesText(causes.found, [causes.hit]);
  return text === '' ? 'No declaration is found that changed and that it needs.\n' : text;
}

/** The same for programs. */
export function storyJson({ plan, most, answer, tried, step, left }: Story, links: Links) {
  const { gate, kmod, arch, row, leftOut } = plan;
  const found = 'suspects' in answer ? answer : undefined;
  return {
    gate: gate.name,
    kmod: kmod.nvr,
    arch,
    kernels: row.map(({ nvr }) => nvr),
    left_out: leftOut,
    most_builds: most,
    answer: answer.how,
    last_good: found?.good.nvr ?? null,
    first_bad: answer.how === 'found' ? (answer.suspects[0]?.nvr ?? null) : null,
    suspects: found?.suspects.map(({ nvr }) => nvr) ?? [],
    ...('kernel' in answer && { kernel: answer.kernel.nvr }),
    tried: row.flatMap(({ id, nvr }) => {
      const one = tried.get(id);
      if (!one) return [];
      const { cause, tasks, by } = one;
      const urls = tasks.flatMap((task) => links.task(task) ?? []);
      return [
        { kernel: nvr, verdict: knownOf(one), cause, tasks, urls, by: typeof by === 'string' ? by : by.run },
      ];
    }),
    ...(step && { step: stepJson(step) }),
    left,
  };
}

function stepJson({ symbols, causes, changelog }: Step) {
  return {
    symbols:
      'why' in symbols
        ? symbols
        : {
            ...symbols,
            needed: symbols.needed.map(({ before, after, ...of }) => ({
              ...of,
              before: formatCrc(before),
              after: after === null ? null : formatCrc(after),
            })),
          },
    ...(causes && { why: 'why' in causes ? causes : causesJson(causes.found, [causes.hit]) }),
    changelog: changelogJson(changelog),
  };
}
