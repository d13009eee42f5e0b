/**
 * The tables; `migrations.ts` makes them. Rows are facts: inserted, and never changed; but see `heard`,
 * `kernel_build` and the outbox. Marks (`run.live`, `run.passed`, `judgement.passed`) repeat what follows from other facts, so that what
 * is alive is found without its history; `runs.ts` keeps them. What `prune.ts` takes away nobody needs any more.
 */
import { type Generated, sql } from 'kysely';

/**
 * JSON travels as text, or packed where it is much; times are milliseconds since the epoch by the
 * gate's clock. `fact` is the number of the fact
 * that a row belongs to: which was first is asked of that, never of times.
 */
export interface Tables {
  /** One row: the number of the newest fact. Each fact, or some that are one, takes the next. */
  sequence: { newest: number };
  /**
   * One row: which gate acts, on PostgreSQL; SQLite's lock says it there. `holder` is empty where nobody does; `beat` grows
   * while the holder lives, `token` with each holder (a change of the key waits for all that hold the row: lease.ts).
   * `ends_at`, by the database's clock, is for people to read.
   */
  lease: { token: number; holder: string; beat: number; ends_at: number };
  /** One row: an id of this store, so that two installations tell their scratch builds apart. */
  installation: { id: string };
  /** How far the machine's clock is ahead of the gate's (clock.ts), in ms; the newest counts. */
  clock: { fact: number; at: number; ahead: number };
  /** The URL of the hub whose numbers are in here; the newest counts, as hubs move. */
  hub: { seq: Generated<number>; url: string };
  /** Its names are the hub's of now: a draft has others once it is promoted. */
  kernel_build: {
    id: number;
    nvr: string;
    name: string;
    epoch: number | null;
    version: string;
    release: string;
    seen_at: number;
    /** Its NVR as a draft, where it was one and is promoted: a waiver for that name still speaks of it. */
    draft_nvr: string | null;
  };
  run: {
    id: string;
    fact: number;
    gate: string;
    build_id: number;
    generation: number;
    entry: number;
    tags: string;
    started_at: number;
    strategy: string;
    baseline: string | null;
    /** Mark: 1 while it is not closed, or was opened again. */
    live: Generated<number>;
    /**
     * Mark: `seq` of its newest verdict where that says promote, and the run is live or was closed as done; else null. The
     * gate let the kernel through, once a live one has changed tags.
     */
    passed: Generated<number | null>;
    /** Mark: the newest fact that a change in the kernel's source may explain; 0 once that was looked at. */
    unexplained: Generated<number>;
    /** When what only it needs was taken away; null: it has all. */
    pruned_at: Generated<number | null>;
  };
  /** A repo that still holds a baseline of a run, or why there is none. */
  baseline_repo: {
    run_id: string;
    kernel_build: number;
    at: number;
    fact: number;
    repo: number | null;
    why: string;
    /** The Koji event of which a repo with it can be made. */
    event: number | null;
  };
  /**
   * What scratch builds showed: one kmod build, one architecture, one kernel build, one build target. What says nothing
   * of the kmod is no row. `repo` held that kernel.
   */
  trial: {
    kmod_build: number;
    kernel_build: number;
    arch: string;
    target: string;
    shows: string;
    proof: string;
    at: number;
    run_id: string;
    repo: number | null;
  };
  /** What a verdict said of each kmod, and of the stablelist by that name. */
  judgement: {
    seq: Generated<number>;
    run_id: string;
    gate: string;
    kernel_build: number;
    kmod: string;
    kmod_build: number;
    outcome: string;
    /** What it was measured by; null: nothing. */
    baseline: string | null;
    at: number;
    /** Name of the kernel's package. */
    package: string;
    /** Mark: whether `passed` of its run is set. */
    passed: number;
  };
  /**
   * What symbols show of a run; read anew when its kmods are chosen anew: `chosen` is the number of their choice. `detail`,
   * the packed list of every symbol, comes last: SQLite reads no further than the last column that is asked for.
   */
  symbol_evidence: { run_id: string; at: number; chosen: number; evidence: string; detail: Uint8Array };
  /**
   * Symbols that an rpm provides and requires, packed; as text where an older kmod-gate wrote them. An rpm never changes.
   * `build_id` is null where nobody knows which build made it; `used_at` is the day, or nearly, on which it was last read.
   */
  rpm_symbols: { rpm_id: number; symbols: Uint8Array | string; build_id: number | null; used_at: number };
  /** Why symbols changed that a run's kmods need: packed, the newest counts. */
  explanation: { run_id: string; at: number; fact: number; causes: Uint8Array };
  /** The types (BTF) of a kernel, packed; they can be had from the hub again. `used_at` as of `rpm_symbols`. */
  kernel_types: { build_id: number; arch: string; types: Uint8Array; used_at: number };
  /** The kmods of a run, and how many. An empty choice is made again. */
  selection: { run_id: string; at: number; fact: number; kmods: string; size: number };
  /** What was asked of the hub, recorded before it was sent. `seq` keeps their order. */
  intent: {
    id: string;
    run_id: string;
    seq: number;
    fact: number;
    kind: string;
    write: string;
    asked_at: number;
    /** Of scratch builds: what is built, and against which kernel build. */
    kmod_build: number | null;
    kernel_build: number | null;
    /** 1 where the run had asked for the same pair before. */
    again: number;
  };
  /** What the hub answered. */
  receipt: { intent_id: string; at: number; task_id: number | null; receipt: string };
  /** How it ended. */
  ending: { intent_id: string; at: number; fact: number; how: string; ending: string };
  /** The newest of a run counts, unless a retry was ordered since. `overdue`: the end of a hold gave it. */
  verdict: {
    seq: Generated<number>;
    run_id: string;
    at: number;
    fact: number;
    verdict: string;
    reasons: string;
    overdue: number;
    /** How many kmods have each outcome, those that a waiver spared as `waived`. */
    tally: string;
  };
  /** The newest of a run counts; `reopened` makes it a live one again. */
  closing: { seq: Generated<number>; run_id: string; at: number; how: string; why: string };
  waiver: {
    id: Generated<number>;
    at: number;
    fact: number;
    by: string;
    reason: string;
    gate: string | null;
    kernel: string;
    kmod: string;
    /** By the calendar, as a person said it. */
    until: number | null;
  };
  /** The runs that had not let their kernel through when a waiver was given that speaks of it. */
  waiver_run: { seq: Generated<number>; waiver_id: number; run_id: string };
  waiver_end: { waiver_id: number; at: number; fact: number; by: string };
  /**
   * Records of a WaiverDB that are known here: `read` gave the waiver, `given` and `ended` were written by this gate for it.
   * `source`: URL, product version and testcase.
   */
  waiver_there: { source: string; there: number; waiver_id: number; kind: string };
  /** Records that were sent to a WaiverDB, and when that was tried last. */
  waiver_post: { source: string; waiver_id: number; kind: string; at: number };
  /** What persons asked of runs. */
  run_order: {
    id: Generated<number>;
    run_id: string;
    at: number;
    fact: number;
    by: string;
    kind: string;
    reason: string;
    kmod: string | null;
  };
  journal: {
    seq: Generated<number>;
    at: number;
    fact: number;
    kind: string;
    gate: string | null;
    build_id: number;
    run_id: string | null;
    text: string;
  };
  /** The newest message of each queue: its rows are replaced. No decision rests on it. */
  heard: { queue: string; at: number; routing_key: string; understood: number };
  /** What is to be told to others is no fact: rows come from the journal, change, and go once they are told (outbox.ts). */
  outbox_cursor: { channel: string; seq: number };
  outbox: {
    channel: string;
    fact: number;
    run_id: string;
    what: string;
    /** Empty: not divided into messages yet. */
    part: string;
    made_at: number;
    next_at: number;
    /** `waiting` or `failed`. */
    state: string;
    tries: Generated<number>;
    error: string | null;
  };
  /** What a channel was told last of one matter. */
  outbox_told: { channel: string; about: string; digest: string; at: number };
}

/** How the last closing of `run` is; `reopened` where there is none. */
const lastClosing = sql`coalesce((
  SELECT how FROM closing WHERE closing.run_id = run.id ORDER BY closing.seq DESC LIMIT 1), 'reopened')`;

/** What the marks `live` and `passed` of `run` repeat. */
export const isLive = sql<number>`CASE WHEN ${lastClosing} = 'reopened' THEN 1 ELSE 0 END`;
export const passedBy = sql<number | null>`CASE WHEN ${lastClosing} IN ('reopened', 'done') THEN (
  SELECT seq FROM (SELECT verdict.seq AS seq, verdict FROM verdict WHERE verdict.run_id = run.id
    ORDER BY verdict.seq DESC LIMIT 1) AS newest WHERE verdict = 'promote') END`;
