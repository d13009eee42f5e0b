/**
 * The words of kmod-gate as plain data. Nothing here knows a hub, a clock or a database.
 * Times are milliseconds since the Unix epoch, ids are Koji's own.
 */

import type { ChangedImport, KmodComparison, KmodImport } from '../kabi/compare.ts';
import type { ImportedSymbol } from '../kabi/model.ts';

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

/** Tags to put a build into and to take it out of. */
export interface TagChange {
  readonly tag: readonly string[];
  readonly untag: readonly string[];
}

/**
 * How kmods are tried. `rebuild`: by scratch builds. `symbols`: by what their rpms need of the kernel's.
 * `symbols-then-rebuild`: a kmod whose symbols fit is spared the build. `symbols-and-rebuild`: both must be fine.
 */
export type Strategy = 'rebuild' | 'symbols' | 'symbols-then-rebuild' | 'symbols-and-rebuild';

/** How and where a gate builds. */
export interface Building {
  /** The build target of scratch builds; its build tag must inherit from `watch`. */
  readonly target: string;
  /**
   * How a build root comes to hold the kernel. `wait`: Koji waits for a repo with it (`wait_builds`).
   * `pin`: a repo with it is requested, and builds name its id. `sidetag`: a side tag for each run.
   */
  readonly repo: 'wait' | 'pin' | 'sidetag';
  /** Offset to Koji's default task priority; lower is sooner, negative needs admin rights. */
  readonly priority: number;
  /** Most scratch builds of this gate at one time. */
  readonly max_active: number;
}

/** What evidence is worth to a gate, and how long it waits for it. Durations are milliseconds, null: no end. */
export interface Policy {
  /** What a required kmod does of which nothing can be said. */
  readonly inconclusive: 'hold' | 'block' | 'pass';
  /** What a required kmod does that is broken, where nothing shows whether it was so before this kernel. */
  readonly unattributed: 'block' | 'hold' | 'pass';
  /**
   * What proves which kernel a build was made against. `buildroot`: only the content that the hub recorded of the
   * build root. `repo`: where it recorded none, the newest kernel of the repo too. `any`: where that is not known
   * either, the build is taken at its word.
   */
  readonly proof: 'buildroot' | 'repo' | 'any';
  /** More advisory kmods than this that are broken by a kernel block it; null: any number is only told. */
  readonly advisory_limit: number | null;
  /** What a newer kernel before the same gate does to an older one: end it, let it finish what runs, or nothing. */
  readonly supersede: 'cancel' | 'finish' | 'keep';
  /** Builds tried again by no fault of the kmod: of one kmod, of a run, of the gate in 24 hours. */
  readonly retries: { readonly kmod: number; readonly run: number; readonly day: number };
  readonly longest_build: number | null;
  /** After this, kmods that are not judged are inconclusive. */
  readonly longest_run: number | null;
  readonly longest_hold: number | null;
  /** What ends a hold that lasted so long. */
  readonly after_hold: 'block' | 'promote';
  /** Nothing is promoted in these times. */
  readonly quiet: readonly QuietTime[];
}

/** A time of each week, in minutes from Monday 00:00 UTC; one that runs over Sunday midnight has `to` before `from`. */
export interface QuietTime {
  readonly from: number;
  readonly to: number;
}

/** A promise to keep symbols as they are. */
export interface Stablelist {
  /** What a broken promise does. */
  readonly effect: 'block' | 'warn';
  /** The symbols of each architecture; `*` stands for any. */
  readonly symbols: Readonly<Record<string, readonly string[]>>;
}

/** A gate: one named policy, spelled as in the configuration file. */
export interface Gate {
  readonly name: string;
  /** Package names whose builds are the gate's subject, such as `kernel`. */
  readonly kernels: readonly string[];
  /** A kernel in this tag stands before the gate. */
  readonly watch: string;
  /** `observe` does everything but tag changes. */
  readonly mode: 'enforce' | 'observe';
  readonly strategy: Strategy;
  /** Of the kernels that one build makes, the one whose symbols count: `''` is the plain one; `rt`, `64k`, `debug`. */
  readonly variant: string;
  readonly kmods: {
    /** The newest build of each package in this tag is tried. */
    readonly tag: string;
    /** Shell patterns (`*`, `?`) of package names; `exclude` wins. */
    readonly include: readonly string[];
    readonly exclude: readonly string[];
    /** Patterns of kmods that never block alone. */
    readonly advisory: readonly string[];
    /** Architectures of some kmods, by pattern of their names; the first that matches counts. */
    readonly arches: Readonly<Record<string, readonly string[]>>;
  };
  /** Where kmods are tried; null: wherever they are built. */
  readonly arches: readonly string[] | null;
  /** NVR of the kernel that "already broken" is measured by; null: the newest one that the gate let through. */
  readonly baseline: string | null;
  readonly policy: Policy;
  /** Symbols that a kernel must not change, whether a kmod uses them or not; null: none. */
  readonly stablelist: Stablelist | null;
  /** Null where nothing is ever built: with the strategy `symbols`. */
  readonly build: Building | null;
  readonly on_pass: TagChange;
  readonly on_fail: TagChange;
  /** Where kmods that need a rebuild are built for real once the kernel has passed; null: nowhere. */
  readonly rebuild: { readonly target: string; readonly draft: boolean } | null;
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
  /** Where it is tried; absent: wherever it is built. */
  readonly arches?: readonly string[];
}

/** Something the gate does to the hub. Each is recorded as an Intent before it is sent. */
export type Write =
  | {
      readonly kind: 'scratch-build';
      readonly kmod: string;
      readonly source: string;
      readonly target: string;
      readonly priority: number;
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
      /** NVRs that the repo must hold: the kernel, and rebuilds of the kmods whose symbols it needs. */
      readonly waitFor: readonly string[];
    }
  | { readonly kind: 'request-repo'; readonly tag: string }
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
   * baseline is tagged, and not the run's kernel.
   */
  | { readonly kind: 'tag'; readonly tag: string; readonly from?: string; readonly against?: KernelRef }
  | { readonly kind: 'untag'; readonly tag: string }
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

/** A write with all that is known of it: asked, answered (receipt), ended (ending). */
export interface Intent<W extends Write = Write> {
  /** `GATE/BUILD/GENERATION/KMOD/TRY` or `…/KIND/N`; travels as `custom_user_metadata` of a build. */
  readonly id: string;
  readonly write: W;
  readonly askedAt: number;
  readonly receipt?: Receipt;
  readonly ending?: Ending;
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

/** One architecture of a scratch build. */
export interface ArchEvidence {
  readonly arch: string;
  readonly task: number;
  /** A TASK state. */
  readonly state: number;
  readonly fault?: Fault;
  /** Builds of the kernel-devel rpms in the build root; null: the hub recorded no content. */
  readonly buildroot: readonly KernelRef[] | null;
  /** The newest kernel of the repo that was used; null: not known. */
  readonly repo: KernelRef | null;
  /** Id of that repo. */
  readonly repoId?: number;
  /** First errors of build.log. */
  readonly errors: readonly LogError[];
}

/**
 * An error in a log of a build; `file` and `line` are empty and 0 where the log names none. `source`: a
 * compiler, modpost or the linker says it of the package. `dependency`: something that the package's build
 * needs cannot be installed. `outcome`: make, rpmbuild or dnf only say that something failed. `machine`: the
 * builder ran out of memory or disk, or could not reach a repository.
 */
export interface LogError {
  readonly kind: 'source' | 'dependency' | 'outcome' | 'machine';
  readonly file: string;
  readonly line: number;
  readonly message: string;
  /** The function, field, type, header, symbol, or (of a dependency) package that the message names. */
  readonly identifier?: string;
  /** Where that is a symbol of the baseline that this kernel changed, or (`after` null) no longer has: its CRCs. */
  readonly change?: { readonly before: number; readonly after: number | null; readonly provider: string };
}

/** What a kmod's rpms need of the kernel's, by architecture. */
export interface SymbolEvidence<A = ArchSymbols> {
  /** Its package name. */
  readonly kmod: string;
  readonly arches: readonly A[];
  /** Package names of the kmods whose symbols it needs. */
  readonly needs?: readonly string[];
}

/** One architecture of a kmod, compared with the kernel: as much of it as is judged and said. */
export interface ArchSymbols extends Pick<ArchDetail, 'arch' | 'imports' | 'answer' | 'cause' | 'before'> {
  readonly missing: Few<ImportedSymbol>;
  readonly changed: Few<ChangedImport>;
  readonly fromBroken: Few<KmodImport>;
}

/** How many there are, and the first of them. */
export interface Few<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/**
 * The same with every symbol: megabytes a run, so no run carries it. Providers are the kernel's rpms, or other kmods.
 */
export interface ArchDetail
  extends Pick<KmodComparison, 'imports' | 'missing' | 'changed' | 'fromKmods' | 'fromBroken' | 'answer'> {
  readonly arch: string;
  /** Why the answer is inconclusive, or that not one CRC fits, in words; else null. */
  readonly cause: string | null;
  /** The answer for the baseline; absent where there is none to compare with. */
  readonly before?: KmodComparison['answer'];
}

/** What changed in the kernel's symbols since the baseline, the newest other kernel that has passed. */
export interface KernelChange {
  readonly baseline: KernelRef;
  /** Why the baseline cannot be compared with; else null. */
  readonly unreadable: string | null;
  /** All that either of the two is built for. */
  readonly arches: readonly ArchChange[];
}

export interface ArchChange {
  readonly arch: string;
  /** How many symbols both export, and how many of them were added, removed, or have another CRC. */
  readonly common: number;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** So many that it was the compiler or the generator of CRCs. */
  readonly everything: boolean;
  /** Symbols of the stablelist that changed, or (`after` null) went; null where it has none for this architecture. */
  readonly listed:
    | readonly {
        readonly symbol: string;
        readonly before: number;
        readonly after: number | null;
        readonly provider: string;
      }[]
    | null;
}

/** What symbols show of a run. */
export interface SymbolsShown<A = ArchSymbols> {
  /** Empty with the strategy `rebuild`. */
  readonly kmods: readonly SymbolEvidence<A>[];
  /** Null where no kernel has passed yet. */
  readonly change: KernelChange | null;
  /** What a change of a listed symbol does; null for a gate without a stablelist. */
  readonly stablelist: Stablelist['effect'] | null;
}

export type Verdict = 'promote' | 'block' | 'hold';

/** A person's word that a kmod need not hold a kernel up. */
export interface Waiver {
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
  /** When it ends by itself; null: never. */
  readonly until: number | null;
  /** Who ended it before. */
  readonly ended?: { readonly at: number; readonly by: string };
}

/**
 * What a person asked of a run. `retry`: try again what is not fine, or the kmods that match. `hold`: leave its tags
 * alone until `release`. `cancel`: end it.
 */
export interface Order {
  readonly id: number;
  readonly at: number;
  readonly by: string;
  readonly kind: 'retry' | 'hold' | 'release' | 'cancel';
  readonly reason: string;
  /** Of `retry`: pattern of kmod package names; null: all that are not fine. */
  readonly kmod: string | null;
}

/** What an earlier run showed of a kmod build and the baseline. */
export interface PastBuild {
  /** The kmod's build. */
  readonly buildId: number;
  readonly run: string;
  readonly build: BuildEvidence;
}

/** Whether and where the baseline can be built against with a shared build tag: in a repo that still holds it. */
export interface BaselineRepo {
  /** Null: there is none, and `why`. */
  readonly repo: number | null;
  readonly why: string;
}

/** All facts of one run. What its state is follows from them. */
export interface Run {
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
  readonly chosenAt: number;
  /** What "already broken" is measured by: chosen when the run began; null: there was none. */
  readonly baseline: KernelRef | null;
  /** Once a baseline was wanted in a shared build tag. */
  readonly baselineRepo?: BaselineRepo;
  /** What earlier runs showed of these very kmods and the baseline. */
  readonly past: readonly PastBuild[];
  /** Once they were read; never with the strategy `rebuild` and no stablelist. */
  readonly symbols?: SymbolsShown;
  readonly intents: readonly Intent[];
  /** Those that speak of this gate and kernel, also such as have ended. */
  readonly waivers: readonly Waiver[];
  readonly orders: readonly Order[];
  /** The newest; undefined where a person has asked for a retry since. */
  readonly verdict?: { readonly at: number; readonly verdict: Verdict; readonly reasons: readonly string[] };
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
