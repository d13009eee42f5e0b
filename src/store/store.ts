/** What a store of facts can tell, and how facts come into it; `open.ts` makes one. */
import type { ToldCauses } from '../btf/told.ts';
import type { Judgement, LastJudged } from '../core/baseline.ts';
import type { Outcome } from '../core/cell.ts';
import type {
  ArchDetail,
  BaselineRepo,
  Closing,
  Ending,
  Entry,
  Found,
  Intent,
  KernelBuild,
  KernelRef,
  Kmod,
  Order,
  Receipt,
  Run,
  SymbolEvidence,
  SymbolsShown,
  Verdict,
  Waiver,
  Write,
} from '../core/model.ts';
import type { Packaging } from '../kabi/requires.ts';
import type { SymbolDependency } from '../kabi/rpm.ts';
import type { RunsWanted } from '../report/report.ts';
import type { LiveCount } from './counts.ts';
import type { Outbox } from './outbox.ts';

/** The newest message that a queue of the bus brought. */
export interface Heard {
  readonly queue: string;
  readonly at: number;
  readonly routingKey: string;
  readonly understood: boolean;
}

/** What an rpm's header says of symbols and of kernels. */
export interface RpmDependencies {
  readonly provides: readonly SymbolDependency[];
  readonly requires: readonly SymbolDependency[];
  /** Absent of what a version kept that read symbols only. */
  readonly packaging?: Packaging;
}

/** What is recorded of a run, in a few words. */
export interface RunSummary {
  readonly id: string;
  readonly gate: string;
  readonly kernel: KernelRef;
  readonly startedAt: number;
  /** How many kmods it tries. */
  readonly kmods: number;
  readonly verdict: Verdict | null;
  /** How many kmods have each outcome as the verdict says, those that a waiver spares as `waived`; empty without one. */
  readonly tally: Readonly<Record<string, number>>;
  /** Of a live run: the line that was last said of its kernel at its gate, and the hold that nobody has released. */
  readonly said?: string;
  readonly held?: Pick<Order, 'by' | 'at' | 'reason'>;
  readonly closing?: Closing;
}

/** A run of which there is evidence, and when it began, in ms. */
export interface EvidenceOf {
  readonly run: string;
  readonly gate: string;
  readonly kernel: KernelRef;
  readonly at: number;
}

/** A record of a WaiverDB, and the waiver here that it gives (`read`), or that it was written for when that was given or ended. */
export interface RecordThere {
  /** Which WaiverDB, and what of it. */
  readonly source: string;
  /** Its number there. */
  readonly there: number;
  readonly waiver: number;
  readonly kind: 'read' | 'given' | 'ended';
}

/** A record that is sent to a WaiverDB, and when, in ms. */
export interface Post extends Pick<RecordThere, 'source' | 'waiver'> {
  readonly kind: 'given' | 'ended';
  readonly at: number;
}

/** What a verdict said of a kmod with a kernel. */
export interface JudgedCell {
  readonly run: string;
  readonly gate: string;
  readonly kernel: KernelRef;
  readonly kmod: string;
  readonly outcome: Outcome;
  /** When that was, in ms. */
  readonly at: number;
}

/** Opened store. All times are milliseconds since the epoch by the gate's clock (clock.ts), given by the caller. */
export interface Store extends Outbox {
  /** Random id of this store, which marks its scratch builds on the hub. */
  readonly installation: string;
  /** The URL of the hub that it is of, without a login; null for one that no gate has run with since stores tell. */
  readonly hub: string | null;
  /**
   * Record that a kernel build of a gate's package was seen, before anything is said of it, or that it has another name
   * now, as a draft that was promoted; again is harmless.
   */
  seeKernel(kernel: KernelBuild, at: number): Promise<void>;
  beginRun(
    run: Pick<
      Run,
      | 'id'
      | 'gate'
      | 'kernel'
      | 'generation'
      | 'entry'
      | 'tags'
      | 'kmods'
      | 'startedAt'
      | 'strategy'
      | 'baseline'
    >,
  ): Promise<void>;
  /** Choose the kmods of a run again: the newest choice counts, and what symbols showed of another one does not. */
  select(run: Run, kmods: readonly Kmod[], at: number): Promise<void>;
  /** Record what symbols show of a run, with the choice of kmods that it was read with; the newest counts. */
  showSymbols(run: Run, shown: SymbolsShown<ArchDetail>, at: number): Promise<void>;
  /**
   * Keep what rpms provide and require; again is harmless.
   * @param builds by rpm, the id of the build that made it: what no build is known of is kept for ever
   */
  keepRpmSymbols(
    rpms: ReadonlyMap<number, RpmDependencies>,
    builds?: ReadonlyMap<number, number>,
  ): Promise<void>;
  /**
   * Record writes before they are sent. The ids are new; recording one twice is an error.
   * @param newest number of the newest fact when they were decided; absent: now
   * @throws OvertakenError where a person has asked something of the run since it was read; or, of a build or a tag, where
   * another run at the gate or on the package has asked, judged, or ended since
   */
  intend(run: Run, writes: readonly Write[], at: number, newest?: number): Promise<Intent[]>;
  /** Record the hub's answer. Throws OvertakenError where it is a side tag that another run has taken. */
  receive(run: Run, intent: Intent, receipt: Receipt): Promise<void>;
  end(run: Run, intent: Intent, ending: Ending): Promise<void>;
  /** Record whether a repo holds a baseline of the run. */
  findBaseline(run: Run, baseline: KernelRef, found: BaselineRepo, at: number): Promise<void>;
  /**
   * Record why symbols changed that a run's kmods need; the newest counts. With none, nothing more is said.
   * @param upTo as of `unexplained`: what was recorded since is still to be looked at
   */
  explain(run: Run, told: readonly ToldCauses[], at: number, upTo: number): Promise<void>;
  /** Keep the types (BTF) of a kernel build for an architecture; again is harmless. */
  keepKernelTypes(build: number, arch: string, types: Uint8Array, at: number): Promise<void>;
  /** Record a verdict in place of the one before, and what it says of each kmod. Throws OvertakenError as `closeRun` does. */
  judge(run: Run, verdict: Found, kmods: readonly Judgement[], at: number): Promise<void>;
  /** Throws OvertakenError where a person has asked something of the run since it was read. */
  closeRun(run: Run, closing: Closing): Promise<void>;
  /** Make a closed run a live one again. */
  reopen(run: Run, why: string, at: number): Promise<void>;
  /**
   * Record a waiver and the runs that it speaks of, with a line in the journal of each of `runs`. Returns its id.
   * @param from the record of a WaiverDB that gives it; one gives it once
   */
  waive(
    waiver: Omit<Waiver, 'id' | 'fact' | 'ends' | 'ended'>,
    runs: readonly Run[],
    from?: Pick<RecordThere, 'source' | 'there'>,
  ): Promise<number>;
  /** The records of WaiverDBs that are known here. */
  recordsThere(): Promise<RecordThere[]>;
  /** A record that this gate has written is there. */
  noteThere(record: RecordThere): Promise<void>;
  /** What was sent to WaiverDBs, and when that was tried last. */
  posts(): Promise<Post[]>;
  /** Something is about to be sent. */
  notePost(post: Post): Promise<void>;
  /** End a waiver, with a line in the journal of each run that it spoke of. */
  endWaiver(waiver: Waiver, by: string, at: number, runs: readonly Run[]): Promise<void>;
  /** Record what a person asks of a live run. Throws OvertakenError where it is over. */
  order(run: Run, order: Omit<Order, 'id' | 'fact'>): Promise<void>;
  /** Record the line that tells where a build stands at a gate, unless it is what was last said. */
  say(gate: string, kernel: KernelBuild, run: string | null, text: string, at: number): Promise<void>;
  /** Keep the newest message of a queue, in place of the one before. */
  hear(heard: Heard): Promise<void>;

  kernel(idOrNvr: number | string): Promise<KernelBuild | undefined>;
  /** Kernels that were seen, newest first. */
  kernels(): Promise<KernelBuild[]>;
  /** Newest generation of a gate's run on a kernel build. */
  latestRun(gate: string, build: number): Promise<Run | undefined>;
  run(id: string): Promise<Run | undefined>;
  /** Runs that are not closed, oldest first; of one gate or of all. */
  liveRuns(gate?: string): Promise<Run[]>;
  /** Only which those are: to want a look at each, its facts need not be read. */
  liveKernels(gate?: string): Promise<Pick<Run, 'id' | 'gate' | 'kernel'>[]>;
  /** Newest runs first, but for those of which not all is kept. */
  runs(limit: number): Promise<Run[]>;
  /**
   * A page of all runs, newest first, without reading them.
   * @returns `older` continues it, as `before`; null at the end. Undefined where there is no run `before`
   */
  summaries(wanted: RunsWanted): Promise<{ runs: RunSummary[]; older: string | null } | undefined>;
  /** Names of all kmods that a verdict ever spoke of, and `stablelist` where one did; in their order. */
  kmodNames(): Promise<string[]>;
  /** By run and kmod what the newest verdicts of these runs said. Runs without one are missing. */
  cells(runs: readonly Pick<RunSummary, 'id' | 'kernel'>[]): Promise<Map<string, Map<string, Outcome>>>;
  /**
   * Ids of the runs that may need somebody, newest first: live ones that are held, and those that blocked a kernel since the
   * last one that began before it was let through.
   */
  needing(): Promise<string[]>;
  /** What verdicts said of a kmod, newest first; of a run only the newest. */
  cellsOfKmod(kmod: string, limit: number): Promise<JudgedCell[]>;
  /**
   * The first kernel at a gate with which a kmod was not fine, and all since; undefined where it was with the newest. Fine is
   * ok: what is already broken is not.
   */
  brokenSince(kmod: string, gate: string): Promise<JudgedCell | undefined>;
  /** Runs with what symbols show of them, newest first; `older` continues it. Each is read by `detailOf`. */
  runsWithSymbols(limit: number, before?: number): Promise<{ runs: EvidenceOf[]; older: number | null }>;
  /** Runs of which causes are told, newest first; `older` continues it. */
  runsWithCauses(
    limit: number,
    before?: number,
  ): Promise<{ runs: (EvidenceOf & { readonly causes: ToldCauses[] })[]; older: number | null }>;
  /** Every symbol that was compared for what a run shows; it is much, and only told. */
  symbolDetail(run: Pick<Run, 'id' | 'symbols'>): Promise<SymbolEvidence<ArchDetail>[]>;
  /** The newest of a run by its id, of which the run itself may have nothing to tell, as it was read before a new choice. */
  detailOf(run: string): Promise<SymbolEvidence<ArchDetail>[]>;
  /**
   * Runs of which something was recorded that a change in the kernel's source may explain, and that nobody has looked at;
   * newest first. `upTo`: the newest such fact.
   */
  unexplained(): Promise<{ id: string; gate: string; build: number; upTo: number }[]>;
  /** What was last found of a run, by architecture. */
  causesOf(run: Pick<Run, 'id'>): Promise<ToldCauses[]>;
  /** The types of a kernel build, which are kept as long as somebody asks for them. */
  kernelTypes(build: number, arch: string, at: number): Promise<Uint8Array | undefined>;
  /** All waivers, newest first. */
  waivers(): Promise<Waiver[]>;
  /**
   * The runs that waivers named when they were given, but for those that persons have ended: see named.ts.
   * @param after only those that come after this number
   */
  runsWaived(after: number): Promise<{ seq: number; run: string; gate: string; build: number }[]>;
  /** Number of the newest line of the journal: it grows with every fact. */
  newestFact(): Promise<number>;
  /** Time of the newest fact; 0 where there is none. */
  newest(): Promise<number>;
  /** How far (ms) the machine's clock was ahead of the gate's when that was noted last; 0 where it never was. */
  ahead(): Promise<number>;
  /** Note that the machine's clock was set, and how far it is ahead of the gate's now. */
  noteAhead(ahead: number, at: number): Promise<void>;
  /** A number that grows with each waiver, its end and each order: whether persons have spoken since. */
  wordsOfPersons(): Promise<number>;
  /** The kernel of this package, other than `build`, that a gate let through last. */
  lastPassed(gate: string, name: string, build: number): Promise<KernelBuild | undefined>;
  /**
   * By kmod, what a gate said of it last: with that kernel, or (null) with any that it let through. Of kernels of this
   * package, other than `except`.
   */
  lastJudged(
    gate: string,
    name: string,
    of: { readonly kernel: number | null; readonly except: number },
  ): Promise<Map<string, LastJudged>>;
  /** Ids of the repos whose build roots held a kernel build, newest evidence first. */
  reposWith(kernel: number): Promise<number[]>;
  /** Scratch builds of a gate since a time (ms) that were not the first try. */
  retriesSince(gate: string, since: number): Promise<number>;
  /** The live runs, counted, for those who watch. */
  liveCounts(): Promise<LiveCount[]>;
  /** Runs of a kernel build, newest first. */
  runsOf(build: number): Promise<Run[]>;
  /** The kernel build for which a task was started, and the gate. */
  ownerOfTask(task: number): Promise<{ gate: string; build: number; run: string } | undefined>;
  /** Names of all side tags that were ever created. */
  sideTags(): Promise<string[]>;
  /**
   * What is known of rpms, by their Koji ids.
   * @param builds as of `keepRpmSymbols`; with it, it is noted that they were used now
   */
  rpmSymbols(
    ids: readonly number[],
    builds?: ReadonlyMap<number, number>,
  ): Promise<Map<number, RpmDependencies>>;
  /** What was last said of a build at a gate. */
  lastSaid(gate: string, build: number): Promise<string | undefined>;
  journal(build: number): Promise<Entry[]>;
  /** Another text whenever anything was recorded of a build, or persons have spoken. */
  revision(build: number): Promise<string>;
  /** The newest message of a queue that a gate on this store kept. */
  lastHeard(queue: string): Promise<Heard | undefined>;
  /**
   * Take away what nobody needs any more: the tries, logs, symbols and causes of runs that have long been over, and symbols of
   * rpms and types of kernels that were long not used. What was decided stays, what shows how a kmod does with a kernel, and all of which a live run,
   * a baseline, or a waiver that comes late may ask.
   * @param now ms since the epoch
   * @param keep for how long, in ms, everything stays
   * @param stop ends it after the step in hand
   * @returns whether there may be more: it is done in small steps, and not in all of them at once
   */
  prune(now: number, keep: number, stop?: AbortSignal): Promise<boolean>;
  /** When details of a run were taken away; null while all is kept. */
  prunedAt(run: string): Promise<number | null>;
  /** By kmod, what the newest verdict of a run said of it. */
  judgedIn(run: Pick<Run, 'id' | 'gate' | 'kernel'>): Promise<Map<string, Outcome>>;
  close(): Promise<void>;
}
