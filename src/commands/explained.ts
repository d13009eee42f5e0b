/** A kernel build, and a kmod over kernels, as documents: what decides and who must act first, then what shows it. */
import { nameOf, ranked, type ToldCauses } from '../btf/told.ts';
import { describeError, plural } from '../core/wording.ts';
import { sizesOf, wordsOf } from '../report/causes.ts';
import { keyOf, sharedErrors } from '../report/errors.ts';
import type { KmodHistory, KmodTrouble } from '../report/matrix.ts';
import type { Need, Step } from '../report/needs.ts';
import {
  BLAME_SHOWN,
  describeBlamed,
  type Explanation,
  isSpared,
  type KmodReport,
  outcomeNotes,
  type RunReport,
  WHOSE,
  worstFirst,
} from '../report/report.ts';
import { type Block, heading, linked, listed, type Span, type Spans, says } from './document.ts';
import { dateTime } from './text.ts';

/**
 * Everything about one kernel build.
 * @param needs by run what it needs of people
 */
export function kernelDocument(explanation: Explanation, needs: ReadonlyMap<string, Need>): Block[] {
  const { nvr, build, runs, journal } = explanation;
  const history = journal.map(({ at, text }) => `${dateTime(at)}  ${text}`);
  return [
    ...(runs.length === 0 ? [says({ code: nvr }, ` has not stood before a gate. Build ${build}.`)] : []),
    ...runs.flatMap((run) => runBlocks(run, needs.get(run.run))),
    ...(history.length > 0
      ? [{ kind: 'folded', summary: 'History', blocks: [{ kind: 'lines', of: history }] } as const]
      : []),
  ];
}

function runBlocks(run: RunReport, need: Need | undefined): Block[] {
  const { baseline, held_by: held } = run;
  const bad = worstFirst(run.kmods).filter(({ outcome }) => outcome !== 'ok');
  const fine = run.kmods.filter(({ outcome }) => outcome === 'ok');
  return [
    heading(
      1,
      ...[{ code: run.nvr }, ' at gate ', { code: run.gate }, ': '],
      ...(run.verdict ? [{ word: run.verdict }, ', '] : []),
      { word: run.status },
    ),
    says(run.state),
    ...(held ? [says('Held by ', { code: held.by }, ` since ${dateTime(held.at)}.`)] : []),
    says(
      'Build ',
      linked(run.url, String(run.build)),
      ...(baseline ? [', baseline ', { code: baseline.nvr }] : [', no baseline']),
      '.',
    ),
    ...(run.reasons.length > 0
      ? [
          heading(2, 'Why'),
          listed(
            run.reasons.map((reason) => ({ code: reason })),
            true,
          ),
        ]
      : []),
    ...todo(need),
    ...(run.causes ?? []).flatMap(causeBlocks),
    heading(2, 'Kmods'),
    ...(bad.length > 0 ? [kmodTable(bad)] : []),
    ...outcomeNotes(run).map((note) => says(note)),
    ...(fine.length > 0 ? [fineBlock(fine)] : []),
    ...errorBlocks(run),
    ...blameBlocks(run),
    ...tagBlocks(run),
  ];
}

/** Who must act, and how. */
function todo(need: Need | undefined): Block[] {
  if (!need) return [];
  const { who, steps, otherwise, source } = need;
  return [
    heading(2, 'What to do'),
    says(`To act: ${who}.`),
    ...(source === undefined ? [] : [says('What changed in the kernel: ', { code: source }, '.')]),
    listed(steps.map(stepSpans), true),
    ...(otherwise === undefined ? [] : [says(`Else: ${otherwise}`)]),
  ];
}

const stepSpans = ({ does, command }: Step): Span[] =>
  command === null ? [does] : [`${does}: `, { code: command }];

function causeBlocks({ arch, baseline, why, causes, kmods }: ToldCauses): Block[] {
  const head = heading(2, "What changed in the kernel's source since ", { code: baseline }, ` (${arch})`);
  if (why !== null) return [head, says('It cannot be told: ', { code: why })];
  const items = ranked(causes, kmods).map(({ cause, kmods: hits }): Span[] => [
    { code: nameOf(cause) },
    ': ',
    {
      code:
        wordsOf(cause)
          .map(({ was, now }) => [was, now].filter(Boolean).join(' → '))
          .join(', ') + sizesOf(cause),
    },
    ...(hits > 0 ? [` hits ${plural(hits, 'kmod')}`] : []),
  ]);
  return items.length === 0 ? [] : [head, listed(items)];
}

function kmodTable(kmods: readonly KmodReport[]): Block {
  const rows = kmods.map((kmod): Spans[] => {
    const { nvr, required, outcome, whose, cause, waived } = kmod;
    const why = waived && outcome !== 'ok' ? `${cause} (${waived})` : cause;
    return [
      [{ word: outcome }, ...(isSpared(kmod) ? [', waived'] : [])],
      [{ code: nvr }, ...(required ? [] : [' (advisory)'])],
      whose ? WHOSE[whose] : '-',
      taskOf(kmod),
      { code: why },
    ];
  });
  return { kind: 'table', heads: ['Outcome', 'Kmod', 'Whose', 'Task', 'Cause'], rows };
}

/** The task that shows the outcome. */
function taskOf({ tasks }: KmodReport): Span {
  const own = tasks.filter(({ against }) => against === undefined);
  const task = own.find(({ shows }) => shows) ?? own.at(-1);
  return task ? linked(task.url, `task ${task.id}`) : '-';
}

const fineBlock = (kmods: readonly KmodReport[]): Block => ({
  kind: 'folded',
  summary: `${kmods.length} fine`,
  blocks: [listed(kmods.map(({ nvr }) => ({ code: nvr })))],
});

function errorBlocks(run: RunReport): Block[] {
  const shared = sharedErrors(run);
  const ofMany = [...shared].flatMap(([key, { places }]) => [
    key,
    ...places.map((place) => `  ${place.join('  ')}`),
  ]);
  const ofOne = run.kmods.flatMap(({ nvr, errors }) => {
    const own = errors.filter((error) => !shared.has(keyOf(error)));
    return own.length === 0 ? [] : [nvr, ...own.map((error) => `  ${error.arch}  ${describeError(error)}`)];
  });
  const lines = [...ofMany, ...ofOne];
  return lines.length === 0 ? [] : [heading(2, 'First errors of build.log'), { kind: 'lines', of: lines }];
}

function blameBlocks({ blame = [] }: RunReport): Block[] {
  if (blame.length === 0) return [];
  const rows = blame
    .slice(0, BLAME_SHOWN)
    .map((blamed): Spans[] => [
      [{ code: blamed.symbol }, ...(blamed.listed ? [' (stablelist)'] : [])],
      { code: blamed.arch },
      { code: describeBlamed(blamed) },
      { code: blamed.provider ?? '-' },
      { code: blamed.kmods.map(({ name }) => name).join(' ') },
    ]);
  const rest = blame.length - BLAME_SHOWN;
  return [
    heading(2, 'Symbols that are not as kmods need them'),
    { kind: 'table', heads: ['Symbol', 'Arch', 'CRC', 'Now in', 'Hits'], rows },
    ...(rest > 0 ? [says(`And ${rest} more.`)] : []),
  ];
}

function tagBlocks({ tag_changes: changes, rebuilds }: RunReport): Block[] {
  const items = [
    ...changes.map(({ change, result, task }): Span[] => [
      { code: `${change}: ${result}` },
      ...(task ? [' ', linked(task.url, `task ${task.id}`)] : []),
    ]),
    ...rebuilds.map(({ kmod, target, result, nvr }): Span[] => [
      'rebuilt ',
      { code: `${nvr ?? kmod} in ${target}: ${result}` },
    ]),
  ];
  return items.length === 0 ? [] : [heading(2, 'Tags'), listed(items)];
}

/** A kmod over kernels and gates: since when it is broken, what would mend it, and how it did before. */
export function kmodDocument({ name, troubles, cells, more }: KmodHistory): Block[] {
  const gates = [...new Set(cells.map(({ gate }) => gate))];
  const fine = gates.filter((gate) => !troubles.some((trouble) => trouble.gate === gate));
  const rows = cells.map(({ gate, nvr, outcome, at }): Spans[] => [
    { word: outcome },
    { code: nvr },
    { code: gate },
    dateTime(at),
  ]);
  return [
    heading(1, 'Kmod ', { code: name }),
    ...fine.map((gate) => says('At gate ', { code: gate }, ': nothing is wrong with it.')),
    ...troubles.flatMap(troubleBlocks),
    heading(2, 'Kernels, the newest first'),
    { kind: 'table', heads: ['Outcome', 'Kernel', 'Gate', 'Since'], rows },
    ...(more ? [says('Older kernels are left out.')] : []),
  ];
}

function troubleBlocks(trouble: KmodTrouble): Block[] {
  const { gate, nvr, kmod, since, source, who, steps } = trouble;
  return [
    heading(2, 'At gate ', { code: gate }, ': ', { word: isSpared(kmod) ? 'waived' : kmod.outcome }),
    says('With ', { code: nvr }, ' as ', { code: kmod.nvr }, ': ', { code: kmod.cause }),
    ...(kmod.waived && kmod.outcome !== 'ok' ? [says(kmod.waived)] : []),
    since
      ? says('So since ', { code: since.nvr }, `, ${dateTime(since.at)}.`)
      : says('Since when is not known.'),
    ...(source === undefined ? [] : [says('What changed in the kernel: ', { code: source }, '.')]),
    ...(kmod.tasks.length > 0 ? [says('Shown by ', taskOf(kmod), '.')] : []),
    ...(kmod.errors.length > 0
      ? [
          {
            kind: 'lines',
            of: kmod.errors.map((error) => `${error.arch}  ${describeError(error)}`),
          } as const,
        ]
      : []),
    says(`To act: ${who}.`),
    ...(steps.length > 0 ? [listed(steps.map(stepSpans), true)] : []),
  ];
}
