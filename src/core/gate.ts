/** A gate as the configuration file has it. Durations are milliseconds, null: no end. */
import type { SymbolTable } from '../kabi/model.ts';
import { DEFAULT_POLICY } from './policy.ts';

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
  /**
   * How old, in ms, what a build against the baseline showed may be when the same kmod fails against the kernel: the
   * package repositories move on, and what they broke is not the kernel's doing. Null: any age.
   */
  readonly evidence_age: number | null;
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
  /** What ends a hold that lasted so long; it promotes nothing of which nothing was tried and fine. */
  readonly after_hold: 'block' | 'promote';
  /** Nothing is promoted in these times. */
  readonly quiet: readonly QuietTime[];
  /** Nothing is promoted before this lets it through, too; null: the gate's own verdict is enough. */
  readonly wait_for: 'greenwave' | null;
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
  /** The same with the CRCs that they must have, where the list tells them. */
  readonly exports?: Readonly<Record<string, SymbolTable>>;
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
  /** NVR of the kernel that "already broken" is measured by; null: for each kmod the newest that the gate let through with it fine. */
  readonly baseline: string | null;
  readonly policy: Policy;
  /** Symbols that a kernel must not change, whether a kmod uses them or not; null: none. */
  readonly stablelist: Stablelist | null;
  /** Null where nothing is ever built: with the strategy `symbols`. */
  readonly build: Building | null;
  readonly on_pass: TagChange;
  readonly on_fail: TagChange;
  /** Where kmods that need a rebuild are built for real once the kernel has passed; null: nowhere. */
  readonly rebuild: Rebuilding | null;
}

/** How and where kmods are built for real. */
export interface Rebuilding {
  readonly target: string;
  /** The builds are drafts, which somebody promotes. */
  readonly draft: boolean;
  /** What kmods that were built from version control are built from: the head of this branch; absent: the same commit again. */
  readonly branch?: string;
}

/** The gate of a run; where the configuration has it no more, one that can only tidy up what its runs have begun. */
export const gateNamed = (gates: readonly Gate[], name: string): Gate =>
  gates.find((gate) => gate.name === name) ?? noGate(name);

const noGate = (name: string): Gate => ({
  name,
  kernels: [],
  watch: '',
  mode: 'observe',
  strategy: 'symbols',
  variant: '',
  kmods: { tag: '', include: [], exclude: [], advisory: [], arches: {} },
  arches: null,
  baseline: null,
  policy: DEFAULT_POLICY,
  stablelist: null,
  build: null,
  on_pass: { tag: [], untag: [] },
  on_fail: { tag: [], untag: [] },
  rebuild: null,
});

/** Whether the configuration has it: one that it has names a kernel or more. */
export const isConfigured = ({ kernels }: Pick<Gate, 'kernels'>): boolean => kernels.length > 0;
