/** What one look at a run sees, and what it answers: plain data. */
import type { Closing, Found, Intent, KernelRef, Write } from './model.ts';
import type { TagsSeen } from './tags.ts';
import { describeWrite } from './wording.ts';

/** A target's build tag and the newest build of the kernel's package that is visible in it. */
export interface BuildTag {
  readonly name: string;
  readonly latest: KernelRef | null;
  /** Whether a run of this gate will, in its time, take that build out of the watch tag. */
  readonly leaves: boolean;
}

/**
 * What Greenwave says of a kernel. `yes`: its policies are satisfied. `later`: results are missing yet, or it cannot be asked
 * now. `no`: until a person acts.
 */
export interface GreenwaveWord {
  readonly says: 'yes' | 'later' | 'no';
  /** On one line, in its words where it has some. */
  readonly why: string;
}

/** A side tag of nobody that is known. */
export interface Orphan {
  readonly name: string;
  /** When it was made, by the hub's clock. */
  readonly since: number;
}

/** What is true now: the run's facts, and what the hub says beside them. */
export interface Observation extends TagsSeen {
  /** By the gate's clock. */
  readonly now: number;
  /** How far the machine's clock, and so the calendar, is ahead of that, in ms: 0 unless somebody set it. */
  readonly ahead: number;
  /** Number of the newest fact when the look began: what was recorded since may change what is decided. */
  readonly newest: number;
  /** What could not be read of the run so far, and why. */
  readonly unread: readonly string[];
  /** Whether tasks of the run have ended, and what they have come to is still to be read. */
  readonly ended: boolean;
  /** Null where nothing is built. */
  readonly buildTag: BuildTag | null;
  /** Tags into which another kernel of the package is on its way, by this gate's or another one's hand. */
  readonly incoming: ReadonlySet<string>;
  /** A gate that blocks this kernel, and a tag into which both it and this one let kernels pass. */
  readonly blockedBy: { readonly gate: string; readonly tag: string } | null;
  /** Names of all own side tags; only needed where the run uses one. */
  readonly sideTags: readonly string[];
  /** Own side tags that may have come of a request without a reply: no run's, and never anything was in them. */
  readonly orphans: readonly Orphan[];
  /** Scratch builds of the gate that may be submitted now: what `max_active` and newer kernels leave. */
  readonly slots: number;
  /** Scratch builds of the gate in the last 24 hours that were not the first try. */
  readonly retriesToday: number;
  /** Null: nobody is asked, since the policy does not want it, or there is nothing to let through yet. */
  readonly greenwave: GreenwaveWord | null;
  /** A newer kernel that stands before the same gate, and is not blocked or held there. */
  readonly newer: KernelRef | null;
}

/** How often to look when nothing is heard, in ms. */
export interface Pace {
  readonly poll: number;
}

export interface Decision {
  /** One line for people: where the run stands, and where it is held, who must act. */
  readonly state: string;
  readonly writes: readonly Write[];
  readonly verdict?: Found;
  readonly closing?: Omit<Closing, 'at'>;
  /** Symbols must be read before more can be decided. */
  readonly wantsSymbols?: true;
  /** A repo that still holds this baseline must be found, or not. */
  readonly wantsBaseline?: KernelRef;
  /** When to look again; undefined: at the next sweep. */
  readonly wakeAt?: number;
}

export const wait = (state: string, wakeAt?: number): Decision => ({
  state,
  writes: [],
  ...(wakeAt && { wakeAt }),
});

export const act = (state: string, ...writes: Write[]): Decision => ({ state, writes });

export const conclude = (found: Omit<Found, 'overdue'>, overdue = false): Decision => ({
  state: `verdict: ${found.verdict}`,
  writes: [],
  verdict: { verdict: found.verdict, reasons: found.reasons, ...(overdue && { overdue: true }) },
});

/** Pauses before a write that the hub refused is asked again, in ms; the last one repeats. */
const REFUSED_PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const;

/**
 * Ask the hub for a write; where it has refused it, wait longer each time.
 * @param before the intents of the same write
 */
export function ask(write: Write, before: readonly Intent[], now: number): Decision {
  const refusals = before.flatMap(({ ending }) => (ending?.how === 'failed' ? [ending] : []));
  const last = refusals.at(-1);
  const pause = REFUSED_PAUSES[Math.min(refusals.length, REFUSED_PAUSES.length) - 1] ?? 0;
  if (!last || last.at + pause <= now) return act(describeWrite(write), write);
  return wait(`held: cannot ${describeWrite(write)}: ${last.why}`, last.at + pause);
}
