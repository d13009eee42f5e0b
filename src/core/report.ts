/** A run as people and programs read it: derived from its facts alone. */
import { blame } from '../kabi/blame.ts';
import { formatCrc } from '../kabi/crc.ts';
import {
  isStopped,
  type Judging,
  judgeBuild,
  judgeSymbols,
  type KmodStanding,
  needRebuild,
  type Outcome,
  standings,
  type Whose,
} from './judge.ts';
import type {
  ArchSymbols,
  Ending,
  Entry,
  Intent,
  KernelChange,
  KernelRef,
  LogError,
  Receipt,
  Run,
  SymbolEvidence,
  SymbolsShown,
  Verdict,
} from './model.ts';
import { isRebuild } from './rebuild.ts';
import { describeChange, describeStablelist, describeWaiver, describeWrite, plural } from './wording.ts';

/** Links for people: a task's and a build's page in Koji's web interface; undefined where none is configured. */
export interface Links {
  task(id: number): string | undefined;
  build(id: number): string | undefined;
}

export interface TaskReport {
  readonly id: number;
  readonly url?: string;
}

export interface KmodReport {
  readonly name: string;
  readonly nvr: string;
  readonly required: boolean;
  readonly outcome: Outcome | 'waiting' | 'building';
  /** Why, in a few words. */
  readonly cause: string;
  /** Whose failure it is; null where it is none, or nothing is known yet. */
  readonly whose: Whose | null;
  /** Who waived it, until when, and why; null: nobody. */
  readonly waived: string | null;
  /** The scratch builds that were tried, oldest first. */
  readonly tasks: readonly TaskReport[];
  /** First errors of the newest try's build.log, by architecture. */
  readonly errors: readonly (LogError & { readonly arch: string })[];
  /** What it needs of the kernel, by architecture, CRCs as `0x%08x`; empty with the strategy `rebuild`. */
  readonly symbols: readonly SymbolReport[];
}

export interface SymbolReport extends Pick<ArchSymbols, 'arch' | 'imports' | 'answer' | 'cause'> {
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
  /** Names of the kmods that do not load as they are, and build: with the strategy `symbols-then-rebuild`. */
  readonly needs_rebuild: readonly string[];
  /** What changed in the kernel's symbols since the newest one that passed; null where that was not looked at. */
  readonly kernel_change: KernelChange | null;
  /** Symbols that broke kmods, worst first, by architecture; empty with the strategy `rebuild`. */
  readonly blame: readonly BlameReport[];
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
 */
export function reportOf(
  gate: Judging,
  run: Run,
  said: string | undefined,
  links: Links,
  now: number,
): RunReport {
  const url = links.build(run.kernel.id);
  const held = run.verdict?.verdict === 'hold' || said?.startsWith('held');
  const kmods = standings(gate, run, run.verdict?.at ?? now);
  return {
    run: run.id,
    gate: run.gate,
    build: run.kernel.id,
    nvr: run.kernel.nvr,
    ...(url && { url }),
    status: run.closing?.how ?? (held ? 'held' : 'running'),
    state: run.closing?.why ?? said ?? 'just begun',
    verdict: run.verdict?.verdict ?? null,
    reasons: run.verdict?.reasons ?? [],
    kmods: kmods.map((standing) => kmodReport(run, standing, links)),
    baseline: run.baseline,
    needs_rebuild: needRebuild(run, kmods),
    kernel_change: run.symbols?.change ?? null,
    blame: blameReport(run),
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

function kmodReport(
  { symbols }: Run,
  { kmod, state, finding, attempts, waiver }: KmodStanding,
  links: Links,
): KmodReport {
  const { name, nvr, required } = kmod;
  const judged = state === 'judged' && finding;
  const submitted = state === 'active' && attempts.at(-1)?.receipt !== undefined;
  const last = attempts.findLast(({ write }) => !write.against)?.ending;
  const arches = last && last.how !== 'lost' ? (last.build?.arches ?? []) : [];
  const soFar =
    { inconclusive: 'tried again', unattributed: 'tried against the baseline' }[String(finding?.outcome)] ??
    'so far';
  return {
    name,
    nvr,
    required,
    outcome: judged ? finding.outcome : submitted ? 'building' : 'waiting',
    cause: judged ? finding.cause : finding ? `${soFar}: ${finding.cause}` : '',
    whose: judged ? finding.whose : null,
    waived: waiver ? describeWaiver(waiver) : null,
    tasks: attempts.flatMap(({ receipt }) =>
      receipt?.task === undefined ? [] : [taskReport(receipt.task, links)],
    ),
    errors: arches.flatMap(({ arch, errors }) => errors.map((error) => ({ arch, ...error }))),
    symbols: (symbols?.kmods.find((of) => of.kmod === name)?.arches ?? []).map(symbolReport),
  };
}

function symbolReport({ arch, answer, cause, ...found }: ArchSymbols): SymbolReport {
  return { arch, answer, cause, ...spellSymbols(found) };
}

/** What a kmod needs, with its CRCs as `0x%08x`. */
export function spellSymbols({
  imports,
  missing,
  changed,
  fromKmods,
  fromBroken,
}: Omit<ArchSymbols, 'arch' | 'answer' | 'cause'>) {
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
  };
}

/** How many symbols a page or a text shows; the JSON has all. */
export const BLAME_SHOWN = 20;

/** The CRC that the first kmod needs, and what it is now: `0x00000001 → 0x00000002`, or `… → gone`. */
export function describeBlamed({ provided, kmods }: BlameReport): string {
  return `${kmods[0]?.required ?? ''} → ${provided ?? 'gone'}`;
}

function blameReport({ symbols }: Run): BlameReport[] {
  const all = (symbols?.kmods ?? []).flatMap(({ kmod, arches }) => arches.map((of) => ({ kmod, ...of })));
  const arches = [...new Set(all.map(({ arch }) => arch))];
  const listed = new Set(
    symbols?.change?.arches.flatMap(({ arch, listed }) =>
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

const RANKS: Record<KmodReport['outcome'], number> = {
  broken: 0,
  unattributed: 1,
  inconclusive: 2,
  'already-broken': 3,
  building: 4,
  waiting: 5,
  ok: 6,
};

/** What a reader looks for comes first; otherwise in the order given. */
export function worstFirst(kmods: readonly KmodReport[]): KmodReport[] {
  return kmods.toSorted((a, b) => RANKS[a.outcome] - RANKS[b.outcome]);
}

/** How many kmods have each outcome, worst first. */
export function tallyOf(kmods: readonly KmodReport[]): ReadonlyMap<KmodReport['outcome'], number> {
  const counts = new Map<KmodReport['outcome'], number>();
  for (const { outcome } of worstFirst(kmods)) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
}

/** What the hub answered to a write, for the journal. */
export function describeReceipt({ task, repo, request, sideTag }: Receipt): string {
  if (task !== undefined) return `task ${task}`;
  if (repo) return `repo ${repo.id}`;
  return sideTag ?? (request === undefined ? 'accepted' : `repo request ${request}`);
}

/** How a write ended, for the journal; a scratch build with what it proves. */
export function describeEnding(run: Pick<Run, 'kernel' | 'intents'>, intent: Intent, ending: Ending): string {
  const { write } = intent;
  const what = write.kind === 'scratch-build' ? write.kmod : describeWrite(write);
  if (ending.how === 'lost') return `${what}: never reached the hub`;
  if (ending.build?.state === 'canceled' && isStopped(run, intent)) return `${what}: stopped by the gate`;
  if (ending.build) {
    const against = write.kind === 'scratch-build' ? write.against : undefined;
    const shown = judgeBuild({ ...run.kernel, ...against }, ending.build).cause;
    return `${what}: ${shown}${against ? ` (against ${against.nvr})` : ''}`;
  }
  return `${what}: ${ending.how === 'done' ? 'done' : ending.why}`;
}

/** What symbols show of a run, for the journal. */
export function describeShown(shown: SymbolsShown): string {
  const { kmods, change, stablelist } = shown;
  const parts = [
    ...(change ? [describeChange(change)] : []),
    ...(stablelist ? [describeStablelist(shown)] : []),
    ...(kmods.length > 0 ? [describeEvidence(kmods)] : []),
  ];
  return parts.join('; ');
}

/** The first few of many names. */
const someOf = (names: readonly string[]): string =>
  names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');

function describeEvidence(evidence: readonly SymbolEvidence[]): string {
  const outcomes = evidence.map(({ kmod, arches }) => ({ kmod, ...judgeSymbols(arches) }));
  const named = (...any: Outcome[]) =>
    outcomes.filter(({ outcome }) => any.includes(outcome)).map(({ kmod }) => kmod);
  const [ok, unclear] = [named('ok'), named('inconclusive')];
  const broken = named('broken', 'unattributed', 'already-broken');
  const parts = [
    `${ok.length} of ${plural(evidence.length, 'kmod')} ${ok.length === 1 ? 'loads' : 'load'} as built`,
    ...(broken.length > 0 ? [`not ${someOf(broken)}`] : []),
    ...(unclear.length > 0 ? [`nothing can be said of ${someOf(unclear)}`] : []),
  ];
  return `by their symbols ${parts.join('; ')}`;
}
