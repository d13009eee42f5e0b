/**
 * What people are told of a kernel, as plain data: what happened, why, who must act, what to do, and how to see it oneself.
 * Texts in it are as they came; whoever renders it makes them inert.
 */
import { createHash } from 'node:crypto';
import { type Gate, type Run, TASK, type Verdict } from '../core/model.ts';
import { isAttempt } from '../core/trial.ts';
import { describeError, plural } from '../core/wording.ts';
import { culpritsOf, mendOf, type Need, needOf, type Step, shellWord, sourceOf } from '../report/needs.ts';
import { isSpared, type KmodReport, type RunReport } from '../report/report.ts';

export interface Notice {
  readonly gate: string;
  readonly kernel: string;
  readonly build: number;
  readonly run: string;
  readonly verdict: Verdict;
  /** One line. */
  readonly title: string;
  /** What the verdict says beside the kmods that are told of. */
  readonly reasons: readonly string[];
  /** Those that it is about, the one that decides first. */
  readonly kmods: readonly NoticeKmod[];
  /** How many more there are. */
  readonly more: number;
  readonly steps: readonly Step[];
  /** Who must act; absent: nobody. */
  readonly who?: string;
  /** What becomes of it by itself, such as `blocked at …`. */
  readonly otherwise?: string;
  /** The kernel's page. */
  readonly url?: string;
}

export interface NoticeKmod extends Pick<KmodReport, 'name' | 'nvr' | 'outcome' | 'cause'> {
  /** Which declaration of the kernel's source hits it, such as `struct device`. */
  readonly source?: string;
  /** The task that shows it: its page, or in words. */
  readonly task?: string;
  readonly errors: readonly string[];
  /** Lines for a shell. */
  readonly reproduce: readonly string[];
}

/** What a notice is made of. */
export interface Known {
  readonly report: RunReport;
  readonly run: Pick<Run, 'intents' | 'symbols'>;
  /** As the configuration has it; undefined: it has it no more. */
  readonly gate: Gate | undefined;
  /** The kernel's page in the dashboard. */
  readonly url: string | undefined;
}

/** So much of each is told; the page has the rest. */
const SHOWN = { kmods: 10, errors: 5, reasons: 20 };

/** Of the kernel as a whole. */
export function kernelNotice({ report, run, gate, url }: Known): Notice {
  const culprits = culpritsOf(report);
  const need = needOf(report, gate);
  return {
    ...headOf(report, url),
    title: kernelTitle(report, culprits, need),
    reasons: besides(report, culprits).map(clip).slice(0, SHOWN.reasons),
    kmods: culprits.slice(0, SHOWN.kmods).map((kmod) => kmodOf(report, run, kmod)),
    more: Math.max(0, culprits.length - SHOWN.kmods),
    steps: need?.steps ?? [],
    ...(need && { who: need.who }),
    ...(need?.otherwise !== undefined && { otherwise: need.otherwise }),
  };
}

/** Of some kmods alone, for who looks after them. Undefined where the run has none of them any more. */
export function kmodNotice({ report, run, gate, url }: Known, names: readonly string[]): Notice | undefined {
  const kmods = report.kmods.filter(({ name }) => names.includes(name));
  const [first] = kmods;
  if (!first) return undefined;
  const { who, steps } = mendOf(report, first, gate);
  const many = kmods.length > 1 ? ` and ${plural(kmods.length - 1, 'more kmod')}` : '';
  return {
    ...headOf(report, url),
    title: `${first.name}${many}: ${first.outcome} with ${report.nvr} (gate ${report.gate})`,
    reasons: [],
    kmods: kmods.slice(0, SHOWN.kmods).map((kmod) => kmodOf(report, run, kmod)),
    more: Math.max(0, kmods.length - SHOWN.kmods),
    // What is done about one of several is done about each: the words name the first.
    steps,
    who,
  };
}

/** Whether two notices tell the same: of the same kernel at the same gate nothing is new then. */
export function digestOf({ verdict, reasons, kmods, more }: Notice): string {
  const told = kmods.map(({ name, nvr, outcome, cause }) => [name, nvr, outcome, cause]);
  const why = kmods.length === 0 ? reasons : [];
  return createHash('sha256')
    .update(JSON.stringify([verdict, told, more, why]))
    .digest('hex');
}

/** The kmods that their owners are told of. */
export function toldKmods(report: RunReport, outcomes: readonly string[]): string[] {
  return report.kmods
    .filter((kmod) => outcomes.includes(kmod.outcome) && !isSpared(kmod))
    .map(({ name }) => name);
}

function headOf(report: RunReport, url: string | undefined) {
  const { gate, nvr: kernel, build, run, verdict } = report;
  const page = url ?? report.url;
  return {
    ...{ gate, kernel, build, run, verdict: verdict ?? 'hold' },
    ...(page !== undefined && { url: page }),
  } as const;
}

function kernelTitle(
  report: RunReport,
  [first, ...rest]: readonly KmodReport[],
  need: Need | undefined,
): string {
  const { verdict, nvr, gate } = report;
  if (verdict === 'promote') return `${nvr} passes gate ${gate}`;
  const would = need?.kind === 'would-block';
  const what = verdict === 'hold' ? 'is held' : would ? 'would be blocked' : 'is blocked';
  const name = first?.name ?? need?.culprit.name;
  const by = name === undefined ? '' : `: ${name}${rest.length > 0 ? ` and ${rest.length} more` : ''}`;
  return `${nvr} ${what} at gate ${gate}${by}`;
}

function kmodOf(report: RunReport, run: Known['run'], kmod: KmodReport): NoticeKmod {
  const { name, nvr, outcome, cause, tasks, errors } = kmod;
  const source = sourceOf(report, kmod);
  const task = tasks.find(({ shows }) => shows) ?? tasks.findLast(({ against }) => against === undefined);
  return {
    ...{ name, nvr, outcome, cause: clip(cause) },
    ...(source !== undefined && { source }),
    ...(task && { task: task.url ?? `task ${task.id}` }),
    errors: errors.slice(0, SHOWN.errors).map((error) => clip(`${error.arch}  ${describeError(error)}`)),
    reproduce: reproduce(report, run, kmod),
  };
}

function besides({ reasons }: RunReport, kmods: readonly KmodReport[]): string[] {
  const told = kmods.slice(0, SHOWN.kmods);
  return reasons.filter(
    (text) => !told.some(({ nvr }) => text.startsWith(`${nvr}:`) || text.startsWith(`${nvr} (`)),
  );
}

/** Longest text from outside, characters. */
const LONGEST = 600;

const clip = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

/** What shows the same on one's own machine: the symbols' comparison, and the build in the same build root. */
function reproduce(report: RunReport, run: Known['run'], { name, nvr }: KmodReport): string[] {
  const task = failedTask(run, name);
  const before = report.baseline ? ` --baseline ${shellWord(report.baseline.nvr)}` : '';
  const check = `kmod-gate check --kernel ${shellWord(report.nvr)}${before} ${shellWord(nvr)}`;
  if (task === undefined) return [check];
  return [
    ...(run.symbols ? [check] : []),
    `koji download-build --arch=src ${shellWord(nvr)}`,
    `koji mock-config --task=${task} -o ${shellWord(`${name}.cfg`)}`,
    `mock -r ${shellWord(`./${name}.cfg`)} --rebuild ${shellWord(`${nvr}.src.rpm`)}`,
  ];
}

/** The task of an architecture in which the newest build of a kmod against the kernel failed: it has a build root. */
function failedTask({ intents }: Known['run'], kmod: string): number | undefined {
  const arches = intents.filter(isAttempt).flatMap(({ write, ending }) => {
    const built = ending && 'build' in ending ? ending.build : undefined;
    return write.kmod === kmod && !write.against && built ? built.arches : [];
  });
  return arches.findLast(({ state }) => state === TASK.FAILED)?.task;
}
