/** A run as people and programs read it: derived from its facts alone. */

import type { ToldCauses } from '../btf/told.ts';
import type { Outcome } from '../core/cell.ts';
import { type Judging, type KmodStanding, standings } from '../core/judge.ts';
import {
  type ArchDetail,
  type Entry,
  type Intent,
  type KernelChange,
  type KernelRef,
  type ListChange,
  type LogError,
  type Run,
  type SymbolEvidence,
  TASK,
  type Verdict,
  type Waiver,
} from '../core/model.ts';
import { asOf, holdOf } from '../core/people.ts';
import { isRebuild } from '../core/rebuild.ts';
import { ownEvidence, type Whose } from '../core/trial.ts';
import { needRebuild } from '../core/verdict.ts';
import { describeWaiver, describeWrite, moment } from '../core/wording.ts';
import { blame } from '../kabi/blame.ts';
import { formatCrc } from '../kabi/crc.ts';
import { describeRemark, type Remark } from '../kabi/remark.ts';
import type { Awaited } from './awaited.ts';

/** Links for people: a task's and a build's page in Koji's web interface; undefined where none is configured. */
export interface Links {
  task(id: number): string | undefined;
  build(id: number): string | undefined;
}

export interface TaskReport {
  readonly id: number;
  readonly url?: string;
}

/** A scratch build. */
export interface TryReport extends TaskReport {
  /** The baseline that it was tried against; absent: the run's kernel. */
  readonly against?: string;
  /** It is the one that shows the outcome. */
  readonly shows?: true;
}

export interface KmodReport {
  readonly name: string;
  readonly nvr: string;
  readonly required: boolean;
  readonly outcome: Outcome | 'waiting' | 'building';
  /** The same of each architecture that it is expected on. */
  readonly arches: Readonly<Record<string, KmodReport['outcome']>>;
  /** Why, in a few words. */
  readonly cause: string;
  /** Whose failure it is; null where it is none, or nothing is known yet. */
  readonly whose: Whose | null;
  /** Who waived it, until when, and why; null: nobody. */
  readonly waived: string | null;
  /** The scratch builds that were tried, oldest first. */
  readonly tasks: readonly TryReport[];
  /** First errors of the newest try's build.log, by architecture. */
  readonly errors: readonly (LogError & { readonly arch: string })[];
  /**
   * What it needs of the kernel, by architecture, CRCs as `0x%08x`; empty with the strategy `rebuild`, absent
   * where each symbol was not read.
   */
  readonly symbols?: readonly SymbolReport[];
}

export interface SymbolReport extends Pick<ArchDetail, 'arch' | 'imports' | 'answer' | 'cause'> {
  readonly missing: readonly { readonly symbol: string; readonly required: string }[];
  readonly changed: readonly {
    readonly symbol: string;
    readonly required: string;
    readonly provided: string;
    readonly provider: string;
  }[];
  /** Symbols that other kmods under the gate provide, as it needs them. */
  readonly from_kmods: readonly { readonly symbol: string; readonly provider: string }[];
  /** Those of them whose kmod does not load itself. */
  readonly from_broken: readonly { readonly symbol: string; readonly provider: string }[];
  /** What else speaks of whether it loads, with `text` for people; absent: nothing. */
  readonly remarks?: readonly { readonly kind: Remark['kind']; readonly text: string }[];
}

/** A symbol that is gone (`provided` and `provider` null) or has another CRC, and the kmods that it hits. */
export interface BlameReport {
  readonly arch: string;
  readonly symbol: string;
  readonly provided: string | null;
  readonly provider: string | null;
  /** Whether it is on the stablelist. */
  readonly listed: boolean;
  readonly kmods: readonly { readonly name: string; readonly required: string }[];
}

export interface RunReport {
  readonly run: string;
  readonly gate: string;
  readonly build: number;
  readonly nvr: string;
  readonly url?: string;
  /** `running`, or how it ended. */
  readonly status: 'running' | 'held' | NonNullable<Run['closing']>['how'];
  /** One line: what it waits for, or how it ended. */
  readonly state: string;
  readonly verdict: Verdict | null;
  readonly reasons: readonly string[];
  readonly kmods: readonly KmodReport[];
  /** What "already broken" is measured by; null: no kernel had passed when the run began. */
  readonly baseline: KernelRef | null;
  /** The person's hold that nobody has released; null: there is none, or the run is over. */
  readonly held_by: { readonly by: string; readonly at: number; readonly reason: string } | null;
  /** Names of the kmods that do not load as they are, and build: with the strategy `symbols-then-rebuild`. */
  readonly needs_rebuild: readonly string[];
  /** What changed in the kernel's symbols since the newest one that passed; null where that was not looked at. */
  readonly kernel_change: KernelChange | null;
  /** What is not as the gate's stablelist has it, by architecture, `before` being the list's CRC; absent: it has none. */
  readonly since_list?: readonly ListChange[];
  /**
   * Symbols that broke kmods, worst first, by architecture; empty with the strategy `rebuild`, absent where each
   * symbol was not read.
   */
  readonly blame?: readonly BlameReport[];
  /** Which declarations changed in the kernel's source, by architecture; absent: nobody has looked. */
  readonly causes?: readonly ToldCauses[];
  /** What it waits for, of the report of one kernel; absent elsewhere, and of a run that is over. */
  readonly awaited?: readonly Awaited[];
  /** What the gate did to tags, in order. */
  readonly tag_changes: readonly {
    readonly change: string;
    readonly result: string;
    readonly task?: TaskReport;
  }[];
  /** Real builds of kmods after a promotion, in order. */
  readonly rebuilds: readonly {
    readonly kmod: string;
    readonly target: string;
    readonly result: string;
    /** The build that was made; null: none yet. */
    readonly nvr: string | null;
    readonly task?: TaskReport;
  }[];
  /** Milliseconds since the epoch. */
  readonly started_at: number;
  readonly ended_at: number | null;
  /** When its tries, logs and symbols were taken away, as the store keeps them no longer; absent while it has all. */
  readonly pruned_at?: number;
}

/** A run in a list of runs: what is recorded of it, in a line. */
export interface RunLine
  extends Pick<
    RunReport,
    | 'run'
    | 'gate'
    | 'build'
    | 'nvr'
    | 'url'
    | 'status'
    | 'state'
    | 'verdict'
    | 'held_by'
    | 'started_at'
    | 'ended_at'
  > {
  /** How many kmods it tries. */
  readonly kmods: number;
  /** How many of them have each outcome, worst first; of a list that is read from the store, as the verdict says. */
  readonly outcomes: Readonly<Partial<Record<Tallied, number>>>;
  /** How many do not load as they are, and build; absent where that was not looked at. */
  readonly to_rebuild?: number;
}

/** A page of a list of runs, newest first; `older` is the run after which the next one begins, null at the end. */
export interface RunPage {
  readonly runs: readonly RunLine[];
  readonly older: string | null;
}

/** Which runs are listed, newest first; what is absent, or undefined, leaves none out. */
export interface RunsWanted {
  /** How many at the most. */
  readonly limit: number;
  /** Id of a run: only those that began before it. */
  readonly before?: string | undefined;
  /** Of this gate. */
  readonly gate?: string | undefined;
  /** With this as the newest verdict, or with none. */
  readonly verdict?: Verdict | 'none' | undefined;
  /** That try such a kmod: a name, or a pattern. */
  readonly kmod?: string | undefined;
  /** That began at or after `since`, and before `until`, in ms. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Of each kernel at each gate only the newest. */
  readonly latest?: boolean | undefined;
}

/** An outcome; those of kmods that a waiver spares count as `waived` alone. */
export type Tallied = KmodReport['outcome'] | 'waived';

/** A waiver, and whether it still lets anything through. */
export interface WaiverReport extends Omit<Waiver, 'fact' | 'ends' | 'ended'> {
  readonly state: 'holds' | 'expired' | 'ended';
  /** Who ended it, and when; null: nobody. */
  readonly ended: Omit<NonNullable<Waiver['ended']>, 'fact'> | null;
}

/** Everything about one kernel build: every run of it, newest first, and the journal. */
export interface Explanation {
  readonly build: number;
  readonly nvr: string;
  readonly runs: readonly RunReport[];
  readonly journal: readonly Entry[];
}

/**
 * Report of one run.
 * @param gate as the configuration has it
 * @param said the last state line of the journal
 * @param now which waivers of an undecided run hold
 * @param causes what was found of why symbols changed
 * @param detail every symbol that was compared; without it the report has no `symbols` of kmods and no `blame`
 */
export function reportOf(
  gate: Judging,
  run: Run,
  said: string | undefined,
  links: Links,
  now: number,
  causes: readonly ToldCauses[] = [],
  detail?: readonly SymbolEvidence<ArchDetail>[],
): RunReport {
  const url = links.build(run.kernel.id);
  const { verdict } = run;
  const kmods = standings(gate, verdict ? asOf(run, verdict) : run, verdict?.at ?? now);
  const hold = run.closing ? undefined : holdOf(run);
  return {
    run: run.id,
    gate: run.gate,
    build: run.kernel.id,
    nvr: run.kernel.nvr,
    ...(url && { url }),
    ...stageOf(run.closing, run.verdict?.verdict, said),
    verdict: run.verdict?.verdict ?? null,
    reasons: run.verdict?.reasons ?? [],
    kmods: kmods.map((standing) => kmodReport(standing, links, detail)),
    baseline: run.baseline,
    held_by: hold ? { by: hold.by, at: hold.at, reason: hold.reason } : null,
    needs_rebuild: needRebuild(run, kmods),
    kernel_change: run.symbols?.change ?? null,
    ...(run.symbols?.sinceList && { since_list: run.symbols.sinceList }),
    ...(detail && { blame: blameReport(run, detail) }),
    ...(causes.length > 0 && { causes }),
    tag_changes: run.intents
      .filter(({ write }) => write.kind === 'tag' || write.kind === 'untag')
      .map((intent) => tagReport(intent, links)),
    rebuilds: run.intents.filter(isRebuild).map((intent) => {
      const { write, receipt, ending } = intent;
      return {
        kmod: write.kmod,
        target: write.target,
        result: resultOf(intent),
        nvr: ending?.how === 'done' ? (ending.nvr ?? null) : null,
        ...(receipt?.task !== undefined && { task: taskReport(receipt.task, links) }),
      };
    }),
    started_at: run.startedAt,
    ended_at: run.closing?.at ?? null,
  };
}

/**
 * The report of a run of which only what was decided is kept.
 * @param prunedAt when the rest was taken away, ms
 * @param judged by kmod, what the verdict said of it
 */
export function asRecorded(
  report: RunReport,
  prunedAt: number,
  judged: ReadonlyMap<string, Outcome>,
): RunReport {
  const kmods = report.kmods.map((kmod): KmodReport => {
    const reason = report.reasons.find(
      (text) => text.startsWith(`${kmod.nvr}:`) || text.startsWith(`${kmod.nvr} (`),
    );
    return {
      ...kmod,
      outcome: judged.get(kmod.name) ?? 'inconclusive',
      arches: {},
      cause: reason?.replace(/^\S+(?: \(.*?\))?: /, '') ?? '',
      whose: null,
    };
  });
  return { ...report, kmods, needs_rebuild: [], pruned_at: prunedAt };
}

const TIMES: readonly string[] = ['at', 'since', 'started_at', 'ended_at', 'pruned_at'];

/**
 * A report with its times by the calendar: what the store has is timed by the gate's clock.
 * @param ahead how far the machine's clock is ahead of that, in ms
 */
export function byCalendar<T>(report: T, ahead: number): T;
export function byCalendar(report: unknown, ahead: number): unknown {
  if (ahead === 0 || typeof report !== 'object' || report === null) return report;
  if (Array.isArray(report)) return report.map((one) => byCalendar(one, ahead));
  const told = Object.entries(report).map(([key, value]) => [
    key,
    TIMES.includes(key) && typeof value === 'number' ? value + ahead : byCalendar(value, ahead),
  ]);
  return Object.fromEntries(told);
}

/** That a report is not all that there was. */
export const describePruned = (at: number): string =>
  `its tries, logs and symbols are kept no longer, since ${moment(at)}; see keep in [store]`;

/** Where a run stands: how it ended, or what was said of it last. */
export function stageOf(
  closing: Run['closing'],
  verdict: Verdict | null | undefined,
  said: string | undefined,
): Pick<RunReport, 'status' | 'state'> {
  const held = verdict === 'hold' || said?.startsWith('held');
  return {
    status: closing?.how ?? (held ? 'held' : 'running'),
    state: closing?.why ?? said ?? 'just begun',
  };
}

/** The line of a report. */
export function lineOf(report: RunReport): RunLine {
  const { run, gate, build, nvr, url, status, state, verdict, held_by, started_at, ended_at } = report;
  return {
    ...{ run, gate, build, nvr, ...(url && { url }), status, state, verdict, held_by, started_at, ended_at },
    kmods: report.kmods.length,
    outcomes: tallyOf(report.kmods),
    to_rebuild: report.needs_rebuild.length,
  };
}

/** Report of a waiver at a time. */
export function waiverReport(waiver: Waiver, now: number): WaiverReport {
  const { fact: _, ends: __, ended, until, ...said } = waiver;
  const state = ended ? 'ended' : until !== null && until <= now ? 'expired' : 'holds';
  return { ...said, until, state, ended: ended ? { at: ended.at, by: ended.by } : null };
}

function kmodReport(
  { kmod, cells, state, finding, attempts, waiver }: KmodStanding,
  links: Links,
  detail: readonly SymbolEvidence<ArchDetail>[] | undefined,
): KmodReport {
  const { name, nvr, required } = kmod;
  const judged = state === 'judged' && finding;
  const submitted = state === 'active' && attempts.at(-1)?.receipt !== undefined;
  const pending = submitted ? 'building' : 'waiting';
  // Of each architecture its newest try: one that was tried by itself says nothing of the others.
  const newest = new Map(
    ownEvidence(attempts).map(({ evidence: { arch, errors } }) => [arch, errors] as const),
  );
  const soFar =
    { inconclusive: 'tried again', unattributed: 'tried against the baseline' }[String(finding?.outcome)] ??
    'so far';
  const worst = cells.find((cell) => cell.finding?.outcome === finding?.outcome)?.arch;
  const showing = attempts.findLast(
    ({ write, ending }) =>
      !write.against &&
      ending?.how !== 'lost' &&
      ending?.build?.arches.some(({ arch, state }) => arch === worst && state !== TASK.CANCELED),
  );
  return {
    name,
    nvr,
    required,
    outcome: judged ? finding.outcome : pending,
    arches: Object.fromEntries(
      cells.map((cell) => [cell.arch, (cell.state === 'judged' && cell.finding?.outcome) || pending]),
    ),
    cause: judged ? finding.cause : finding ? `${soFar}: ${finding.cause}` : '',
    whose: judged ? finding.whose : null,
    waived: waiver ? describeWaiver(waiver) : null,
    tasks: attempts.flatMap((attempt) => {
      const { write, receipt } = attempt;
      if (receipt?.task === undefined) return [];
      const { against } = write;
      const shows = attempt === showing;
      return [
        {
          ...taskReport(receipt.task, links),
          ...(against && { against: against.nvr }),
          ...(shows && { shows }),
        },
      ];
    }),
    errors: [...newest].flatMap(([arch, errors]) => errors.map((error) => ({ arch, ...error }))),
    ...(detail && { symbols: (detail.find((of) => of.kmod === name)?.arches ?? []).map(symbolReport) }),
  };
}

function symbolReport({ arch, answer, cause, ...found }: ArchDetail): SymbolReport {
  return { arch, answer, cause, ...spellSymbols(found) };
}

/** What a kmod needs, with its CRCs as `0x%08x`. */
export function spellSymbols({
  imports,
  missing,
  changed,
  fromKmods,
  fromBroken,
  remarks = [],
}: Omit<ArchDetail, 'arch' | 'answer' | 'cause'>) {
  return {
    imports,
    missing: missing.map(({ symbol, crc }) => ({ symbol, required: formatCrc(crc) })),
    changed: changed.map(({ symbol, required, provided, provider }) => ({
      symbol,
      required: formatCrc(required),
      provided: formatCrc(provided),
      provider,
    })),
    from_kmods: fromKmods.map(({ symbol, provider }) => ({ symbol, provider })),
    from_broken: fromBroken.map(({ symbol, provider }) => ({ symbol, provider })),
    ...(remarks.length > 0 && { remarks: remarks.map(spellRemark) }),
  };
}

/** A remark with its words. */
const spellRemark = (remark: Remark) => ({
  ...remark,
  ...(remark.kind === 'several-crcs' && { crcs: remark.crcs.map(formatCrc) }),
  text: describeRemark(remark),
});

/** How many symbols a page or a text shows; the JSON has all. */
export const BLAME_SHOWN = 20;

/** The CRC that the first kmod needs, and what it is now: `0x00000001 → 0x00000002`, or `… → gone`. */
export function describeBlamed({ provided, kmods }: BlameReport): string {
  return `${kmods[0]?.required ?? ''} → ${provided ?? 'gone'}`;
}

function blameReport({ symbols }: Run, detail: readonly SymbolEvidence<ArchDetail>[]): BlameReport[] {
  const all = detail.flatMap(({ kmod, arches }) => arches.map((of) => ({ kmod, ...of })));
  const arches = [...new Set(all.map(({ arch }) => arch))];
  const listed = new Set(
    [...(symbols?.change?.arches ?? []), ...(symbols?.sinceList ?? [])].flatMap(({ arch, listed }) =>
      (listed ?? []).map(({ symbol }) => `${arch} ${symbol}`),
    ),
  );
  return arches.flatMap((arch) =>
    blame(all.filter((of) => of.arch === arch)).symbols.map(({ symbol, provided, hits }) => ({
      arch,
      symbol,
      provided: provided ? formatCrc(provided.crc) : null,
      provider: provided?.provider ?? null,
      listed: listed.has(`${arch} ${symbol}`),
      kmods: hits.map(({ kmod, required }) => ({ name: kmod, required: formatCrc(required) })),
    })),
  );
}

/** How a write ended, or that it was asked for. */
const resultOf = ({ ending }: Intent): string =>
  ending?.how === 'failed' ? ending.why : (ending?.how ?? 'asked');

function tagReport(intent: Intent, links: Links) {
  const task = intent.receipt?.task;
  return {
    change: describeWrite(intent.write),
    result: resultOf(intent),
    ...(task !== undefined && { task: taskReport(task, links) }),
  };
}

function taskReport(id: number, links: Links): TaskReport {
  const url = links.task(id);
  return { id, ...(url && { url }) };
}

/** From what a reader looks for to what is fine. */
export const RANKS: Readonly<Record<KmodReport['outcome'], number>> = {
  broken: 0,
  unattributed: 1,
  inconclusive: 2,
  'already-broken': 3,
  building: 4,
  waiting: 5,
  ok: 6,
};

const TALLIED: readonly Tallied[] = [
  'broken',
  'unattributed',
  'inconclusive',
  'waived',
  'already-broken',
  'building',
  'waiting',
  'ok',
];

/** What a reader looks for comes first, what is waived after all that is not; otherwise in the order given. */
export function worstFirst(kmods: readonly KmodReport[]): KmodReport[] {
  const rank = (kmod: KmodReport) => (isSpared(kmod) ? RANKS['already-broken'] - 0.5 : RANKS[kmod.outcome]);
  return kmods.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether a waiver is what keeps it from counting. */
export const isSpared = ({ waived, outcome }: KmodReport): boolean =>
  waived !== null && ['broken', 'unattributed', 'inconclusive'].includes(outcome);

/** How many kmods have each outcome, worst first; those that are waived count as such alone. */
export function tallyOf(kmods: readonly KmodReport[]): RunLine['outcomes'] {
  const counts: Partial<Record<Tallied, number>> = {};
  for (const kmod of kmods) {
    const name = isSpared(kmod) ? 'waived' : kmod.outcome;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return tallyInOrder(counts);
}

/** Outcomes, those first that a reader looks for. */
export const tallyInOrder = (counts: RunLine['outcomes']): RunLine['outcomes'] =>
  Object.fromEntries(
    TALLIED.flatMap((name) => (counts[name] === undefined ? [] : [[name, counts[name]] as const])),
  );

/** Whose failure it is, in a word or two. */
export const WHOSE: Record<Whose, string> = {
  kmod: 'kmod',
  dependency: 'dependency',
  kernel: 'wrong kernel',
  system: 'build system',
  builder: 'builder',
  person: 'person',
  time: 'time',
};

/** What the outcomes of a run mean that do not speak for themselves. */
export function outcomeNotes({ kmods, baseline }: Pick<RunReport, 'kmods' | 'baseline'>): string[] {
  const has = (outcome: KmodReport['outcome']) => kmods.some((kmod) => kmod.outcome === outcome);
  const before = baseline?.nvr ?? 'the baseline';
  return [
    ...(has('unattributed')
      ? ['unattributed: it fails, and nothing shows whether it did so before this kernel']
      : []),
    ...(has('already-broken')
      ? [`already-broken: it fails with ${before} too, so it does not count against this kernel`]
      : []),
  ];
}
