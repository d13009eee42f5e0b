/**
 * The words of kmod-gate as plain data. Nothing here knows a hub, a clock or a database.
 * Times are milliseconds since the Unix epoch, ids are Koji's own.
 */

import type { Policy, Strategy } from './gate.ts';
import type { SymbolsShown } from './symbols.ts';

export type * from './gate.ts';
export type * from './symbols.ts';

/** Koji's task states (koji.TASK_STATES). */
export const TASK = { FREE: 0, OPEN: 1, CLOSED: 2, CANCELED: 3, ASSIGNED: 4, FAILED: 5 } as const;

/** Koji's build states (koji.BUILD_STATES). */
export const BUILD = { BUILDING: 0, COMPLETE: 1, DELETED: 2, FAILED: 3, CANCELED: 4 } as const;

/**
 * What a message is worth: somewhere to look, never something to believe.
 * `build` and `task` are hub ids, `tag` is a tag's name.
 */
export type Hint =
  | { readonly kind: 'build'; readonly id: number }
  | { readonly kind: 'task'; readonly id: number }
  | { readonly kind: 'tag'; readonly name: string };

/** A kernel build, as `getBuild` tells. NVRs are for people: drafts share one, so code goes by `id`. */
export interface KernelBuild {
  readonly id: number;
  readonly nvr: string;
  readonly name: string;
  readonly epoch: number | null;
  readonly version: string;
  readonly release: string;
}

/** The kmod builds that a run tries, as chosen when it began. */
export interface Kmod {
  readonly name: string;
  readonly buildId: number;
  readonly nvr: string;
  /** Its source rpm, relative to the hub's `work` folder, so that nothing is uploaded. */
  readonly source: string;
  /** False: advisory, never blocks alone. */
  readonly required: boolean;
  /** Where it is tried, as the gate says; absent: wherever it is built. */
  readonly arches?: readonly string[];
  /** Where its modules are built for, of what the kernel is built for; absent in runs of older versions. */
  readonly expected?: readonly string[];
  /** What "already broken" is measured by, in this order; absent in runs of older versions: the run's baseline is. */
  readonly baselines?: readonly Baseline[];
}

/** Something the gate does to the hub. Each is recorded as an Intent before it is sent. */
export type Write =
  | {
      readonly kind: 'scratch-build';
      readonly kmod: string;
      readonly source: string;
      readonly target: string;
      readonly priority: number;
      /** The target that a side tag stands for; absent: `target` itself. */
      readonly base?: string;
      /** The baseline that it is tried against; absent: the run's kernel. */
      readonly against?: KernelRef;
      /** Build for these alone (`arch_override`). */
      readonly arches?: readonly string[];
      /** NVRs that a current repo must hold (`wait_repo`, `wait_builds`), or the one repo to use (`repo_id`). */
      readonly waitFor?: readonly string[];
      readonly repoId?: number;
    }
  /** A real build of the kmod's source, which Koji imports and tags as the target says. */
  | {
      readonly kind: 'rebuild';
      readonly kmod: string;
      readonly buildId: number;
      readonly target: string;
      readonly draft: boolean;
      /** Built from the head of this branch of its repository; absent: from the very sources of that build. */
      readonly branch?: string;
      /** NVRs that the repo must hold: the kernel, and rebuilds of the kmods whose symbols it needs. */
      readonly waitFor: readonly string[];
    }
  /** With `event`: a repo of the tag as it was then, when the baseline `against` was its newest kernel. */
  | {
      readonly kind: 'request-repo';
      readonly tag: string;
      readonly against?: KernelRef;
      readonly event?: number;
    }
  /** `known`: own side tags of that base before, so that a new one can be told apart. `against`: it is for the baseline. */
  | {
      readonly kind: 'create-side-tag';
      readonly base: string;
      readonly known: readonly string[];
      readonly against?: KernelRef;
    }
  | { readonly kind: 'remove-side-tag'; readonly tag: string }
  /**
   * With `from` it is one move (`tagBuild`'s `fromtag`), which the hub does as one transaction. `against`: the
   * baseline is tagged, and not the run's kernel. `after`: the newest Koji event of the kernel's tags before it was asked,
   * so what comes of it is a later one; absent in side tags and in runs of older versions.
   */
  | {
      readonly kind: 'tag';
      readonly tag: string;
      readonly from?: string;
      readonly against?: KernelRef;
      readonly after?: number;
    }
  | { readonly kind: 'untag'; readonly tag: string; readonly after?: number }
  | { readonly kind: 'cancel'; readonly task: number };

/** What the hub answered to a write: the id of its task or repo request, a repo that is there already, a side tag's name. */
export interface Receipt {
  readonly at: number;
  readonly task?: number;
  readonly request?: number;
  readonly repo?: { readonly id: number; readonly create_event: number };
  readonly sideTag?: string;
}

/**
 * How a write ended. `done`: its task is done, or its effect was seen. `failed`: the hub or its task said no.
 * `lost`: no reply came, and looking found no effect, so it never happened.
 */
export type Ending =
  | {
      readonly at: number;
      readonly how: 'done';
      readonly repo?: number;
      readonly build?: BuildEvidence;
      /** The build that a rebuild made. */
      readonly nvr?: string;
    }
  | { readonly at: number; readonly how: 'failed'; readonly why: string; readonly build?: BuildEvidence }
  | { readonly at: number; readonly how: 'lost' };

/**
 * What is recorded has a number: facts come one after the other, and which was first is asked of their numbers alone. Times
 * tell how long something took, and are for people: a machine's clock may be set.
 */
export interface Recorded {
  readonly fact: number;
}

/** A write with all that is known of it: asked, which is the fact of its number, answered (receipt), ended (ending). */
export interface Intent<W extends Write = Write> extends Recorded {
  /** `GATE/BUILD/GENERATION/KMOD/TRY` or `…/KIND/N`; travels as `custom_user_metadata` of a build. */
  readonly id: string;
  readonly write: W;
  readonly askedAt: number;
  readonly receipt?: Receipt;
  readonly ending?: Ending & Recorded;
}

/** An attempt: one scratch build of one kmod. */
export type Attempt = Intent<Extract<Write, { kind: 'scratch-build' }>>;

/** What an ended scratch build left to be read. */
export interface BuildEvidence {
  readonly state: 'closed' | 'failed' | 'canceled';
  /** The fault that the build task failed with. */
  readonly fault?: Fault;
  /** One for each `buildArch` task. */
  readonly arches: readonly ArchEvidence[];
  /** Why nothing more could be read of it. */
  readonly unread?: string;
}

/** A fault as Koji words it: faultCode and faultString. */
export interface Fault {
  readonly code: number;
  readonly text: string;
}

/** A kernel build as far as a build root or a repo tells. */
export interface KernelRef {
  readonly id: number;
  readonly nvr: string;
}

/** A kernel that a kmod is known, or taken, to be fine with. */
export interface Baseline extends KernelRef {
  /** NVR of the first kernel after it that the gate let through although the kmod was not fine. */
  readonly since?: string;
}

/** One architecture of a scratch build. */
export interface ArchEvidence {
  readonly arch: string;
  readonly task: number;
  /** A TASK state. */
  readonly state: number;
  readonly fault?: Fault;
  /** The devel rpms in the build root that may be a kernel's, by build and the rpm's own NVR; null: the hub recorded no content. */
  readonly buildroot: readonly KernelRef[] | null;
  /** The newest kernel of the repo that was used; null: not known. */
  readonly repo: KernelRef | null;
  /** Id of that repo. */
  readonly repoId?: number;
  /** First errors of build.log. */
  readonly errors: readonly LogError[];
  /** Why nothing more than its state could be read of it. */
  readonly unread?: string;
}

/**
 * An error in a log of a build; `file` and `line` are empty and 0 where the log names none. `source`: the package's own
 * failure, in the words of a compiler, modpost, the linker, or its own last ones. `dependency`: something that the
 * package's build needs cannot be installed. `kernel`: the same, and the kernel's build makes it. `outcome`: make, rpmbuild
 * or dnf only say that something failed. `machine`: the builder ran out of memory or disk, or could not reach a repository.
 */
export interface LogError {
  readonly kind: 'source' | 'dependency' | 'kernel' | 'outcome' | 'machine';
  readonly file: string;
  readonly line: number;
  readonly message: string;
  /** The function, field, type, header, symbol, or (of a dependency) package that the message names. */
  readonly identifier?: string;
  /** Where that is a symbol of the baseline that this kernel changed, or (`after` null) no longer has: its CRCs. */
  readonly change?: { readonly before: number; readonly after: number | null; readonly provider: string };
}

export type Verdict = 'promote' | 'block' | 'hold';

/** A verdict, and its reasons in order. `overdue`: the end of a hold gave it. */
export interface Found {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  readonly overdue?: true;
}

/** A person's word that a kmod need not hold a kernel up. */
export interface Waiver extends Recorded {
  readonly id: number;
  readonly at: number;
  readonly by: string;
  readonly reason: string;
  /** Of one gate; null: of any. */
  readonly gate: string | null;
  /** Pattern of kernel NVRs, or `next`: the first one that comes before the gate after the waiver was made. */
  readonly kernel: string;
  /** Pattern of kmod package names, or `stablelist`. */
  readonly kmod: string;
  /** When it ends by itself, by the calendar; null: never. */
  readonly until: number | null;
  /** The same by the gate's clock, as that and the machine's go now. */
  readonly ends: number | null;
  /** Who ended it before. */
  readonly ended?: Recorded & { readonly at: number; readonly by: string };
}

/**
 * What a person asked of a run. `retry`: try again what is not fine, or the kmods that match. `hold`: leave its tags
 * alone until `release`. `cancel`: end it.
 */
export interface Order extends Recorded {
  readonly id: number;
  readonly at: number;
  readonly by: string;
  readonly kind: 'retry' | 'hold' | 'release' | 'cancel';
  readonly reason: string;
  /** Of `retry`: pattern of kmod package names; null: all that are not fine. */
  readonly kmod: string | null;
}

/** What another run showed: one kmod build, one architecture, one kernel build, one build target. */
export interface PastTrial {
  readonly kmodBuild: number;
  readonly kernelBuild: number;
  readonly arch: string;
  readonly target: string;
  readonly shows: 'builds' | 'fails';
  /** What proves that it was built against that kernel. */
  readonly proof: Policy['proof'];
  readonly run: string;
  readonly at: number;
}

/** Whether and where a baseline can be built against with a shared build tag: in a repo that still holds it. */
export interface BaselineRepo {
  /** Null: there is none, and `why`. */
  readonly repo: number | null;
  /** Where there is none: a Koji event at which it was the newest kernel, of which the hub makes a repo when asked. */
  readonly event?: number;
  readonly why: string;
}

/** All facts of one run; that it began is the one of its number. What its state is follows from them. */
export interface Run extends Recorded {
  /** `GATE/BUILD/GENERATION`. */
  readonly id: string;
  readonly gate: string;
  readonly kernel: KernelBuild;
  readonly generation: number;
  /** Koji event with which the kernel came into the watch tag: a later one is a new run. */
  readonly entry: number;
  /** Tags that the kernel was in when the run began. */
  readonly tags: readonly string[];
  readonly startedAt: number;
  /** The gate's when the run began. */
  readonly strategy: Strategy;
  readonly kmods: readonly Kmod[];
  /** When they were chosen last. */
  readonly chosen: Recorded & { readonly at: number };
  /** What the kernel's symbols are compared with: the newest that passed with its promises kept; null: there was none. */
  readonly baseline: KernelRef | null;
  /** By kernel build, once it was wanted as a baseline in a shared build tag. */
  readonly baselineRepos: Readonly<Record<number, BaselineRepo>>;
  /** What other runs showed of these very kmod builds and their baselines, newest first. */
  readonly past: readonly PastTrial[];
  /** Once they were read; never with the strategy `rebuild` and no stablelist. */
  readonly symbols?: SymbolsShown;
  readonly intents: readonly Intent[];
  /** Those that speak of this gate and kernel, also such as have ended. */
  readonly waivers: readonly Waiver[];
  readonly orders: readonly Order[];
  /** The newest; undefined where a person has asked for a retry since. */
  readonly verdict?: Found & Recorded & { readonly at: number };
  readonly closing?: Closing;
}

/**
 * Why a run is over. `done`: its verdict was carried out. `observed`: it would have been.
 * `superseded`: a newer kernel stands where this one would go, or before the gate. `taken-over`: a person moved the
 * kernel. `cancelled`: a person ended the run.
 */
export interface Closing {
  readonly at: number;
  readonly how: 'done' | 'observed' | 'superseded' | 'taken-over' | 'cancelled';
  readonly why: string;
}

/** A line of the journal: what was seen, asked, answered, decided. */
export interface Entry {
  readonly at: number;
  readonly kind:
    | 'kernel'
    | 'run'
    | 'symbols'
    | 'causes'
    | 'asked'
    | 'answered'
    | 'ended'
    | 'state'
    | 'verdict'
    | 'person'
    | 'closed';
  /** Null where it is about the kernel alone. */
  readonly gate: string | null;
  readonly build: number;
  readonly nvr: string;
  readonly run: string | null;
  readonly text: string;
}
